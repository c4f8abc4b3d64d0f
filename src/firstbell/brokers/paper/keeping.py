"""How a paper market is kept between processes, and how it comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from firstbell.brokers.paper import codec
from firstbell.brokers.paper.crowd import CROWD
from firstbell.brokers.paper.venue import PaperVenue
from firstbell.simulator.schedule import next_session, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from firstbell.brokers.paper.file import Rows
    from firstbell.market import MarketCalendar
    from firstbell.model.facts import Facts
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.instrument_day import Listing
    from firstbell.simulator.schedule import Schedule

_LAYOUT: Final = 1


@dataclass(slots=True)
class Mood:
    """What the crowd is at.

    Attributes:
        stepped: The last step that it has acted in.
        by_hand: The instruments that it leaves alone.
        anchors: The prices around which its own wander.
        watched: The instruments that somebody has looked at today: there it acts, step by step.
        described: The instruments that were listed, or described anew, by hand.
    """

    stepped: int = 0
    by_hand: set[InstrumentId] = field(default_factory=set)
    anchors: dict[InstrumentId, Decimal] = field(default_factory=dict)
    watched: set[InstrumentId] = field(default_factory=set)
    described: set[InstrumentId] = field(default_factory=set)


def version(rows: Rows) -> int:
    """Which keeping a file is of; zero for an empty one.

    Raises:
        ValueError: It is damaged, or of another layout.
    """
    meta = rows.one("meta")
    if meta is None:
        return 0
    said = codec.facts(meta)
    if said.whole("layout") != _LAYOUT:
        raise ValueError(f"it is of layout {said.whole('layout')}, and this firstbell reads layout {_LAYOUT}")
    return said.whole("version")


def keep(rows: Rows, venue: PaperVenue, mood: Mood, number: int) -> None:
    """Write what has changed; `number` is this keeping's."""
    exchange = venue.exchange
    living = [serial for serial in venue.touched if serial in exchange.orders]
    rows.write("order", ((str(serial), codec.order_text(exchange.orders[serial])) for serial in living))
    rows.drop("order", (str(serial) for serial in venue.touched - set(living)))
    rows.write("trade", ((str(trade.number), codec.trade_text(trade, *sides)) for trade, *sides in venue.trades))
    rows.write(
        "account",
        ((name, codec.account_text(account)) for name, account in exchange.accounts.items() if name != CROWD),
    )
    rows.write(
        "listing", ((isin, _listing_text(exchange.listings[isin], mood)) for isin in sorted(venue.stirred_listings))
    )
    rows.write("meta", [("", _meta(venue, mood, number))])
    venue.touched.clear()
    venue.stirred_listings.clear()
    venue.trades.clear()
    venue.stirred = False


def _meta(venue: PaperVenue, mood: Mood, number: int) -> str:
    exchange = venue.exchange
    return codec.text(
        {
            "layout": _LAYOUT,
            "version": number,
            "day": venue.day(exchange.schedule.bell),
            "now": exchange.now,
            "next_serial": exchange.next_serial,
            "next_trade": exchange.next_trade,
            "opened": exchange.opened,
            "stepped": mood.stepped,
            "by_hand": sorted(mood.by_hand),
            "anchors": mood.anchors,
            "watched": sorted(mood.watched),
        }
    )


def _listing_text(listing: Listing, mood: Mood) -> str:
    return codec.text(
        {
            "instrument": codec.instrument_facts(listing.instrument),
            "described": listing.instrument.id in mood.described,
            "reference": listing.reference,
            "last_price": listing.last_price,
            "volume": listing.volume,
            "value": listing.value,
            "closing_price": listing.closing_price,
        }
    )


def come_back(
    rows: Rows, instruments: Iterable[Instrument], days: MarketCalendar, *, min_interval_ns: int
) -> tuple[PaperVenue, Mood]:
    """The market that a file holds, and what its crowd is at.

    Args:
        rows: The file.
        instruments: What is traded by the config; what the file has beyond them is traded too.
        days: When the market trades.
        min_interval_ns: The shortest time between two orders of one account, in ns.

    Raises:
        ValueError: The file is damaged.
    """
    meta = codec.facts(rows.one("meta") or "")
    mood = Mood(
        meta.whole("stepped"),
        codec.isins(meta, "by_hand"),
        codec.prices(meta, "anchors"),
        codec.isins(meta, "watched"),
    )
    traded = {each.id: each for each in instruments}
    listings = [codec.facts(body) for body in rows.all("listing")]
    for said in listings:
        _describe(said, traded, mood)
    now = meta.whole("now")
    venue = PaperVenue(traded.values(), _schedule(days, meta, now), days.tz, min_interval_ns=min_interval_ns)
    for said in listings:
        _continue(said, venue)
    orders = sorted((codec.order_of(codec.facts(body)) for body in rows.all("order")), key=lambda each: each.serial)
    if any(order.instrument not in traded for order in orders):
        raise ValueError("an order is for an instrument that is not there")
    venue.exchange.restore(
        (codec.account_of(codec.facts(body)) for body in rows.all("account")),
        orders,
        now=now,
        next_serial=meta.whole("next_serial"),
        next_trade=meta.whole("next_trade"),
        opened=meta.flag("opened"),
    )
    venue.open_crowd()
    for order in orders:
        if order.account != CROWD:
            venue.index(order)
    trades = sorted((codec.trade_of(codec.facts(body)) for body in rows.all("trade")), key=lambda each: each[0].number)
    for trade, buyer, seller in trades:
        for account, serial in ((buyer, trade.buy), (seller, trade.sell)):
            if account != CROWD:
                venue.booked(trade, account, serial)
    venue.stirred_listings.clear()
    return venue, mood


def _schedule(days: MarketCalendar, meta: Facts, now: int) -> Schedule:
    try:
        session = days.session(date.fromisoformat(meta.text("day")))
    except ValueError:
        # The market's hours have been changed since.
        session = next_session(days, now)
    return schedule_of(session)


def _describe(said: Facts, traded: dict[InstrumentId, Instrument], mood: Mood) -> None:
    inner = said.inner("instrument")
    if inner is None:
        raise ValueError("a listing has no instrument")
    instrument = codec.instrument_of(inner)
    if said.flag("described"):
        mood.described.add(instrument.id)
    if instrument.id in mood.described or instrument.id not in traded:
        traded[instrument.id] = instrument


def _continue(said: Facts, venue: PaperVenue) -> None:
    inner = said.inner("instrument")
    listing = venue.exchange.listings[codec.instrument_of(inner).id] if inner is not None else None
    if listing is not None:
        listing.reference = said.number("reference")
        listing.last_price = said.maybe_number("last_price")
        listing.volume, listing.value = said.number("volume"), said.number("value")
        listing.closing_price = said.maybe_number("closing_price")
