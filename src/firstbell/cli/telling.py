"""What a command says besides: where a person has to look, and what positions have reached."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from firstbell.alerts.base import Importance, Message
from firstbell.cli.shell import foreign
from firstbell.config.alert_settings import AlertKind
from firstbell.log import redact

if TYPE_CHECKING:
    from firstbell.cli.alerting import Alerts
    from firstbell.cli.shell import Shell
    from firstbell.oms.positions.loss_limits import PositionAlert

_log = logging.getLogger(__name__)


class Teller:
    """Says it on the terminal, in the run log and to the chat, and keeps it for ``--json``. Safe for threads.

    Args:
        shell: Where the command prints.

    Attributes:
        alerts: Who tells the chat; None where nobody does.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._lock = threading.Lock()
        self._looks: dict[tuple[str, str], None] = {}
        self.alerts: Alerts | None = None

    @property
    def to_look_at(self) -> list[dict[str, str]]:
        """Every order or account that was told of, and why, for programs."""
        with self._lock:
            return [{"name": name, "why": redact(why)} for name, why in self._looks]

    def intervene(self, name: str, why: str) -> None:
        """A person has to look at an order or an account."""
        with self._lock:
            self._looks[name, why] = None
        _log.error("%s: a person has to look: %s", name, redact(why))
        self._shell.err.print(f"[red]Look at {foreign(name)}:[/] {foreign(why)}")
        if self.alerts is not None:
            self.alerts.post(AlertKind.FAILED, Message("A person has to look", (name, why), Importance.HIGH))

    def position(self, alert: PositionAlert) -> None:
        """Positions have reached something; whoever watches them has written it into the run log."""
        self._shell.err.print(f"[yellow]{foreign(alert.text)}[/]")
        if self.alerts is not None:
            self.alerts.post(AlertKind.STOPS, Message("Positions", (alert.text,), Importance.HIGH))
