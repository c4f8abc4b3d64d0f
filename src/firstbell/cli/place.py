"""``firstbell orders place`` and ``replace``: orders beyond the bell, from the shell."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import click

from firstbell.cli.ending import ending_in_order
from firstbell.cli.order_shell import command_id, facts, find, open_office, print_entries, telling_of_unwritten
from firstbell.cli.resolving import ask_quickly, recovered
from firstbell.cli.shell import EXIT_INTERRUPTED, Shell, foreign, shared_options
from firstbell.cli.telling import Teller
from firstbell.errors import RunError
from firstbell.model.identifiers import AccountName, InstrumentId
from firstbell.model.money import exact
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import DONE
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.oms.engines import Engines
from firstbell.oms.orders.assembling import order_manager
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.orders.sending import CHANGE_OF
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.oms.unwritten import may_have_come

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal
    from enum import StrEnum

    from firstbell.oms.office import Office
    from firstbell.oms.orders.manager import OrderManager
    from firstbell.oms.orders.response import OrderResponse

_REFUSED: Final = 1
_UNRESOLVED: Final = 3
_HALTED: Final = 4


class _Exact(click.ParamType[Any]):
    """A number, read exactly."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it; a number that cannot be read exactly is a usage error."""
        try:
            return exact(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _words(kind: type[StrEnum]) -> click.Choice[str]:
    """The words of one vocabulary."""
    return click.Choice([each.value for each in kind])


EXACT: Final = _Exact()
"""An option's number: ``4865``, ``0.25``; Persian digits too."""


@click.command()
@click.option("--account", metavar="NAME", help="Its section in the config; may be left out where there is but one.")
@click.option(
    "--instrument", required=True, metavar="ISIN", help="What to trade: ISIN, or symbol of one in the config."
)
@click.option("--side", required=True, type=_words(Side), help="It has to be said.")
@click.option("--type", "order_type", required=True, type=_words(OrderType), help="It has to be said.")
@click.option("--quantity", required=True, type=EXACT, help="How many shares.")
@click.option("--price", type=EXACT, help="The limit price.")
@click.option("--trigger", "trigger_price", type=EXACT, help="A stop's trigger price.")
@click.option("--trail", "trailing_offset", type=EXACT, help="How far a trailing stop stays behind the market.")
@click.option("--time", "time_in_force", type=_words(TimeInForce), default="day", help="How long it stays. [day]")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]), help="For gtd: exchange time."
)
@click.option(
    "--key", metavar="TEXT", help="Your own name for it: the same key is placed once a day, however often asked."
)
@click.option("--take-profit", type=EXACT, help="A bracket: sell what it has bought at this price.")
@click.option("--stop-loss", type=EXACT, help="A bracket: get out when the market comes to this price.")
@click.option("--stop-limit", type=EXACT, help="… and then at this price or better.")
@click.option("--stop-trail", type=EXACT, help="A bracket whose stop trails the market by so much.")
@click.option("--live", is_flag=True, help="With real money; the config has to say mode = live in [orders] as well.")
@shared_options
def place(
    shell: Shell,
    *,
    live: bool,
    until: datetime | None,
    take_profit: Decimal | None,
    stop_loss: Decimal | None,
    stop_limit: Decimal | None,
    stop_trail: Decimal | None,
    **asked: Any,
) -> int:
    """Place one order, or a bracket: entry, profit and stop.

    Every check is made first, and everything that fails is told at once. An order that nobody answers for is
    unresolved: it is asked for, and must not be placed anew. Stops that the broker does not know, and a bracket's
    exits, are held back by `firstbell orders watch`: keep it running.

    Ctrl-C lets nothing new leave, and waits for the answer that is on its way; a second one does not wait.

    Exit status: 0 it is at the broker, or held back; 1 denied or refused; 3 unresolved; 4 halted; 130 it was ended
    before anything left.
    """
    teller = Teller(shell)
    with telling_of_unwritten(shell, listed=True), open_office(shell, teller) as office:
        tz = office.calendar.tz
        request = _request(asked, None if until is None else until.replace(tzinfo=tz))
        bracket = _bracket(request, take_profit, stop_loss, stop_limit, stop_trail)
        run_id = command_id(office)
        if unresolved := recovered(shell, office, run_id):
            ask_quickly(shell, office, run_id, unresolved)
        with ending_in_order(office, run_id) as ending:
            ending.interrupt = ThreadInterrupt(office.state_dir)
            manager = order_manager(
                office, run_id, live=live, interrupt=ending.interrupt, intervene=teller.intervene, patience_s=None
            )
            responses = (manager.place(request),) if bracket is None else manager.place_bracket(bracket)
            sent = [each.order_id for each in responses if each.order_id is not None and not each.is_held]
            with may_have_come(sent[0], "order") if sent else nullcontext():
                if any(each.is_success and not each.is_held for each in responses):
                    # It may have traded at once, and what belongs with it may leave now.
                    manager.poll()
                halted = manager.interrupt.is_halt
                _tell_of_held(office, manager, teller)
                _show(shell, manager, responses, teller)
    if any(response.is_unresolved for response in responses):
        return _UNRESOLVED
    if responses[0].is_success:
        return 0
    if halted:
        return _HALTED
    return EXIT_INTERRUPTED if ending.asked else _REFUSED


