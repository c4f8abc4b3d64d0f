"""The book of positions: what each account holds through its orders, read from the journal and kept up by its reports.

The journal is the truth. What an account held before it, or trades by another way, is the broker's to say
(`firstbell.brokers.base.Broker.positions`): it is shown beside, and never mixed in.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.market import calendar, fee, fee_rate, takes_short_sales
from firstbell.market.hours import OrderDays
from firstbell.model.order_status import DONE, ReportKind
from firstbell.model.terms import Side
from firstbell.oms.logins import logins_of
from firstbell.oms.positions.cover import covered
from firstbell.oms.positions.hearing import Places, changes_only, is_unknown, matters
from firstbell.oms.positions.ledger import Ledger
from firstbell.oms.positions.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from typing import Self

    from firstbell.config import AccountSettings, Settings
    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId
    from firstbell.model.order import Order
    from firstbell.model.position import Position, Trade
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.positions.ledger import Worth
    from firstbell.oms.positions.tally import FeeOf

    PositionKey = tuple[AccountName, InstrumentId]
    HolderOf = Callable[[AccountName], AccountName]
    """The account that holds what another section of the same login has traded."""

_log = logging.getLogger(__name__)

_NOTHING: Final = Decimal(0)
_REMEMBERED: Final = 500
"""So many done orders are kept: a trade of one that comes late is counted without asking the journal."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One position as it stands, and as it stood when the trading day began.

    Attributes:
        position: Now.
        opening: As the day began.
        broker_code: The account's broker.
    """

    position: Position
    opening: Position
    broker_code: BrokerCode

    @property
    def key(self) -> PositionKey:
        """Account and instrument."""
        return self.position.account, self.position.instrument


def fees_of(market: str) -> FeeOf:
    """The fees that are reckoned with where nobody said them: the market's on shares; none where nobody knows them."""
    try:
        rates = {side: fee_rate(market, side) for side in Side}
    except ValueError:
        return lambda _broker, _side, value: value * 0
    return lambda _broker, side, value: fee(abs(value), rates[side])


def holders_of(accounts: Iterable[AccountSettings]) -> HolderOf:
    """Sections of one login hold together, under the name of its first enabled one; unknown ones by themselves."""
    leaders: dict[AccountName, AccountName] = {}
    for login in logins_of(accounts):
        leader = next((account for account in login.accounts if account.enabled), login.leader)
        leaders.update({account.name: leader.name for account in login.accounts})
    return lambda account: leaders.get(account, account)


