"""What the chat's commands are carried out on: an office, its journal and its halt file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from firstbell.alerts import words
from firstbell.alerts.base import Importance, Message
from firstbell.cli.halt import call, end
from firstbell.clock import exchange_now
from firstbell.oms.day_orders import day_orders, open_besides, without_earlier_rounds
from firstbell.oms.engines import Engines
from firstbell.oms.positions.book import PositionBook
from firstbell.risk.trading_state import in_force
from firstbell.sniper.archive import current

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from firstbell.journal.base import Entry
    from firstbell.oms.office import Office


class OfficeDesk:
    """A `firstbell.alerts.desk.Desk`. It asks no broker: what the journal knows is what is told.

    Args:
        office: The opened rooms of the config.
        answered: Entered while a halt is called or ended here: whoever asked for it is answered, and not told as well.
        symbols: What people call instruments, by their ids.
    """

    def __init__(
        self,
        office: Office,
        answered: Callable[[], AbstractContextManager[None]],
        symbols: Mapping[str, str] | None = None,
    ) -> None:
        self._symbols: Mapping[str, str] = symbols if symbols is not None else {}
        self._office = office
        self._answered = answered

    def status(self) -> Message:
        """Whether trading is halted, what runs, and how the day's orders stand."""
        halted = self.halted()
        today = self._today()
        counts = Counter(map(words.standing, today))
        standing = ", ".join(f"{count:,} {status}" for status, count in sorted(counts.items()))
        unresolved = sum(entry.state.unresolved for entry in self._office.journal.open_entries())
        engines = [str(owner) for owner in Engines.of(self._office.state_dir).living()]
        newest = self._office.journal.newest_run()
        lines = [
            f"Trading is {halted}" if halted is not None else "Trading is active.",
            f"sending: {', '.join(engines)}" if engines else "No process here can send.",
            f"today: {standing or 'no orders'}",
        ]
        if unresolved:
            lines.append(f"unresolved, of whatever day: {unresolved}")
        if newest is not None:
            lines.append(f"newest run: {newest.run_id}, bell at {newest.bell.isoformat(sep=' ', timespec='seconds')}")
        return Message("Status", tuple(lines), Importance.HIGH)

    def orders(self) -> Message:
        """The day's orders, and whatever else is open."""
        today = self._today()
        entries = (*open_besides(self._office.journal, today), *today)
        return words.orders("Today's orders, and what is open", entries, self._symbols)

    def positions(self) -> Message:
        """What is held through our orders."""
        book = PositionBook.of(self._office.journal, self._office.settings)
        lines = [
            words.position(
                each.position.account,
                each.broker_code,
                each.position.instrument,
                each.position.quantity,
                each.position.average_price,
                estimated=each.position.estimated,
            )
            for each in book.standings()
        ]
        return Message("Positions", tuple(lines) or ("None through our orders.",), Importance.HIGH)

    def results(self) -> Message:
        """What the newest run came to."""
        newest = self._office.journal.newest_run()
        if newest is None:
            return Message("Results", ("There was no run yet.",), Importance.HIGH)
        return words.summary(current(self._office.journal, self._office.clock, newest, self._office.calendar.tz))

    def halted(self) -> str | None:
        """Since when, by whom and why trading is halted."""
        halt = in_force(self._office.state_dir)
        return None if halt is None else str(halt)

    def halt(self, by: str, why: str) -> Message:
        """Halt all trading at once."""
        with self._answered():
            called = call(self._office.state_dir, by, why)
        lines = [
            f"Trading is {called.in_force}" if called.failure is None else f"Not halted: {called.stands}",
            *(f"{owner}: {called.words(owner)}" for owner in called.told),
            *([] if called.told else ["No run is going on here."]),
            *([] if called.failure is None else [f"It will not survive a restart: {called.failure}"]),
        ]
        return Message("Halted" if called.failure is None else "Not halted", tuple(lines), Importance.HIGH)

    def resume(self, by: str) -> Message:
        """End the halt."""
        with self._answered():
            end(self._office.state_dir)
        return words.resumed(by)

    def _today(self) -> tuple[Entry, ...]:
        tz = self._office.calendar.tz
        today = day_orders(self._office.journal, exchange_now(self._office.clock, tz).date(), tz)
        return without_earlier_rounds(today)
