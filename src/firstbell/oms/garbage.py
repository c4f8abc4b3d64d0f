"""Keeping Python's garbage collection out of the way of orders: it is done between them, in rounds."""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS: Final = 50_000
"""A collection comes with so many new objects, a thousand orders, rather than with 700."""
_OF_THEM: Final = 3
"""A larger one at the latest with every so many of these, or garbage would pile up where no rounds are made."""
_SOME: Final = 2_000
"""From so many new objects on a round collects: that takes less than a millisecond."""


def keep_out_of_the_way() -> None:
    """Collect garbage now, exempt what has survived from every later collection, and collect less often.

    A whole collection would hold an order up for some tens of milliseconds; a small one, every fortieth order, for half
    of one. This is for the whole process, and is not undone. Whoever asks for it calls `between_orders` as well.
    """
    gc.collect()
    gc.freeze()
    first, *others = gc.get_threshold()
    if 0 < first < _OBJECTS:
        gc.set_threshold(_OBJECTS, *(min(each, _OF_THEM) for each in others))


def between_orders() -> None:
    """Collect what has come since, and exempt what has survived, so that no collection ever looks at all there is.

    Nothing is done where nobody has asked that collections keep out of the way, or has turned them off.
    """
    # What is exempt is counted one by one, so that is asked last.
    is_due = gc.isenabled() and gc.get_count()[0] >= _SOME and gc.get_threshold()[0] >= _OBJECTS
    if is_due and gc.get_freeze_count():
        gc.collect()
        gc.freeze()
