"""The names of one account's orders by their keys: the same in every process, for as long as a key is one order."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import newest_round
from firstbell.model.identifiers import request_order_id
from firstbell.model.instant import instant
from firstbell.oms.orders.key_orders import KeyOrders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from firstbell.config import AccountSettings
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader

_NAMING: Final = timedelta(minutes=10)
"""Within this time what has got its name is claimed: a person may have to read a captcha in between."""


class KeyNames:
    """Names what is placed in one go: a key that has got its name keeps it.

    Args:
        trader: The login's trader.
        account: The account.
    """

    def __init__(self, trader: Trader, account: AccountSettings) -> None:
        self._trader = trader
        self._account = account
        self._names: dict[str, ClientOrderId] = {}

    def of(self, key: str) -> ClientOrderId:
        """The name that an order of a key has, or would get.

        A key is one order of the day, and of the day that an order is for: what was sent once a session had ended is
        for the next one, so in the morning it has its name from the evening before.
        """
        if (name := self._names.get(key)) is None:
            name = self._names[key] = self._found(key)
        return name

    def new_key(self) -> str:
        """A key that nobody has used: no order of it is looked for."""
        key = uuid.uuid4().hex
        self._names[key] = self._on(self._trader.context.today(), key)
        return key

    def rivals(self, key: str) -> Iterator[Entry]:
        """Every order of a key, also those that another process has named by another day while midnight passed."""
        context, blotter = self._trader.context, self._trader.blotter
        yield from KeyOrders(blotter, self.of).all(key)
        now = instant(context.clock.wall_ns())
        tz = context.calendar_of(self._account.broker_code).tz
        days = {at.astimezone(tz).date() for at in (now - _NAMING, now)}
        for day in days if len(days) > 1 else ():
            named = KeyOrders(blotter, partial(self._on, day)).all(key)
            yield from (each for each in named if self._is_for(now, each))

    def _found(self, key: str) -> ClientOrderId:
        trader, today = self._trader, self._trader.context.today()
        name = self._on(today, key)
        if trader.blotter.entry(name) is not None:
            return name
        now = instant(trader.context.clock.wall_ns())
        for day in trader.days.ended_before(now):
            earlier = trader.blotter.entry(self._on(day, key))
            if earlier is not None and self._is_for(now, newest_round(earlier, trader.blotter.entry)):
                return earlier.intent.plan_id
        return name

    def _is_for(self, now: datetime, entry: Entry) -> bool:
        """Whether an order is for the same day as one that leaves now."""
        # What was held back leaves later than it is claimed.
        return self._trader.days.is_one(entry.state.submitted_at or entry.claimed_at, now)

    def _on(self, day: date, key: str) -> ClientOrderId:
        return request_order_id(day, self._account.broker_code, self._account.username, key)
