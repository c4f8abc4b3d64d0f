"""What the last preflight measured of each host that takes orders: ``measured.json``, which a rehearsal plays back."""

from __future__ import annotations

import json
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from firstbell.brokers.strict_json import read
from firstbell.errors import RunError, Unreadable
from firstbell.model.identifiers import BrokerCode  # noqa: TC001 - pydantic reads annotations

FILE: Final = "measured.json"
"""Its name in the state folder."""

Span = Annotated[Decimal, Field(ge=0)]
"""A length of time in ms."""


class MeasuredHost(BaseModel):
    """One host that takes orders.

    Attributes:
        broker_codes: The brokers whose orders go there.
        url: Its address.
        offset_ms: Its clock minus ours, in ms.
        uncertainty_ms: The truth lies within this of `offset_ms`, in ms.
        round_trips_ms: The measured round trips, in ms.
        expected_delay_ms: How long after the bell an order would be there, on average, in ms; None where no lead could
            be chosen.
    """

    model_config = ConfigDict(frozen=True)

    broker_codes: tuple[BrokerCode, ...]
    url: str
    offset_ms: Decimal
    uncertainty_ms: Span
    round_trips_ms: Annotated[tuple[Span, ...], Field(min_length=1)]
    expected_delay_ms: Decimal | None = None


class Measured(BaseModel):
    """All hosts of one preflight.

    Attributes:
        measured_at: When they were measured, aware.
        hosts: The hosts whose clocks could be read.
    """

    model_config = ConfigDict(frozen=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    measured_at: AwareDatetime
    hosts: tuple[MeasuredHost, ...]


def load(state_dir: Path) -> Measured | None:
    """What the last preflight measured; None where there has been none.

    Raises:
        RunError: The file cannot be read, or is not one of ours.
    """
    path = state_dir / FILE
    try:
        return Measured.model_validate(read(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or type(error).__name__
    except (Unreadable, ValidationError):
        why = "it is damaged"
    raise RunError(f"{path} cannot be read: {why}; `firstbell preflight` writes it anew")


def save(state_dir: Path, measured: Measured) -> Path:
    """Replace the file whole, readable by its owner alone.

    Returns:
        The file's path.

    Raises:
        RunError: It cannot be written.
    """
    path = state_dir / FILE
    text = json.dumps(measured.model_dump(by_alias=True), default=_plain, indent=1) + "\n"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".measured-", suffix=".json", dir=state_dir)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
    return path


def _plain(value: object) -> float | str:
    return float(value) if isinstance(value, Decimal) else value.isoformat()  # type: ignore[attr-defined] # the one other kind: an instant
