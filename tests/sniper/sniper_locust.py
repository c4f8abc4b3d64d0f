"""Locust for tests in their own process: as it is, but without patching the standard library for gevent.

Patched, pytest's own threads would be greenlets, and tests in several processes would end in the middle.
"""

from __future__ import annotations

import os

_SWITCH = "LOCUST_SKIP_MONKEY_PATCH"

_before = os.environ.get(_SWITCH)
os.environ[_SWITCH] = "1"
try:
    from locust.env import Environment
    from locust.exception import RPCError
    from locust.rpc import Message, zmqrpc
finally:
    # Not for the processes that tests start.
    os.environ.pop(_SWITCH)
    if _before is not None:
        os.environ[_SWITCH] = _before

__all__ = ["Environment", "Message", "RPCError", "zmqrpc"]
