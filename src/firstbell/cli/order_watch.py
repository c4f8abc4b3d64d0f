"""``firstbell orders watch``: looks after what has been placed, as long as it runs."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Final

import click
from rich.live import Live
from rich.markup import escape

from firstbell.cli.order_shell import command_id, open_office, order_table, print_entries
from firstbell.cli.resolving import ask_quickly, recovered
from firstbell.cli.shell import Shell, shared_options
from firstbell.model.money import plain
from firstbell.oms.assembling import order_manager
from firstbell.oms.thread_interrupt import ThreadInterrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.model.order import Order
    from firstbell.model.report import ExecutionReport
    from firstbell.oms.manager import OrderManager

_DRAW_EVERY_S: Final = 0.5
_UNRESOLVED: Final = 3
_HALTED: Final = 4


@click.command()
@click.option("--live", is_flag=True, help="With real money; the config has to say mode = live in [orders] as well.")
@click.option("--until-done", is_flag=True, help="End once nothing is open any more.")
@shared_options
def watch(shell: Shell, *, live: bool, until_done: bool) -> int:
    """Look after orders: read the brokers' lists, follow the market for stops, keep brackets together, keep times.

    What dead processes held back is taken over first. Ctrl-C ends it: what is at a broker stays there, and what is held
    back stays held back, in the journal, until this command runs again; until then no stop that is held here protects
    anything. With --json each report is one line.

    Exit status: 0 all is well; 3 some order is unresolved; 4 trading is halted.
    """
    with open_office(shell) as office:
        run_id = command_id(office)
        if unresolved := recovered(shell, office, run_id):
            ask_quickly(shell, office, run_id, unresolved)
        interrupt = ThreadInterrupt(office.state_dir)
        interrupt.watch()
        try:
            manager = order_manager(
                office,
                run_id,
                live=live,
                interrupt=interrupt,
                intervene=lambda name, why: shell.err.print(f"[red]Look at {escape(name)}:[/] {escape(why)}"),
            )
            if shell.json:
                manager.subscribe(_tell(shell))
            _work(shell, manager, until_done=until_done)
            entries = manager.orders()
            halted = interrupt.is_halt
        finally:
            interrupt.close()
        if not shell.json:
            print_entries(shell, entries, "as they stand")
            if held := sum(entry.is_held_back for entry in entries):
                shell.err.print(f"[yellow]{held} held back:[/] nobody lets them go until this command runs again")
    if any(entry.state.unresolved for entry in entries):
        return _UNRESOLVED
    return _HALTED if halted else 0


def _work(shell: Shell, manager: OrderManager, *, until_done: bool) -> None:
    """Make rounds until Ctrl-C, SIGTERM, or the end of all orders."""
    ended = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    manager.start()
    try:
        with Live(console=shell.out, auto_refresh=False, transient=True) as live:
            while not ended.wait(_DRAW_EVERY_S):
                entries = manager.orders()
                if not shell.json and live.is_started and shell.out.is_terminal:
                    live.update(order_table(entries, "being looked after"), refresh=True)
                if until_done and not entries and manager.rounds_made:
                    return
    except KeyboardInterrupt:
        shell.err.print("Ending: rounds under way come to their end …")
    finally:
        manager.stop()
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
            "reason": report.reason,
            "filled_qty": None if report.cum_qty is None else plain(report.cum_qty),
            "last_qty": None if fill is None else plain(fill.last_qty),
            "last_px": None if fill is None else plain(fill.last_px),
        }
        with lock:
            shell.print_json_line(event)

    return tell
