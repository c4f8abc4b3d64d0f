"""What all sections of the config share."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads annotations
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from firstbell.config import values


def _path(value: object, info: ValidationInfo) -> Path:
    folder = info.context.get("folder") if info.context else None
    return values.absolute(value, folder)


BaseUrl = Annotated[str, BeforeValidator(values.base_url)]
FilePath = Annotated[Path, BeforeValidator(_path)]
"""An absolute path; written relative to the config's folder."""


class Section(BaseModel):
    """One section: frozen, nothing unknown in it, and nothing of its contents in an error.

    Attributes:
        elsewhere: Keys that one might look for here, and what is to be done instead.
    """

    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)
