"""What all sections of the config share."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads annotations
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section: frozen, nothing unknown in it, and nothing of its contents in an error.

    Attributes:
        elsewhere: Keys that one might look for here, and what is to be done instead.
    """

    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)