@click.command()
@click.argument("order")
@click.option("--price", type=EXACT, help="The new limit price.")
@click.option("--quantity", type=EXACT, help="The new quantity, what has traded of it included.")
@click.option("--trigger", "trigger_price", type=EXACT, help="The new trigger price, of a stop that is held back.")
@shared_options
def replace(
    shell: Shell, *, order: str, price: Decimal | None, quantity: Decimal | None, trigger_price: Decimal | None
) -> int:
    """Change a working order's price or quantity, at its broker. ORDER is our id or the broker's.

    A change that nobody answers for leaves the order PENDING_REPLACE; `firstbell orders reconcile` asks for it. Terms
    that the order has already are sent to nobody.

    Exit status: 0 it has these terms; 1 denied or refused; 3 it is not known yet; 4 halted.
    """
    if price is quantity is trigger_price is None:
        raise click.UsageError("say what is to change: --price, --quantity or --trigger")
    for name, number in (("--price", price), ("--quantity", quantity), ("--trigger", trigger_price)):
        if number is not None and number <= 0:
            raise click.UsageError(f"{name}: {number} is not more than zero")
    teller = Teller(shell)
    with telling_of_unwritten(shell, listed=True), open_office(shell, teller) as office:
        name = find(office, order).intent.order.client_order_id
        # An order that is at its broker already was asked for there: changing it needs no second word.
        run_id, interrupt = command_id(office), ThreadInterrupt(office.state_dir)
        with ending_in_order(office, run_id) as ending:
            ending.interrupt = interrupt
            manager = order_manager(office, run_id, interrupt=interrupt, intervene=teller.intervene, patience_s=None)
            response = manager.replace(name, price=price, quantity=quantity, trigger_price=trigger_price)
            halted = manager.interrupt.is_halt
            with may_have_come(name, CHANGE_OF):
                _show(shell, manager, (response,), teller)
    if response.is_unresolved:
        return _UNRESOLVED
    if response.is_success:
        return 0
    if halted:
        return _HALTED
    return EXIT_INTERRUPTED if ending.asked else _REFUSED


def _request(asked: dict[str, Any], until: datetime | None) -> OrderRequest:
    account, instrument = asked.pop("account"), asked.pop("instrument")
    try:
        return OrderRequest(
            **asked,
            instrument=InstrumentId(instrument),
            account=None if account is None else AccountName(account),
            expires_at=until,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _bracket(
    entry: OrderRequest,
    take_profit: Decimal | None,
    stop_loss: Decimal | None,
    stop_limit: Decimal | None,
    trail: Decimal | None,
) -> BracketRequest | None:
    if take_profit is stop_loss is stop_limit is trail is None:
        return None
    try:
        return BracketRequest(
            entry=entry,
            take_profit=take_profit,
            stop_loss=stop_loss,
            stop_limit=stop_limit,
            trailing_offset=trail,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _tell_of_held(office: Office, manager: OrderManager, teller: Teller) -> None:
    """Have a person told where this command holds anything back and no process goes on with it once it has ended."""
    held = [each for trader in manager.traders for each in trader.holding.ours]
    engines = Engines.of(office.state_dir)
    if held and not any(engines.makes_rounds(each) for each in engines.living()):
        more = f", as {len(held) - 1} more" if len(held) > 1 else ""
        why = f"it is held back{more}, and no process here looks after it: start `firstbell orders watch`"
        teller.intervene(held[0].intent.order.client_order_id, why)


def _show(shell: Shell, manager: OrderManager, responses: Sequence[OrderResponse], teller: Teller) -> None:
    if shell.json:
        told = [_facts(manager, response) for response in responses]
        shell.print_json({"orders": told, "to_look_at": teller.to_look_at})
        return
    orders = [each for response in responses for each in response.orders]
    entries = [manager.entry(each.order_id) for each in orders if each.order_id is not None]
    if entries:
        print_entries(shell, entries, "as they stand")
    for response in orders:
        if response.order_id is None:
            shell.out.print(f"[red]Denied:[/] {_why_denied(response)}")
        elif response.is_made is not None:
            shell.out.print(foreign(f"{response.order_id}: {response.message}"))
        elif response.queue is not None and manager.entry(response.order_id).state.status not in DONE:
            shell.out.print(foreign(f"{response.order_id}: {response.queue}"))


def _why_denied(response: OrderResponse) -> str:
    """Everything that was wrong, each with its code and, where there are several, on a line of its own; as markup."""
    whys = [foreign(f"{each} [{each.code}]") for each in response.verdicts]
    if not whys:
        return foreign(response.message if response.error is None else f"{response.message} [{response.error}]")
    return whys[0] if len(whys) == 1 else "".join(f"\n  {why}" for why in whys)


def _facts(manager: OrderManager, response: OrderResponse) -> dict[str, Any]:
    told: dict[str, Any] = {
        "message": response.message,
        "error": None if response.error is None else response.error.value,
        "verdicts": [
            {"code": each.code.value, "rule": each.rule, "found": each.found, "allowed": each.allowed}
            for each in response.verdicts
        ],
        "children": [_facts(manager, child) for child in response.children],
    }
    if response.order_id is None:
        return {"client_order_id": None, "status": response.status.value, "outcome": response.outcome.value, **told}
    try:
        return {**facts(manager.entry(response.order_id)), **told}
    except RunError:
        return {"client_order_id": response.order_id, "status": response.status.value, **told}
