"""Reconciling: asking every broker's list, until it is known, about what is unresolved or still at work."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.order_status import DONE, PLACED
from firstbell.oms.inquiry import Inquiry, needs_asking
from firstbell.oms.lists import MIN_ABSENCE_NS, listed_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import ClientOrderId, RunId

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""How often a list is asked while something is unresolved, in seconds."""
PATIENCE_S: Final = MIN_ABSENCE_NS / 1_000_000_000 + 4 * LOOK_EVERY_S
"""Asking this long, in seconds, is enough to know that an order certainly is not there."""


@dataclass(slots=True)
class Reconciliation:
    """What one round of reconciling came to.

    Attributes:
        looked: The orders that were asked for.
        unresolved: Those of them that nobody can tell of yet.
        unreachable: Login → why its list could not be asked.
    """

    looked: tuple[ClientOrderId, ...] = ()
    unresolved: tuple[Entry, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)


class Reconciler:
    """Asks the lists of every login that has something open.

    Args:
        brokers: Login → its broker, for the logins that are configured.
        journal: Where orders are read from and answers written to.
        clock: Tells how far apart the looks are.
        run_id: Who asks.
    """

    def __init__(self, brokers: Mapping[str, Broker], journal: Journal, clock: Clock, run_id: RunId) -> None:
        self._brokers = brokers
        self._journal = journal
        self._clock = clock
        self._run_id = run_id
        self._inquiries: dict[str, Inquiry] = {}

    def look(self, only: str | None = None) -> Reconciliation:
        """Ask once for everything that is unresolved or works at its broker.

        What a living process is sending is left to it: it asks by itself, and what it writes must fit.

        Args:
            only: The one login to ask for; by default all.
        """
        result = Reconciliation()
        looked: list[ClientOrderId] = []
        groups: dict[tuple[str, str], list[Entry]] = {}
        for entry in self._journal.entries(login=only):
            if needs_asking(entry) or entry.state.status in PLACED - DONE:
                groups.setdefault((entry.intent.login, listed_on(entry).isoformat()), []).append(entry)
        for (login, _), entries in groups.items():
            broker = self._brokers.get(login)
            if broker is None:
                result.unreachable[login] = f"{entries[0].intent.order.account} is not in the config any more"
                continue
            names = [entry.intent.order.client_order_id for entry in entries]
            try:
                broker.login()
                self._inquiry(login, broker).look(names)
            except (BrokerError, CaptchaError) as error:
                result.unreachable[login] = str(error)
                _log.warning("%s: %s", entries[0].intent.order.account, error)
            looked += names
        result.looked = tuple(looked)
        result.unresolved = tuple(entry for entry in self._journal.open_entries() if needs_asking(entry))
        return result

    def until_known(self, patience_s: float, told: Callable[[Sequence[Entry]], None]) -> Reconciliation:
        """Ask again and again while something is unresolved.

        Args:
            patience_s: For how long, in seconds.
            told: Called after each look with what is unresolved still.
        """
        until_ns = self._clock.monotonic_ns() + int(patience_s * 1_000_000_000)
        while True:
            result = self.look()
            told(result.unresolved)
            reachable = [entry for entry in result.unresolved if entry.intent.login in self._brokers]
            if not reachable or self._clock.monotonic_ns() >= until_ns:
                return result
            self._clock.sleep(LOOK_EVERY_S)

    def _inquiry(self, login: str, broker: Broker) -> Inquiry:
        if login not in self._inquiries:
            self._inquiries[login] = Inquiry(broker, self._journal, self._clock, self._run_id)
        return self._inquiries[login]
