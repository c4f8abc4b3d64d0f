"""What a command tells people and hears from them, where ``[telegram]`` is configured. No order waits for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from firstbell.alerts import words
from firstbell.alerts.bookmark import Bookmark
from firstbell.alerts.dispatcher import Dispatcher
from firstbell.alerts.listener import Listener
from firstbell.alerts.orders import OrderAlerts
from firstbell.alerts.telegram import API_URL, Telegram
from firstbell.brokers.transport import Transport
from firstbell.cache.file_lock import locked
from firstbell.cli.desk import OfficeDesk
from firstbell.config.alert_settings import AlertKind
from firstbell.errors import FirstbellError
from firstbell.log import complain
from firstbell.oms import symbols
from firstbell.risk.trading_state import TradingState, in_force, trading_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from firstbell.alerts.base import Message, Messenger
    from firstbell.config.alert_settings import TelegramSettings
    from firstbell.config.models import Settings
    from firstbell.oms.office import Office
    from firstbell.risk.trading_state import Halt

_log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
"""How long a command waits at its end for what is still to be told, in seconds."""
_SHORT_CLOSE_S: Final = 3.0
_LOCK: Final = "listening.lock"


def messenger_of(settings: Settings) -> Messenger | None:
    """The messenger that a config names, or None where it names none: the one place where they are chosen."""
    telegram = settings.telegram
    if telegram.bot_token is None or telegram.chat_id is None:
        return None
    # A transport of its own: no connection and no lock is shared with what speaks to brokers.
    url = telegram.api_url or API_URL
    return Telegram(telegram.bot_token.get_secret_value(), telegram.chat_id, Transport(), url)


class Alerts:
    """The alerts of one command.

    Args:
        office: The opened rooms of the config.
        messenger: By whom people are told.
    """

    def __init__(self, office: Office, messenger: Messenger) -> None:
        self.dispatcher = Dispatcher(messenger)
        self.symbols: dict[str, str] = symbols.load(office.state_dir)
        """What people call instruments, by their ids; whoever learns of one adds it."""
        self._office = office
        self._messenger = messenger
        self._halts = HaltWatch(office, self)
        self._listener: Listener | None = None
        self._stands_for_all = False
        self._said_untold = 0
        self._held = contextlib.ExitStack()
        self.dispatcher.start()

    @classmethod
    def of(cls, office: Office) -> Self | None:
        """Those of a config; None where it wants none."""
        messenger = messenger_of(office.settings)
        return None if messenger is None else cls(office, messenger)

    @property
    def settings(self) -> TelegramSettings:
        """What is wanted."""
        return self._office.settings.telegram

    @property
    def listener(self) -> Listener | None:
        """What hears commands, where this process does."""
        return self._listener

    def post(self, kind: AlertKind, message: Message) -> None:
        """Have something told, if the config wants that kind told."""
        if kind in self.settings.events:
            self.dispatcher.post(message)

    def follower(self) -> OrderAlerts:
        """Has reports on orders told."""
        return OrderAlerts(self.dispatcher.post, self.settings.events, self.symbols)

    def follow_orders(self) -> None:
        """Have told what this process writes of orders from now on, and which requests are denied."""
        told = self.follower()
        self._office.journal.follow(told)
        self._office.when_denied(told.denied)

    def stand_for_all(self) -> bool:
        """Be the one process of the state folder that tells of halts, and that hears commands where those are wanted.

        Returns:
            False where another process is.
        """
        folder = self._office.state_dir / "alerts"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held.enter_context(locked(folder / _LOCK, timeout_s=0))
        except TimeoutError:
            return False
        except OSError as error:
            _log.warning("neither commands are heard nor halts told: %s: %s", folder, error.strerror)
            return False
        self._stands_for_all = True
        if self.settings.commands:
            bookmark = Bookmark(folder / "heard.json", self._messenger.key, self._office.clock)
            desk = OfficeDesk(self._office, self._halts.answered, self.symbols)
            self._listener = Listener(self._messenger, self.dispatcher, desk, bookmark, self._office.clock)
            self._listener.start()
        return True

    def look_for_halts(self) -> None:
        """Tell of a halt that was called or ended since this was asked last, if this process stands for all."""
        if self._stands_for_all:
            self._halts.look()

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Hear nothing more, tell what is still to be told, and end; whether all of it was told.

        What was not, and what the chat does not know to be missing, is said on standard error.
        """
        if self._listener is not None:
            self._listener.close()
        whole = self.dispatcher.close(timeout_s)
        untold, self._said_untold = self.dispatcher.untold - self._said_untold, self.dispatcher.untold
        if untold:
            number = "1 alert was" if untold == 1 else f"{untold:,} alerts were"
            why = self.dispatcher.trouble or "there was no more time"
            complain(f"{number} not told by {self._messenger.name}: {why}")
        self._held.close()
        return whole

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HaltWatch:
    """Tells of halts that others have called or ended.

    Args:
        office: The opened rooms of the config.
        alerts: What tells it.
    """

    def __init__(self, office: Office, alerts: Alerts) -> None:
        self._state_dir = office.state_dir
        self._alerts = alerts
        self._known = trading_state(self._state_dir)
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Entered while a halt is called or ended here: whoever asked for it is answered, and not told as well."""
        with self._turn:
            yield
            self._known = trading_state(self._state_dir)

    def look(self) -> None:
        """Tell of what has changed."""
        with self._turn:
            before, self._known = self._known, trading_state(self._state_dir)
        if self._known is before:
            return
        halt = in_force(self._state_dir)
        self._alerts.post(AlertKind.HALTS, _words_of(halt, "somebody at this machine"))


def tell_orders(office: Office) -> Alerts | None:
    """Have told what this process writes of orders, where the config wants alerts; the end of a command waits.

    Returns:
        Who tells it, for what else there is to tell; None where nobody does.
    """
    alerts = Alerts.of(office)
    if alerts is not None:
        alerts.follow_orders()
        office.before_closing(partial(alerts.close, _SHORT_CLOSE_S))
    return alerts


def tell_of_halt(config: Path, halt: Halt | None, resumed_by: str | None) -> None:
    """Tell of a halt, or of its end, unless some other process of the state folder does.

    Args:
        config: The config file; where it cannot be used, nobody is told, and that is said.
        halt: The halt; None where trading was resumed.
        resumed_by: Who has resumed it.
    """
    from firstbell.config import load  # noqa: PLC0415 - beside what the kill switch needs

    try:
        settings = load(config)
        messenger = messenger_of(settings)
        if messenger is None or AlertKind.HALTS not in settings.telegram.events or _another_stands_for_all(settings):
            return
        for page in messenger.pages([_words_of(halt, resumed_by or "somebody")]):
            messenger.send(page, _SHORT_CLOSE_S)
    except (FirstbellError, OSError) as error:
        complain(f"Nobody was told of it: {error}")


def _words_of(halt: Halt | None, resumed_by: str) -> Message:
    if halt is None:
        return words.resumed(resumed_by)
    return words.halted(str(halt), reducing=halt.state is TradingState.REDUCING)


def _another_stands_for_all(settings: Settings) -> bool:
    lock = settings.firstbell.state_dir / "alerts" / _LOCK
    if not lock.exists():
        return False
    try:
        with locked(lock, timeout_s=0):
            return False
    except TimeoutError:
        return True
