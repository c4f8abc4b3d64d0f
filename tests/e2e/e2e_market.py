"""The rest of the market, and a process that looks after orders and can be killed, for tests beyond the bell."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from decimal import Decimal

from firstbell.clock import SystemClock
from firstbell.config import load
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.order import Order
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.office import Office

FOLD = "IRO1FOLD0001"
ALI, ZAHRA = "Order_Account1_Gs", "Order_Account2_Shahr"
PEOPLE = [
    {
        "username": "ali",
        "password": "ali-pl4nted",
        "broker_code": "gs",
        "money": 1_000_003_827,
        # So that selling more than was bought would be possible.
        "holdings": {FOLD: 50_000},
        "isin": FOLD,
    },
    {
        "username": "zahra",
        "password": "zahra-pl4nted",
        "broker_code": "shahr",
        "money": 1_000_000_000,
        "holdings": {FOLD: 100_000},
        "isin": FOLD,
    },
]
_PAUSE_S = 0.4
_PATIENCE_S = 60


def opened(open_venue, tmp_path, *options):
    """An exchange that trades continuously, for three minutes at least."""
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps(PEOPLE))
    venue = open_venue("--accounts-file", str(accounts), "--bell-in", "1s", "--speed", "60", *options)
    venue.edit("[orders]\n", "[orders]\nevery = 300ms\n")
    return venue


def trading(venue):
    """Wait until there is a price to trade at."""
    wait(lambda: venue.seen()["phase"] == "CONTINUOUS")


def wait(until, every=lambda: None, patience_s=_PATIENCE_S, pause_s=0.1):
    """Wait until something is so, doing something again and again."""
    ends = time.monotonic() + patience_s
    while not (found := until()):
        assert time.monotonic() < ends, "it has not come to pass"
        every()
        time.sleep(pause_s)
    return found


@contextlib.contextmanager
def journal_of(venue):
    """The journal itself: to wait by, as a command takes most of a second."""
    path = venue.folder / ".firstbell-practice" / "journal.db"
    with contextlib.closing(SqliteJournal(path, SystemClock())) as journal:
        yield journal


def are_over(journal):
    """Whether every order is over."""
    return not journal.open_entries(placed=True)


class Zahra:
    """Everybody else: another login's orders, sent from here."""

    def __init__(self, venue):
        other = venue.folder / "other.ini"
        text = venue.config.read_text().replace(".firstbell-practice", ".firstbell-other")
        other.touch(0o600)
        other.write_text(text)
        self.office = Office(load(other))
        account = next(each for each in self.office.settings.accounts if each.name == ZAHRA)
        self.broker = self.office.broker(account)
        self.broker.login()
        self.last = 0.0
        self.sent = 0
        self.day = venue.bell.date()

    def order(self, side, quantity, price):
        time.sleep(max(0.0, self.last + _PAUSE_S - time.monotonic()))
        self.sent += 1
        price, quantity = Decimal(price), Decimal(quantity)
        order = Order(f"z{self.sent}", ZAHRA, "shahr", FOLD, Side(side), price, quantity, self.day)
        outcome = self.broker.submit(order)
        assert outcome.outcome is AttemptOutcome.ACCEPTED, outcome
        self.last = time.monotonic()

    def buy(self, quantity, price):
        self.order("buy", quantity, price)

    def sell(self, quantity, price):
        self.order("sell", quantity, price)

    def fall(self, price, quantity=5000):
        """Have the market be at this price: so many are wanted there, and the last trade was there."""
        self.buy(quantity, price)
        self.sell(10, price)


class Watcher:
    """``orders watch`` in a process that is killed at certain reports, or whenever somebody says so; it comes again."""

    def __init__(self, venue, dies_of=lambda _report: False):
        self.venue = venue
        self.dies_of = dies_of
        self.deaths = 0
        self.told = []
        self.errors = []
        self.start()

    def start(self):
        self.process = self.venue.start("orders", "watch", "--live", "--json")
        self.threads = [
            threading.Thread(target=self._read, args=(self.process,), daemon=True),
            threading.Thread(target=self._hear, args=(self.process,), daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def _read(self, process):
        for line in process.stdout:
            report = json.loads(line)
            self.told.append(report)
            if self.dies_of(report):
                self.kill(process)
                return

    def _hear(self, process):
        self.errors.extend(process.stderr)

    def kill(self, process=None):
        process = process or self.process
        if process.poll() is None:
            self.deaths += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def keep_alive(self):
        """Start it again where it is dead."""
        if self.process.poll() is not None:
            self.start()

    def end(self, number=signal.SIGTERM, patience_s=5):
        """End it in order; its exit status."""
        self.process.send_signal(number)
        self.process.wait(patience_s)
        for thread in self.threads:
            thread.join()
        return self.process.returncode


def of_ali(seen, kind="order"):
    """What reached the exchange of his, and was taken."""
    calls = [call for call in seen["submissions"] if call["account"] == "ali" and call["kind"] == kind]
    return [call for call in calls if call["decision"] == "accepted"]


def orders_of_ali(seen, side=None):
    return [order for order in seen["orders"] if order["account"] == "ali" and side in {None, order["side"]}]


def filled(seen, side):
    return sum(order["filled_qty"] for order in orders_of_ali(seen, side))


def most_too_many(seen):
    """By how much his sells, traded and at the exchange, have at most been more than he had bought just then."""
    mine = {call["serial"]: call for call in of_ali(seen)}
    happened = [
        (call["arrival_ns"], number, call["kind"], call)
        for number, call in enumerate(seen["submissions"])
        if call["account"] == "ali" and call["decision"] == "accepted"
    ]
    # What trades as it comes has come before.
    happened += [(trade["at"], 10**9, "trade", trade) for trade in seen["trades"]]
    asked, sold, bought, worst = {}, {}, 0, 0
    for _, _, kind, what in sorted(happened, key=lambda each: each[:2]):
        if kind == "trade":
            if what["buy"] in mine:
                bought += what["quantity"]
            if what["sell"] in mine:
                sold[what["sell"]] += what["quantity"]
        elif mine[what["serial"]]["side"] == "sell":
            if kind == "cancel":
                asked[what["serial"]] = sold[what["serial"]]
            else:
                asked[what["serial"]] = what["quantity"]
                sold.setdefault(what["serial"], 0)
        worst = max(worst, sum(asked.values()) - bought)
    return worst
