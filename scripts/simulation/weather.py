"""The weather of a history: what may go wrong with calls and with the disk, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.simulator.faults import Call
from simulation.answers import GARBAGE, REFUSALS, odds

if TYPE_CHECKING:
    import random

MS: Final = 1_000_000
S: Final = 1_000_000_000
LONGEST_HIDDEN_NS: Final = 62 * S
"""How long a list may lag, from an order's acceptance on."""
_OFTEN: Final = ("unknown code", "json 500", "html 502", "no serial")
"""What is met more often than the rest."""
_LISTS: Final = frozenset({Call.OPEN_ORDERS, Call.DAY_ORDERS})
_LOGINS: Final = frozenset({Call.CAPTCHA, Call.LOGIN})


@dataclass(slots=True)
class Fate:
    """What becomes of one call.

    Attributes:
        name: What befalls it, for the log; empty where nothing does.
        there_ns: How long its request takes, in ns.
        back_ns: How long its answer takes, in ns.
        refused: Whether there is no connection: nothing leaves.
        lost: ``reset`` or ``silence``, where the request never comes.
        unseen: Whether the exchange never looks at it, though there is an answer.
        answer: What comes instead of the honest answer: ``garbage NAME``, ``refusal NAME``, ``truncated``, ``drip``,
            ``reset``, ``silence``, ``nameless`` (accepted, and no number said), ``half`` or ``list``; empty for none.
        hidden_ns: How long the lists do not show the order, in ns.
        ends_tokens: Whether every token of the account ends with it.
    """

    name: str = ""
    there_ns: int = 5 * MS
    back_ns: int = 5 * MS
    refused: bool = False
    lost: str = ""
    unseen: bool = False
    answer: str = ""
    hidden_ns: int = 0
    ends_tokens: bool = False


@dataclass(slots=True)
class Weather:
    """How much goes wrong.

    Attributes:
        path_ns: The usual way to a host, in ns.
        orders: How often something befalls an order.
        lists: How often something befalls a list.
        reads: How often something befalls another question.
        logins: How often something befalls a log-in.
        hidden: How often an accepted order is not shown for a while.
        slow: How often a call is slow.
        calm_ns: When all of it ends, in ns after the bell.
        outages: From, until (in ns after the bell) and for which calls hosts do not work at all, and what they answer.
        bad_disk: From and until when the journal cannot be written, in ns after the bell.
        bad_reads: From and until when the journal cannot be read.
        slow_disk: How often a write takes long.
    """

    path_ns: int = 5 * MS
    orders: float = 0.0
    lists: float = 0.0
    reads: float = 0.0
    logins: float = 0.0
    hidden: float = 0.0
    slow: float = 0.0
    calm_ns: int = 0
    outages: list[tuple[int, int, frozenset[Call], str]] = field(default_factory=list)
    bad_disk: list[tuple[int, int]] = field(default_factory=list)
    bad_reads: list[tuple[int, int]] = field(default_factory=list)
    slow_disk: float = 0.02

    def journal_write_fails(self, since_bell_ns: int) -> bool:
        """Whether the journal cannot be written now."""
        return any(begins <= since_bell_ns < ends for begins, ends in self.bad_disk)

    def journal_read_fails(self, since_bell_ns: int) -> bool:
        """Whether the journal cannot be read now."""
        return any(begins <= since_bell_ns < ends for begins, ends in self.bad_reads)

    def disk_ns(self, chance: random.Random) -> int:
        """How long a write to the disk takes."""
        if chance.random() < self.slow_disk:
            return chance.randrange(20 * MS, 900 * MS)
        return chance.randrange(MS // 2, 4 * MS)

    def fate(self, call: Call, since_bell_ns: int, chance: random.Random) -> Fate:
        """What becomes of a call that is about to leave."""
        fate = Fate(there_ns=self._way(chance), back_ns=self._way(chance))
        if since_bell_ns >= self.calm_ns:
            return fate
        for begins, ends, calls, answer in self.outages:
            if begins <= since_bell_ns < ends and call in calls:
                fate.name = fate.answer = answer
                fate.unseen = answer != "half"
                return fate
        if call is Call.ORDER:
            self._of_order(fate, chance)
        elif call in _LISTS:
            self._of_question(fate, chance, self.lists, listed=True)
        else:
            self._of_question(fate, chance, self.logins if call in _LOGINS else self.reads)
        return fate

    def _way(self, chance: random.Random) -> int:
        way_ns = self.path_ns // 2 + chance.randrange(self.path_ns)
        if self.slow and chance.random() < self.slow:
            way_ns += chance.choice((80 * MS, 700 * MS, 3 * S))
        return way_ns

    def _of_order(self, fate: Fate, chance: random.Random) -> None:
        if chance.random() < self.hidden:
            fate.hidden_ns = chance.choice((2 * S, 20 * S, LONGEST_HIDDEN_NS, chance.randrange(LONGEST_HIDDEN_NS)))
            fate.name = f"hidden {fate.hidden_ns / S:.0f} s"
        if chance.random() >= self.orders:
            return
        kind = chance.choice(("loss", "loss", "garbage", "garbage", "garbage", "refusal", "refusal", "late", "connect"))
        if kind == "connect":
            fate.refused, fate.name = True, "connection refused"
        elif kind == "late":
            # Beyond the five seconds that an answer is awaited, and still within what the lists may lag.
            fate.there_ns += chance.choice((400 * MS, 4_990 * MS, 6 * S, 9 * S))
            fate.hidden_ns = min(fate.hidden_ns, 60 * S)
            fate.name = f"there in {fate.there_ns / S:.3f} s"
        elif kind == "loss":
            fate.name = chance.choice(
                ("lost reset", "lost silence", "reset", "silence", "truncated", "drip", "nameless")
            )
            if fate.name.startswith("lost"):
                fate.lost = fate.name.removeprefix("lost ")
            else:
                fate.answer = fate.name
        elif kind == "garbage":
            fate.answer = f"garbage {chance.choice(_OFTEN if odds(chance, 30) else GARBAGE)}"
            fate.unseen = odds(chance, 40)
            fate.name = f"{fate.answer}{', unseen' if fate.unseen else ''}"
        else:
            fate.answer, fate.unseen = f"refusal {chance.choice(REFUSALS)}", True
            fate.name = fate.answer
            fate.ends_tokens = fate.answer == "refusal 401" and odds(chance, 50)

    @staticmethod
    def _of_question(fate: Fate, chance: random.Random, often: float, *, listed: bool = False) -> None:
        if chance.random() >= often:
            return
        kind = chance.choice(
            ("refused", "lost", "silence", "garbage", "truncated", "drip", "429", "401", "list", "list")
        )
        fate.name = kind
        if kind == "refused":
            fate.refused = True
        elif kind == "lost":
            fate.lost = chance.choice(("reset", "silence"))
        elif kind in {"silence", "truncated", "drip"}:
            fate.answer = kind
        elif kind in {"429", "401"}:
            fate.answer, fate.unseen = f"refusal {kind}", True
            fate.ends_tokens = kind == "401" and odds(chance, 50)
        elif kind == "list" and listed:
            fate.answer = "list"
        else:
            fate.answer = fate.name = "garbage " + chance.choice(
                ("html 200", "json 500", "empty 200", "NaN", "not HTTP")
            )
