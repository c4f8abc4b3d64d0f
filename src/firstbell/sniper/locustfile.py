"""The run for those who drive Locust themselves: ``locust -f src/firstbell/sniper/locustfile.py …``.

The config comes from ``FIRSTBELL_CONFIG`` or ``config.ini`` in the current folder, the bell from ``FIRSTBELL_AT`` or
the config. `firstbell run` uses this very file. With ``--worker`` it takes part in the run of the master at
``--master-host``, and needs no config: only ``FIRSTBELL_KEY``, the same as the master's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from locust import events
from locust.argument_parser import parse_locustfile_option

from firstbell.config import load
from firstbell.config.private_folder import guard_folder
from firstbell.config.private_process import be_private
from firstbell.errors import FirstbellError
from firstbell.log import complain, guard_tracebacks
from firstbell.oms.logins import logins_of
from firstbell.oms.office import Office
from firstbell.sniper.conductor import Conductor
from firstbell.sniper.dealing.joining import ask_for_roster
from firstbell.sniper.dealing.locked_port import lock
from firstbell.sniper.dealing.roster import STATE_DIR, read_roster
from firstbell.sniper.dealing.sealing import Seal, refuse_master_by_hand, refuse_open_port
from firstbell.sniper.dealing.worker import DealtWorker
from firstbell.sniper.environment import wishes
from firstbell.sniper.start import forget_current_folder
from firstbell.sniper.users import TradingUser, make_user_classes

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["TradingUser"]

_USAGE = 2


def _arm_locust() -> None:
    """Make the classes and follow Locust's events; what stands against it is said, and nothing begins."""
    be_private()
    guard_tracebacks()
    if wishes().leashed:
        forget_current_folder()
    # Locust's own annotation of it is of another version.
    options = cast("Namespace", parse_locustfile_option())
    try:
        classes = _join(options) if options.worker else _conduct(options)
    except FirstbellError as error:
        complain(str(error))
        sys.exit(_USAGE)
    except KeyboardInterrupt:
        sys.exit(_USAGE)
    module = sys.modules[__name__]
    for name, user_class in classes.items():
        setattr(module, name, user_class)


def _conduct(options: Namespace) -> dict[str, type[TradingUser]]:
    """Conduct a run, with this process's config."""
    wanted = wishes()
    # Asked again where the port is opened; but then Locust has its forks already, and leaves them waiting.
    refuse_open_port(sys.argv[1:])
    settings = load(wanted.config)
    office = Office(settings)
    if options.master:
        refuse_master_by_hand(office.journal.is_local)
    conductor = Conductor(office, wanted)
    for warning in settings.warnings:
        complain(warning)
    conductor.listen(events)
    return make_user_classes(settings, logins_of(settings.enabled), conductor.runs)


def _join(options: Namespace) -> dict[str, type[TradingUser]]:
    """Take part in the run of the master that Locust is told of."""
    guard_folder(STATE_DIR)
    seal = Seal.from_environment()
    lock(seal, alone=False)
    roster = read_roster(ask_for_roster(options.master_host, options.master_port, seal), STATE_DIR / "dealt")
    worker = DealtWorker(roster, seal, wishes().verbose)
    worker.listen(events)
    return make_user_classes(roster.settings, roster.logins, worker.runs)


_arm_locust()
