"""The judge: what the promise says, held against what the exchange has and what the wire saw.

It believes nobody: neither the journal nor a report is taken for true, they are what is judged. Which order at the
exchange is whose, it knows from the wire.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.market import fee_rate
from firstbell.model.order_status import DONE, PLACED, OrderStatus
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.sizing import cost
from simulation.process import NS
from simulation.world import BELL_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.simulator.orders import ExchangeOrder
    from simulation.process import Process
    from simulation.wire import Sending
    from simulation.world import Report, World

_ROUND: Final = re.compile(r"-r\d+$")
_SLICE: Final = re.compile(r"-(\d+)$")
_FRESH_NS: Final = 62 * NS
"""How long before the bell, or before it is sent, an order's money and band may have been read."""
_LOOKS: Final = 4
_ABSENT_NS: Final = 60 * NS
_SLACK_NS: Final = NS
_HALT_NS: Final = NS // 10
"""How long after a halt the last byte may leave."""


class Oracle:
    """The judge of one history.

    Attributes:
        violations: Every broken promise, in words.

    Args:
        world: What truly happened.
    """

    def __init__(self, world: World) -> None:
        self.violations: list[str] = []
        self._world = world
        self._login_of = {
            f"{account.broker_code}/{account.username}": account for account in world.scenario.settings.enabled
        }

    def _break(self, rule: str, words: str) -> None:
        said = f"{rule}: {words}"
        if said not in self.violations:
            self.violations.append(said)
            self._world.say("ORACLE", said)

    # --- while it happens

    def sent(self, sending: Sending) -> None:
        """Judge a sending at its instant: nothing may leave that is not claimed, or while something is unknown."""
        world, name = self._world, sending.client_order_id
        entry = world.truth.entry(sending.prepared.order.client_order_id)
        if entry is None:
            self._break("claim", f"{name} was sent and is not in the journal")
            return
        if entry.owner != sending.process.owner:
            self._break("claim", f"{sending.process.name} sent {name}, which {entry.owner} has claimed")
        if entry.state.unresolved:
            self._break("unresolved", f"{name} was sent while it was unresolved")
        if entry.state.status in DONE or entry.state.status in PLACED:
            self._break("claim", f"{name} was sent while it was {entry.state.status}")
        if sending.sent_wall_ns < entry.intent.bell_ns:
            self._break("claim", f"{name} was sent before the instant that its claim names")
        if (entry.intent.order.price, entry.intent.order.quantity) != _wire_terms(sending):
            self._break("claim", f"{name} was sent with other numbers than were claimed")
        self._judge_stop(sending)
        siblings = world.truth.entries(login=entry.intent.login)
        for other in siblings:
            if other.state.unresolved and other.intent.order.client_order_id != name:
                self._break("unresolved", f"{name} was sent while {other.intent.order.client_order_id} was unresolved")
        self._judge_order(sending)
        self._judge_earlier(sending, siblings)

    def _judge_stop(self, sending: Sending) -> None:
        """Nothing leaves once its process was stopped, nor later than 100 ms after a halt."""
        world, name = self._world, sending.client_order_id
        stopped_ns = world.interrupts[sending.process].stopped_ns
        if stopped_ns is not None and sending.sent_ns > stopped_ns:
            self._break("stop", f"{name} left {(sending.sent_ns - stopped_ns) / 1e6:.1f} ms after its run was stopped")
        for halted_ns, until_ns in world.halts:
            if halted_ns + _HALT_NS < sending.sent_ns and (until_ns is None or sending.sent_ns < until_ns):
                self._break("halt", f"{name} left {(sending.sent_ns - halted_ns) / 1e6:.1f} ms after the halt")

    def _judge_order(self, sending: Sending) -> None:
        """Its price lies in a band that held lately, and its login could pay for all that it has at work."""
        world, order = self._world, sending.prepared.order
        since_ns = min(sending.sent_ns, BELL_NS) - _FRESH_NS
        bands = _held_since(world.bands[order.instrument], since_ns)
        if not any(band.holds(order.price) for band in bands):
            self._break("band", f"{order.client_order_id} at {order.price} is in no band of the last minute")
        account = self._account(sending)
        if order.side is Side.BUY:
            sold = sum(
                (each.filled_value for each in world.exchange.orders_of(account) if each.side is Side.SELL), Decimal(0)
            )
            most = max(_held_since(world.money[account], since_ns)) + sold
            rate = fee_rate(world.scenario.settings.firstbell.market, Side.BUY)
            orders = {
                each.client_order_id: each.prepared.order
                for each in world.sendings
                if self._account(each) == account and each.prepared.order.side is Side.BUY and not each.refused
            }
            needed = sum((cost(each.quantity, each.price, rate) for each in orders.values()), Decimal(0))
            if needed > max(most, Decimal(0)) and self._by_one_process(orders, sending.process):
                self._break("money", f"{order.client_order_id} makes {needed} rials of orders, {most} were there")

    def _by_one_process(self, names: Iterable[str], process: Process) -> bool:
        return all(each.process is process for each in self._world.sendings if each.client_order_id in set(names))

    def _judge_earlier(self, sending: Sending, siblings: Iterable[Entry]) -> None:
        """What was sent before it: the interval, certain refusals, and that no accepted order is unknown."""
        world, name = self._world, sending.client_order_id
        account = self._account(sending)
        known = {entry.intent.order.client_order_id for entry in siblings if entry.state.status in PLACED}
        interval_ns = world.scenario.settings.broker(sending.prepared.order.broker_code).min_interval_ms * 1_000_000
        for earlier in world.sendings[:-1]:
            if self._account(earlier) != account:
                continue
            after_ns = sending.sent_ns - earlier.sent_ns
            if earlier.process is sending.process and after_ns < interval_ns:
                self._break("interval", f"{name} left {after_ns / 1e6:.1f} ms after {earlier.client_order_id}")
            waited_ns = sending.sent_ns - (earlier.ended_ns or 0)
            if earlier.client_order_id == name and waited_ns < earlier.pause_s * NS:
                self._break("pause", f"{name} left after {waited_ns / 1e9:.3f} s of {earlier.pause_s} s of pause")
            if self._plan(earlier) == self._plan(sending) and not earlier.refused and not self._absent(earlier):
                self._break("resent", f"{name} left again, though sending {earlier.number} was not refused for certain")
            if earlier.serial is not None and earlier.client_order_id not in known:
                self._break(
                    "unknown", f"{name} left while nobody knew that {earlier.client_order_id} had been accepted"
                )

    def _absent(self, sending: Sending) -> bool:
        """Whether the lists have shown by now that a sending is not at the exchange."""
        return sending.serial is None and self._missed(sending, self._world.loop.now_ns)

    def _missed(self, sending: Sending, until_ns: int) -> bool:
        """Whether one process saw the whole list often enough, for long enough, without the order."""
        account, by_process = self._account(sending), defaultdict[object, list[int]](list)
        for process, of, asked_ns, came_ns in self._world.looks:
            if of == account and asked_ns > sending.sent_ns and came_ns <= until_ns:
                by_process[process].append(came_ns)
        return any(
            len(looks) >= _LOOKS and looks[-1] - looks[0] >= _ABSENT_NS - _SLACK_NS for looks in by_process.values()
        )

    # --- when it is over

    def conclude(self) -> None:
        """Judge the whole history."""
        entries = self._world.truth.entries()
        self._judge_exchange(entries)
        self._judge_entries(entries)
        self._judge_attempts(entries)
        for report in self._world.reports:
            self._judge_report(report)
        self._judge_secrets()

    def _ours(self) -> dict[int, Sending]:
        """Every order at the exchange that we sent, by its number there."""
        return {each.serial: each for each in self._world.sendings if each.serial is not None}

    def _judge_exchange(self, entries: Iterable[Entry]) -> None:
        """At most one accepted order a plan, and each of them known with its id, price and quantity."""
        world, ours = self._world, self._ours()
        by_name = {entry.intent.order.client_order_id: entry for entry in entries}
        plans = defaultdict[tuple[str, ...], list[int]](list)
        for serial, order in world.exchange.orders.items():
            if serial in world.manual:
                continue
            sending = ours.get(serial)
            if sending is None:
                self._break("lost", f"{serial} is at the exchange, and nobody sent it")
                continue
            plans[self._plan(sending)].append(serial)
            self._judge_known(order, sending, by_name)
        for plan, serials in plans.items():
            if len(serials) > 1:
                self._break("duplicate", f"the plan {' '.join(plan)} was accepted {len(serials)} times: {serials}")

    def _judge_known(self, order: ExchangeOrder, sending: Sending, by_name: Mapping[ClientOrderId, Entry]) -> None:
        name = sending.prepared.order.client_order_id
        entry = by_name.get(name)
        if entry is None:
            self._break("lost", f"{order.serial} is at the exchange, and the journal does not know {name}")
            return
        stands = entry.state.status
        if stands in DONE and stands not in PLACED:
            self._break("lie", f"{name} is {stands} in the journal ({entry.state.reason}), and {order.serial} there")
        elif stands not in PLACED and not self._stands_in_the_way(entry):
            self._break("lost", f"{name} is {stands} in the journal at the end, and {order.serial} at the exchange")
        elif stands in PLACED and entry.state.venue_order_id != str(order.serial):
            self._break("lost", f"{name} is {order.serial} at the exchange, and {entry.state.venue_order_id} to us")
        if (entry.intent.order.price, entry.intent.order.quantity) != (order.price, order.quantity):
            self._break("lie", f"{name} is {order.quantity} at {order.price} at the exchange, and not in the journal")

    def _judge_entries(self, entries: Iterable[Entry]) -> None:
        """Nothing accepted that is not there, nothing unresolved for ever, nothing absent too soon."""
        world = self._world
        names = {each.client_order_id for each in self._ours().values()}
        for entry in entries:
            name, state = entry.intent.order.client_order_id, entry.state
            if state.status in PLACED and name not in names:
                self._break("lie", f"{name} is {state.status} in the journal, and the exchange never had it")
            if state.unresolved and not self._stands_in_the_way(entry):
                self._break("unresolved", f"{name} is unresolved at the end ({state.reason})")
            if state.status in {OrderStatus.INITIALIZED, OrderStatus.SUBMITTED} and not state.unresolved:
                self._break("unresolved", f"{name} is {state.status} at the end, and nobody looks after it")
            if state.status is OrderStatus.REJECTED and "absent" in (state.reason or ""):
                at_ns = self._written_ns(name)
                for sending in world.sendings:
                    if sending.client_order_id == name and not sending.refused and not self._missed(sending, at_ns):
                        self._break("absent", f"{name} was called absent too soon: {state.reason}")

    def _written_ns(self, name: str) -> int:
        """When an order's last report was written, in ns since the history began."""
        world = self._world
        row = world.database.connection.execute(
            "SELECT at FROM reports WHERE client_order_id = ? ORDER BY seq DESC LIMIT 1", (name,)
        ).fetchone()
        return world.loop_ns(row["at"])

    def _stands_in_the_way(self, entry: Entry) -> bool:
        """Whether an order of the user's own, of the same instrument and side, keeps it unresolved by design."""
        order, known = entry.intent.order, entry.intent.known_ids or frozenset()
        account = self._exchange_account(entry)
        for other in self._world.exchange.orders_of(account):
            alike = (other.instrument, other.side) == (order.instrument, order.side)
            if other.serial in self._world.manual and alike and str(other.serial) not in known:
                return True
        return False

    def _exchange_account(self, entry: Entry) -> str:
        order = entry.intent.order
        of = next(a for a in self._world.scenario.settings.enabled if a.name == order.account)
        return f"{of.broker_code}/{of.username}"

    def _judge_attempts(self, entries: Iterable[Entry]) -> None:
        """The journal's attempts are those that the wire saw, but for what was killed or could not be written."""
        of_name: defaultdict[str, list[Sending]] = defaultdict(list)
        for sending in self._world.sendings:
            of_name[sending.client_order_id].append(sending)
        for entry in entries:
            name = entry.intent.order.client_order_id
            sent = {each.sent_wall_ns: each for each in of_name[name]}
            written = [each for each in entry.state.attempts if each.outcome is not AttemptOutcome.NOT_SENT]
            for attempt in written:
                if attempt.sent_ns not in sent:
                    self._break("attempts", f"the journal has an attempt at {name} that the wire never saw")
            missing = set(sent) - {attempt.sent_ns for attempt in written}
            for at_ns in sorted(missing):
                process = sent[at_ns].process
                if not process.killed and not process.failures and not self._left_alone(sent[at_ns]):
                    self._break("attempts", f"sending {sent[at_ns].number} of {name} is not in the journal")
            if len(sent) > self._world.scenario.settings.risk.max_attempts_per_order:
                self._break("attempts", f"{name} was sent {len(sent)} times, more than the budget allows")
            refused = [each for each in of_name[name] if each.fate.answer == "refusal 401"]
            if len(refused) > 2:  # noqa: PLR2004 - once, and once more after a new log-in
                self._break("attempts", f"{name} was refused for its token {len(refused)} times")

    @staticmethod
    def _left_alone(sending: Sending) -> bool:
        """Whether its process ended before the sending could be written down, as one that is stopped does after 8 s."""
        return sending.ended_ns is None or sending.process.exited_ns - sending.ended_ns < NS // 10

    def _judge_report(self, report: Report) -> None:
        rows = report.document["orders"]
        summary = report.document["summary"]
        counted = sum(summary[name] for name in ("accepted", "rejected", "unresolved", "not_sent"))
        configured = {account.name for account in self._world.scenario.settings.enabled}
        if counted != summary["configured"] or {row["account"] for row in rows} != configured:
            self._break("report", f"{report.run_id} reports {counted} of {summary['configured']} orders")
        accepted = {each.client_order_id: each for each in self._world.sendings if each.serial is not None}
        for row in rows:
            self._judge_row(report, row, accepted)

    def _judge_row(self, report: Report, row: Mapping[str, Any], accepted: Mapping[str, Sending]) -> None:
        name, outcome = row["client_order_id"], row["outcome"]
        words = f"{report.by.name} reports {row['account']} {outcome} ({row['reason']})"
        there = accepted.get(name)
        if outcome == "accepted":
            if there is None or there.arrived_ns is None or there.arrived_ns > report.at_ns:
                self._break("lie", f"{words}, and {name} is not at the exchange")
            elif row["venue_order_id"] not in {None, str(there.serial)}:
                self._break("lie", f"{words} as {row['venue_order_id']}, and it is {there.serial}")
            return
        if outcome in {"rejected", "not_sent"} and name is not None and there is not None:
            early = outcome == "not_sent" and "armed; waiting for the bell" in (row["reason"] or "")
            if not early or there.sent_ns < report.at_ns:
                self._break("lie", f"{words}, and {name} is {there.serial} at the exchange")
        if outcome == "not_sent" and name is None and report.final:
            self._judge_nothing_sent(report, row, words)

    def _judge_nothing_sent(self, report: Report, row: Mapping[str, Any], words: str) -> None:
        """An account of which a run says that nothing was sent: nothing of it was sent by that run."""
        for sending in self._world.sendings:
            order = sending.prepared.order
            of_run = sending.process.name.startswith(f"{report.run_id}/")
            if of_run and order.account == row["account"] and sending.serial is not None:
                self._break("lie", f"{words}, and it sent {sending.client_order_id}")

    def _judge_secrets(self) -> None:
        world = self._world
        secrets = [*world.scenario.passwords, *world.tokens()]
        texts = [*world.database.everything(), *(json.dumps(each.document) for each in world.reports)]
        for text in texts:
            if any(secret in text for secret in secrets):
                self._break("secret", f"a secret stands in {text[:60]} …")

    # --- who is who

    def _account(self, sending: Sending) -> str:
        """The exchange account that a sending was for, by the section it belongs to."""
        order = sending.prepared.order
        of = next(a for a in self._world.scenario.settings.enabled if a.name == order.account)
        return f"{of.broker_code}/{of.username}"

    def _plan(self, sending: Sending) -> tuple[str, ...]:
        """Which plan a sending carries out: login, instrument, side and slice, whatever name it goes by."""
        order = sending.prepared.order
        found = _SLICE.search(_ROUND.sub("", sending.client_order_id))
        return self._account(sending), order.instrument, order.side.value, found.group(1) if found else "?"


def _wire_terms(sending: Sending) -> tuple[Decimal, Decimal]:
    """Price and quantity as they stand in the bytes."""
    body = json.loads(sending.prepared.body)
    return Decimal(body["price"]), Decimal(body["volume"])


def _held_since(history: list[tuple[int, Any]], since_ns: int) -> list[Any]:
    """Every value that held at some time since an instant."""
    kept = [value for at_ns, value in history if at_ns >= since_ns]
    before = [value for at_ns, value in history if at_ns < since_ns]
    return [*before[-1:], *kept]
