from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
from journal_orders import DEAD

from firstbell.journal.base import Owner
from firstbell.journal.owner import _started, is_alive, is_suspended, this_process


def test_owners():
    assert is_alive(this_process())
    assert not is_alive(DEAD)
    assert not is_alive(Owner(this_process().host, this_process().pid, 5.0))
    assert is_alive(Owner("another-machine", 1, 0.0))
    name, _, boot = this_process().host.partition("#")
    assert boot
    assert not is_alive(Owner(f"{name}#another-start", this_process().pid, this_process().started))


def test_a_process_that_is_stopped_is_suspended_until_it_goes_on_and_lives_all_the_while():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        owner = Owner(this_process().host, child.pid, _started(child.pid))
        assert not is_suspended(owner)
        for number, suspended in ((signal.SIGSTOP, True), (signal.SIGCONT, False)):
            child.send_signal(number)
            until = time.monotonic() + 20
            while is_suspended(owner) is not suspended:
                assert time.monotonic() < until
                time.sleep(0.01)
            assert is_alive(owner)
        assert not is_suspended(replace(owner, started=5.0))
        assert not is_suspended(replace(owner, host="another-machine"))
    finally:
        child.kill()
        child.wait()
    assert not is_suspended(owner)


def test_setting_the_clock_kills_nobody(monkeypatch):
    owner = this_process()
    boot_time = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 3600)
    assert is_alive(owner)
    assert this_process() == owner
