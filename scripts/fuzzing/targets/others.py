"""Messages between machines, captchas, and what strangers ask of the simulated exchange."""

from __future__ import annotations

import base64
import io
import json
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from firstbell.brokers.base import Answer, PreparedCall, PreparedOrder
from firstbell.brokers.captcha.pixels import pixels_of
from firstbell.brokers.captcha.solver import taken
from firstbell.brokers.captcha.url import UrlSolver
from firstbell.brokers.transport import Transport
from firstbell.errors import CaptchaError, RunError
from firstbell.journal.base import Owner
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.strict_json import parse
from firstbell.model.terms import Side
from firstbell.risk.checks import Limits, Surroundings
from firstbell.simulator.ephoenix.face import ROUTES
from firstbell.sniper.dealing import documents
from firstbell.sniper.dealing.roster import read_roster
from firstbell.sniper.dealing.sealing import NotOurs, Seal
from fuzzing import junk, practice, spoiling
from fuzzing.targets.base import IN_MEMORY, Plain, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_KEY: Final = base64.urlsafe_b64encode(b"k" * 32).decode("ascii")
_ORDER: Final = Order(
    ClientOrderId("fb-1"),
    AccountName("Order_A"),
    BrokerCode("gs"),
    InstrumentId("IRO1MHRN0001"),
    Side.BUY,
    Decimal(5860),
    Decimal(7),
    date(2026, 11, 21),
)
_AROUND: Final = Surroundings(
    Instrument(_ORDER.instrument, "", "", PriceBand(Decimal(5520), Decimal(5860)), Decimal(1), Decimal(9), Decimal(1)),
    Decimal(10),
    Limits(max_order_value=Decimal(10**9), max_orders_per_account=3),
    Decimal(0),
    0,
)
_READERS: Final[tuple[Callable[[Any], Any], ...]] = (
    documents.read_order,
    documents.read_around,
    documents.read_call,
    documents.read_owner,
    lambda document: documents.text_in(document, "login"),
)


class Messages(Plain):
    """What a master and its workers tell each other, under a key that is theirs and under none."""

    name = "messages"

    def __init__(self) -> None:
        self._seal = Seal(_KEY)
        prepared = PreparedOrder(_ORDER, "POST", "https://a", "/b", {"Authorization": "Bearer t"}, b"{}")
        dealt = {**documents.order_document(prepared), "around": documents.around_document(_AROUND)}
        call = documents.call_document(PreparedCall("GET", "https://a", "/", {"A": "b"}, None))
        owner = documents.owner_document(Owner("h#1", 12, 3.5))
        self._wholes = (
            dealt,
            call,
            owner,
            {"nonce": "n", "login": "l", "run_id": "r", "owner": owner, "anew": False},
            _roster(owner),
        )

    def make(self, rng: Random) -> bytes:
        """A document, or what claims to be a sealed one."""
        if rng.randrange(10) == 0:
            return b"sealed" + spoiling.some_bytes(self._seal.close("want", self._wholes[3]).encode(), rng)
        return spoiling.document(self._wholes, rng)

    def attempt(self, data: bytes) -> None:
        """Open it, and read it as everything that it could be."""
        if data.startswith(b"sealed"):
            try:
                self._seal.open("want", data[6:].decode("latin-1"))
            except NotOurs:
                return
        try:
            document = parse(data.decode("utf-8", "replace"), halves=True)
        except ValueError:
            return
        for read in _READERS:
            try:
                read(document)
            except RunError as error:
                expect(len(str(error)) < 500, "an error without an end")
        if isinstance(document, dict):
            with tempfile.TemporaryDirectory(prefix="fuzz-roster-", dir=IN_MEMORY) as folder:
                try:
                    read_roster(document, Path(folder) / "in")
                except RunError as error:
                    expect(len(str(error)) < 200_000, "an error without an end")
                expect({path.name for path in Path(folder).iterdir()} <= {"in"}, "a file beside its folder")


