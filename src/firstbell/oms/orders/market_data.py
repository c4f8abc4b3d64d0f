"""What one broker says of instruments: described now and then, quoted when asked for, each remembered for a moment."""

from __future__ import annotations

import contextlib
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.errors import BrokerError, CaptchaError, NoSuchInstrument
from firstbell.model.identifiers import is_isin, same_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.model.quote import Quote

_log = logging.getLogger(__name__)

_FRESH_NS: Final = 500_000_000
"""For so long a quote is not asked for again, in ns: one round of watching asks once for each instrument."""
_DESCRIBED_NS: Final = 60_000_000_000
"""Likewise for an instrument's description, whose band may be widened during the day."""
_NOTHING: Final = Decimal(0)
_JUST_NOW_NS: Final = 1_000_000_000
"""A description that the broker gave within so long, in ns, is not asked for again, whatever is denied by it."""


class MarketData:
    """Instruments and quotes of one broker.

    Args:
        broker: Who is asked.
        clock: Tells how old an answer is.
        listed: The instruments of the login's accounts: by their symbols, too, they are found at a broker that knows
            ISINs alone.
    """

    def __init__(self, broker: Broker, clock: Clock, listed: Iterable[InstrumentId] = ()) -> None:
        self._broker = broker
        self._clock = clock
        self._listed = tuple(dict.fromkeys(listed))
        self._called: dict[InstrumentId, InstrumentId] = {}
        self._instruments: dict[InstrumentId, tuple[int, Instrument]] = {}
        self._quotes: dict[InstrumentId, tuple[int, Quote]] = {}
        self._holdings: tuple[int, dict[InstrumentId, Decimal]] | None = None
        self._asked: dict[InstrumentId, int] = {}
        """When the broker itself, past its cache, was asked to describe an instrument."""

    def instrument(self, name: InstrumentId) -> Instrument:
        """An instrument, by its id or its symbol, as it was described within the last minute.

        Raises:
            NoSuchInstrument: There is none, or several have that symbol.
            BrokerError: It cannot be had.
        """
        name = self._called.get(name, name)
        if is_isin(name) or name in self._listed:
            return self._described(name)
        found = self._with_symbol(name)
        if len(found) > 1:
            raise NoSuchInstrument(f"{name} is the symbol of {' and of '.join(found)}: write the ISIN of the right one")
        if not found:
            try:
                return self._described(name)
            except NoSuchInstrument as error:
                hint = "by its symbol it is found where a section of the config has its ISIN"
                raise NoSuchInstrument(f"{error}; {hint}", host=error.host, status=error.status) from None
        self._called[name] = found[0]
        return self._described(found[0])

    def largest_of(self, entry: Entry) -> Decimal | None:
        """The most shares that an order of an instrument may be for, as it was last described; nobody is asked."""
        known = self._instruments.get(entry.intent.order.instrument)
        return None if known is None else known[1].max_quantity

    def described_now(self, known: Instrument) -> Instrument:
        """An instrument as its broker describes it now.

        What is refused or denied by its description is worth the question: the band, the largest order or the state may
        have changed since it was read, and the cache's answer may be minutes old.

        Args:
            known: How it was described before; still so where the broker has just been asked, or does not answer.
        """
        name, now_ns = known.id, self._clock.monotonic_ns()
        asked_ns = self._asked.get(name)
        if asked_ns is not None and now_ns - asked_ns <= _JUST_NOW_NS:
            return self._instruments.get(name, (now_ns, known))[1]
        self._asked[name] = now_ns
        try:
            described = self._broker.instrument(name, fresh=True)
        except (BrokerError, CaptchaError) as error:
            _log.warning("%s cannot be described anew: %s", name, error)
            return known
        self._instruments[name] = (now_ns, described)
        return described

    def _with_symbol(self, symbol: InstrumentId) -> list[InstrumentId]:
        wanted, found = same_symbol(symbol), []
        for listed in self._listed:
            # One that its broker does not know has no symbol.
            with contextlib.suppress(NoSuchInstrument):
                if same_symbol(self._described(listed).symbol) == wanted:
                    found.append(listed)
        return found

    def _described(self, name: InstrumentId) -> Instrument:
        now_ns = self._clock.monotonic_ns()
        known = self._instruments.get(name)
        if known is None or now_ns - known[0] > _DESCRIBED_NS:
            fresh = known is not None
            known = self._instruments[name] = (now_ns, self._broker.instrument(name, fresh=fresh))
            if fresh:
                self._asked[name] = now_ns
        return known[1]

    def holding(self, name: InstrumentId, *, fresh: bool) -> Decimal | None:
        """How much of an instrument is held, in shares, as it was within the last minute; None where nobody says.

        Args:
            name: The instrument.
            fresh: Ask even where the last answer is younger.
        """
        now_ns = self._clock.monotonic_ns()
        if self._holdings is None or fresh or now_ns - self._holdings[0] > _DESCRIBED_NS:
            try:
                self._broker.login()
                held = {each.instrument: each.quantity for each in self._broker.positions()}
            except (BrokerError, CaptchaError, ValueError) as error:
                _log.warning("what is held cannot be read: %s", error)
                return None
            self._holdings = (now_ns, held)
        return self._holdings[1].get(name, _NOTHING)

    def look_again(self) -> None:
        """Forget the quotes: a new round asks anew, once for each instrument."""
        self._quotes = {name: (0, quote) for name, (_, quote) in self._quotes.items()}

    def quote(self, name: InstrumentId, *, fresh: bool = False) -> Quote | None:
        """An instrument's market, as it was within this round; None where nobody says.

        Args:
            name: The instrument.
            fresh: Ask even where the last answer is younger.
        """
        now_ns = self._clock.monotonic_ns()
        known = self._quotes.get(name)
        if known is not None and not fresh and known[0] and now_ns - known[0] <= _FRESH_NS:
            return known[1]
        try:
            quote = self._broker.quote(name)
        except (BrokerError, CaptchaError) as error:
            _log.warning("%s cannot be quoted: %s", name, error)
            # What was known grows old, and whoever goes by it sees that.
            return None if known is None else known[1]
        self._quotes[name] = (now_ns, quote)
        return quote
