"""A page or a port that would be open to others is refused before anything is begun."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address

from e2e_venue import LOCUSTFILE, environment

EVERYWHERE = str(ip_address(0))


def test_a_page_that_would_be_open_to_others_is_refused(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    options = ["run", "--web", "--at", "now", "--", "--web-host", EVERYWHERE]
    without, in_clear = venue.firstbell(*options), venue.firstbell(*options, FIRSTBELL_WEB_PASSWORD="long-enough-words")
    assert (without.returncode, in_clear.returncode) == (2, 2)
    assert "set FIRSTBELL_WEB_PASSWORD" in without.stderr
    assert "--tls-cert" in in_clear.stderr
    by_hand = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--web-host", EVERYWHERE, "--web-port", "0"],
        env=environment(FIRSTBELL_CONFIG=str(venue.config), FIRSTBELL_AT=venue.in_seconds(30)),
        cwd=venue.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert by_hand.returncode == 2, by_hand.stderr
    assert "set FIRSTBELL_WEB_PASSWORD" in by_hand.stderr
    assert venue.seen()["submissions"] == []


def test_a_port_that_would_be_open_to_others_without_a_key_is_refused(open_venue):
    venue = open_venue("--accounts", "1", "--bell-in", "1s")
    options = ["--processes", "2", "--at", venue.in_seconds(8), "--", "--master-bind-host", EVERYWHERE]
    refused = venue.firstbell("run", *options)
    assert refused.returncode == 2
    assert "`firstbell key` makes one" in refused.stderr
    assert venue.seen()["submissions"] == []
