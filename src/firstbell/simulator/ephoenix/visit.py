"""One call while it is served: what it brought, when it came, whose it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.simulator.faults import Call
from firstbell.simulator.record import Submission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.simulator.ephoenix.desk import Desk, Door
    from firstbell.simulator.roster import Investor

_ORDER_CALLS: Final = frozenset({Call.ORDER, Call.EDIT, Call.CANCEL})


@dataclass(slots=True)
class Visit:
    """One call.

    Attributes:
        call: What is asked.
        desk: What all calls share.
        door: The port through which it came.
        authorization: Its ``Authorization`` header, or an empty text.
        query: What stands behind the question mark of its path.
        body: Its body.
        arrived: When it came, in ns since the epoch on the exchange's clock; set by `arrive`.
        investor: Whose living token it brought; None without one; set by `arrive`.
        submission: What goes on record, for calls that mean to change an order; set by `arrive`.
    """

    call: Call
    desk: Desk
    door: Door
    authorization: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    arrived: int = 0
    investor: Investor | None = None
    submission: Submission | None = None

    @property
    def holder(self) -> Investor:
        """Whose token it brought, for calls that are served only with one."""
        if self.investor is None:
            raise RuntimeError(f"{self.call} is served without a token")
        return self.investor

    @property
    def paper(self) -> Submission:
        """What goes on record, for calls that mean to change an order."""
        if self.submission is None:
            raise RuntimeError(f"{self.call} is not put on record")
        return self.submission

    def arrive(self, now: int) -> None:
        """Note when it came and whose it is. Called again where a fault has held it up on its way.

        Args:
            now: In ns since the epoch on the exchange's clock.
        """
        self.arrived = now
        self.investor = self._by_token()
        if self.call not in _ORDER_CALLS:
            return
        lateness_us = (now - self.desk.exchange.schedule.bell) // 1_000
        if self.submission is None:
            code = self.investor.broker_code if self.investor else self.door.code
            name = self.investor.username if self.investor else None
            self.submission = Submission(self.call.value, code, name, now, lateness_us)
            self.desk.record.came(self.submission)
        self.submission.arrival_ns, self.submission.lateness_us = now, lateness_us

    def _by_token(self) -> Investor | None:
        scheme, _, token = self.authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        investor = self.desk.tokens.holder(token.strip(), self.arrived)
        # A token of a broker behind another door is none here.
        return investor if investor is not None and self.door.logins.get(investor.username) is investor else None
