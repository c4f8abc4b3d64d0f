"""Writes what was measured as Markdown: tables, ratios, and how they were come by."""

from __future__ import annotations

import statistics
import textwrap
from typing import TYPE_CHECKING

from benchmarks import beyond, machine, memory, volley
from benchmarks.throughput import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from benchmarks.beyond import Beyond
    from benchmarks.results import Results
    from benchmarks.volley import Arrivals, Cell

_WHOLE_FROM = 10
"""Ratios from this on are told without decimals."""
_GOAL_N = 100
_GOALS = {
    volley.BARE: ("last", 1.3),
    volley.C_LOOP: ("last", 2.0),
}
_SOONER = {"first": 300, "last": 40}
_ONE_US = 80
_WARM_UP = 1.3
_KIB = 100
_CHECKS_US, _HALT_MS = 50, 100
_VALIDATION_US, _OVERHEAD_MS, _ROUND_MS = 100, 1, 50
_IN_MS_FROM_US = 200
_MEDIAN_MS, _P95_MS, _ATTEMPTS = 10, 40, 2


def document(results: Results, today: date) -> str:
    """The whole page."""
    return "\n".join(_lines(results, today)) + "\n"


def part(results: Results) -> str:
    """The tables of what was measured, without the rest of the page."""
    return "\n".join(_parts(results)).strip() + "\n"


def _lines(results: Results, today: date) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield from _paragraph(
        f"Measured on {today.isoformat()} by `scripts/bench`, which writes this page: side by side, in one run, on one "
        "machine, over its loopback. Microseconds move by a quarter from run to run; the ratios are what holds."
    )
    if results.quick:
        yield ""
        yield from _paragraph(
            "This was `scripts/bench --quick`: a few rounds each, to see that everything works. Do not quote it."
        )
    yield ""
    yield from _table(["", ""], [[name, words] for name, words in machine.facts().items()])
    yield ""
    yield from _paragraph(f"{results.split[:1].upper()}{results.split[1:]}. Orders are received by {results.server}.")
    yield ""
    yield "## Goals"
    yield ""
    yield from _table(["Goal", "Measured"], list(_goals(results)))
    yield ""
    yield from _parts(results)
    yield from _method()


def _parts(results: Results) -> Iterator[str]:
    if results.cells:
        yield from _volley(results.cells)
    if results.paces:
        yield from _throughput(results)
    if results.warm_up is not None:
        yield from _warm_up(results)
    if results.memory:
        yield from _memory(results)
    if results.aimed:
        yield from _clock(results)
    yield from _safety(results)
    if results.beyond is not None:
        yield from _beyond(results.beyond)


def _goals(results: Results) -> Iterator[list[str]]:
    for cell in results.cells:
        wire = _wire(cell.tls)
        ours = cell.arrivals[volley.OURS]
        if cell.count == 1:
            yield [f"One account over {wire}: within {_ONE_US} µs, median", f"{ours.first:.0f} µs"]
        if cell.count != _GOAL_N:
            continue
        for name, (which, limit) in _GOALS.items():
            words = f"{_GOAL_N} over {wire}: the {which} within {limit:g} × the {name}"
            yield [words, _ratio(ours, cell.arrivals.get(name), which)]
        for which, limit in _SOONER.items():
            words = f"{_GOAL_N} over {wire}: the {which} {limit} × sooner than {volley.HTTP}"
            yield [words, _ratio(cell.arrivals.get(volley.HTTP), ours, which)]
    if (warm := results.warm_up) is not None:
        words = f"Warm-up of {warm.accounts} accounts within {_WARM_UP:g} × what the courtesy forces"
        yield [words, f"{warm.seconds / warm.forced_s:.2f} ×"]
    for each in results.memory:
        words = f"{each.many:,} accounts in {memory.PROCESSES} processes, {_wire(each.tls)}: all fire, {_KIB} KiB each"
        sizes = each.per_account
        yield [words, f"{each.accepted:,} accepted, {sizes['uss']:.0f} KiB unshared, {sizes['rss']:.0f} KiB resident"]
    for aimed in results.aimed:
        words = (
            f"Host {aimed.offset_ms / 1000:+.1f} s: within {_MEDIAN_MS} ms median, {_P95_MS} ms p95, "
            f"{_ATTEMPTS} attempts at most"
        )
        yield [words, f"{aimed.median_ms:.1f} ms, {aimed.p95_ms:.1f} ms, {aimed.most_attempts} at most"]
    yield from _later_goals(results)


