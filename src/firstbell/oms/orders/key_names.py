"""The names of one account's orders by their keys: the same in every process, for as long as a key is one order."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from firstbell.journal.base import newest_round
from firstbell.model.identifiers import request_order_id
from firstbell.model.instant import instant
from firstbell.oms.listed_days import LONGEST_SENDING, came_between
from firstbell.oms.orders.key_orders import MOST_ORDERS, KeyOrders, part_key
from firstbell.oms.orders.lasting import lasts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

    from firstbell.config import AccountSettings
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader

_DAY: Final = timedelta(days=1)


class KeyNames:
    """Names what is placed in one go: a key that has got its name keeps it.

    Args:
        trader: The login's trader.
        account: The account.
    """

    def __init__(self, trader: Trader, account: AccountSettings) -> None:
        self._trader = trader
        self._account = account
        self._days: dict[str, date] = {}
        self._names: dict[str, ClientOrderId] = {}

    def of(self, key: str) -> ClientOrderId:
        """The name that an order of a key has, or would get.

        A key is one order of the day, and of the day that an order is for: what was sent once a session had ended is
        for the next one, so in the morning it has its name from the evening before. And it is one order for as long as
        that lasts: what is held back, or works for longer than a day, has its name from the day on which it was made.
        """
        if (name := self._names.get(key)) is None:
            day = self._days[key] = self._day_of(key)
            name = self._names[key] = self._on(day, key)
        return name

    def new_key(self) -> str:
        """A key that nobody has used: no order of it is looked for."""
        key = uuid.uuid4().hex
        self._days[key] = self._trader.context.today()
        return key

    def rivals(self, key: str) -> Iterator[Entry]:
        """Every order of a key, also those that another process has named by another day while midnight passed."""
        yield from KeyOrders(self._trader.blotter, self.of).all(key)
        yield from self.named_otherwise(key)

    def named_otherwise(self, key: str) -> Iterator[Entry]:
        """The orders of a key that another process has named by another day while midnight passed."""
        context, blotter = self._trader.context, self._trader.blotter
        now = instant(context.clock.wall_ns())
        tz = context.calendar_of(self._account.broker_code).tz
        days = {at.astimezone(tz).date() for at in (now - LONGEST_SENDING, now)}
        for day in days - {self._days.get(key)} if len(days) > 1 else ():
            named = KeyOrders(blotter, partial(self._on, day)).all(key)
            yield from (each for each in named if self._is_for(now, each))

    def _day_of(self, key: str) -> date:
        """The day by which an order of a key is named: that of its request, where it is a part or an exit of one."""
        for whole, day in self._days.items():
            if key == whole or key.startswith(f"{whole}/"):
                return day
        blotter, today = self._trader.blotter, self._trader.context.today()
        if blotter.entry(self._on(today, key)) is not None:
            return today
        now = instant(self._trader.context.clock.wall_ns())
        # A clock that has been set back over midnight has seen that day already.
        later = today + _DAY
        if (made := blotter.entry(self._on(later, key))) is not None and self._is_for(now, made):
            return later
        for day in self._trader.days.ended_before(now):
            earlier = blotter.entry(self._on(day, key))
            if earlier is not None and self._is_for(now, newest_round(earlier, blotter.entry)):
                return day
        return self._lasting(key, today, now) or today

    def _lasting(self, key: str, today: date, now: datetime) -> date | None:
        """The earlier day by which an order is named that lasts, or of which a part or a bracket's exit does."""
        blotter, context = self._trader.blotter, self._trader.context
        here = now.astimezone(context.calendar_of(self._account.broker_code).tz)
        for day in blotter.lasting_days():
            names = () if day == today else (self._on(day, part_key(key, number)) for number in range(MOST_ORDERS))
            if any(lasts(entry, here, self._trader.days) for entry in blotter.lasting(day, names)):
                return day
        return None

    def _is_for(self, now: datetime, entry: Entry) -> bool:
        """Whether an order is for the same day as one that leaves now."""
        # What was held back leaves later than it is claimed; what was answered after a session may be for the next.
        return self._trader.days.is_one(came_between(entry)[1], now)

    def _on(self, day: date, key: str) -> ClientOrderId:
        return request_order_id(day, self._account.broker_code, self._account.username, key)
