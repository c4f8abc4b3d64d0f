"""The difference between what could not be begun for want of the journal and what may have come to a broker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from firstbell.errors import JournalError, Unwritten
from firstbell.journal.base import ReportMisfit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from firstbell.model.identifiers import ClientOrderId


@contextmanager
def may_have_come(name: ClientOrderId, what: str) -> Iterator[None]:
    """Around what is written, and read of the journal, after something has been sent.

    Args:
        name: The order.
        what: What was sent, as in ``the cancel of``.

    Raises:
        Unwritten: The journal failed.
    """
    try:
        yield
    except (Unwritten, ReportMisfit):
        raise
    except JournalError as error:
        raise Unwritten(name, what, error) from error
