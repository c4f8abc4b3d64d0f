import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from brokers_platform import House, Platform
from brokers_wire import Script, WireServer

from firstbell.brokers.transport import shared_transport


@pytest.fixture
def serve() -> Iterator[Callable[..., WireServer]]:
    """Start servers; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(script: Script, tls: ssl.SSLContext | None = None) -> WireServer:
            server = WireServer(script, tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def tls_server(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def platform(serve: Callable[..., WireServer]) -> Platform:
    return Platform(serve)


@pytest.fixture
def house(tmp_path: Path, platform: Platform) -> Iterator[House]:
    house = House(tmp_path / "state", platform)
    yield house
    house.cache.close()
    shared_transport().close()
