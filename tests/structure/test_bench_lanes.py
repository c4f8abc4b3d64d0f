import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstbell.simulator.tls import make_certificates

ROOT = Path(__file__).parents[2]
BODY = b'{"isSuccess":true,"serialNumber":1}'
NEW_ORDER = "/api/v2/orders/NewOrder"


class Broker(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, status=200, *, keep=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.keep = keep
        self.seen = []

    def handle_error(self, request, client_address):
        """A lane that is done closes its connection, which is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(BODY)))
        if not self.server.keep:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(BODY)
        self.wfile.flush()

    def log_message(self, *_args):
        """Nobody reads it."""


@contextmanager
def listening(server, context=None):
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def bench(*arguments):
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def lanes(url, *arguments):
    done = bench("lanes", "--url", url, "--connections", "3", "--seconds", "0.3", "--json", *arguments)
    return json.loads(done.stdout), done.returncode


def sane(found):
    assert found["orders_per_second"] > 0
    assert found["answered"] > 0
    assert found["errors"] == 0
    assert found["connections"] == 3
    assert found["orders_per_second"] == pytest.approx(found["answered"] / found["seconds"], rel=0.05)


def test_orders_per_second_to_an_address():
    server = Broker()
    with listening(server) as url:
        found, status = lanes(url)
    sane(found)
    assert status == 0
    assert found["answered"] == len(server.seen)
    path, token, body = server.seen[0]
    assert path == NEW_ORDER
    assert token.startswith("Bearer ")
    assert body["isin"] == "IRO1MHRN0001"
    assert body["side"] == 1


def test_over_tls_with_an_authority_of_its_own(tmp_path):
    ca_file, context = make_certificates(tmp_path)
    server = Broker()
    with listening(server, context) as url:
        found, _ = lanes(url, "--ca-file", str(ca_file))
    sane(found)
    assert found["answered"] == len(server.seen)


def test_a_server_that_closes_each_connection_and_a_path_of_its_own():
    server = Broker(status=404, keep=False)
    with listening(server) as url:
        found, _ = lanes(f"{url}/elsewhere?x=1")
    sane(found)
    assert found["statuses"] == {"404": len(server.seen)}
    assert {path for path, _, _ in server.seen} == {"/elsewhere?x=1"}


def test_nobody_listens():
    server = Broker()
    with listening(server) as url:
        pass
    done = bench("lanes", "--url", url, "--connections", "1", "--seconds", "0.1", "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "refused" in done.stderr