def _roster(owner: Any) -> dict[str, Any]:
    from firstbell import __version__  # noqa: PLC0415 - beside the one place that says it

    journal = {
        "host": "127.0.0.1",
        "port": 5432,
        "database": "j",
        "user": "u",
        "password": "pw",  # made up  # nosec B105
        "tls": "disable",
        "ca": None,
    }
    can = {"min_interval_ms": 300, "client_order_ids": False, "replace": True}
    broker = {"api_url": "https://a.example", "min_interval_ms": 350, "lead_ms": "4.5", "ca": "x", "capabilities": can}
    account = {"name": "Order_A", "broker_code": "gs", "isin": "IRO1MHRN0001", "side": "buy", "login": "l"}
    return {
        "version": __version__,
        "run_id": "r",
        "bell": "2026-11-21T08:45:00+03:30",
        "started_ns": 5,
        "dry": False,
        "master": owner,
        "journal": journal,
        "market": "XTEH",
        "give_up_after_us": 30_000_000,
        "max_attempts_per_order": 100,
        "max_attempts_per_run": 500,
        "brokers": {"gs": broker},
        "accounts": [account],
        "chosen": ["Order_A"],
    }


class _Said(Transport):
    """A transport on which one answer has come."""

    answer = Answer(200, {}, b"", 0, 0, 0, 0)

    def send_json(self, *_: Any, **__: Any) -> Answer:
        """The answer that has come."""
        return self.answer


class Captchas(Plain):
    """Pictures as they come, and answers of people, programs and servers."""

    name = "captcha"

    def __init__(self) -> None:
        self._transport = _Said()
        self._solver = UrlSolver("http://127.0.0.1:9/x", transport=self._transport)
        self._pictures = [base64.b64decode(practice.answers()["captcha"][0]["captchaByteData"])]
        for form, mode in (("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "L"), ("PNG", "RGBA")):
            file = io.BytesIO()
            Image.new(mode, (30, 12)).save(file, form)
            self._pictures.append(file.getvalue())

    def make(self, rng: Random) -> bytes:
        """A picture or an answer."""
        if rng.randrange(2):
            return b"p" + spoiling.some_bytes(rng.choice(self._pictures), rng)
        words = rng.choice(("48213", "۴۸۲۱۳", " 48213\n", "a1b2", junk.text(rng)))
        return b"a" + spoiling.some_bytes(words.encode("utf-8", "surrogatepass"), rng)

    def attempt(self, data: bytes) -> None:
        """Show it, or take it."""
        if data.startswith(b"p"):
            pixels_of(data[1:], 80)
            return
        for solve in (self._by_server, lambda said: taken(said.decode("utf-8", "replace"))):
            try:
                answer = solve(data[1:])
            except CaptchaError:
                continue
            expect(answer.isascii() and answer.isalnum() and 1 <= len(answer) <= 10, "an answer that is none")

    def _by_server(self, said: bytes) -> str:
        self._transport.answer = Answer(200, {}, said[:1024], 0, 0, 0, 0)
        return self._solver.solve(b"picture", account="A")


class Strangers(Plain):
    """The simulated exchange's calls with bodies that strangers wrote."""

    name = "exchange"

    def __init__(self) -> None:
        self._practice = practice.Practice()
        order = {"isin": practice.ISIN, "side": 1, "price": 5690, "volume": 1000, "serialNumber": 0}
        self._wholes = (
            order,
            {**order, "serialNumber": 1},
            {"isinList": [practice.ISIN]},
            {"isin": practice.ISIN, "side": 1, "totalNetAmount": 10**9, "price": 5860},
            {
                "page": 1,
                "pageSize": 100,
                "fromDate": "2026/01/01",
                "toDate": "2999/12/31",
                "side": None,
                "includeStatus": [],
            },
            {"loginName": "ali", "password": "x", "captcha": {"hash": "h", "salt": "s", "value": "1"}},  # made up  # nosec B105
        )

    def make(self, rng: Random) -> bytes:
        """A route's number and a body."""
        return bytes([rng.randrange(len(ROUTES))]) + spoiling.document(self._wholes, rng)[:65_536]

    def attempt(self, data: bytes) -> None:
        """Ask it; what is answered is a document."""
        if not data:
            return
        route = ROUTES[data[0] % len(ROUTES)]
        query = {"serialNumber": data[1:40].decode("utf-8", "replace")}
        if len(self._practice.desk.record.submissions) > 2000:
            self._practice = practice.Practice()
        reply = self._practice.ask(route.method, route.path, data[1:], query)
        expect(reply.status in {200, 400, 401, 429}, "an answer that the platform does not give")
        parse(json.dumps(json.loads(reply.body)))
