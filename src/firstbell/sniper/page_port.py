"""The port of the page: taken before the run begins, so that a page that cannot be opened ends no run later."""

from __future__ import annotations

import errno
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from gevent import socket, ssl
from gevent.pywsgi import WSGIServer

from firstbell.errors import RunError

if TYPE_CHECKING:
    from locust.web import WebUI

_log = logging.getLogger(__name__)

_ANY: Final = 0


def take_port(web_ui: WebUI) -> None:
    """Take the port on which Locust is about to serve its page; where another program has it, another port.

    Locust would open it only when the run is under way, and end the run where it cannot. The page is for watching: no
    order stays behind for it.

    Args:
        web_ui: Locust's page, not started yet. Afterwards its `port` is the one that it has.

    Raises:
        RunError: This machine has no such address, or the certificate cannot be used.
    """
    context = _tls(web_ui)
    try:
        server = _listening(web_ui, web_ui.port, context)
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise _not_here(web_ui, error) from error
        server = _listening(web_ui, _ANY, context)
        _log.warning("the page is at port %d; %d cannot be had: %s", server.server_port, web_ui.port, error.strerror)
    web_ui.port = server.socket.getsockname()[1]
    web_ui.server = server
    web_ui.start_server = server.serve_forever  # type: ignore[method-assign]  # Locust's own would open the port


def _tls(web_ui: WebUI) -> ssl.SSLContext | None:
    if not (web_ui.tls_cert and web_ui.tls_key):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(web_ui.tls_cert, web_ui.tls_key)
    except OSError as error:
        files = f"--tls-cert {web_ui.tls_cert} and --tls-key {web_ui.tls_key}"
        raise RunError(f"the page cannot be encrypted with {files}: {error.strerror or error}") from error
    return context


def _listening(web_ui: WebUI, port: int, context: ssl.SSLContext | None) -> WSGIServer:
    listener = socket.socket(socket.AF_INET6 if ":" in web_ui.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((web_ui.host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    serve = partial(WSGIServer, listener, web_ui.app, log=None, error_log=logging.getLogger("locust.web"))
    server = serve() if context is None else serve(ssl_context=context)
    server.init_socket()
    return server


def _not_here(web_ui: WebUI, error: OSError) -> RunError:
    remedy = "name an address of this machine with --web-host; without it, it is 127.0.0.1"
    return RunError(f"the page cannot be opened at {web_ui.host}: {error.strerror}; {remedy}")
