"""Where Prometheus finds the figures: a page on this machine's own address, and on no other."""

from __future__ import annotations

import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from firstbell.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

ADDRESS: Final = "127.0.0.1"
"""The only one: whoever wants the figures elsewhere puts a server of his own before them."""
PATH: Final = "/metrics"
"""The only page."""

_LOOK_EVERY_S: Final = 0.1
"""How soon it ends when it is closed, in seconds."""


class MetricsPage:
    """Serves figures until it is closed.

    Args:
        registry: The figures.
        port: The port on `ADDRESS`; 0 for any that is free.

    Raises:
        RunError: The port cannot be had.
    """

    def __init__(self, registry: CollectorRegistry, port: int) -> None:
        figures: WSGIApplication = make_wsgi_app(registry)

        def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            # A page of another site that has its name lead here must not read them.
            if environ.get("HTTP_HOST") not in {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}:
                start_response("403 Forbidden", [("Content-Type", "text/plain")])
                return [b"for this machine only\n"]
            if environ.get("PATH_INFO") != PATH:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [f"the figures are at {PATH}\n".encode()]
            return figures(environ, start_response)

        try:
            self._server = make_server(ADDRESS, port, page, _Server, _Handler)
        except OSError as error:
            raise RunError(f"the figures cannot be shown on {ADDRESS}:{port}: {error.strerror}") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK_EVERY_S,), name="firstbell-metrics", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://{ADDRESS}:{self.port}{PATH}"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking anybody for this machine's name, which may take long."""
        super(WSGIServer, self).server_bind()
        self.server_name, self.server_port = ADDRESS, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hangs up in the middle is nobody's worry."""


class _Handler(WSGIRequestHandler):
    timeout = 5.0
    """Seconds that a request may take to come."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has there
        """Say nothing of each reading."""
