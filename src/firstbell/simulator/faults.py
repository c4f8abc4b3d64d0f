"""The faults that the simulated exchange can be told to have, so that a client can be rehearsed against them.

A fault is ordered by a text, ``NAME`` or ``NAME:key=value,key=value``. Every fault takes, besides its own parameters,

* ``n``: how many times it happens (without it: always),
* ``account``: the login name that alone suffers from it,
* ``on``: the calls that suffer from it, joined by ``+``, or ``any``.

Here stands only what there is and when it is due; what it does to the wire stands with each wire face. A new fault is
one line in `KINDS` and one effect there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from firstbell.errors import SimulatorError
from firstbell.model.money import exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Call(StrEnum):
    """What a client asks of its broker."""

    CAPTCHA = "captcha"
    LOGIN = "login"
    WHO = "who"
    MONEY = "money"
    INSTRUMENT = "instrument"
    CALCULATOR = "calculator"
    ORDER = "order"
    EDIT = "edit"
    CANCEL = "cancel"
    OPEN_ORDERS = "open_orders"
    DAY_ORDERS = "day_orders"
    TRADES = "trades"
    HOLDINGS = "holdings"


class Moment(StrEnum):
    """When a fault strikes."""

    BEFORE = "before"
    """The request has come and the exchange has not looked at it."""
    AFTER = "after"
    """The exchange has done what it was asked, and the answer is about to leave."""
    ACCEPTED = "accepted"
    """As `AFTER`, but only where the answer is a yes: a refused order does not use the fault up."""


_LISTS: Final = frozenset({Call.OPEN_ORDERS, Call.DAY_ORDERS})
_ORDER: Final = frozenset({Call.ORDER})
_ANY: Final = frozenset(Call)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    Attributes:
        name: Its name.
        summary: What it does, in a line.
        moment: When it strikes.
        calls: The calls that suffer from it, unless ``on`` says otherwise.
        parameters: Its own parameters and what they are without being named.
        once_per_account: Whether it strikes every account once, not counting ``n``.
        from_bell: Whether it waits for the bell.
    """

    name: str
    summary: str
    moment: Moment
    calls: frozenset[Call] = _ORDER
    parameters: Mapping[str, Decimal] = field(default_factory=dict)
    once_per_account: bool = False
    from_bell: bool = False


_MS: Final = MappingProxyType({"ms": Decimal(100), "spread": Decimal(0)})

KINDS: Final[Mapping[str, FaultKind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            FaultKind("delay", "answers leave ms (± spread) late", Moment.AFTER, _ANY, _MS),
            FaultKind("slow_path", "requests arrive ms (± spread) late", Moment.BEFORE, _ANY, _MS),
            FaultKind("drop_before_accept", "the connection is cut, the order never looked at", Moment.BEFORE),
            FaultKind("drop_after_accept", "the order is accepted, the connection cut", Moment.ACCEPTED),
            FaultKind("http_500_after_accept", "the order is accepted, the answer is HTTP 500", Moment.ACCEPTED),
            FaultKind("truncate", "the order is accepted, the answer breaks off in the middle", Moment.ACCEPTED),
            FaultKind("html", "the order is accepted, the answer is an HTML page", Moment.ACCEPTED),
            FaultKind("redirect", "the order is accepted, the answer is a 307 to the same place", Moment.ACCEPTED),
            FaultKind("no_serial", "the order is accepted, the answer does not say its number", Moment.ACCEPTED),
            FaultKind("slow_list", "the lists of orders answer ms late", Moment.BEFORE, _LISTS, _MS),
            FaultKind("list_fails", "the lists of orders answer HTTP 500", Moment.BEFORE, _LISTS),
            FaultKind(
                "hidden",
                "an accepted order is in no list for some seconds",
                Moment.ACCEPTED,
                parameters=MappingProxyType({"seconds": Decimal(5)}),
            ),
            FaultKind(
                "token_ends_at_bell",
                "an account's first order from the bell on gets a 401, and needs a new log-in",
                Moment.BEFORE,
                once_per_account=True,
                from_bell=True,
            ),
        )
    }
)
"""Every kind of fault by its name."""


@dataclass(slots=True)
class Fault:
    """A fault that has been ordered.

    Attributes:
        kind: What it is.
        values: Its parameters.
        calls: The calls that suffer from it.
        account: The login name that alone suffers from it; None for all.
        left: How many times it still happens; None for always.
        struck: The login names it has struck.
    """

    kind: FaultKind
    values: Mapping[str, Decimal]
    calls: frozenset[Call]
    account: str | None = None
    left: int | None = None
    struck: set[str | None] = field(default_factory=set)

    def is_due(self, moment: Moment, call: Call, account: str | None, *, bell_rung: bool) -> bool:
        """Whether it strikes now."""
        return (
            self.kind.moment is moment
            and call in self.calls
            and self.left != 0
            and (self.account is None or self.account == account)
            and (bell_rung or not self.kind.from_bell)
            and not (self.kind.once_per_account and account in self.struck)
        )


class FaultBox:
    """The faults that an exchange has.

    Attributes:
        chance: Where the spread of delays comes from.

    Args:
        faults: The faults.
        seed: Of `chance`.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 1) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - delays are to be repeatable, not unguessable  # nosec B311
        self._faults = tuple(faults)

    def take(self, moment: Moment, call: Call, account: str | None, *, bell_rung: bool) -> list[Fault]:
        """The faults that strike now. Each one that is returned counts as having happened.

        Args:
            moment: When in the life of the call.
            call: What was asked.
            account: The login name, or None where it is not known.
            bell_rung: Whether the bell has rung.
        """
        if not self._faults:
            return []
        due = [fault for fault in self._faults if fault.is_due(moment, call, account, bell_rung=bell_rung)]
        for fault in due:
            fault.struck.add(account)
            if fault.left is not None:
                fault.left -= 1
        return due


def parse_fault(text: str) -> Fault:
    """Read the text by which a fault is ordered.

    Raises:
        SimulatorError: There is no such fault or parameter, or a value makes no sense.
    """
    name, _, rest = text.partition(":")
    if name not in KINDS:
        raise SimulatorError(f"no fault {name!r}; there are: {', '.join(KINDS)}")
    kind = KINDS[name]
    values = dict(kind.parameters)
    calls, account, left = kind.calls, None, None
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        if key == "account" and value:
            account = value
        elif key == "on":
            calls = _calls(name, value)
        elif key == "n" or key in values:
            number = _number(name, key, value)
            if key == "n":
                left = int(number)
            else:
                values[key] = number
        else:
            known = ", ".join([*values, "n", "account", "on"])
            raise SimulatorError(f"fault {name}: no parameter {pair!r}; there are: {known}")
    return Fault(kind, values, calls, account, left)


def _number(name: str, key: str, value: str) -> Decimal:
    try:
        number = exact(value)
    except ValueError as error:
        raise SimulatorError(f"fault {name}: {key} must be a number: {error}") from None
    if number < 0 or (key == "n" and number % 1):
        raise SimulatorError(f"fault {name}: {key} cannot be {value}")
    return number


def _calls(name: str, value: str) -> frozenset[Call]:
    if value == "any":
        return _ANY
    try:
        return frozenset(Call(part) for part in value.split("+"))
    except ValueError:
        raise SimulatorError(f"fault {name}: on must name calls of {', '.join(Call)}, or any") from None
