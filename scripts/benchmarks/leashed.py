"""Runs ``firstbell`` as a child that is interrupted, as by Ctrl-C, when its standard input ends: nothing is left over.

Usage: ``python -m benchmarks.leashed ARGUMENTS OF FIRSTBELL``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from firstbell.cli.main import main


def _hold() -> None:
    while os.read(sys.stdin.fileno(), 64):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    threading.Thread(target=_hold, daemon=True).start()
    main()