def _later_goals(results: Results) -> Iterator[list[str]]:
    if (found := results.safety) is not None:
        yield [f"All final checks of one attempt within {_CHECKS_US} µs", f"{found.checks_us[0]:.1f} µs"]
        yield [f"Nothing leaves later than {_HALT_MS} ms after a halt", f"{max(found.last_ms):.0f} ms at worst"]

    if results.beyond is not None:
        yield from _beyond_goals(results.beyond)


def _beyond_goals(found: Beyond) -> Iterator[list[str]]:
    disk, memory_, bare = found.placing
    yield [f"Validation of an order within {_VALIDATION_US} µs, 99 of 100", f"{memory_.validation_us['p99']:.0f} µs"]
    told = "; ".join(f"{_ms(each.placing_us['p99'])}, {each.where}" for each in (memory_, bare))
    told = f"{_ms(disk.uncommitted_us['p99'])} and the disk, {_ms(disk.placing_us['p99'])} with it; {told}"
    yield [f"The engine's share of an order within {_OVERHEAD_MS} ms, 99 of 100", told]
    own = (found.rounds["plain_ms"]["median"], found.rounds["brackets_ms"]["median"])
    words = f"A round over {beyond.WORKING:,} working orders within {_ROUND_MS} ms"
    yield [words, f"{own[0]:.1f} ms; of brackets {own[1]:.1f} ms"]
    first, last = found.memory["marks"][1], found.memory["marks"][-1]
    words = f"Memory flat from {first['orders']:,} to {last['orders']:,} orders"
    yield [words, f"{first['rss_mib']:.0f} MiB, {last['rss_mib']:.0f} MiB"]
    alone, told_ = found.alerts["alone_us"]["p50"], found.alerts["told_us"]["p50"]
    yield ["A messenger that hangs changes no order's time", f"{told_ / alone:.2f} ×"]


def _ratio(over: Arrivals | None, under: Arrivals | None, which: str) -> str:
    if over is None or under is None:
        return "not measured: no C compiler"
    ratio: float = getattr(over, which) / getattr(under, which)
    return f"{ratio:.2f} ×" if ratio < _WHOLE_FROM else f"{ratio:,.0f} ×"


def _volley(cells: Sequence[Cell]) -> Iterator[str]:
    yield "## The volley"
    yield ""
    yield from _paragraph(
        "When the kernel on the receiving side had the first / the median / the last of N orders, in µs after the "
        "instant aimed at: medians over the rounds. Below each, the same as a multiple of the bare Python loop."
    )
    for tls in (False, True):
        of_wire = [cell for cell in cells if cell.tls is tls]
        if not of_wire:
            continue
        yield ""
        yield f"### Over {_wire(tls)}"
        yield ""
        if tls:
            yield from _paragraph(
                "The C loop and the bare loop send as many bytes as the sealed record has, in the clear; the bare "
                "loop over `ssl` sockets encrypts at the bell. FastHttpUser does not verify certificates, as it "
                "comes."
            )
            yield ""
        names = list(of_wire[0].arrivals)
        header = ["", *(f"N = {cell.count}" for cell in of_wire)]
        rows = [
            [f"**{name}**" if name == volley.OURS else name, *(_times(cell, name) for cell in of_wire)]
            for name in names
        ]
        yield from _table(header, rows)
        yield ""
        ratios = [[name, *(_multiples(cell, name) for cell in of_wire)] for name in names if name != volley.BARE]
        yield from _table([f"as multiples of the {volley.BARE}", *header[1:]], ratios)
    rounds = ", ".join(f"{cell.arrivals[volley.OURS].rounds} for N = {cell.count}" for cell in cells if not cell.tls)
    yield ""
    yield from _paragraph(f"Rounds: {rounds or 'as many as over TCP'}; five at most for cold connections.")
    if volley.C_LOOP not in cells[0].arrivals:
        yield from _paragraph("The C loop was not measured, for want of a C compiler.")
    yield ""


