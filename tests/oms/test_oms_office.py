"""The rooms of one config: opened when asked for, once, shared by login, and closed together."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.cache import Kind
from firstbell.config import load
from firstbell.errors import ConfigError
from firstbell.journal.base import Claimed, Intent
from firstbell.journal.owner import this_process
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.office import Office, journal_address

ACCOUNT = "[Order_{name}]\nusername = {user}\npassword = pl4nted\nbroker_code = {broker}\nisin = {isin}\n"
ORDER = Order(
    "a", "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21)
)  # fmt: skip
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)


def settings(tmp_path, *accounts, journal=""):
    path = tmp_path / "config.ini"
    sections = [
        ACCOUNT.format(name=name, user=user, broker=broker, isin=f"IRO1MHRN000{number}")
        for number, (name, user, broker) in enumerate(accounts)
    ]
    path.write_text(f"[firstbell]\nstate_dir = {tmp_path / 'state'}\njournal = {journal}\n" + "\n".join(sections))
    path.chmod(0o600)
    return load(path)


ONE = ("A", "u", "shahr")


def test_nothing_is_made_before_it_is_asked_for_and_all_of_it_stands_in_the_state_folder(tmp_path):
    with Office(settings(tmp_path, ONE)) as office:
        assert not (tmp_path / "state").exists()
        assert office.state_dir == tmp_path / "state"
        assert office.logs_dir == tmp_path / "state" / "logs"
        assert office.calendar.market == "XTEH"
        assert office.cache is office.cache
        assert office.journal.claim(Intent(ORDER, "l", "a", 0, None), "run", this_process())
    assert {path.name for path in (tmp_path / "state").iterdir()} >= {"cache", "journal.db"}


def test_accounts_of_one_login_share_a_broker_and_others_do_not(tmp_path):
    config = settings(tmp_path, ONE, ("B", "u", "shahr"), ("C", "v", "shahr"), ("D", "u", "gs"))
    with Office(config) as office:
        a, b, c, d = (office.broker(account) for account in config.enabled)
        assert a is b
        assert len({id(each) for each in (a, c, d)}) == 3
        assert (a.code, d.code) == ("shahr", "gs")


def test_the_order_log_is_kept_once_however_often_it_is_asked_for(tmp_path):
    with Office(settings(tmp_path, ONE)) as office:
        office.keep_order_log()
        office.keep_order_log()
        assert isinstance(office.journal.claim(Intent(ORDER, "l", "a", 0, None), "run", this_process()), Claimed)
        office.journal.append([ExecutionReport("a", "run", ReportKind.SUBMITTED, AT)])
        log = office.logs_dir / "orders.log"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["report"] for line in lines] == ["INITIALIZED", "SUBMITTED"]
    assert lines[0]["client_order_id"] == "a"


def test_without_it_no_order_log_is_written(tmp_path):
    with Office(settings(tmp_path, ONE)) as office:
        office.journal.claim(Intent(ORDER, "l", "a", 0, None), "run", this_process())
    assert not (tmp_path / "state" / "logs").exists()


def test_what_was_closed_is_opened_anew(tmp_path):
    office = Office(settings(tmp_path, ONE))
    first = office.cache
    office.close()
    second = office.cache
    assert second is not first
    assert second.get(Kind.TOKEN, "nobody") is None
    office.close()
    office.close()


def test_the_address_of_a_journal(tmp_path):
    assert journal_address(settings(tmp_path, ONE)) is None
    address = journal_address(settings(tmp_path, ONE, journal="postgresql://me:pl4nted-too@db.example:5433/orders"))
    assert address.host == "db.example"
    assert address.port == 5433


def test_a_journal_that_cannot_be_meant_is_the_configs_mistake(tmp_path):
    config = settings(tmp_path, ONE)
    bad = config.model_copy(
        update={
            "firstbell": config.firstbell.model_copy(
                update={"journal": type(config.accounts[0].password)("x://u:pw@h")}
            )
        }
    )
    with pytest.raises(ConfigError) as caught:
        Office(bad)
    (problem,) = caught.value.problems
    assert (problem.section, problem.key) == ("firstbell", "journal")
    assert caught.value.file == str(tmp_path / "config.ini")
    assert "pw" not in str(caught.value)
