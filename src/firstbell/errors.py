"""Every exception that firstbell raises, and what each one means for the order at hand.

    FirstbellError
    ├── ConfigError            the config cannot be used; nothing was sent
    ├── CacheError             the disk cache cannot be used; it may be cleared without loss
    ├── JournalError           the journal cannot be used: no claim, no order
    │   └── JournalDamaged     its contents cannot be trusted; a person must look
    ├── CaptchaError           nobody solved the captcha
    ├── SimulatorError         the simulated exchange was asked for something impossible
    ├── RunError               a run cannot begin or go on
    ├── AlertError             a messenger did not take a message: it may be tried again
    │   ├── MessageRefused     it will never take this one
    │   └── MessengerEnded     it takes nothing from us any more
    └── BrokerError            something between us and a broker
        ├── NotSent            not one byte left this machine: it may be tried again
        ├── NoAnswer           bytes left and nothing readable came back: we do not know
        │   └── Unreadable     an answer came, and it is not one that we understand
        └── Refused            the broker answered, and it answered no
            ├── WrongPassword  stop: another try may lock the account
            ├── WrongCaptcha   a new captcha, a few times
            ├── TokenEnded     one new log-in
            ├── RateLimited    wait as long as it says
            └── NoSuchInstrument   nothing can be asked about it, or ordered of it

The line between `Refused` and `NoAnswer` is the one that money depends on: a refused order is certainly not there, an
unanswered one may be. No code may turn the second into the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECRETS: Final = ("password", "token")
"""How the keys end whose values are secrets."""


class FirstbellError(Exception):
    """The root of the tree: catch it at the door, never around an order."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a config file, with its place and its remedy.

    Attributes:
        section: The section's name, or an empty string where the file itself is at fault.
        key: The key's name, or an empty string where the section itself is at fault.
        found: What stands there, never a secret; an empty string where it must not be shown or nothing stands there.
        remedy: What would be right.
    """

    section: str
    key: str
    found: str
    remedy: str

    def __str__(self) -> str:
        place = f"[{self.section}]" if self.section else ""
        if self.key:
            place = f"{place} {self.key}".strip()
        found = f" found {self.found};" if self.found else ""
        # What follows on the name of a secret and a colon is taken for that secret wherever it is printed.
        colon = " -" if self.key.endswith(_SECRETS) else ":"
        return f"{place}{colon}{found} {self.remedy}" if place else f"{found} {self.remedy}".strip()


class ConfigError(FirstbellError):
    """The config cannot be used. Mend every problem it lists, then start again; nothing was sent.

    Attributes:
        file: The config file's path as the user gave it.
        problems: Everything that is wrong, in the file's order.
    """

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


class CacheError(FirstbellError):
    """The disk cache cannot be used. It holds nothing that cannot be fetched again."""


class JournalError(FirstbellError):
    """The journal cannot be read or written. Without it no order may leave."""


class JournalDamaged(JournalError):
    """The journal's contents cannot be trusted. Refuse to start; a person must look."""


class Unwritten(JournalError):
    """What became of something that was sent could not be written down: it counts as unresolved, whatever became of it.

    Attributes:
        client_order_id: The order.
    """

    def __init__(self, client_order_id: str, what: str, why: Exception) -> None:
        self.client_order_id = client_order_id
        super().__init__(
            f"{what} {client_order_id} may have come to its broker, and what became of it could not be written down: "
            f"{why}; send nothing in its stead before `firstbell orders reconcile` has asked for it"
        )


class CutShort(FirstbellError):
    """Somebody ended it at once, and something may have come to the broker: its list must be asked.

    Attributes:
        client_order_id: The order.
    """

    def __init__(self, client_order_id: str) -> None:
        self.client_order_id = client_order_id
        super().__init__(
            f"interrupted, and what was asked for {client_order_id} may have come to its broker; send nothing in its "
            "stead before `firstbell orders reconcile` has asked for it"
        )


class CaptchaError(FirstbellError):
    """Nobody solved the captcha. Ask again, or mend the solver named in the config."""


class SimulatorError(FirstbellError):
    """The simulated exchange was asked for something impossible."""


class RunError(FirstbellError):
    """A run cannot begin or go on. The message says what to do."""


class AlertError(FirstbellError):
    """A messenger did not take a message, or gave none. Try again later; no order depends on it.

    Attributes:
        retry_after: Seconds to wait before anything is sent again, as the messenger said, or None where it did not.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class MessageRefused(AlertError):
    """It will never take this message. Say so once, and go on with the next one."""


class MessengerEnded(AlertError):
    """It takes nothing from us any more: a wrong token, or a chat that is not there. Stop; a person must look."""


class BrokerError(FirstbellError):
    """Something between us and a broker.

    Attributes:
        host: The host that was spoken to, without scheme or path.
    """

    def __init__(self, message: str, *, host: str = "") -> None:
        self.host = host
        super().__init__(message)


class NotSent(BrokerError):
    """Not one byte of the request left this machine (refused, no DNS, no TLS): it may be tried again."""


class NoAnswer(BrokerError):
    """Bytes left and nothing readable came back. For an order: unresolved; ask the broker's lists, never send again."""


class Unreadable(NoAnswer):
    """An answer came, and it is not one that we understand. The same care as for `NoAnswer`."""


class Refused(BrokerError):
    """The broker answered, and it answered no.

    Attributes:
        code: The broker's own code, or None where it gave none.
        status: The HTTP status, or None where there was none.
    """

    def __init__(self, message: str, *, host: str = "", code: int | None = None, status: int | None = None) -> None:
        self.code = code
        self.status = status
        super().__init__(message, host=host)


class WrongPassword(Refused):
    """The broker refused user name or password. Stop at once: another try may lock the account."""


class WrongCaptcha(Refused):
    """The broker refused the captcha's answer. A new captcha, a few times."""


class TokenEnded(Refused):
    """The token is no longer taken. One new log-in for the account, then once more."""


class RateLimited(Refused):
    """Too many calls.

    Attributes:
        retry_after: Seconds to wait, as the broker said, or None where it did not say.
    """

    def __init__(self, message: str, *, host: str = "", retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message, host=host, status=429)


class NoSuchInstrument(Refused):
    """The broker knows no such instrument. Ask for another: neither time nor a new log-in helps."""
