"""The config that an example runs on: the one named on the command line, or one for paper in a folder of its own.

    python docs/examples/example_config.py            prints the one for paper

Every example is called in the same way::

    python docs/examples/order_manager.py [CONFIG] [--live]

Examples place orders for the sake of placing them. So ``--live`` is taken for a simulated exchange on this machine
alone: ``firstbell exchange --bell-in 2s --write-config practice.ini``.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from firstbell.brokers.registry import order_url
from firstbell.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

PAPER = """\
[Order_Mine]
username = me
password = open-sesame
broker_code = paper
isin = IRO1FOLD0001

[Order_Other]
username = somebody else
password = open-sesame
broker_code = paper
isin = IRO1FOLD0001

[paper]
# Nobody is on this market but these two: what trades, trades between them, and every run is the same.
liquidity = 0
latency = 0
holdings = IRO1FOLD0001: 50000

[orders]
every = 200ms
"""


@contextmanager
def example_config(about: str | None, more: str = "") -> Iterator[tuple[Path, bool]]:
    """Read the command line.

    Args:
        about: What the example shows; for ``--help``.
        more: Further sections of the config for paper.

    Returns:
        The config, and whether ``--live`` was said.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, help="without it: paper, in a folder that is gone afterwards")
    parser.add_argument("--live", action="store_true", help="for a simulated exchange on this machine")
    said = parser.parse_args()
    if said.live:
        _must_be_here(said.config)
    if said.config is not None:
        yield said.config, said.live
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.ini"
        # A config that others can read is refused.
        path.touch(mode=0o600)
        path.write_text(f"{PAPER}\n{more}", encoding="utf-8")
        yield path, False


def _must_be_here(config: Path | None) -> None:
    if config is None:
        raise SystemExit("--live needs a config: firstbell exchange --write-config practice.ini")
    settings = load(config)
    for account in settings.enabled:
        host = urlsplit(order_url(account.broker_code, settings)).hostname
        if account.broker_code != "paper" and host != "127.0.0.1":
            raise SystemExit(f"{account.name} is at {host}: examples place no orders there")


if __name__ == "__main__":
    with example_config(__doc__) as (config, _):
        print(config.read_text(encoding="utf-8"))
