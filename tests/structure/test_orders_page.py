"""docs/orders.md says what the code does. `python tests/structure/test_orders_page.py` writes its made tables anew."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tempfile
from pathlib import Path

import click
import pytest

import firstbell.oms
from firstbell.cli.main import cli
from firstbell.config import load
from firstbell.config.models import AccountSettings, BrokerSettings, Settings
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG
from firstbell.model import order_status
from firstbell.model.broker_codes import BROKER_CODES
from firstbell.model.order_status import DONE, TRANSITIONS, OrderStatus, ReportKind, next_status
from firstbell.model.terms import OrderType, TimeInForce
from firstbell.oms.office import Office
from firstbell.oms.orders.terms_at_broker import not_taken
from firstbell.oms.positions.view import summary

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "orders.md"
ACCOUNTS = "".join(
    f"[Order_{code}]\nusername = me\npassword = x\nbroker_code = {code}\nisin = IRO1FOLD0001\n"
    for code in ("paper", "gs")
)


def table(head: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, ["---"] * len(head), *rows])


def meanings() -> str:
    """Every status with the words that stand under it in the code."""
    tree = ast.parse(inspect.getsource(order_status))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "OrderStatus")
    said = dict(
        zip([each.targets[0].id for each in body[1::2]], [each.value.value for each in body[2::2]], strict=True)
    )
    return table(["status", "means"], [[f"`{status}`", said[status.name]] for status in OrderStatus])


def life() -> str:
    """Which report may follow in which status, and where it leads: = it stays, · it does not fit."""
    live = [status for status in OrderStatus if TRANSITIONS[status]]
    rows = []
    for kind in ReportKind:
        if not any(kind in moves for moves in TRANSITIONS.values()):
            continue
        to = [TRANSITIONS[status].get(kind) for status in live]
        shown = [
            "·" if each is None else "=" if each is status else each.value
            for status, each in zip(live, to, strict=True)
        ]
        rows.append([f"**{kind}**", *shown])
    return table(["report", *(status.value for status in live)], rows)


def terms() -> str:
    """Who sees to which types and times: the broker, or the order manager."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.ini"
        path.touch(0o600)
        path.write_text(ACCOUNTS)
        with Office(load(path)) as office:
            paper, tehran = (office.broker(account).capabilities for account in office.settings.enabled)
    asked = [(kind, kind, TimeInForce.DAY) for kind in OrderType] + [
        (time, OrderType.LIMIT, time) for time in TimeInForce
    ]
    rows = [[f"`{name}`", *(_who(broker, kind, time) for broker in (paper, tehran))] for name, kind, time in asked]
    return table(["type, time in force", "`paper`", "the Tehran brokers"], rows)


def _who(broker, kind, time):
    if kind in broker.order_types and time in broker.times_in_force:
        return "broker"
    return "denied" if not_taken(kind, time, broker) else "order manager"


MADE = {"meanings": meanings, "life": life, "terms": terms}


def between(name):
    return re.compile(rf"(?<=<!-- made: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    for name, make in MADE.items():
        text = between(name).sub(make(), text, count=1)
    return text


@pytest.mark.parametrize("name", MADE)
def test_the_made_tables_are_those_of_the_code(name):
    (found,) = between(name).findall(PAGE.read_text(encoding="utf-8"))
    assert found == MADE[name](), f"write it anew: python {Path(__file__).relative_to(ROOT)}"


def test_the_life_of_an_order_can_be_read_back_from_the_page():
    lines = between("life").search(PAGE.read_text(encoding="utf-8")).group().splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    moves = {status: {} for status in OrderStatus}
    for kind, *cells in rows:
        for status, cell in zip(head[1:], cells, strict=True):
            if cell != "·":
                moves[status][ReportKind(kind.strip("*"))] = OrderStatus(status if cell == "=" else cell)
    assert moves == {status: dict(table) for status, table in TRANSITIONS.items()}
    assert all(next_status(status, kind) == to for status, table in moves.items() for kind, to in table.items())
    # What ends an order is left by nothing but by what had traded before.
    assert {to for status in DONE for to in moves[status].values()} <= DONE


# --- old names, new names

OLD = set(
    re.findall(
        r"\S+",
        """
src.orders OrderManager api_client config mode place_order OrderRequest symbol token exchange action quantity
price validity product OrderAction.BUY OrderType.LIMIT OrderValidity.DAY is_success order_id OrderResponse
status message OrderStatus.COMPLETE OrderValidator validate_order current_ltp market_data is_valid
PositionMonitor start_monitoring add_trade get_position_summary total_unrealized_pnl OrderRetryHandler
execute_with_retry RetryConfig strategy max_attempts base_delay RetryStrategy.EXPONENTIAL_BACKOFF FallbackConfig
enabled max_price_adjustment PartialFillHandler Position average_price ltp lot_size max_order_value min_price
max_price price_tolerance min_volume min_open_interest max_delay backoff_multiplier min_quantity_reduction
split_threshold manual_intervention_threshold monitoring_interval default_target_pnl default_stop_loss
max_daily_loss position_timeout_hours price_update_interval auto_close_on_target auto_close_on_stop
auto_place_oco_orders VALIDATION_ERROR RISK_LIMIT_BREACH logging.getLogger OrderLogger log_order_entry
log_order_exit log_stop_loss log_take_profit log_order_cancel log_order_modify log_order_failed BrokerFactory
create_broker broker_type BaseBroker set_order_logger MockBroker api_key api_secret base_url testnet timeout
max_retries place_order stop_loss take_profit ValueError RuntimeError trading_orders.log telegram bot_token
chat_id TELEGRAM_BOT_TOKEN TELEGRAM_CHAT_ID
""",
    )
)
"""Every name in the snippets and settings of the two requirements."""


def names() -> list[tuple[str, str]]:
    """The rows of the table of names: what was, and what is."""
    section = PAGE.read_text(encoding="utf-8").partition("## Old names, new names")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")
    ]
    return [(old, new) for old, new, *_ in rows if not {old, new} & {"was", "---"}]


