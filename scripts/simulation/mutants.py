"""Planted bugs: small patches of the product's code at run time, each of which the oracle has to catch.

A patch is a piece of one function's source and what stands in its place. Where the product's code changes, so that the
piece is not there any more, planting fails loudly.
"""

from __future__ import annotations
import __future__

import builtins
import contextlib
import dis
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Patch:
    """One piece of code in place of another.

    Attributes:
        module: Where.
        name: The function's qualified name there; or a constant's.
        old: What stands in the function now; empty for a constant.
        new: What is to stand there instead; a constant's new value as Python writes it.
    """

    module: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug.

    Attributes:
        name: What it does, in a few words.
        patches: How.
    """

    name: str
    patches: tuple[Patch, ...]


def _bug(name: str, *patches: tuple[str, str, str, str]) -> Mutant:
    return Mutant(name, tuple(Patch(f"firstbell.{module}", *rest) for module, *rest in patches))


_ATTEMPTS: Final = "oms.attempts"
_LATE_CLAIM: Final = """
    late = globals().setdefault("_late_claims", {}).pop(self._order.client_order_id, None)
    if late is not None:
        self._desk.journal.claim(*late)
    reports = ["""

MUTANTS: Final = (
    _bug(
        "resend on time-out",
        (
            _ATTEMPTS,
            "Attempts._attempt",
            "return Next(Step.ASK)",
            "return Next(Step.AGAIN, desk.pacer.earliest(desk.clock.monotonic_ns()))",
        ),
    ),
    _bug(
        "resend after 5xx",
        ("oms.decision", "next_step", "return Next(Step.ASK)", "return Next(Step.AGAIN, earliest_ns)"),
    ),
    _bug(
        "claim after send",
        (
            "sniper.arming",
            "Arming._claim",
            "answer = self._context.journal.claim(intent, self._context.run_id, self._owner)",
            (
                "import firstbell.oms.attempts as later\n"
                "        from firstbell.model.order import OrderState\n"
                "        vars(later).setdefault('_late_claims', {})[order.client_order_id] = "
                "(intent, self._context.run_id, self._owner)\n"
                "        answer = Claimed(OrderState(order))"
            ),
        ),
        ("sniper.firing", "LoginRun._still_ours", "return kept", "return list(armed.ready)"),
        (_ATTEMPTS, "Attempts._write", "reports = [", _LATE_CLAIM.strip()),
    ),
    _bug(
        "HTTP 200 is accepted",
        (
            "brokers.ephoenix.orders",
            "read_order_answer",
            "    document, said = None, None\n",
            "    document, said = None, None\n    if status == _OK:\n        return Outcome(AttemptOutcome.ACCEPTED)\n",
        ),
    ),
    _bug(
        "any code is a refusal",
        (
            "brokers.ephoenix.orders",
            "_refused",
            "if code in STOP or (",
            "if code is not None or code in STOP or (",
        ),
    ),
    _bug(
        "5xx is a refusal",
        (
            "brokers.ephoenix.orders",
            "read_order_answer",
            "    return Outcome(AttemptOutcome.UNRESOLVED, code, message)",
            (
                "    failed = AttemptOutcome.REJECTED if status >= 500 else AttemptOutcome.UNRESOLVED\n"
                "    return Outcome(failed, code, message)"
            ),
        ),
    ),
    _bug(
        "open orders are the only list",
        (
            "brokers.ephoenix.broker",
            "EphoenixBroker.orders",
            "return lists.whole_list(",
            "return self.open_orders()\n    return lists.whole_list(",
        ),
    ),
    _bug(
        "a failed list is a miss",
        ("oms.inquiry", "Inquiry.look", "return tuple(entries)", "rows = ()"),
    ),
    _bug(
        "absent after one look",
        ("oms.lists", "Absence.missed", "return self.misses >= MIN_MISSES and", "return True or"),
    ),
    _bug("absent after 10 s", ("oms.lists", "MIN_ABSENCE_NS", "", "10_000_000_000")),
    _bug("half a list is a list", ("brokers.ephoenix.lists", "_Reading.read", "return why", "return ''")),
    _bug(
        "one row for two orders", ("oms.lists", "names_taken", "return frozenset(", "return frozenset() and frozenset(")
    ),
    _bug(
        "recovery denies after the bell",
        (
            "oms.recovery",
            "_judge",
            "return ReportKind.DENIED if entry.cannot_have_left(died_ns) else ReportKind.UNRESOLVED",
            "return ReportKind.DENIED",
        ),
    ),
    _bug(
        "recovery leaves the dead alone",
        ("oms.recovery", "recover", "if entry.state.unresolved or entry.is_held_back", "if True"),
    ),
    _bug(
        "recovery judges the living",
        ("oms.recovery", "recover", "alive[owner] = journal.alive(owner)", "alive[owner] = False"),
    ),
    _bug(
        "a living owner's claim is taken",
        (
            "journal.claims",
            "decide",
            "if alive(held.owner):\n        return Verdict(Decision.TAKEN)",
            "pass",
        ),
    ),
    _bug(
        "a dead owner's claim is taken after the bell",
        (
            "journal.claims",
            "_left_behind",
            "not held.cannot_have_left(now_ns)",
            "held.state.status is not OrderStatus.INITIALIZED",
        ),
    ),
    _bug(
        "an unresolved order frees its plan",
        (
            "journal.claims",
            "decide",
            "if state.unresolved:\n        return Verdict(Decision.TAKEN)",
            "if state.unresolved:\n        return Verdict(Decision.FREE)",
        ),
        ("sniper.arming", "Arming._unresolved", "if needs_asking(e)", "if False"),
    ),
    _bug(
        "a random part in the order's name",
        (
            "model.identifiers",
            "client_order_id",
            'name = f"fb-{day:%Y%m%d}-{digest}-{slice_}"',
            (
                "import itertools\n"
                "    count = globals().setdefault('_names', itertools.count())\n"
                '    name = f"fb-{day:%Y%m%d}-{next(count):012x}-{slice_}"'
            ),
        ),
        ("sniper.arming", "_is_of", "return (order.instrument, order.side) ==", "return False and 0 =="),
    ),
    _bug(
        "buying power is not read again",
        ("sniper.reading", "Reading.read", "broker.buying_power(fresh=True)", "broker.buying_power()"),
    ),
    _bug(
        "the band is not read again",
        (
            "sniper.reading",
            "Reading.read",
            "partial(broker.instrument, isin, fresh=True)",
            "partial(broker.instrument, isin)",
        ),
    ),
    _bug("the interval is not kept", ("oms.pacing", "Pacer.sent", "self._last_ns = at_ns", "self._last_ns = None")),
    _bug(
        "unresolved is reported as rejected",
        ("model.order", "OrderState.outcome", "return OrderOutcome.UNRESOLVED", "return OrderOutcome.REJECTED"),
    ),
    _bug(
        "a claim without a word is reported as not sent",
        ("sniper.results", "_row", "run.ended or run.now_ns >= entry.intent.bell_ns", "False"),
        ("oms.recovery", "recover", "if entry.state.unresolved or entry.is_held_back", "if True"),
    ),
    _bug(
        "the next slice leaves while one is unresolved",
        ("sniper.firing", "LoginRun._carry_each", "blocked = f", "blocked = None and f"),
    ),
    _bug(
        "a new run sends while one is unresolved",
        ("sniper.arming", "Arming._unresolved", "if needs_asking(e)", "if False"),
        (
            "journal.claims",
            "stands_against",
            "    state = other.state\n",
            "    return False\n    state = other.state\n",
        ),
    ),
    _bug(
        "two processes have one login",
        (
            "journal.claims",
            "stands_against",
            "    state = other.state\n",
            "    return False\n    state = other.state\n",
        ),
    ),
    _bug(
        "others report on what is being sent",
        (
            "oms.reconcile",
            "Reconciler.look",
            "entry.state.status in PLACED - DONE",
            "(entry.state.status not in DONE and entry.state.attempts)",
        ),
    ),
    _bug(
        "what is being sent again is reported as rejected",
        (
            "model.order",
            "OrderState.outcome",
            "self.unresolved or self.status is OrderStatus.SUBMITTED",
            "self.unresolved",
        ),
    ),
    _bug(
        "401 for ever",
        ("oms.decision", "next_step", "if outcome.token_ended and logged_in_again:", "if False:"),
    ),
    _bug(
        "the time of writing for that of sending",
        (_ATTEMPTS, "Attempts._left", "sent_ns=sent_ns,", "sent_ns=self._desk.clock.wall_ns(),"),
    ),
    _bug(
        "a report that cannot be written is forgotten",
        (
            _ATTEMPTS,
            "Attempts._write",
            "    try:\n        self._desk.writer.append(reports)",
            (
                "    import contextlib\n"
                "    try:\n"
                "        with contextlib.suppress(Exception): self._desk.writer.append(reports)"
            ),
        ),
        (
            _ATTEMPTS,
            "Attempts._state",
            "return entry.state",
            (
                "import dataclasses\n"
                "    return entry.state if entry.state.attempts else dataclasses.replace(entry.state, unresolved=False)"
            ),
        ),
    ),
    _bug(
        "Retry-After is not obeyed",
        (_ATTEMPTS, "Attempts._judge", "if outcome.retry_after is not None:", "if False:"),
    ),
)
"""All planted bugs."""


def named(name: str) -> Mutant:
    """A planted bug by its name.

    Raises:
        KeyError: There is none of that name.
    """
    return {mutant.name: mutant for mutant in MUTANTS}[name]


@contextlib.contextmanager
def planted(mutant: Mutant | None) -> Iterator[None]:
    """Have a bug in the product until the block ends; none for None.

    Raises:
        LookupError: The code that it changes is not there any more.
    """
    with contextlib.ExitStack() as stack:
        for patch in () if mutant is None else mutant.patches:
            stack.enter_context(_patched(patch))
        yield


@contextlib.contextmanager
def _patched(patch: Patch) -> Iterator[None]:
    module = importlib.import_module(patch.module)
    if not patch.old:
        before = getattr(module, patch.name)
        setattr(module, patch.name, type(before)(int(patch.new)))
        try:
            yield
        finally:
            setattr(module, patch.name, before)
        return
    function = _function(module, patch.name)
    code = function.__code__
    # The code itself is replaced, so that whoever has imported the function by name has the bug as well.
    function.__code__ = _rewritten(function, patch).__code__
    names = set(vars(module))
    try:
        yield
    finally:
        function.__code__ = code
        for left in set(vars(module)) - names:
            delattr(module, left)


def _function(module: Any, name: str) -> FunctionType:
    owner: Any = module
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    found = inspect.getattr_static(owner, last)
    if isinstance(found, property):
        found = found.fget
    if isinstance(found, staticmethod):
        found = found.__func__
    if not isinstance(found, FunctionType):
        raise TypeError(f"{name} is no function that a bug could be planted in")
    return found


def _rewritten(function: FunctionType, patch: Patch) -> FunctionType:
    source = textwrap.dedent(inspect.getsource(function))
    if source.startswith("@"):
        source = source[source.index("def ") :]
    if patch.old not in source:
        raise LookupError(f"{patch.module}.{patch.name} no longer has {patch.old!r}: plant this bug elsewhere")
    text = source.replace(patch.old, patch.new, 1)
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    exec(compile(text, f"<{patch.name}, changed>", "exec", flags=flags), function.__globals__, made)  # noqa: S102  # nosec B102
    rewritten = made[function.__name__]
    if not isinstance(rewritten, FunctionType):
        raise TypeError(f"{patch.name} did not become a function")
    used = {each.argval for each in dis.get_instructions(rewritten) if each.opname == "LOAD_GLOBAL"}
    if missing := sorted(name for name in used if name not in function.__globals__ and not hasattr(builtins, name)):
        raise LookupError(f"the bug in {patch.module}.{patch.name} needs {', '.join(missing)}, which is not there")
    return rewritten