def _times(cell: Cell, name: str) -> str:
    found = cell.arrivals[name]
    if cell.count == 1:
        return f"{found.first:,.0f}"
    return f"{found.first:,.0f} / {found.median:,.0f} / {found.last:,.0f}"


def _multiples(cell: Cell, name: str) -> str:
    found, floor = cell.arrivals[name], cell.arrivals[volley.BARE]
    kinds = ("first",) if cell.count == 1 else ("first", "median", "last")
    return " / ".join(_short(getattr(found, kind) / getattr(floor, kind)) for kind in kinds)


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < _WHOLE_FROM else f"{ratio:,.0f}"


def _throughput(results: Results) -> Iterator[str]:
    yield "## Orders per second"
    yield ""
    yield from _paragraph(
        f"One process on one core, {CONNECTIONS} connections, on each the next order as soon as the one before is "
        "answered. The C loop over TCP shows what the server takes; over TLS a Python server decrypts and is the "
        "bottleneck, so that the column of the sender's own processor time tells more."
    )
    yield ""
    rows = []
    names = dict.fromkeys(pace.name for pace in results.paces)
    by_name = {(pace.name, pace.tls): pace for pace in results.paces}
    for name in names:
        cells = [f"**{name}**" if name == volley.OURS else name]
        for tls in (False, True):
            pace = by_name.get((name, tls))
            # In the clear, as many bytes as over TLS are no other measurement.
            shown = pace is not None and not (tls and name in {volley.C_LOOP, volley.BARE})
            cells += [f"{pace.per_second:,.0f}", f"{pace.per_core_second:,.0f}"] if pace and shown else ["", ""]
        rows.append(cells)
    yield from _table(["", "TCP", "TCP, a second of its core", "TLS", "TLS, a second of its core"], rows)
    yield ""


def _warm_up(results: Results) -> Iterator[str]:
    warm = results.warm_up
    if warm is None:
        return
    yield "## Warm-up"
    yield ""
    yield from _paragraph(
        f"`firstbell warmup`, the whole command, {warm.accounts} accounts over {warm.hosts} brokers, each with an "
        f"identity host of its own; every answer leaves {warm.delay_ms} ms late. A second has to pass before each "
        f"captcha of a host: {warm.forced_s:.1f} s for the host with the most "
        "accounts. One of the brokers wants two seconds more between a captcha and its log-in; they are in the "
        "command's time and not in what is forced."
    )
    yield ""
    rows = [
        ["accounts ready", f"{warm.ready} of {warm.accounts}"],
        ["the command", f"{warm.seconds:.2f} s"],
        ["forced: a second before each captcha", f"{warm.forced_s:.2f} s, so {warm.seconds / warm.forced_s:.2f} ×"],
        ["a second time, from the cache", f"{warm.again_s:.2f} s"],
    ]
    yield from _table(["", ""], rows)
    yield ""


