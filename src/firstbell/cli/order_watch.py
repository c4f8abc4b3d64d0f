"""``firstbell orders watch``: looks after what has been placed, as long as it runs."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Final

import click
from rich.live import Live
from rich.markup import escape

from firstbell.cli.alerting import Alerts
from firstbell.cli.order_shell import command_id, order_table, print_entries, quiet_office
from firstbell.cli.resolving import ask_quickly, recovered
from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.telling import Teller
from firstbell.model.money import plain
from firstbell.oms.orders.order_desk import OrderDesk

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.office import Office

_DRAW_EVERY_S: Final = 0.5
_UNRESOLVED: Final = 3
_HALTED: Final = 4


@click.command()
@click.option("--live", is_flag=True, help="With real money; the config has to say mode = live in [orders] as well.")
@click.option("--until-done", is_flag=True, help="End once nothing is open any more.")
@shared_options
def watch(shell: Shell, *, live: bool, until_done: bool) -> int:
    """Look after orders and positions until Ctrl-C.

    That is: stops, brackets, times in force, targets, limits on losses.

    It reads the brokers' lists, follows the market, lets go what has been held back, and keeps together what belongs
    together. What dead processes held back is taken over first. Ctrl-C ends it: what is at a broker stays there, and
    what is held back stays held back, in the journal, until this command runs again; until then no stop that is held
    here protects anything. With --json each report is one line.

    Of accounts with real money positions are closed only with mode = live in the config and --live; orders that were
    placed so are looked after without either.

    Exit status: 0 all is well; 3 some order is unresolved; 4 trading is halted.
    """
    office = quiet_office(shell)
    teller = Teller(shell)
    teller.alerts = alerts = Alerts.of(office)
    try:
        desk = _open_desk(shell, office, teller, live=live)
    except BaseException:
        if alerts is not None:
            alerts.close()
        office.close()
        raise
    with desk:
        if alerts is not None:
            desk.metrics.watch(alerts=lambda: alerts.dispatcher.waiting)
        _work(shell, desk, alerts, until_done=until_done)
        entries, halted = desk.orders.orders(), desk.interrupt.is_halt
        if alerts is not None:
            alerts.close()
    if not shell.json:
        print_entries(shell, entries, "as they stand")
        if held := sum(entry.is_held_back for entry in entries):
            shell.err.print(f"[yellow]{held} held back:[/] nobody lets them go until this command runs again")
    if any(entry.state.unresolved for entry in entries):
        return _UNRESOLVED
    return _HALTED if halted else 0


def _open_desk(shell: Shell, office: Office, teller: Teller, *, live: bool) -> OrderDesk:
    """Open the desk, and tell what is found out of orders from its very start on."""
    if teller.alerts is not None:
        teller.alerts.follow_orders()
    if shell.json:
        office.journal.subscribe(_tell(shell))
    run_id = command_id(office)
    if unresolved := recovered(shell, office, run_id):
        ask_quickly(shell, office, run_id, unresolved)
    if teller.alerts is not None:
        teller.alerts.stand_for_all()
    return OrderDesk(office, run_id=run_id, live=live, intervene=teller.intervene, alert=teller.position)


def _work(shell: Shell, desk: OrderDesk, alerts: Alerts | None, *, until_done: bool) -> None:
    """Look after them until Ctrl-C, SIGTERM, or the end of all orders."""
    ended = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    draws = shell.out.is_terminal and not shell.json
    try:
        desk.start()
        if desk.why_only_watched is not None:
            shell.err.print(f"[yellow]Watched only:[/] {escape(desk.why_only_watched)}")
        if desk.metrics_url is not None:
            shell.err.print(f"Figures for Prometheus: {desk.metrics_url}")
        with Live(console=shell.out, auto_refresh=False, transient=True) as drawn:
            while not ended.wait(_DRAW_EVERY_S):
                entries = desk.orders.orders()
                if draws:
                    drawn.update(order_table(entries, "being looked after"), refresh=True)
                if alerts is not None:
                    alerts.look_for_halts()
                if until_done and not entries and desk.orders.rounds_made:
                    return
    except KeyboardInterrupt:
        shell.err.print("Ending: rounds under way come to their end …")
    finally:
        desk.stop()
        signal.signal(signal.SIGTERM, previous)


def _tell(shell: Shell) -> Callable[[ExecutionReport, Order], None]:
    lock = threading.Lock()

    def tell(report: ExecutionReport, order: Order) -> None:
        fill = report.fill
        event: dict[str, Any] = {
            "at": report.at.isoformat(timespec="microseconds"),
            "report": report.kind.value,
            "client_order_id": order.client_order_id,
            "account": order.account,
            "instrument": order.instrument,
            "side": order.side.value,
            "role": order.role.value,
            "reason": report.reason,
            "filled_qty": None if report.cum_qty is None else plain(report.cum_qty),
            "last_qty": None if fill is None else plain(fill.last_qty),
            "last_px": None if fill is None else plain(fill.last_px),
        }
        with lock:
            shell.print_json_line(event)

    return tell
