"""The accounts as Locust users: one class each, made at run time, and one task that ends its user whatever happens."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from gevent.event import Event
from locust import HttpUser, constant_pacing, task
from locust.exception import StopUser

from firstbell.brokers.registry import order_url
from firstbell.model.terms import AttemptOutcome
from firstbell.sniper.firing import LoginRun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.env import Environment

    from firstbell.brokers.base import Answer
    from firstbell.config import AccountSettings, Settings
    from firstbell.model.order import Order
    from firstbell.model.report import Attempt
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.logins import Login

_NS: Final = 1_000_000_000
_SPIN_NS: Final = 2_000_000
"""The last 2 ms before an instant are spent spinning: a sleeping greenlet wakes late."""


class TradingUser(HttpUser):
    """One configured account. Its order is carried out by `firstbell.sniper.firing`, not by Locust's own client.

    The first account of a login speaks to the broker for all accounts of that login, so that they share its interval
    and its buying power; the users of the others have nothing to do and end at once.

    Attributes:
        account: The account's settings.
        login: The login that it stands on, with all of its accounts.
        context_of: Gives the run.
    """

    abstract = True
    fixed_count = 1
    account: ClassVar[AccountSettings]
    login: ClassVar[Login]
    context_of: ClassVar[Callable[[], RunContext]]

    @task
    def place_order(self) -> None:
        """Place the account's orders, once; then the user ends.

        Raises:
            StopUser: Always: a user that goes on would place its order again.
        """
        try:
            context = type(self).context_of()
            login = self._chosen()
            if login.leader is self.account and not _done(context, login):
                LoginRun(context, login).run()
        finally:
            raise StopUser

    def _chosen(self) -> Login:
        """The login with those of its accounts that Locust was told to run: all of them, unless some were named."""
        chosen = {cls.account.name for cls in self.environment.user_classes if issubclass(cls, TradingUser)}
        login = type(self).login
        return replace(login, accounts=tuple(account for account in login.accounts if account.name in chosen))


def _done(context: RunContext, login: Login) -> bool:
    """Whether this run has finished with the login: then this user is one that Locust has spawned again."""
    finished = {note.account for note in context.journal.notes(context.run_id) if note.kind == "finished"}
    return all(account.name in finished for account in login.accounts)


def make_user_classes(
    settings: Settings,
    logins: Sequence[Login],
    context_of: Callable[[], RunContext],
) -> dict[str, type[TradingUser]]:
    """Make one class per account: ``Order_Account1_Shahr_User1`` and so on, in the config's order.

    They are made inside a function, so that no loop variable is left over for Locust to take for a user.

    Args:
        settings: The config.
        logins: The logins of its enabled accounts.
        context_of: Gives the run, when a user starts.
    """
    login_of = {account.name: login for login in logins for account in login.accounts}
    classes: dict[str, type[TradingUser]] = {}
    for number, account in enumerate(settings.enabled, start=1):
        name = f"{account.name}_User{number}"
        body: dict[str, Any] = {
            "__doc__": f"The account {account.name}.",
            "__module__": __name__,
            "host": order_url(account.broker_code, settings),
            "wait_time": constant_pacing(settings.broker(account.broker_code).min_interval_ms / 1000),
            "account": account,
            "login": login_of[account.name],
            "context_of": staticmethod(context_of),
        }
        classes[name] = type(name, (TradingUser,), body)
    return classes


class GreenInterrupt:
    """A `firstbell.oms.attempts.Interrupt` for greenlets: waiting lets the others work, but for the last 2 ms."""

    def __init__(self) -> None:
        self._event = Event()

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        return bool(self._event.is_set())

    def stop(self) -> None:
        """Let no new attempt leave from now on."""
        self._event.set()

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; returns early, and True, when stopped."""
        while (left_ns := monotonic_ns - time.monotonic_ns()) > _SPIN_NS:
            if self._event.wait((left_ns - _SPIN_NS) / _NS):
                return True
        while not self._event.is_set() and time.monotonic_ns() < monotonic_ns:
            pass
        return bool(self._event.is_set())


class StatsWatcher:
    """Tells Locust's statistics of every attempt, under one name per broker; accepted is a success, all else is not.

    Args:
        environment: Locust's.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None) -> None:
        """An attempt has been written down."""
        failure = None
        if attempt.outcome is not AttemptOutcome.ACCEPTED:
            code = "" if attempt.code is None else f" {attempt.code}"
            failure = f"{attempt.outcome.value}{code}"
        self._environment.events.request.fire(
            request_type="ORDER",
            name=f"{order.broker_code} {order.side.value}",
            response_time=0 if attempt.round_trip_us is None else attempt.round_trip_us / 1000,
            response_length=0 if answer is None else len(answer.body),
            exception=failure,
            context={},
        )