def _memory(results: Results) -> Iterator[str]:
    yield "## Memory per account"
    yield ""
    first = results.memory[0]
    yield from _paragraph(
        f"`firstbell run --processes {memory.PROCESSES}`, the processes that hold the accounts, armed, a second before "
        f"the bell. What {first.many:,} accounts take up more than {first.few}, divided by {first.many - first.few:,}: "
        "everything an account needs, from its Locust class to its sealed lane. The exchange that answers is one "
        "Python process, so when its orders arrive says how fast it is, not how fast they leave."
    )
    yield ""
    rows = [
        [
            _wire(each.tls),
            *(f"{each.per_account[name]:.1f} KiB" for name in ("uss", "pss", "rss")),
            f"{each.accepted:,} of {each.many:,}",
            ""
            if each.first_us is None or each.last_us is None
            else f"{each.first_us // 1000:,} / {each.last_us // 1000:,}",
        ]
        for each in results.memory
    ]
    yield from _table(["lanes", "unshared (USS)", "PSS", "RSS", "orders accepted", "first / last, ms"], rows)
    yield ""


def _clock(results: Results) -> Iterator[str]:
    yield "## Aiming at another clock"
    yield ""
    yield from _paragraph(
        "Whole runs against a simulated exchange whose clock is not ours, the way there 20 ms ± 3 ms, its `Date` "
        "headers its only clock. When the first accepted order came, in ms after the host's own bell, as the exchange "
        "saw it."
    )
    yield ""
    rows = [
        [
            f"{aimed.offset_ms / 1000:+.1f} s",
            f"{len(aimed.first_ms)}",
            f"{aimed.median_ms:.1f}",
            f"{aimed.p95_ms:.1f}",
            f"{max(aimed.first_ms):.1f}",
            f"{aimed.most_attempts}",
            f"{aimed.accepted} of {aimed.accounts}",
        ]
        for aimed in results.aimed
    ]
    yield from _table(
        ["host's clock", "runs", "median, ms", "p95, ms", "worst, ms", "most attempts of an account", "accepted"], rows
    )
    yield ""


def _safety(results: Results) -> Iterator[str]:
    found = results.safety
    if found is None:
        return
    yield "## Final checks and kill switch"
    yield ""
    yield from _paragraph(
        f"The {found.checks} final checks of one attempt, every limit set. And `firstbell halt` while a run of "
        f"{found.accounts} accounts is busy sending again what is refused as too early: how long the command takes "
        "from its start until the halt is written, and how long after that the last order came to the exchange "
        "(negative: before it)."
    )
    yield ""
    rows = [
        ["all final checks of one attempt, median / 99 of 100", " / ".join(f"{us:.1f} µs" for us in found.checks_us)],
        [
            f"from the command to the written halt, median / worst of {found.halts}",
            f"{statistics.median(found.command_ms):.0f} / {max(found.command_ms):.0f} ms",
        ],
        [
            "from there to the last order's arrival, median / worst",
            f"{statistics.median(found.last_ms):.0f} / {max(found.last_ms):.0f} ms",
        ],
    ]
    yield from _table(["", ""], rows)
    yield ""


