"""Where alerts go, and what they are about: one section of the config."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from firstbell.config import values
from firstbell.config.section import BaseUrl, Section


class AlertKind(StrEnum):
    """What an alert may be about."""

    CONFIRMED = "confirmed"
    """An order is at its broker."""
    FAILED = "failed"
    """One is refused or denied, or nobody knows what became of it."""
    FILLS = "fills"
    """Something of one has traded."""
    STOPS = "stops"
    """A trigger price has traded."""
    CHANGES = "changes"
    """One is canceled, changed or expired, or would not be."""
    HALTS = "halts"
    """Trading is halted, or resumed."""
    READINESS = "readiness"
    """Before the bell: a go or no-go for each account."""
    SUMMARY = "summary"
    """What a run came to."""


def _bot_token(token: SecretStr | None) -> SecretStr | None:
    if token is not None:
        values.telegram_token(token.get_secret_value())
    return token


def _chat_id(value: object) -> str | None:
    return None if value is None else values.telegram_chat(value)


class TelegramSettings(Section):
    """``[telegram]``: where alerts go."""

    bot_token: Annotated[SecretStr | None, AfterValidator(_bot_token)] = Field(
        default=None,
        description="The bot's token; where that variable is not set either, there are no alerts.",
        json_schema_extra={"shown": "env:TELEGRAM_BOT_TOKEN"},
    )
    chat_id: Annotated[str | None, BeforeValidator(_chat_id)] = Field(
        default=None, description="The one chat that gets alerts."
    )
    api_url: BaseUrl | None = Field(default=None, description="Another Telegram server; empty: Telegram's own.")
    events: Annotated[tuple[AlertKind, ...], BeforeValidator(partial(values.words, kinds=AlertKind))] = Field(
        default=tuple(AlertKind),
        description="What alerts are about.",
        json_schema_extra={"shown": ", ".join(AlertKind)},
    )
    commands: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        default=True, description="Whether that chat may ask for things, and halt and resume trading: /help says how."
    )
