"""The practice exchange over TLS, verified as strictly as Python can."""

from __future__ import annotations

import ssl
import stat
from typing import TYPE_CHECKING, Any

import pytest
import requests

from firstbell.errors import SimulatorError
from firstbell.simulator.tls import make_certificates

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_an_order_goes_through_verified_tls(practice: Callable[..., Any], tmp_path: Path) -> None:
    ca_file, context = make_certificates(tmp_path / "tls")
    begun = practice(tls=context, ca_file=ca_file)
    ali = begun.client("ali")
    assert ali.address.startswith("https://127.0.0.1:")
    assert ali.practice.startswith("http://127.0.0.1:")
    assert ali.order().status_code == 200
    assert ali.seen()["submissions"][0]["decision"] == "accepted"


def test_who_does_not_know_the_authority_does_not_connect(practice: Callable[..., Any], tmp_path: Path) -> None:
    ca_file, context = make_certificates(tmp_path)
    stranger = practice(tls=context, ca_file=ca_file).client("ali", logged_in=False)
    stranger.session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        stranger.captcha()


def handshake(server_context: ssl.SSLContext, ca_file: Path, name: str) -> None:
    client_context = ssl.create_default_context(cafile=ca_file)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_certificates_hold_for_this_machine_under_strict_rules(tmp_path: Path, name: str) -> None:
    ca_file, context = make_certificates(tmp_path)
    handshake(context, ca_file, name)


def test_certificates_hold_for_no_other_machine(tmp_path: Path) -> None:
    ca_file, context = make_certificates(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, ca_file, "api-gs.ephoenix.ir")


def test_keys_are_private_and_the_authoritys_is_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    for _ in range(2):
        make_certificates(folder)
        assert {each.name for each in folder.iterdir()} == {"ca.pem", "server.pem"}
        assert "PRIVATE" not in (folder / "ca.pem").read_text()
        assert stat.S_IMODE((folder / "server.pem").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SimulatorError, match="cannot be written"):
        make_certificates(tmp_path / "file")