def _beyond(found: Beyond) -> Iterator[str]:
    yield "## Orders beyond the bell"
    yield ""
    yield from _paragraph(
        "The order manager on a paper market in the same process: one limit order after the other, each claimed, "
        "checked, sent, and written down before the next. What the broker's methods take is left out of every figure "
        "but where it is said. An order is made durable twice, before its bytes leave and after the answer. After each "
        "hundred there is a pause, in which the order log is written."
    )
    yield ""
    yield from _table(
        ["median / 99 of 100", *(each.where for each in found.placing)],
        [
            ["placing an order", *(_pair(each.placing_us) for each in found.placing)],
            ["the same, without the journal's commits", *(_pair(each.uncommitted_us) for each in found.placing)],
            ["of it, the checks of what is asked for", *(_pair(each.validation_us) for each in found.placing)],
            ["canceling it, and the look at the list", *(_pair(each.canceling_us) for each in found.placing)],
            [
                "for comparison: one page written there, and `fdatasync`",
                *(_pair(each.sync_us) for each in found.placing),
            ],
        ],
    )
    yield ""
    rounds = found.rounds
    yield from _paragraph(
        "One round looks at the broker's list, at the market, and at what belongs together. Nothing has happened since "
        "the round before. Half of a bracket's two orders here rest at the broker, the other half are stops held back."
    )
    yield ""
    yield from _table(
        ["one round over", "median", "worst of 50", "median, the broker's time with it"],
        [
            [words, *(f"{each[name]:.1f} ms" for name in ("median", "worst", "with_broker"))]
            for words, each in (
                (f"{rounds['working']:,} working orders", rounds["plain_ms"]),
                (
                    f"{rounds['bracket_orders']:,} exits of {rounds['bracket_orders'] // 2:,} brackets",
                    rounds["brackets_ms"],
                ),
            )
        ],
    )
    yield ""
    yield from _paragraph(
        "Many orders of one login in one process, half of them filled, half of them canceled, a round after each "
        f"hundred; the journal in memory, {found.memory['journal_mib']:.0f} MiB in the end. After each thousand the "
        "market is another one, so that the broker's list, which is read whole, stays as long as it is."
    )
    yield ""
    yield from _table(
        ["orders so far", "resident", "placing one of the last thousand"],
        [
            [f"{each['orders']:,}", f"{each['rss_mib']:.1f} MiB", _pair(each["placing_us"])]
            for each in found.memory["marks"]
        ],
    )
    yield ""
    alerts = found.alerts
    yield from _paragraph(
        "Orders in turns, in two order managers side by side: nobody is told; and a messenger's server takes every "
        f"connection and never answers ({alerts['waiting']:,} messages were waiting in the end)."
    )
    yield ""
    yield from _table(
        ["placing an order", "median / 99 of 100"],
        [["nobody is told", _pair(alerts["alone_us"])], ["the messenger hangs", _pair(alerts["told_us"])]],
    )
    yield ""


def _pair(us: Mapping[str, float]) -> str:
    """A median and the largest of 99 in 100, given in µs."""
    unit, words = (1, "µs") if us["p99"] < _IN_MS_FROM_US else (1000, "ms")
    return " / ".join(f"{us[name] / unit:.{0 if unit == 1 else 2}f} {words}" for name in ("p50", "p99"))


def _ms(us: float) -> str:
    return f"{us / 1000:.2f} ms"


def _method() -> Iterator[str]:
    yield "## Method"
    yield ""
    yield from _paragraph(
        "* Every contender is a process of its own, opens its connections and sends one order on each; then, round "
        "after round, each in turn fires at an instant of its own, so that whatever else the machine does meets them "
        "all alike. The first"
    )
    yield "  round does not count."
    yield from _paragraph(
        "* An order's time is when the kernel received the bytes that completed it (`SO_TIMESTAMPNS`), at the TCP "
        "level also where they are encrypted; how busy the server is changes nothing about it. The C loop is the "
        "server's own floor."
    )
    yield from _paragraph(
        "* The bare loop is what Python can do with nothing but the standard library: sockets, one loop, no garbage "
        "collection. The volley may be below it: it looks at its lanes some milliseconds before the instant, so its "
        "first `send` is warm."
    )
    yield from _paragraph(
        "* Locust's users are treated better than life would treat them: all are there long before the bell, nothing "
        "is logged, and but for the row that says so their connections are open. One class per account, `fixed_count "
        "= 1`, one post each."
    )
    yield from _paragraph("* The volley runs in a process that has loaded Locust and gevent, as a run's does.")
    yield ""
    yield from _paragraph(
        "`scripts/bench volley`, `throughput`, `warmup`, `memory`, `clock`, `safety` and `orders` measure one part; "
        "`--quick` makes a few rounds."
    )


def _paragraph(text: str) -> Iterator[str]:
    """Text as lines that fit; a point of a list goes on under its first word."""
    yield from textwrap.wrap(
        text, 118, subsequent_indent="  " * text.startswith("* "), break_long_words=False, break_on_hyphens=False
    )


def _wire(tls: bool) -> str:
    return "TLS" if tls else "TCP"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