class PositionBook:
    """All positions of a journal. It is a `firstbell.journal.base.Subscriber`, and safe for threads.

    Reports of other processes are not told to a subscriber: `refresh` sees that there are some, and `rebuild` reads
    them.

    Args:
        journal: Where orders and reports are.
        fee_of: What is reckoned with where nobody said a fee; see `fees_of`.
        holder_of: See `holders_of`; by default each account holds by itself.
        short: Whether what is not held can be sold: where it cannot, a sale of more than these orders have bought is
            one out of holdings, and no position.
        days: Which day an order is for: what is heard of it later had traded by then. None: when it was heard of.
    """

    def __init__(
        self,
        journal: Journal,
        fee_of: FeeOf,
        holder_of: HolderOf | None = None,
        *,
        short: bool = True,
        days: OrderDays | None = None,
    ) -> None:
        self._journal = journal
        self._fee_of = fee_of
        self.holder_of: HolderOf = holder_of or (lambda account: account)
        """See `holders_of`."""
        self._short = short
        self._days = days
        self._lock = threading.RLock()
        self._rebuilding = threading.Lock()
        self._ledgers: dict[PositionKey, Ledger] = {}
        self._working: dict[ClientOrderId, Tally] = {}
        self._done: OrderedDict[ClientOrderId, Tally] = OrderedDict()
        self._added: dict[tuple[PositionKey, tuple[str, str]], Trade] = {}
        self._meanwhile: list[tuple[ExecutionReport, Order]] | None = None
        self._day_began: datetime | None = None
        self._places = Places()
        self._seq = 0
        self._is_behind = True

    @classmethod
    def of(cls, journal: Journal, settings: Settings) -> Self:
        """The positions of a config's accounts, by the rules of its market."""
        market = settings.firstbell.market
        days = OrderDays(calendar(market))
        return cls(journal, fees_of(market), holders_of(settings.accounts), short=takes_short_sales(market), days=days)

    def __call__(self, report: ExecutionReport, order: Order) -> None:
        """Take in a report that is durable. Quick, and raises nothing: what it cannot place, the next reader reads."""
        with self._lock:
            if self._meanwhile is not None:
                self._meanwhile.append((report, order))
            if not self._is_behind:
                self._take(report, order)

    def rebuild(self) -> None:
        """Read everything anew from the journal. Reports that come meanwhile are not lost, and none counts twice.

        Raises:
            JournalError: It cannot be read.
        """
        with self._rebuilding:
            with self._lock:
                self._meanwhile = []
            try:
                self._seq = self._journal.last_seq()
                places = Places()
                tallies = self._read(places)
                with self._lock:
                    self._places = places
                    self._replace(tallies)
                    self._is_behind = False
                    for report, order in self._meanwhile:
                        self._take(report, order)
                    self._mark()
            finally:
                with self._lock:
                    self._meanwhile = None

    def refresh(self) -> None:
        """See whether the journal has been told of what this book does not know; then it is read anew.

        That is trades, and the prices of orders of which sums may tell that have none.

        Raises:
            JournalError: It cannot be read.
        """
        if self._is_behind:
            # Whoever asks next has it read.
            return
        told: dict[ClientOrderId, list[ExecutionReport]] = {}
        while True:
            self._seq, reports = self._journal.reports_after(self._seq)
            if not reports:
                break
            for report in filter(matters, reports):
                told.setdefault(report.client_order_id, []).append(report)
        for name, reports_of_one in told.items():
            entry = self._journal.entry(name)
            with self._lock:
                tally = self._working.get(name) or self._done.get(name)
                if tally is not None and not tally.filled:
                    # As long as nothing has traded of it, its changes change nothing else.
                    for report in filter(changes_only, reports_of_one):
                        self._tell(tally, report, report.at)
                # What cannot be counted is missing here for good: reading it anew once is enough.
                self._is_behind = self._is_behind or (entry is not None and is_unknown(entry.state, tally))
                # So is what another process had told a moment before this one did.
                self._is_behind = self._is_behind or (tally is not None and any(map(tally.had_heard, reports_of_one)))

    def begin_day(self, moment: datetime) -> None:
        """Let the trading day begin at a moment: what was held then is what the day's profit is measured from."""
        with self._lock:
            self._day_began = moment
            if not self._is_behind:
                self._mark()

    def add_trade(self, trade: Trade) -> None:
        """Count a trade that the journal does not know, as of an order placed by hand at the broker.

        It is remembered as long as this book is, and no longer. One that is given twice counts once; so does one of an
        order of ours that the journal tells of as well.

        Raises:
            JournalError: The book has to be read anew, and cannot be.
        """
        self._catch_up()
        with self._lock:
            order, account = trade.client_order_id, self.holder_of(trade.account)
            key = ((account, trade.instrument), trade.name)
            tally = None if order is None else self._working.get(order) or self._done.get(order)
            if key in self._added or (tally is not None and tally.has(trade)):
                return
            name = f"added {order or ''} {trade.trade_id}"
            own = replace(trade, account=account, trade_id=name, client_order_id=None)
            self._added[key] = own
            self._ledger(account, own.instrument, None).put(name, [own])

    def standings(self) -> tuple[Standing, ...]:
        """Every position that is open, or was as the day began, or has traded since; by account and instrument.

        Raises:
            JournalError: The book has to be read anew, and cannot be.
        """
        self._catch_up()
        with self._lock:
            ledgers = [each for _, each in sorted(self._ledgers.items())]
            standings = [Standing(each.position, each.opening, each.broker_code) for each in ledgers]
        return tuple(each for each in standings if not each.position.is_flat or each.position != each.opening)

    def position(self, account: AccountName, instrument: InstrumentId) -> Position | None:
        """One position; None where that account has never traded that instrument.

        Raises:
            JournalError: Likewise.
        """
        self._catch_up()
        with self._lock:
            ledger = self._ledgers.get((self.holder_of(account), instrument))
            return None if ledger is None else ledger.position

    def guessed(self) -> dict[str, Worth]:
        """Of the orders whose prices have not all been told, what each has come to; by our names for them."""
        with self._lock:
            return {order: worth for ledger in self._ledgers.values() for order, worth in ledger.guessed().items()}

    def worth(self, order: str) -> Worth | None:
        """What the trades of an order have come to; None where that is not remembered."""
        with self._lock:
            found = (ledger.worth(order) for ledger in self._ledgers.values())
            return next((each for each in found if each is not None), None)

    def uncovered(self, account: AccountName, instrument: InstrumentId) -> Decimal:
        """How much of a position no open order ends, as the journal has it now, whichever process has written there.

        Raises:
            JournalError: Likewise.
        """
        position = self.position(account, instrument)
        if position is None or position.is_flat:
            return _NOTHING
        ends = (self.holder_of(account), instrument, position.closing_side)
        # Read before the position: what trades meanwhile is in both, and rather too little is closed than too much.
        orders = [each for each in self._journal.open_entries(placed=True) if self._ends(each) == ends]
        days = {each.intent.order.day for each in orders if each.intent.order.instructions.parent_id is not None}
        others = [each for one in days for each in self._journal.entries(day=one)]
        self.refresh()
        now = self.position(account, instrument)
        if now is None or now.closing_side is not position.closing_side:
            return _NOTHING
        return max(abs(now.quantity) - covered(orders, others), _NOTHING)

    def _ends(self, entry: Entry) -> tuple[AccountName, InstrumentId, Side]:
        order = entry.intent.order
        return self.holder_of(order.account), order.instrument, order.side

    def _catch_up(self) -> None:
        if self._is_behind:
            self.rebuild()

    def _read(self, places: Places) -> list[Tally]:
        """All orders of which something has traded or may still trade, as the journal tells of them."""
        tallies: list[Tally] = []
        wanted: dict[ClientOrderId, Tally] = {}
        for entry in self._journal.entries():
            order, state = entry.intent.order, entry.state
            if state.status in DONE and not state.filled_qty:
                continue
            tally = self._new_tally(order)
            tally.left(state.submitted_at)
            if state.filled_qty or state.worst is not None:
                wanted[order.client_order_id] = tally
            else:
                tally.price, tally.quantity = state.price, state.quantity
            tallies.append(tally)
        self._tell_all(wanted, places)
        return tallies

    def _tell_all(self, tallies: Mapping[ClientOrderId, Tally], places: Places) -> None:
        """Have orders told of all their reports, in the order in which these were written."""
        seq = 0
        while tallies:
            seq, reports = self._journal.reports_after(seq)
            if not reports:
                break
            for report in reports:
                if (tally := tallies.get(report.client_order_id)) is not None:
                    self._tell(tally, report, places.of(report))

    def _replace(self, tallies: list[Tally]) -> None:
        self._ledgers, self._working, self._done = {}, {}, OrderedDict()
        trades: dict[PositionKey, dict[str, list[Trade]]] = {}
        for tally in tallies:
            self._told_now(tally)
            if told := tally.trades(self._fee_of):
                ledger = self._ledger(tally.account, tally.order.instrument, tally.order.broker_code)
                trades.setdefault(ledger.key, {})[tally.order.client_order_id] = told
        for own in self._added.values():
            ledger = self._ledger(own.account, own.instrument, None)
            trades.setdefault(ledger.key, {})[own.trade_id] = [own]
        for key, told_by_order in trades.items():
            self._ledgers[key].load(told_by_order)
        # Before anything is forgotten: how the day began is read from the trades.
        self._mark()
        for tally in tallies:
            self._keep(tally)

    def _take(self, report: ExecutionReport, order: Order) -> None:
        name = report.client_order_id
        tally = self._working.get(name) or self._done.get(name)
        if tally is None:
            if report.kind is not ReportKind.INITIALIZED:
                if report.fill is not None or report.cum_qty is not None:
                    # Of an order that was done long ago, or that another process has claimed.
                    self._is_behind = True
                return
            tally = self._new_tally(order)
        if self._tell(tally, report, self._places.of(report)):
            ledger = self._ledger(tally.account, tally.order.instrument, tally.order.broker_code)
            ledger.put(name, tally.trades(self._fee_of))
            for own in self._told_now(tally):
                ledger.put(own.trade_id, [])
        self._keep(tally)

    def _tell(self, tally: Tally, report: ExecutionReport, place: datetime) -> bool:
        try:
            return tally.take(report, self._fee_of, place)
        except (ValueError, ArithmeticError) as error:
            _log.error("%s: a trade cannot be counted: %s", report.client_order_id, error)
            return False

    def _told_now(self, tally: Tally) -> list[Trade]:
        """What was added by hand and is told by the journal now: forgotten, it counts as the journal tells it."""
        name = tally.order.client_order_id
        told = [key for key in self._added if key[1][0] == name and tally.knows(key[1][1])]
        return [self._added.pop(each) for each in told]

    def _keep(self, tally: Tally) -> None:
        """Remember an order as long as more of it may be told, and the last done ones besides."""
        name = tally.order.client_order_id
        if not tally.is_done:
            self._working[name] = tally
            return
        self._working.pop(name, None)
        self._done[name] = tally
        if len(self._done) > _REMEMBERED:
            _, oldest = self._done.popitem(last=False)
            ledger = self._ledgers.get((oldest.account, oldest.order.instrument))
            if ledger is not None:
                ledger.settle(oldest.order.client_order_id)

    def _new_tally(self, order: Order) -> Tally:
        tally = Tally(order, self.holder_of(order.account), order.price, order.quantity)
        if self._days is not None:
            tally.end_of = self._days.end_of
        return tally

    def _ledger(self, account: AccountName, instrument: InstrumentId, broker_code: BrokerCode | None) -> Ledger:
        ledger = self._ledgers.get((account, instrument))
        if ledger is None:
            ledger = self._ledgers[account, instrument] = Ledger(account, instrument, short=self._short)
            if self._day_began is not None:
                ledger.mark(self._day_began)
        ledger.broker_code = broker_code or ledger.broker_code
        return ledger

    def _mark(self) -> None:
        if self._day_began is not None:
            for ledger in self._ledgers.values():
                ledger.mark(self._day_began)
