"""Telegram's Bot API: one bot, one chat. Written from https://core.telegram.org/bots/api; not tried on the real one.

The token stands in every address. So addresses are spoken by a wire whose errors name hosts alone, and what Telegram
answers is redacted before it is quoted.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from firstbell.alerts.base import Heard
from firstbell.alerts.telegram_text import pages
from firstbell.errors import AlertError, BrokerError, MessageRefused, MessengerEnded
from firstbell.log import hide, one_line, redact
from firstbell.model import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstbell.alerts.base import Message, Page

    class Reply(Protocol):
        """What a wire brings back."""

        @property
        def status(self) -> int:
            """The HTTP status."""
            ...

        @property
        def body(self) -> bytes:
            """The body, unpacked."""
            ...

    class Wire(Protocol):
        """Speaks HTTP: no proxies, no redirects, TLS verified, bodies bounded, errors that name the host alone."""

        def send(
            self,
            method: str,
            base_url: str,
            path: str,
            headers: Mapping[str, str],
            body: bytes | None,
            *,
            timeout: float,
            max_bytes: int,
        ) -> Reply:
            """Send one request, once, and read the whole answer; raises `BrokerError` where there is none."""
            ...


API_URL: Final = "https://api.telegram.org"
PAUSE_S: Final = 1.05
"""In a chat with one person, Telegram takes about one message a second."""
GROUP_PAUSE_S: Final = 3.1
"""In a group or channel, twenty a minute."""
AT_ONCE: Final = 20
"""So many updates are asked for together."""
POLL_SLACK_S: Final = 5.0
"""How much longer than asked for a long poll may take, in seconds."""

_HEARD: Final = ("message", "channel_post")
"""What is written in a chat of people, and what in a channel."""
_LARGEST: Final = 1 << 20
_LARGEST_UPDATES: Final = 1 << 24
"""Strangers may write to a bot, and each of their messages may bring another one, with every letter as six bytes."""
_LONGEST_DESCRIPTION: Final = 200
_LONGEST_RETRY_S: Final = 86_400
_OK, _BAD, _TOKEN, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 200, 400, 401, 403, 404, 409, 429
_NO_CHAT: Final = re.compile(r"chat not found|chat_id is empty|group chat was upgraded|peer_id_invalid", re.IGNORECASE)


class Telegram:
    """A `firstbell.alerts.base.Messenger`.

    Args:
        token: The bot's token.
        chat: The one chat: its number, or the ``@name`` of a channel or public group.
        wire: Speaks HTTP.
        api_url: Scheme, host and port of the server.
    """

    def __init__(self, token: str, chat: str, wire: Wire, api_url: str = API_URL) -> None:
        hide(token)
        self._path = f"/bot{quote(token, safe=':')}"
        self._chat = chat
        self._wire = wire
        self._api_url = api_url
        self._key = hashlib.blake2b(f"{token}\x1f{chat}".encode(), digest_size=8).hexdigest()

    @property
    def name(self) -> str:
        """What it is called."""
        return "Telegram"

    @property
    def key(self) -> str:
        """A digest of bot and chat."""
        return self._key

    @property
    def pause_s(self) -> float:
        """The shortest time between two pages, in seconds."""
        return GROUP_PAUSE_S if self._chat.startswith(("-", "@")) else PAUSE_S

    def pages(self, messages: Sequence[Message]) -> list[Page]:
        """Set messages as pages of at most 4096 characters."""
        return pages(messages)

    def send(self, page: Page, timeout_s: float) -> None:
        """Send one page, once (``sendMessage``)."""
        document = {
            "chat_id": self._chat,
            "text": page.text,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        self._call("sendMessage", document, timeout_s)

    def hear(self, after: int | None, wait_s: float) -> Sequence[Heard]:
        """What was written since (``getUpdates``)."""
        wait = max(0, int(wait_s))
        document: dict[str, Any] = {"timeout": wait, "limit": AT_ONCE, "allowed_updates": _HEARD}
        if after is not None:
            document["offset"] = after + 1
        found = self._call("getUpdates", document, wait + POLL_SLACK_S, _LARGEST_UPDATES)
        if not isinstance(found, list):
            raise AlertError("Telegram answered with something else than updates")
        heard = [each for update in found if (each := self._heard(update)) is not None]
        if found and not heard:
            raise AlertError("Telegram answered with something else than updates")
        return heard

    def who(self, timeout_s: float) -> str:
        """The bot's user name (``getMe``)."""
        found = self._call("getMe", {}, timeout_s)
        name = found.get("username") if isinstance(found, dict) else None
        if not isinstance(name, str) or not name:
            raise AlertError("Telegram did not say which bot this is")
        return name

    def _heard(self, update: object) -> Heard | None:
        """What an update says; None where it has no number: whatever stands beside it is heard all the same."""
        number = update.get("update_id") if isinstance(update, dict) else None
        if not isinstance(update, dict) or isinstance(number, bool) or not isinstance(number, int):
            return None
        message = next((_object(update[kind]) for kind in _HEARD if kind in update), {})
        chat, sender, text = _object(message.get("chat")), _object(message.get("from")), message.get("text")
        if not self._is_ours(chat) or not isinstance(text, str):
            return Heard(number, ours=False)
        return Heard(number, ours=True, text=text, sender=_sender(sender, message), at=_instant(message.get("date")))

    def _is_ours(self, chat: Mapping[str, Any]) -> bool:
        number, name = chat.get("id"), chat.get("username")
        if isinstance(number, int) and not isinstance(number, bool) and str(number) == self._chat:
            return True
        return isinstance(name, str) and f"@{name}".lower() == self._chat.lower()

    def _call(self, method: str, document: Mapping[str, Any], timeout_s: float, most: int = _LARGEST) -> Any:
        """Call a method; its result, of an answer of so many bytes at most."""
        body = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "firstbell"}
        failure = None
        try:
            reply = self._wire.send(
                "POST",
                self._api_url,
                f"{self._path}/{method}",
                headers,
                body,
                timeout=timeout_s,
                max_bytes=most,
            )
        except BrokerError as error:
            failure = str(error)
        if failure is not None:
            raise AlertError(failure)
        answer = _answer(reply)
        if answer is None:
            # A server in between, or one that is unwell: it says nothing of our token or chat.
            raise AlertError(f"Telegram's server answered HTTP {reply.status}, and nothing of Telegram's")
        if answer.get("ok") is True and reply.status == _OK:
            return answer.get("result")
        raise _refusal(reply.status, answer)


