"""Stand-ins for a rehearsal: people with money and shares, and instruments, that fit a user's own accounts.

What a login may spend and what an instrument costs tomorrow is not known here, and does not matter to the question of a
rehearsal, which is when the orders arrive. So everybody gets what his accounts are meant to send, within the user's own
limits: an order that a limit would deny would show nothing of the bell.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Final

from firstbell.config import OrdersMode
from firstbell.market import fee_rate, tick_size
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.sizing import cost, cut_to_lot, limit_price
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from firstbell.config import AccountSettings, Settings
    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.oms.logins import Login

_SLICES: Final = 2
"""How many orders a rehearsed ``orders = all`` comes to, where the limits allow it."""
_USUAL_PRICE: Final = Decimal(5_000)
_USUAL_LARGEST: Final = Decimal(400_000)
_BAND: Final = Decimal("0.03")


def instruments_for(accounts: Iterable[AccountSettings], settings: Settings) -> dict[InstrumentId, Instrument]:
    """Everything that the accounts trade: as the practice exchange lists it, or made up around the user's own prices.

    Args:
        accounts: The accounts.
        settings: The config, for its market and its limits.
    """
    accounts = tuple(accounts)
    listed = {each.id: each for each in tehran_instruments()}
    orders = sum(_slices(account, settings) for account in accounts if account.side is Side.BUY)
    found = {}
    for isin in dict.fromkeys(account.isin for account in accounts):
        prices = [account.price for account in accounts if account.isin == isin and account.price is not None]
        instrument = listed.get(isin) or _made_up(isin, prices, settings.firstbell.market)
        band = PriceBand(min([instrument.band.low, *prices]), max([instrument.band.high, *prices]))
        instrument = replace(instrument, band=band)
        found[isin] = replace(instrument, max_quantity=_largest(instrument, orders, settings))
    return found


def investor_for(
    login: Login, username: str, password: str, instruments: Mapping[InstrumentId, Instrument], settings: Settings
) -> Investor:
    """Somebody who can pay for what one login buys, and holds what it sells.

    Args:
        login: Whose stand-in it is.
        username: What the stand-in logs in with.
        password: Likewise.
        instruments: What is traded.
        settings: The config, for its market and its limits.
    """
    needed: dict[AccountName, Decimal] = {}
    least: dict[AccountName, Decimal] = {}
    holdings: dict[InstrumentId, Decimal] = {}
    rate = fee_rate(settings.firstbell.market, Side.BUY)
    for account in login.accounts:
        instrument = instruments[account.isin]
        slices = _slices(account, settings)
        shares = instrument.max_quantity * slices
        if account.quantity is not None:
            shares = min(shares, account.quantity)
        if account.side is Side.SELL:
            holdings[account.isin] = shares
            continue
        price = limit_price(Side.BUY, instrument.band, account.price)
        # The fee of each slice is rounded up by itself.
        costs = cost(shares, price, rate) + slices
        costs = costs if account.max_value is None else min(costs, account.max_value)
        needed[account.section] = needed.get(account.section, Decimal(0)) + costs
        # Where a section divides its money, the lightest of its instruments has to come to an order as well.
        smallest = cost(instrument.min_quantity, price, rate) * sum(account.basket.values())
        light = (smallest / account.basket[account.isin]).to_integral_value(rounding=ROUND_CEILING)
        if account.isins:
            least[account.section] = max(light, least.get(account.section, Decimal(0)))
    money = sum((max(costs, least.get(section, costs)) for section, costs in needed.items()), Decimal(0))
    return Investor(username, password, login.broker_code, money, holdings, login.leader.isin)


def _made_up(isin: InstrumentId, prices: Sequence[Decimal], market: str) -> Instrument:
    low, high = (min(prices), max(prices)) if prices else (_USUAL_PRICE, _USUAL_PRICE)
    band = PriceBand(_cut(low * (1 - _BAND), market), _cut(high * (1 + _BAND), market))
    return Instrument(
        id=isin,
        symbol="",
        name="",
        band=band,
        min_quantity=Decimal(1),
        max_quantity=_USUAL_LARGEST,
        lot_size=Decimal(1),
        reference_price=prices[0] if prices else _USUAL_PRICE,
        state="A",
    )


def _cut(price: Decimal, market: str) -> Decimal:
    tick = tick_size(market, price)
    return max(price // tick * tick, tick)


def _largest(instrument: Instrument, orders: int, settings: Settings) -> Decimal:
    """The largest order of an instrument that the user's limits let through, of so many buys on the day."""
    limits, price = settings.risk, instrument.band.high
    largest = instrument.max_quantity
    if limits.max_order_quantity is not None:
        largest = min(largest, limits.max_order_quantity)
    if limits.max_order_value is not None:
        largest = min(largest, limits.max_order_value // price)
    if limits.max_total_value is not None and orders:
        largest = min(largest, limits.max_total_value // orders // price)
    return max(cut_to_lot(largest, instrument.lot_size), instrument.min_quantity)


def _slices(account: AccountSettings, settings: Settings) -> int:
    if account.orders is OrdersMode.ONE:
        return 1
    return min(_SLICES, settings.risk.max_orders_per_account or _SLICES)
