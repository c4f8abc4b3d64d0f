"""What of a login matters on a day: all of it is found, with what it belongs with, and nothing that is long over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from journal_orders import DAY

from firstbell.clock import SystemClock
from firstbell.journal.base import AT_ONCE_NS, HELD_NS, Intent
from firstbell.journal.owner import this_process
from firstbell.model.instant import epoch_ns
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind as K
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import OrderType, Side

LONG_AGO = datetime(2026, 11, 10, 6, tzinfo=UTC)
MORNING = datetime(DAY.year, DAY.month, DAY.day, 6, tzinfo=UTC)
ENDED = (K.SUBMITTED, K.ACCEPTED, K.CANCELED)


@pytest.fixture
def write(journal, monkeypatch):
    """Writes an order, and what came of it, at a time of its own."""
    now = [LONG_AGO]
    monkeypatch.setattr(SystemClock, "wall_ns", lambda _self: epoch_ns(now[0]))

    def one(name, *kinds, at=LONG_AGO, later=None, login="l", held=False, **terms):
        now[0] = at
        day = (at + timedelta(hours=3.5)).date()
        kind = {"order_type": OrderType.STOP} if held else {}
        terms = {"trigger_price": Decimal(9), **terms} if held else terms
        order = Order(name, "A", "gs", "I", Side.BUY, Decimal(10), Decimal(100), day, **kind)
        order = replace(order, instructions=Instructions(**terms))
        bell_ns = HELD_NS if held else AT_ONCE_NS
        journal.claim(Intent(order, login, name, bell_ns, frozenset()), "run", this_process())
        for each in kinds:
            moment = later if later is not None and each is kinds[-1] else at
            now[0] = moment
            fill = Fill("1", Decimal(100), Decimal(10)) if each is K.FILLED else None
            venue = f"v-{name}" if each is K.ACCEPTED else None
            journal.append([ExecutionReport(name, "run", each, moment, venue_order_id=venue, fill=fill)])

    return one


def around(journal, day=DAY, login="l", since=DAY):
    return [each.intent.order.client_order_id for each in journal.entries_around(day, login, since)]


def test_what_is_of_the_day_is_open_or_was_written_of_is_found_in_the_order_of_its_claims(journal, write):
    write("over", *ENDED)
    write("filled", K.SUBMITTED, K.ACCEPTED, K.FILLED)
    write("open", K.SUBMITTED, K.ACCEPTED)
    write("ended-today", *ENDED, later=MORNING)
    write("of-another", K.SUBMITTED, K.ACCEPTED, login="m")
    write("today", *ENDED, at=MORNING)
    assert around(journal) == ["open", "ended-today", "today"]
    assert around(journal, login="m") == ["of-another"]
    assert around(journal, date(2030, 1, 1), since=date(2030, 1, 1)) == ["open"]


def test_with_each_comes_what_it_belongs_with(journal, write):
    write("entry", K.SUBMITTED, K.ACCEPTED, K.FILLED)
    write("profit", *ENDED, parent_id="entry")
    write("stop", held=True, parent_id="entry")
    write("other-entry", K.SUBMITTED, K.ACCEPTED, K.FILLED)
    write("other-stop", K.WITHDRAWN, held=True, parent_id="other-entry")
    write("low", *ENDED, later=MORNING, group="g")
    write("high", K.WITHDRAWN, held=True, group="g")
    assert around(journal) == ["entry", "profit", "stop", "low", "high"]
    assert around(journal, login=None) == ["entry", "profit", "stop", "low", "high"]


def test_however_many_there_are(journal, write, monkeypatch):
    monkeypatch.setattr("firstbell.journal.around._AT_ONCE", 7)
    for number in range(40):
        write(f"e{number}", K.SUBMITTED, K.ACCEPTED, K.FILLED)
        write(f"s{number}", held=True, parent_id=f"e{number}")
    assert len(around(journal)) == 80


def test_the_open_ones_of_one_login_can_be_asked_for(journal, write):
    write("sent", K.SUBMITTED)
    write("works", K.SUBMITTED, K.ACCEPTED)
    write("over", *ENDED)
    write("of-another", K.SUBMITTED, login="m")
    names = [
        [each.intent.order.client_order_id for each in journal.open_entries(placed=placed, login="l")]
        for placed in (False, True)
    ]
    assert names == [["sent"], ["sent", "works"]]
