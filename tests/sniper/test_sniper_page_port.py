"""The page's port is had before the run begins, and one that cannot be had costs nobody his run."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl

import gevent
import pytest
import trustme
from gevent import socket as gevent_socket
from sniper_locust import Environment

from firstbell.errors import RunError
from firstbell.sniper.page_port import take_port


@pytest.fixture
def open_page(monkeypatch):
    monkeypatch.setattr("sys.argv", ["locust"])
    with contextlib.ExitStack() as opened:

        def make(port=0, host="127.0.0.1", **given):
            environment = Environment(user_classes=[])
            environment.create_local_runner()
            web_ui = environment.create_web_ui(host=host, port=port, delayed_start=True, **given)
            take_port(web_ui)
            web_ui.start()
            opened.callback(web_ui.stop)
            return web_ui

        yield make


@pytest.fixture
def taken():
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def answer(port, host="127.0.0.1", context=None):
    with contextlib.ExitStack() as opened:
        call = opened.enter_context(gevent_socket.create_connection((host, port), timeout=20))
        if context is not None:
            call = opened.enter_context(gevent.ssl.SSLContext.wrap_socket(context, call, server_hostname="localhost"))
        call.sendall(b"GET /login HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return call.recv(100).split(b"\r\n")[0]


def test_the_page_is_at_the_port_that_was_asked_for(open_page):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert open_page(port).port == port
    assert answer(port).startswith(b"HTTP/1.1 302")


def test_any_port_is_one_that_can_be_said(open_page):
    page = open_page(0)
    assert page.port > 0
    assert answer(page.port).startswith(b"HTTP/1.1 302")


def test_where_another_program_has_the_port_the_page_is_at_another(open_page, taken, caplog):
    with caplog.at_level(logging.WARNING):
        page = open_page(taken)
    assert page.port not in {0, taken}
    assert answer(page.port).startswith(b"HTTP/1.1 302")
    assert f"the page is at port {page.port}; {taken} cannot be had: Address already in use" in caplog.text


def test_nobody_takes_it_between_the_taking_and_the_serving(open_page):
    port = open_page(0).port
    with socket.socket() as late, pytest.raises(OSError, match="in use"):
        late.bind(("127.0.0.1", port))


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_refused_with_the_remedy(open_page, host):
    with pytest.raises(RunError, match=rf"the page cannot be opened at {host}: .*; name an address of this machine"):
        open_page(host=host)


def test_it_is_encrypted_with_the_users_own_certificate(open_page, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    page = open_page(tls_cert=str(cert), tls_key=str(key))
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    assert answer(page.port, context=context).startswith(b"HTTP/1.1 302")


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("no certificate", "PEM")])
def test_a_certificate_that_cannot_be_used_is_said_before_the_run_begins(open_page, tmp_path, text, why):
    cert = tmp_path / "cert.pem"
    if text is not None:
        cert.write_text(text)
    with pytest.raises(RunError, match=f"--tls-cert {cert} and --tls-key {cert}: .*{why}"):
        open_page(tls_cert=str(cert), tls_key=str(cert))
