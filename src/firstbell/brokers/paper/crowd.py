"""Everybody else on the paper market: quotes around a price that wanders, and trades in parts. Deterministic.

Time is cut into steps. What the crowd does in a step depends on the seed, the instrument and the step's number alone,
and on the book that it meets there. So the same seed makes the same market again, and a step long past needs none of
those before it.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.market import Phase
from firstbell.model.terms import Side, TimeInForce
from firstbell.simulator.orders import OrderRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstbell.simulator.exchange import Exchange
    from firstbell.simulator.instrument_day import Listing
    from firstbell.simulator.orders import ExchangeOrder
    from firstbell.simulator.rules import Refusal

CROWD: Final = "\x1fcrowd"
"""Its account at the exchange, which no login can be called."""
STEP_NS: Final = 250_000_000
"""The length of a step, in ns."""
DEPTH: Final = 5
"""Levels that it quotes on either side."""

_SLOW, _FAST = 512, 32
"""Steps from one bend of the price to the next: about two minutes, and eight seconds."""
_SLOW_PART, _FAST_PART = 8, 3
"""How far each of them moves the price at most, in thousandths of it."""
_JUST_BELOW: Final = Decimal("1e-9")
"""Less than any tick."""


class Crowd:
    """The simulated market around our orders.

    Args:
        liquidity: How many shares it shows at a price, on average; zero for a market that stands still.
        seed: Where chance begins.
    """

    def __init__(self, liquidity: Decimal, seed: int) -> None:
        self.liquidity = liquidity
        self._seed = seed

    def act(self, exchange: Exchange, listing: Listing, anchor: Decimal, step: int) -> None:
        """Do what the crowd does in one step, at the exchange's present time.

        Args:
            exchange: The venue; it has an account `CROWD`.
            listing: The instrument.
            anchor: The price around which its price wanders.
            step: The step's number: its time divided by `STEP_NS`.
        """
        if not self.liquidity or exchange.phase is not Phase.CONTINUOUS:
            return
        chance = _Chance(self._seed, listing.instrument.id, step)
        bid = self.bid(exchange, listing, anchor, step)
        self._quote(exchange, listing, bid, chance)
        if chance.below(2):
            self._trade(exchange, listing, chance)

    def bid(self, exchange: Exchange, listing: Listing, anchor: Decimal, step: int) -> Decimal:
        """The best price that the crowd pays in a step; it sells from the next tick on."""
        instrument = listing.instrument
        moved = _SLOW_PART * self._noise(instrument.id, step, _SLOW) + _FAST_PART * self._noise(
            instrument.id, step, _FAST
        )
        price = anchor + anchor * moved / 1_000_000
        low, high = instrument.band.low, instrument.band.high
        price = min(max(price, low), high)
        tick = exchange.tick_at(listing, price)
        price = price // tick * tick
        while price > low and price + exchange.tick_at(listing, price) > high:
            price -= exchange.tick_at(listing, price - _JUST_BELOW)
        return price if price >= low else price + tick

    def _noise(self, isin: str, step: int, span: int) -> int:
        """A number from -1,000 to 1,000 that wanders with the steps, straight from one bend to the next."""
        bend, passed = divmod(step, span)
        before, after = (_Chance(self._seed, f"{isin}/{span}", each).below(2001) - 1000 for each in (bend, bend + 1))
        return (before * (span - passed) + after * passed) // span

    def _quote(self, exchange: Exchange, listing: Listing, bid: Decimal, chance: _Chance) -> None:
        wanted = {Side.BUY: list(_down(exchange, listing, bid)), Side.SELL: list(_up(exchange, listing, bid))}
        shown: dict[tuple[Side, Decimal], Decimal] = {}
        for order in standing(exchange, listing):
            if order.price in wanted[order.side]:
                at = (order.side, order.price)
                shown[at] = shown.get(at, Decimal(0)) + order.leaves_qty
            else:
                exchange.cancel(CROWD, order.serial, exchange.now)
        for side, prices in wanted.items():
            for price in prices:
                if shown.get((side, price), Decimal(0)) * 4 < self.liquidity:
                    self.order(exchange, listing, side, price, self.liquidity / 2 + chance.part(self.liquidity))

    def _trade(self, exchange: Exchange, listing: Listing, chance: _Chance) -> None:
        """Somebody takes a part of what stands at the best price."""
        side = Side.BUY if chance.below(2) else Side.SELL
        touch = listing.book.best(side.opposite)
        if touch is not None:
            self.order(exchange, listing, side, touch.price, chance.part(self.liquidity / 2), TimeInForce.IOC)

    @staticmethod
    def order(
        exchange: Exchange,
        listing: Listing,
        side: Side,
        price: Decimal,
        quantity: Decimal,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> ExchangeOrder | Refusal:
        """An order of the crowd's, of about so many shares: as many as may be ordered at once, in whole lots."""
        lot = listing.instrument.lot_size
        fitting = max(min(quantity, listing.instrument.max_quantity), listing.instrument.min_quantity, lot) // lot * lot
        request = OrderRequest(listing.instrument.id, side, price, fitting, time_in_force)
        return exchange.submit(CROWD, request, exchange.now)


def standing(exchange: Exchange, listing: Listing) -> list[ExchangeOrder]:
    """The crowd's orders on an instrument's book."""
    isin = listing.instrument.id
    return [order for order in exchange.orders_of(CROWD) if order.instrument == isin and order.working]


def _down(exchange: Exchange, listing: Listing, price: Decimal) -> Iterator[Decimal]:
    for _ in range(DEPTH):
        if price < listing.instrument.band.low:
            return
        yield price
        price -= exchange.tick_at(listing, price - _JUST_BELOW)


def _up(exchange: Exchange, listing: Listing, price: Decimal) -> Iterator[Decimal]:
    for _ in range(DEPTH):
        price += exchange.tick_at(listing, price)
        if price > listing.instrument.band.high:
            return
        yield price


class _Chance:
    """Numbers drawn for one step of one instrument."""

    def __init__(self, seed: int, name: str, step: int) -> None:
        self._left = int.from_bytes(hashlib.blake2b(f"{seed}/{name}/{step}".encode()).digest())

    def below(self, end: int) -> int:
        """A number from 0 up, less than `end`."""
        self._left, number = divmod(self._left, end)
        return number

    def part(self, quantity: Decimal) -> Decimal:
        """A whole part of a quantity, of at least one."""
        return Decimal(1 + self.below(max(int(quantity), 1)))
