"""Ctrl-C and SIGTERM while an order is on its way: nothing new leaves, and what has left is awaited and told."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import CutShort
from firstbell.model.order_status import ASKED, IN_HAND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstbell.model.identifiers import RunId
    from firstbell.oms.office import Office
    from firstbell.oms.orders.thread_interrupt import ThreadInterrupt

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_WORDS: Final = (
    "Ending: nothing new leaves, and the answer that is on its way is awaited; once more ends it at once …\n"
)


class Ending:
    """Whether the command is to come to its end, and what may leave until then.

    Attributes:
        asked: Whether somebody has asked for it.
        interrupt: What keeps new orders from leaving, once there is something that could.
    """

    def __init__(self) -> None:
        self.asked = False
        self.interrupt: ThreadInterrupt | None = None

    def on_signal(self, *_: Any) -> None:
        """Somebody asks: the first time it is waited for what is on its way, the second time it is not."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.interrupt is not None:
            self.interrupt.stop()
        os.write(2, _WORDS.encode("utf-8"))


@contextmanager
def ending_in_order(office: Office, run_id: RunId) -> Iterator[Ending]:
    """Around what sends something.

    Args:
        office: Whose journal tells what may have left.
        run_id: Under which name this command writes.

    Raises:
        CutShort: It was ended at once, and something may have left.
    """
    ending = Ending()
    before = {number: signal.signal(number, ending.on_signal) for number in _SIGNALS}
    try:
        yield ending
    except KeyboardInterrupt:
        if (name := _on_its_way(office, run_id)) is not None:
            raise CutShort(name) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_its_way(office: Office, run_id: RunId) -> str | None:
    """An order of which this command may have sent something, and has not learned what became of it."""
    for entry in office.journal.entries():
        name, status = entry.intent.order.client_order_id, entry.state.status
        if entry.run_id == run_id and status in IN_HAND and not entry.is_held_back:
            return name
        if status in ASKED and any(report.run_id == run_id for report in office.journal.reports(name)):
            return name
    return None