NEW = sorted({span for _, new in names() for span in re.findall(r"`([^`]+)`", new)})


@pytest.mark.parametrize("old", sorted(OLD))
def test_every_old_name_is_in_the_table(old):
    assert any(re.search(rf"(?<!\w){re.escape(old)}(?!\w)", was) for was, _ in names())


def the_command(words: str) -> None:
    """A command of the shell, and its options."""
    found, context = cli, click.Context(cli)
    for word in words.split()[1:]:
        if word.startswith("--"):
            assert any(word in param.opts for param in found.params), word
        elif isinstance(found, click.Group):
            found = found.get_command(context, word)
            assert found is not None, words


def the_key(section: str, key: str) -> None:
    """A key of the config."""
    named = {"Order_NAME": AccountSettings, "broker.CODE": BrokerSettings}
    model = named[section] if section in named else Settings.model_fields[section].annotation
    assert key in model.model_fields, f"[{section}] {key}"


def resolve(dotted: str):
    """What a dotted name leads to; a name alone is one of ``firstbell.oms``."""
    parts = dotted.split(".")
    found = firstbell.oms
    if parts[0] == "firstbell":
        found, parts = importlib.import_module("firstbell"), parts[1:]
    for part in parts:
        if inspect.ismodule(found) and not hasattr(found, part):
            importlib.import_module(f"{found.__name__}.{part}")
        elif inspect.isclass(found) and not hasattr(found, part):
            is_field = part in getattr(found, "__dataclass_fields__", {})
            assert is_field or re.search(rf"self\.{part}\b", inspect.getsource(found)), f"{found} has no {part}"
            return None
        found = getattr(found, part)
    return found


def the_name(span: str) -> None:
    """A name of Python's: with parentheses, one that takes what stands in them."""
    dotted, takes, key = re.fullmatch(r"([\w.]+)(?:\(([^)]*)\))?(?:\[\"(\w+)\"\])?", span).groups()
    found = resolve(dotted)
    if takes:
        given = {each.strip().rstrip("=") for each in takes.split(",")}
        assert given <= set(inspect.signature(found).parameters), span
    if key is not None:
        keys = {*summary(()), "daily_loss", "drawdown", "limit_reached", "state"}
        assert found is firstbell.oms.PositionMonitor.get_position_summary
        assert key in keys


@pytest.mark.parametrize("span", NEW)
def test_every_new_name_exists(span):
    if span.startswith("firstbell "):
        the_command(span)
    elif key := re.fullmatch(r"\[([\w.]+)\] (\w+)(?: = .*)?", span):
        the_key(*key.groups())
    elif code := re.fullmatch(r"broker_code = (\w+)", span):
        assert code[1] in BROKER_CODES
    elif span.endswith(".log"):
        assert span in {ORDER_LOG, TRADING_LOG}
    elif re.match(r"(scripts|tests|docs)/", span):
        assert (ROOT / span).exists()
    else:
        the_name(span.strip('"'))


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
