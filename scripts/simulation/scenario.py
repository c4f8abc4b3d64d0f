"""What a history is about: accounts, what goes wrong, who dies when. Drawn from the seed, before time begins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from firstbell.config import AccountSettings, OrdersMode, Settings
from firstbell.config.models import BrokerSettings, RiskSettings, RunSettings
from firstbell.model.broker_codes import MAIN_CODES
from firstbell.model.identifiers import AccountName
from firstbell.model.terms import Side
from firstbell.simulator.faults import Call
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor
from simulation.answers import odds
from simulation.weather import MS, S, Weather

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from firstbell.model.identifiers import BrokerCode
    from firstbell.model.instrument import Instrument

STEPS: Final = (
    "order sent",
    "order sent",
    "before order",
    "order answered",
    "before commit",
    "after commit",
    "journal write",
    "journal read",
    "wait",
    "sent",
    "answered",
    "before send",
    "cache",
)
"""Where a process may be killed."""
_HOSTS: Final = frozenset(Call) - {Call.CAPTCHA, Call.LOGIN}
_ORDERS: Final = frozenset({Call.ORDER})
_LISTS: Final = frozenset({Call.OPEN_ORDERS, Call.DAY_ORDERS})


@dataclass(frozen=True, slots=True)
class Death:
    """A process's death.

    Attributes:
        who: ``child``, ``parent`` or ``both``.
        from_ns: From when on it is doomed, in ns after the bell.
        step: At which kind of step it dies; empty for at once.
        count: At which one of those, from 1.
        pause_ns: How long nobody does anything then, in ns.
        then: What is started next: ``run``, ``reconcile`` or ``both``.
    """

    who: str
    from_ns: int
    step: str
    count: int
    pause_ns: int
    then: str


@dataclass(frozen=True, slots=True)
class Start:
    """A command that somebody gives.

    Attributes:
        at_ns: When, in ns after the bell.
        now: Whether the run aims at now instead of the bell.
        warm: Whether it warms up.
        command: ``run`` or ``reconcile``.
        deaths: Its deaths.
        stop_ns: When it is interrupted, in ns after the bell; None for never.
        freeze: From when on it does not run, and how long, in ns; None for never.
    """

    at_ns: int
    now: bool = False
    warm: bool = True
    command: str = "run"
    deaths: tuple[Death, ...] = ()
    stop_ns: int | None = None
    freeze: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Something that changes at the broker by itself.

    Attributes:
        at_ns: When, in ns after the bell.
        kind: ``money``, ``band``, ``tokens``, ``halt``, ``manual`` (an order of the user's own) or ``cancel``
            (by hand).
        investor: Whose, by number.
        amount: By how much, in thousandths; or of which size.
    """

    at_ns: int
    kind: str
    investor: int
    amount: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a history is about.

    Attributes:
        settings: The config of every process.
        investors: The logins, as the brokers know them.
        instruments: What is traded.
        weather: What goes wrong with calls and disk.
        starts: What is started.
        moves: What changes by itself.
        ahead_ns: By how much the machine's clock is ahead of the exchange's, in ns.
        aim_error_ns: By how much a host's clock is misread, in ns; None where it is not read at all.
        token_life_ns: How long a token lives, in ns.
        trades_ns: When trading begins, in ns after the bell.
        wrong_captchas: How often a captcha is misread.
    """

    settings: Settings
    investors: tuple[Investor, ...]
    instruments: tuple[Instrument, ...]
    weather: Weather
    starts: tuple[Start, ...]
    moves: tuple[Move, ...]
    ahead_ns: int
    aim_error_ns: int | None
    token_life_ns: int
    trades_ns: int
    wrong_captchas: float = 0.0
    passwords: tuple[str, ...] = field(default=(), repr=False)


def draw(chance: random.Random, folder: Path) -> Scenario:
    """Draw a history's scenario.

    Args:
        chance: Where all of it comes from.
        folder: Where locks may be made.
    """
    instruments = _instruments(chance)
    codes = chance.sample(MAIN_CODES, chance.choices((1, 2, 3, 4), (45, 30, 15, 10))[0])
    accounts: list[AccountSettings] = []
    investors: list[Investor] = []
    for number, code in enumerate(codes, 1):
        sections = _sections(chance, number, code, instruments)
        accounts += sections
        investors.append(_investor(chance, sections, instruments))
    weather = _weather(chance)
    lead = chance.choice((None, None, Decimal(chance.randrange(0, 400))))
    interval_ms = chance.choice((350, 350, 350, 500, 2000))
    settings = Settings(
        file=folder / "config.ini",
        firstbell=RunSettings(
            state_dir=folder, results_dir=folder, give_up_after=timedelta(seconds=chance.choice((30, 30, 10, 60)))
        ),
        brokers={code: BrokerSettings(lead_ms=lead, min_interval_ms=interval_ms) for code in codes},
        risk=RiskSettings(max_attempts_per_order=chance.choice((100, 100, 20, 3))),
        accounts=tuple(accounts),
    )
    return Scenario(
        settings=settings,
        investors=tuple(investors),
        instruments=instruments,
        weather=weather,
        starts=_starts(chance, weather),
        moves=_moves(chance, len(investors)),
        ahead_ns=chance.choice((0, chance.randrange(-50 * MS, 50 * MS), chance.randrange(-900 * MS, 900 * MS))),
        aim_error_ns=chance.choice(
            (None, 0, chance.randrange(-20 * MS, 20 * MS), chance.randrange(-500 * MS, 500 * MS))
        ),
        token_life_ns=chance.choice((3600, 3600, 3600, 3600, 100, 150, 45)) * S,
        trades_ns=chance.choice((900, 900, 20, 2)) * S,
        wrong_captchas=chance.choice((0.0, 0.0, 0.0, 0.3)),
        passwords=tuple(investor.password for investor in investors),
    )


def _instruments(chance: random.Random) -> tuple[Instrument, ...]:
    chosen = chance.sample(tehran_instruments(), 3)
    return tuple(replace(each, max_quantity=Decimal(chance.randrange(2_000, 20_000))) for each in chosen)


def _sections(
    chance: random.Random, number: int, code: BrokerCode, instruments: tuple[Instrument, ...]
) -> list[AccountSettings]:
    sections = []
    traded = chance.sample(instruments, 2 if odds(chance, 25) else 1)
    for place, instrument in enumerate(traded, 1):
        side = Side.SELL if odds(chance, 20) else Side.BUY
        band = instrument.band
        # Both ends of the practice bands are on a tick, and so is what lies whole hundreds above the lower one.
        price = band.low + 10 * chance.randrange(int(band.high - band.low) // 10) if odds(chance, 15) else None
        quantity = instrument.max_quantity * chance.randrange(300, 2500) // 1000 if odds(chance, 20) else None
        sections.append(
            AccountSettings(
                name=AccountName(f"Order_{number}{'ab'[place - 1]}"),
                username=f"user{number}",
                password=SecretStr(f"Planted-{number}-{chance.randrange(10**9)}"),
                broker_code=code,
                isin=instrument.id,
                side=side,
                price=price,
                quantity=quantity,
                max_value=Decimal(chance.randrange(20_000_000, 80_000_000)) if odds(chance, 10) else None,
                orders=OrdersMode.ALL if odds(chance, 40) else OrdersMode.ONE,
            )
        )
    # The same login has the same password.
    same = [section.model_copy(update={"password": sections[0].password}) for section in sections]
    divisible = all(section.side is Side.BUY and section.price is None for section in same)
    # Of what is drawn already, so that every seed's other parts stay what they are.
    drawn = int(same[0].password.get_secret_value().rpartition("-")[2])
    return _basket(same, drawn // 2) if len(same) > 1 and divisible and drawn % 2 else same


def _basket(sections: list[AccountSettings], drawn: int) -> list[AccountSettings]:
    """The same instruments in one section that divides its money."""
    isins = tuple(section.isin for section in sections)
    weights = tuple(Decimal(1 + drawn // 10**place % 10) for place, _ in enumerate(sections))
    first = sections[0].name[:-1]
    named = [{"name": AccountName(f"{first}.{isin}"), "isins": isins, "weights": weights} for isin in isins]
    return [section.model_copy(update=update) for section, update in zip(sections, named, strict=True)]


def _investor(chance: random.Random, sections: list[AccountSettings], instruments: tuple[Instrument, ...]) -> Investor:
    largest = {each.id: each.max_quantity * each.band.high for each in instruments}
    money = largest[sections[0].isin] * chance.randrange(300, 3400) // 1000
    if odds(chance, 5):
        money = Decimal(chance.choice((-5_000_000, 0, 3_000_000)))
    shares = {each.id: each.max_quantity * chance.randrange(0, 2800) // 1000 for each in instruments}
    first = sections[0]
    return Investor(
        first.username, first.password.get_secret_value(), first.broker_code, money, shares, sections[0].isin
    )


def _weather(chance: random.Random) -> Weather:
    kind = chance.choice(("clear", "orders", "orders", "orders", "storm"))
    storm = kind == "storm"
    weather = Weather(
        path_ns=chance.choice((2 * MS, 10 * MS, 60 * MS)),
        orders=0.0 if kind == "clear" else chance.choice((0.15, 0.4, 0.8)),
        lists=chance.choice((0.1, 0.4)) if storm or odds(chance, 20) else 0.0,
        reads=chance.choice((0.03, 0.15)) if storm or odds(chance, 10) else 0.0,
        logins=chance.choice((0.05, 0.2)) if storm else 0.0,
        hidden=chance.choice((0.3, 0.8)) if odds(chance, 35) else 0.0,
        slow=chance.choice((0.02, 0.15)) if storm or odds(chance, 15) else 0.0,
        calm_ns=260 * S,
    )
    if odds(chance, 6):
        begins_ns = chance.randrange(-60 * S, 60 * S)
        answer = chance.choice(("silence", "garbage json 503", "refusal 401", "refusal 429"))
        weather.outages.append((begins_ns, begins_ns + chance.randrange(S, 90 * S), _HOSTS, answer))
    if odds(chance, 8):
        begins_ns = chance.randrange(-5 * S, 2 * S)
        answer = chance.choice(
            ("silence", "garbage json 503", "refusal 401", "refusal 401", "refusal 429", "refusal 1018")
        )
        weather.outages.append((begins_ns, begins_ns + chance.randrange(S, 60 * S), _ORDERS, answer))
    if odds(chance, 12):
        begins_ns = chance.randrange(-5 * S, 20 * S)
        answer = chance.choice(("half", "half", "silence", "garbage json 503", "garbage html 200"))
        length_ns = chance.choice((chance.randrange(5 * S, 60 * S), 200 * S))
        weather.outages.append((begins_ns, begins_ns + length_ns, _LISTS, answer))
    if odds(chance, 12):
        weather.bad_disk.append(_spell(chance))
    if odds(chance, 4):
        weather.bad_reads.append(_spell(chance))
    return weather


def _spell(chance: random.Random) -> tuple[int, int]:
    begins_ns = chance.randrange(-60 * S, 20 * S)
    if odds(chance, 50):
        begins_ns = chance.randrange(-S, 2 * S)
    return begins_ns, begins_ns + chance.choice((20 * MS, 500 * MS, 5 * S, 40 * S))


def _starts(chance: random.Random, weather: Weather) -> tuple[Start, ...]:
    now = odds(chance, 10)
    first_ns = chance.randrange(S, 30 * S) if now else chance.choice((-100, -100, -100, -85, -62, -30, -11, -6, -2)) * S
    first_ns -= chance.randrange(3 * S)
    starts = [_start(chance, first_ns, now=now)]
    if odds(chance, 20):
        second_ns = first_ns + chance.choice((0, chance.randrange(S), chance.randrange(60 * S)))
        starts.append(_start(chance, second_ns, now=second_ns >= 0))
    if odds(chance, 6):
        # Somebody starts it once more, just when the first one is at it and dies; a slow disk makes it last.
        weather.slow_disk = 0.6
        again_ns = chance.randrange(-4 * S, S)
        dies = Death("both", chance.randrange(-S, S), "order sent", 1, 60 * S, "reconcile")
        starts[0] = replace(starts[0], deaths=(dies,))
        starts.append(Start(again_ns, now=again_ns >= 0))
    if odds(chance, 20) or any(answer == "half" for *_, answer in weather.outages):
        starts.append(Start(chance.randrange(-20 * S, 60 * S), command="reconcile"))
    if odds(chance, 15):
        starts.append(_start(chance, chance.randrange(10 * S, 120 * S), now=True))
    return tuple(starts)


def _start(chance: random.Random, at_ns: int, *, now: bool) -> Start:
    deaths = tuple(_death(chance) for _ in range(chance.choices((0, 1, 2, 3), (60, 25, 10, 5))[0]))
    return Start(
        at_ns,
        now=now,
        warm=odds(chance, 70),
        deaths=deaths,
        stop_ns=chance.randrange(-20 * S, 20 * S) if odds(chance, 8) else None,
        freeze=(chance.randrange(-15 * S, 3 * S), chance.randrange(S, 50 * S)) if odds(chance, 5) else None,
    )


def _death(chance: random.Random) -> Death:
    near = odds(chance, 70)
    return Death(
        who=chance.choices(("child", "both", "parent"), (55, 35, 10))[0],
        from_ns=chance.randrange(-5 * S, S) if near else chance.randrange(-90 * S, 20 * S),
        step="" if odds(chance, 25) else chance.choice(STEPS),
        count=chance.choices((1, 2, 3, 5, 9), (50, 20, 15, 10, 5))[0],
        pause_ns=chance.choice((50 * MS, 2 * S, chance.randrange(60 * S))),
        then=chance.choices(("run", "reconcile", "both"), (60, 25, 15))[0],
    )


def _moves(chance: random.Random, investors: int) -> tuple[Move, ...]:
    kinds = []
    for kind, often in (("money", 15), ("band", 12), ("tokens", 12), ("manual", 15), ("cancel", 5), ("halt", 8)):
        if odds(chance, often):
            kinds.append(kind)
    moves = []
    for kind in kinds:
        if kind in {"manual", "cancel"}:
            at_ns = chance.choice((chance.randrange(0, 2 * S), chance.randrange(0, 90 * S)))
        elif kind == "halt":
            at_ns = chance.choice((chance.randrange(-S, 2 * S), chance.randrange(-90 * S, 60 * S)))
        elif kind == "tokens":
            at_ns = chance.choice((0, chance.randrange(-5 * S, 5 * S)))
        else:
            at_ns = chance.choice((chance.randrange(-95 * S, -63 * S), chance.randrange(-63 * S, 0)))
        moves.append(Move(at_ns, kind, chance.randrange(investors), chance.randrange(400, 1600)))
    return tuple(moves)
