"""The readers of firstbell that meet what somebody else wrote, by what they are called on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fuzzing.targets.answers import BrokerAnswers
from fuzzing.targets.orders import OrderAnswers
from fuzzing.targets.others import Captchas, Messages, Strangers
from fuzzing.targets.settings import ConfigFiles, Words
from fuzzing.targets.stores import CacheRows, JournalRows
from fuzzing.targets.texts import Written
from fuzzing.targets.wire import Dates, LaneReader, RealTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzzing.targets.base import Target

TARGETS: Final[dict[str, Callable[[], Target]]] = {
    OrderAnswers.name: OrderAnswers,
    BrokerAnswers.name: BrokerAnswers,
    LaneReader.name: LaneReader,
    RealTransport.name: RealTransport,
    Dates.name: Dates,
    ConfigFiles.name: ConfigFiles,
    Words.name: Words,
    JournalRows.name: JournalRows,
    CacheRows.name: CacheRows,
    Messages.name: Messages,
    Captchas.name: Captchas,
    Strangers.name: Strangers,
    Written.name: Written,
}
"""Name → what opens it."""
