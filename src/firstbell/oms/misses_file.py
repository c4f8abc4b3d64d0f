"""The looks at a login's lists that have missed orders, in a small file: a restart does not begin to count anew."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Self

from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import ClientOrderId
from firstbell.oms import small_file
from firstbell.oms.lists import Absence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

_MACHINE: Final = "machine"
_ORDERS: Final = "orders"


class MissesFile:
    """Such looks of one login, by whichever processes of a state folder.

    Instants are those of the monotonic clock, in ns, which all processes of a machine have in common until it is
    started anew; what was written before that counts for nothing.

    Args:
        path: The file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, state_dir: Path, login: str) -> Self:
        """The one of a login, by its key, which tells no user name."""
        return cls(state_dir / "looks" / f"{login}-missed.json")

    def read(self, now_ns: int) -> dict[ClientOrderId, Absence]:
        """What was written down on this machine since it was started; nothing where that cannot be read.

        Args:
            now_ns: Now: what claims to be later is no look.
        """
        try:
            return _absences(small_file.read(self._path), now_ns)
        except ValueError as error:
            # It is waited for longer then, and nothing else.
            _log.warning("%s", error)
            return {}

    def keep(self, absences: Mapping[ClientOrderId, Absence]) -> None:
        """Write down what there is now. What cannot be written is only logged."""
        orders = {name: [each.misses, each.first_ns] for name, each in absences.items()}
        try:
            small_file.write(self._path, {_MACHINE: this_process().host, _ORDERS: orders})
        except RunError as error:
            _log.warning("%s", error)


def _absences(written: Any, now_ns: int) -> dict[ClientOrderId, Absence]:
    if written is None:
        return {}
    if not isinstance(written, dict) or not isinstance(orders := written.get(_ORDERS), dict):
        raise ValueError("the looks that have missed orders are not such")  # noqa: TRY004 - one error for all damage
    if written.get(_MACHINE) != this_process().host:
        return {}
    return {ClientOrderId(name): Absence(*_look(each, now_ns)) for name, each in orders.items()}


def _look(written: Any, now_ns: int) -> tuple[int, int]:
    if not isinstance(written, list) or [type(each) for each in written] != [int, int]:
        raise ValueError("a look that has missed an order is not one")
    misses, first_ns = written
    if misses < 1 or not 0 <= first_ns <= now_ns:
        raise ValueError("a look that has missed an order cannot have been made")
    return misses, first_ns
