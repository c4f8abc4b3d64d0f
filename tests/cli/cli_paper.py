"""What commands on paper begin with: a config of one account on a market that nobody else trades on, and an order."""

from __future__ import annotations

CONFIG = """[Order_Paper]
username = me
password = x
broker_code = paper
isin = IRO1FOLD0001

[paper]
liquidity = 0
"""
LIMIT = ("--instrument", "IRO1FOLD0001", "--side", "buy", "--type", "limit", "--quantity", "1000", "--price", "4860")


def written(folder, more=""):
    """The config, with more of it, as a file that its owner alone reads."""
    config = folder / "config.ini"
    config.write_text(CONFIG + more)
    config.chmod(0o600)
    return config
