from __future__ import annotations

import psutil
from journal_orders import DEAD

from firstbell.journal.base import Owner
from firstbell.journal.owner import is_alive, this_process


def test_owners():
    assert is_alive(this_process())
    assert not is_alive(DEAD)
    assert not is_alive(Owner(this_process().host, this_process().pid, 5.0))
    assert is_alive(Owner("another-machine", 1, 0.0))
    name, _, boot = this_process().host.partition("#")
    assert boot
    assert not is_alive(Owner(f"{name}#another-start", this_process().pid, this_process().started))


def test_setting_the_clock_kills_nobody(monkeypatch):
    owner = this_process()
    boot_time = psutil.boot_time()
    monkeypatch.setattr(psutil, "boot_time", lambda: boot_time + 3600)
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 3600)
    assert is_alive(owner)
    assert this_process() == owner
