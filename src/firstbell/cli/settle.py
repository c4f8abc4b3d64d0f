"""``firstbell orders settle``: a person says what became of an order that no list tells of."""

from __future__ import annotations

import click

from firstbell.cli.brokers import brokers_of
from firstbell.cli.order_shell import command_id, facts, find, open_office, print_entries
from firstbell.cli.shell import Shell, shared_options
from firstbell.errors import BrokerError, CaptchaError, RunError
from firstbell.log import complain
from firstbell.market.hours import OrderDays
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.money import grouped
from firstbell.oms.settling import Settling
from firstbell.sniper.archive import put_back

_NOT_SETTLED = 1
_UNRESOLVED = 3


@click.command()
@click.argument("order")
@click.option("--as", "venue_order_id", metavar="ID", help="It is at the broker, under this id of the broker's.")
@click.option("--never-placed", is_flag=True, help="It is not at the broker, and never was.")
@click.option("--yes", is_flag=True, help="Do not ask whether that is sure.")
@shared_options
def settle(shell: Shell, *, order: str, venue_order_id: str | None, never_placed: bool, yes: bool) -> int:
    """Say what became of an unresolved order that no list tells of. ORDER is our id.

    Until it is known, its login places nothing new. That lasts where the order was changed by hand at the broker, so
    that its row looks like no order of ours. Look at the broker's own page first: what is said here is believed, unless
    the broker's list speaks against it. That an order was never placed is taken 75 s after it left at the earliest, for
    lists are late.

    Exit status: 0 it is settled; 1 the broker could not be asked, or it is not sure; 3 it is still not known.
    """
    if (venue_order_id is not None) == never_placed:
        raise click.UsageError("say either --as ID or --never-placed")
    with open_office(shell) as office:
        entry = find(office, order)
        wanted, name = entry.intent.order, entry.intent.order.client_order_id
        broker = brokers_of(office).get(entry.intent.login)
        if broker is None:
            raise RunError(f"the login of {wanted.account} is not in the config any more")
        settling = Settling(broker, office.journal, office.clock, command_id(office), OrderDays(office.calendar))
        settling.unresolved(name)
        terms = f"{wanted.side} {grouped(wanted.quantity)} {wanted.instrument} at {grouped(wanted.price)}"
        became = "never came to its broker" if venue_order_id is None else f"is {venue_order_id} at its broker"
        if not (yes or click.confirm(f"{wanted.account}: {terms}\n{name} {became}. Is that sure?", err=True)):
            complain("Nothing was settled.")
            return _NOT_SETTLED
        try:
            if venue_order_id is None:
                now = settling.never_placed(name)
            else:
                now = settling.is_there(name, VenueOrderId(venue_order_id))
        except (BrokerError, CaptchaError) as error:
            complain(f"Nothing was settled: {error}")
            return _NOT_SETTLED
        put_back(office.journal, office.clock, [now.run_id], office.calendar.tz)
    if shell.json:
        shell.print_json(facts(now))
    else:
        print_entries(shell, [now], name)
    return _UNRESOLVED if now.state.unresolved else 0