def _answer(reply: Reply) -> dict[str, Any] | None:
    """An answer as Telegram's own, or None where it is none."""
    try:
        found = strict_json.parse(reply.body.decode(), halves=True)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("ok"), bool) else None


def _refusal(status: int, answer: Mapping[str, Any]) -> AlertError:
    """What a refusal means to us."""
    code = answer.get("error_code")
    code = code if status == _OK and isinstance(code, int) else status
    said = one_line(redact(str(answer.get("description", ""))))[:_LONGEST_DESCRIPTION]
    parameters = _object(answer.get("parameters"))
    words = f"Telegram answered {code}: {said or 'no reason'}"
    if code == _TOO_MANY:
        return AlertError(words, retry_after=_retry_after(parameters))
    if code in {_TOKEN, _NOT_FOUND}:
        return MessengerEnded(f"{words}. Look at [telegram] bot_token")
    if code == _FORBIDDEN or (code == _BAD and _NO_CHAT.search(said)):
        moved = parameters.get("migrate_to_chat_id")
        now = f"; the group's chat_id is {moved} now" if isinstance(moved, int) else ""
        return MessengerEnded(f"{words}{now}. Look at [telegram] chat_id, and write to the bot once from that chat")
    if code == _BAD:
        return MessageRefused(words)
    if code == _CONFLICT:
        return AlertError(f"{words}. Only one program may listen for a bot, and none while it has a webhook")
    return AlertError(words)


def _retry_after(parameters: Mapping[str, Any]) -> float | None:
    seconds = parameters.get("retry_after")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        return None
    return float(min(seconds, _LONGEST_RETRY_S))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sender(sender: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    name = sender.get("username")
    if isinstance(name, str) and name:
        return f"@{one_line(name)[:40]}"
    # What is written in a channel has a signature at most.
    first = sender.get("first_name", message.get("author_signature"))
    return one_line(first)[:40] if isinstance(first, str) and first else "somebody"


def _instant(seconds: object) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
