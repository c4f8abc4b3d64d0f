"""After the bell: orders whose worker is gone, or cannot ask by itself, are looked for in the brokers' lists."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from gevent.pool import Pool

from firstbell.errors import BrokerError, CaptchaError, FirstbellError
from firstbell.model.order_status import PLACED
from firstbell.oms.inquiry import Inquiry, needs_asking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstbell.journal.base import Entry, Owner
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.logins import Login
    from firstbell.sniper.context import RunContext

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 16
"""Lists that are asked at the same time."""
_CONFIRM: Final = 3
"""How often an accepted order is looked for."""


class Caretaker:
    """Looks after the orders of others.

    Args:
        context: The run, whose brokers are opened with the config's log-ins.
        logins: Key → login.
        is_gone: Whether a worker is gone.
    """

    def __init__(self, context: RunContext, logins: Mapping[str, Login], is_gone: Callable[[Owner], bool]) -> None:
        self._context = context
        self._logins = logins
        self._is_gone = is_gone
        self._inquiries: dict[str, Inquiry] = {}
        self._looked: dict[ClientOrderId, int] = {}
        self.dealt: set[Owner] = set()
        """The workers that cannot ask lists by themselves."""

    def look(self) -> None:
        """Ask once for everything that needs it, login by login.

        Raises:
            JournalError: The journal cannot be read.
        """
        wanted: dict[str, list[ClientOrderId]] = {}
        for entry in self._context.journal.entries(run_id=self._context.run_id):
            if entry.intent.login in self._logins and self._needs_us(entry):
                wanted.setdefault(entry.intent.login, []).append(entry.intent.order.client_order_id)
        pool = Pool(_AT_ONCE)
        for key, names in wanted.items():
            pool.spawn(self._ask, self._logins[key], names)
        pool.join()

    def _needs_us(self, entry: Entry) -> bool:
        if entry.owner not in self.dealt and not self._is_gone(entry.owner):
            return False
        if needs_asking(entry):
            return True
        if entry.state.status not in PLACED:
            return False
        name = entry.intent.order.client_order_id
        inquiry = self._inquiries.get(entry.intent.login)
        return (inquiry is None or name not in inquiry.seen) and self._looked.get(name, 0) < _CONFIRM

    def _ask(self, login: Login, names: Sequence[ClientOrderId]) -> None:
        context = self._context
        try:
            broker = context.open_broker(login.leader)
            if login.key not in self._inquiries:
                self._inquiries[login.key] = Inquiry(broker, context.journal, context.clock, context.run_id)
            broker.login()
            self._inquiries[login.key].look(names)
        except (BrokerError, CaptchaError) as error:
            _log.warning("%s: %s", login.leader.name, error)
        except FirstbellError as error:
            _log.error("%s: %s", login.leader.name, error)
        for name in names:
            self._looked[name] = self._looked.get(name, 0) + 1
