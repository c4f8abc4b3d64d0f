"""The run for those who drive Locust themselves: ``locust -f src/firstbell/sniper/locustfile.py …``.

The config comes from ``FIRSTBELL_CONFIG`` or ``config.ini`` in the current folder, the bell from ``FIRSTBELL_AT`` or
the config. `firstbell run` uses this very file.
"""

from __future__ import annotations

import sys

from locust import events

from firstbell.config import load
from firstbell.errors import FirstbellError
from firstbell.oms.office import Office
from firstbell.sniper.conductor import Conductor
from firstbell.sniper.environment import wishes
from firstbell.sniper.logins import logins_of
from firstbell.sniper.users import TradingUser, make_user_classes

__all__ = ["TradingUser"]

_USAGE = 2


def _arm_locust() -> None:
    """Read the config, make the classes, and follow Locust's events."""
    wanted = wishes()
    try:
        settings = load(wanted.config)
        office = Office(settings)
        conductor = Conductor(office, wanted)
    except FirstbellError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_USAGE)
    for warning in settings.warnings:
        sys.stderr.write(f"{warning}\n")
    conductor.listen(events)
    module = sys.modules[__name__]
    for name, user_class in make_user_classes(settings, logins_of(settings.enabled), conductor.runs).items():
        setattr(module, name, user_class)


_arm_locust()
