"""What a master does besides conducting its run: deal logins to its workers and look after what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.oms.logins import logins_of
from firstbell.oms.office import journal_address
from firstbell.sniper.dealing import halting
from firstbell.sniper.dealing.caretaker import Caretaker
from firstbell.sniper.dealing.crew import Crew
from firstbell.sniper.dealing.dealer import Dealer
from firstbell.sniper.dealing.overseer import Overseer
from firstbell.sniper.dealing.post import Post
from firstbell.sniper.dealing.roster import roster_document

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.runners import MasterRunner

    from firstbell.brokers.base import Capabilities
    from firstbell.model.identifiers import BrokerCode
    from firstbell.oms.logins import Login
    from firstbell.oms.office import Office
    from firstbell.sniper.aiming import Aims
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.sealing import Seal


class Mastery:
    """The master's part of one run on several processes.

    Args:
        office: The opened rooms of the config.
        context: The run.
        runner: Locust's master.
        logins: The logins with those of their accounts that take part.
    """

    def __init__(self, office: Office, context: RunContext, runner: MasterRunner, logins: Sequence[Login]) -> None:
        self._office = office
        self._context = context
        self._runner = runner
        self._logins = {login.key: login for login in logins}
        self._crew = Crew()
        self._caretaker = Caretaker(context, self._logins, lambda owner: owner in self._crew.gone)
        self._overseer: Overseer | None = None
        self._post: Post | None = None

    @property
    def overseer(self) -> Overseer:
        """Watches the workers.

        Raises:
            RuntimeError: The work has not been taken up yet.
        """
        if self._overseer is None:
            raise RuntimeError("a master that has not taken up its work watches nobody")
        return self._overseer

    def take_up(self, seal: Seal, aims: Aims, halt: Callable[[str], None]) -> None:
        """Hear and answer the workers from now on.

        Args:
            seal: The key that they have too.
            aims: The aims of this process.
            halt: Called when a worker halts all trading, with its reason.
        """
        post = self._post = Post(self._runner, seal)
        halting.hear(post, halt)
        self._overseer = Overseer(self._context, self._runner, self._logins, self._crew, self._caretaker, post)
        self._overseer.listen()
        Dealer(self._context, self._logins, aims, self._crew, post, self._runner, self._roster).listen()

    def tell_halt(self, why: str) -> None:
        """Tell every worker that trading is halted, and why."""
        if self._post is not None:
            halting.tell(self._post, why)

    def _roster(self) -> dict[str, Any]:
        address = journal_address(self._office.settings)
        if address is None:
            raise RunError("its journal is a file of the master's machine: set journal = postgresql://… in its config")
        capabilities: dict[BrokerCode, Capabilities] = {}
        for account in self._office.settings.enabled:
            if account.broker_code not in capabilities:
                capabilities[account.broker_code] = self._context.open_broker(account).capabilities
        chosen = [account.name for login in self._logins.values() for account in login.accounts]
        logins = logins_of(self._office.settings.enabled)
        return roster_document(self._context, logins, chosen, capabilities, address, this_process())
