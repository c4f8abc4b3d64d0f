"""The accounts as Locust users: one class each, made at run time, and one task that ends its user whatever happens."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import gevent
from gevent.event import Event
from locust import HttpUser, User, constant_pacing, task
from locust.exception import StopUser

from firstbell.brokers.registry import order_url
from firstbell.model.terms import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.env import Environment

    from firstbell.brokers.base import Answer, Outcome
    from firstbell.config import AccountSettings, Settings
    from firstbell.model.order import Order
    from firstbell.model.report import Attempt
    from firstbell.oms.logins import Login
    from firstbell.sniper.login_runs import LoginRuns

_NS: Final = 1_000_000_000
_NOT_IN_A_NAME: Final = re.compile("[^0-9A-Za-z_]")
_TELL_EVERY_S: Final = 0.1
"""How often it is looked whether the answers are in and Locust's statistics may be told."""


class TradingUser(HttpUser):
    """One configured account. Its order is carried out by `firstbell.sniper.firing`, not by Locust's own client.

    The first account of a login speaks to the broker for all accounts of that login, so that they share its interval
    and its buying power; the users of the others have nothing to do and end at once.

    Attributes:
        account: The account's settings.
        login: The login that it stands on, with all of its accounts.
        runs_of: Gives the logins' runs of this process.
    """

    abstract = True
    fixed_count = 1
    account: ClassVar[AccountSettings]
    login: ClassVar[Login]
    runs_of: ClassVar[Callable[[], LoginRuns]]

    def __init__(self, environment: Environment) -> None:
        # An `HttpUser` would make a client here: 8 KiB an account that nobody uses, and one that follows redirects,
        # obeys the environment and sends again by itself. Orders leave on lanes.
        User.__init__(self, environment)

    @task
    def place_order(self) -> None:
        """Place the account's orders, once; then the user ends.

        Raises:
            StopUser: Always: a user that goes on would place its order again.
        """
        try:
            runs, login = type(self).runs_of(), self._chosen()
            if login.leader is self.account and not runs.are_done(login):
                runs.carry_out(login)
        finally:
            raise StopUser

    def _chosen(self) -> Login:
        """The login with those of its accounts that Locust was told to run: all of them, unless some were named."""
        chosen = {cls.account.name for cls in self.environment.user_classes if issubclass(cls, TradingUser)}
        login = type(self).login
        return replace(login, accounts=tuple(account for account in login.accounts if account.name in chosen))


def make_user_classes(
    settings: Settings,
    logins: Sequence[Login],
    runs_of: Callable[[], LoginRuns],
) -> dict[str, type[TradingUser]]:
    """Make one class per account: ``Order_Account1_Shahr_User1`` and so on, in the config's order.

    Of an account's name, what cannot stand in a class's name (the mark before one of several instruments, and what is
    in a symbol) becomes an underscore; the number keeps the names apart.

    They are made inside a function, so that no loop variable is left over for Locust to take for a user.

    Args:
        settings: The config.
        logins: The logins of its enabled accounts.
        runs_of: Gives the logins' runs of the process in which a user starts.
    """
    login_of = {account.name: login for login in logins for account in login.accounts}
    classes: dict[str, type[TradingUser]] = {}
    for number, account in enumerate(settings.enabled, start=1):
        name = f"{_NOT_IN_A_NAME.sub('_', account.name)}_User{number}"
        body: dict[str, Any] = {
            "__doc__": f"The account {account.name}.",
            "__module__": __name__,
            "host": order_url(account.broker_code, settings),
            "wait_time": constant_pacing(settings.broker(account.broker_code).min_interval_ms / 1000),
            "account": account,
            "login": login_of[account.name],
            "runs_of": staticmethod(runs_of),
        }
        classes[name] = type(name, (TradingUser,), body)
    return classes


class GreenInterrupt:
    """A `firstbell.oms.carrier.Interrupt` for greenlets: waiting lets the others work."""

    def __init__(self) -> None:
        self._event = Event()
        # Plain, beside the event: a signal's handler may run in the middle of anything.
        self._is_set = False
        self._is_halt = False
        self._why = "stopped"

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        return self._is_set

    @property
    def is_halt(self) -> bool:
        """Whether that is because trading is halted."""
        return self._is_halt

    @property
    def why(self) -> str:
        """Why, in words: ``stopped``, or who has halted trading, and why."""
        return self._why

    def stop(self) -> None:
        """Let no new attempt leave from now on."""
        self._is_set = True
        self._event.set()

    def halt(self, why: str) -> None:
        """Likewise, because trading is halted; `why` says since when, by whom and why."""
        self.flag(why)
        self._event.set()

    def flag(self, why: str) -> None:
        """Likewise, but wake nobody yet: this may be called by a signal's handler."""
        # The words first, so that nobody who sees the flag finds the wrong ones.
        self._why = why
        self._is_set = self._is_halt = True

    def when_set(self, call: Callable[[], None]) -> None:
        """Have `call` called as soon as no new attempt may leave."""
        self._event.rawlink(lambda _event: call())

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; returns early, and True, when stopped."""
        while not self._is_set and (left_ns := monotonic_ns - time.monotonic_ns()) > 0:
            if self._event.wait(left_ns / _NS):
                break
        return self._is_set


class StatsWatcher:
    """Tells Locust's statistics of every attempt, under one name per broker; accepted is a success, all else is not.

    An event costs microseconds, and whoever listens may take longer: they are told together, when the answers are in.

    Args:
        environment: Locust's.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._untold: list[tuple[Order, Attempt, Answer | None]] = []
        self._busy: Callable[[], bool] = bool
        self._telling = False

    def tell_when(self, busy: Callable[[], bool]) -> None:
        """Wait with telling as long as `busy` says that something flies."""
        self._busy = busy

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None, outcome: Outcome | None) -> None:
        """An attempt has been written down."""
        del outcome
        self._untold.append((order, attempt, answer))
        if not self._telling:
            self._telling = True
            gevent.spawn(self._tell_soon)

    def _tell_soon(self) -> None:
        try:
            while self._busy():
                gevent.sleep(_TELL_EVERY_S)
        finally:
            self._telling = False
        self.tell()

    def tell(self) -> None:
        """Tell what has not been told yet."""
        untold, self._untold = self._untold, []
        for order, attempt, answer in untold:
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
