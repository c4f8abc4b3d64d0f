"""How an attempt's bytes get to the broker: a port, and the plain way through the shared transport."""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.brokers.stamped import FIRST_BYTE
from firstbell.errors import NoAnswer, NotSent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstbell.brokers.base import Answer, HttpBroker, PreparedOrder
    from firstbell.clock import Clock
    from firstbell.oms.decision import Budget
    from firstbell.oms.pacing import Pacer

_AT_ONCE_NS: Final = 10_000_000
"""What has a connection leaves within so long, in ns."""
ANSWER_WITHIN_S: Final = 5.0
"""How long an answer to an order is awaited, in seconds; after that the broker's lists are asked."""


class Unfired(Enum):
    """Why nothing left, where it was not for the connection."""

    STOPPED = auto()
    """The run was stopped before the instant."""
    REDUCING = auto()
    """It would have bought, and trading only reduces by now."""
    TOO_LATE = auto()
    """This process was held up, or the machine asleep, until after the time to give up."""


class Interrupt(Protocol):
    """Tells whether to stop, and waits in a way that stopping ends."""

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        ...

    @property
    def is_halt(self) -> bool:
        """Whether that is because trading is halted."""
        ...

    @property
    def why(self) -> str:
        """Why, in words that "before the bell" may follow: ``stopped``, or who has halted trading, and why."""
        ...

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; returns early, and True, when stopped."""
        ...


class Carrier(Protocol):
    """Carries one login's attempts, one at a time."""

    @property
    def sent_ns(self) -> int:
        """When the last attempt that left did so: ns since the epoch, on our clock."""
        ...

    @property
    def sent_monotonic_ns(self) -> int:
        """The same on the monotonic clock."""
        ...

    @property
    def lead_ns(self) -> int:
        """How long before its instant it needs an attempt that is made again, in ns."""
        ...

    def carry(self, prepared: PreparedOrder, at_ns: int) -> Answer | Unfired:
        """Send a prepared order once, at an instant, and wait for its answer.

        Args:
            prepared: The order's bytes.
            at_ns: When they leave, on the monotonic clock; at once where that has passed.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, or may have, and no whole answer came.
        """
        ...


def wait_for_turn(pacer: Pacer, clock: Clock, interrupt: Interrupt, at_ns: int) -> bool:
    """Wait until an instant, then until this login may send, whoever else sends of it; and take that turn.

    Args:
        pacer: The login's interval.
        clock: Both clocks.
        interrupt: Stops new attempts.
        at_ns: The instant, on the monotonic clock.

    Returns:
        Whether it was stopped meanwhile.

    Raises:
        NotSent: What other processes send is not to be known.
    """
    while not interrupt.wait_until(at_ns):
        now_ns = clock.monotonic_ns()
        if (at_ns := pacer.take(now_ns)) <= now_ns:
            return False
    return True


@contextmanager
def keeping_turn(pacer: Pacer, clock: Clock, interrupt: Interrupt) -> Iterator[None]:
    """Send something in here, right after its turn was taken: a connection may have to be made first.

    That may take longer than the broker's interval, and until the first byte leaves the turn moves on with it. Where
    somebody else may have come meanwhile, another turn is taken.

    Raises:
        NotSent: It was stopped meanwhile, or what other processes send is not to be known.
    """
    taken_ns = pacer.taken_ns

    def keep() -> None:
        now_ns = clock.monotonic_ns()
        if now_ns - taken_ns < _AT_ONCE_NS:
            return
        if now_ns - taken_ns < pacer.interval_ns:
            pacer.sent(now_ns)
            is_stopped = interrupt.is_set()
        else:
            is_stopped = wait_for_turn(pacer, clock, interrupt, now_ns)
        if is_stopped:
            raise NotSent("stopped while its connection was made; nothing was sent")

    before = FIRST_BYTE.set(keep)
    try:
        yield
    finally:
        FIRST_BYTE.reset(before)


class PlainCarrier:
    """Carries attempts on the broker's own transport, whose connections are warm if they can be.

    Args:
        broker: The login's broker.
        clock: Both clocks.
        interrupt: Stops new attempts.
        budget: When to give up.
        pacer: The login's turn, which other processes take as well.
    """

    lead_ns = 0

    def __init__(self, broker: HttpBroker, clock: Clock, interrupt: Interrupt, budget: Budget, pacer: Pacer) -> None:
        self._broker = broker
        self._pacer = pacer
        self._clock = clock
        self._interrupt = interrupt
        self._budget = budget
        self._sent_ns = 0
        self._sent_monotonic_ns = 0

    @property
    def sent_ns(self) -> int:
        """When the last attempt that left did so: ns since the epoch, on our clock."""
        return self._sent_ns

    @property
    def sent_monotonic_ns(self) -> int:
        """The same on the monotonic clock."""
        return self._sent_monotonic_ns

    def carry(self, prepared: PreparedOrder, at_ns: int) -> Answer | Unfired:
        """Wait for the instant and the login's turn, and send; see `Carrier`."""
        if wait_for_turn(self._pacer, self._clock, self._interrupt, at_ns):
            return Unfired.STOPPED
        if self._budget.is_over(self._clock.monotonic_ns(), self._clock.wall_ns()):
            return Unfired.TOO_LATE
        began_ns, began_wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        try:
            with keeping_turn(self._pacer, self._clock, self._interrupt):
                answer = self._broker.send(prepared, timeout_s=ANSWER_WITHIN_S)
        except NoAnswer:
            # It left some time after this: the pacer has to go by the end of the call, the record by its beginning.
            self._sent_ns, self._sent_monotonic_ns = began_wall_ns, began_ns
            raise
        self._sent_ns, self._sent_monotonic_ns = answer.sent_ns, self._clock.monotonic_ns() - answer.round_trip_ns
        return answer
