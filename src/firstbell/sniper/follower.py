"""Following a run while it goes on: its results on disk, its workers, and whether it is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust.runners import STATE_RUNNING, LocalRunner

from firstbell.errors import FirstbellError
from firstbell.sniper import results

if TYPE_CHECKING:
    from locust.runners import Runner

    from firstbell.journal.base import RunRecord
    from firstbell.oms.office import Office
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.dealing.overseer import Overseer
    from firstbell.sniper.volley import Volley

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
LOOK_EVERY_S: Final = 0.25
"""How often the results are brought up to date."""
QUIET_FROM_S: Final = 1.5
QUIET_UNTIL_S: Final = 0.2
"""From this long before anything leaves until this long after it, nothing but the orders happens."""
GLANCE_EVERY_S: Final = 0.05
"""How often a master looks meanwhile whether its workers live."""
GIVE_WAY_S: Final = 0.001
"""So long at the least others have their turn before an order that is late is looked for again."""
LOOK_AT_LEAST_S: Final = 5.0
"""The results are brought up to date this often even while one attempt follows the other."""
GRACE_S: Final = 90.0
"""How long after its time to give up a run may take to say what it knows, log-ins of a late start included."""
_COSTS_AT_MOST: Final = 20
"""Between two looks at the results passes this many times what one takes."""


class Follower:
    """Follows one run from the process that conducts it.

    Args:
        office: The opened rooms of the config.
        context: The run.
        runner: Locust's side of it.
        volley: Fires what this process fires.
        overseer: Watches the workers, where there are any.
    """

    def __init__(
        self, office: Office, context: RunContext, runner: Runner | None, volley: Volley, overseer: Overseer | None
    ) -> None:
        self._office = office
        self._context = context
        self._runner = runner
        self._volley = volley
        self._overseer = overseer
        self.document: dict[str, Any] | None = None
        """The results as they were last written."""

    def bring_up_to_date(self, *, ended: bool, as_of_ns: int | None = None) -> results.RunView:
        """Write ``orders.json`` anew if anything has changed.

        Args:
            ended: Whether nothing of this run can leave any more.
            as_of_ns: The instant as of which it is told; now by default.

        Raises:
            FirstbellError: The journal cannot be read, or the results not be written.
        """
        now_ns = self._office.clock.wall_ns() if as_of_ns is None else as_of_ns
        run = results.view(self._office.journal, self._record(), ended=ended, now_ns=now_ns)
        document = results.document(run, self._office.calendar.tz)
        if document != self.document:
            results.write(self._office.settings.firstbell.results_dir, document)
            self.document = document
        return run

    def follow(self) -> None:
        """Keep the results up to date until every account is done, the time is up, or the run is stopped."""
        context, clock = self._context, self._context.clock
        bell_ns = context.monotonic_of(context.bell_ns)
        up_ns = max(bell_ns, clock.monotonic_ns()) + context.give_up_ns + int(GRACE_S * _NS)
        looked_ns = next_look_ns = 0
        while clock.monotonic_ns() < up_ns and not context.interrupt.is_set():
            next_ns = self._next_ns()
            if next_ns is not None and next_ns - clock.monotonic_ns() < QUIET_FROM_S * _NS:
                # Whoever reads it during the volley, or after a kill, is told that the armed orders may have left.
                if clock.monotonic_ns() - looked_ns > LOOK_AT_LEAST_S * _NS:
                    self._look(as_of_ns=max(context.bell_ns, clock.wall_ns()))
                    looked_ns = clock.monotonic_ns()
                self._keep_quiet(next_ns)
                continue
            if self._overseer is not None:
                self._overseer.look()
            began_ns = clock.monotonic_ns()
            if began_ns >= next_look_ns:
                if self._is_over():
                    return
                # With a thousand accounts a look takes long, and others need the processor.
                next_look_ns = clock.monotonic_ns() + _COSTS_AT_MOST * (clock.monotonic_ns() - began_ns)
            gevent.sleep(LOOK_EVERY_S)

    def _record(self) -> RunRecord:
        record = self._office.journal.run(self._context.run_id)
        if record is None:
            raise FirstbellError(f"the run {self._context.run_id} is not in the journal")
        return record

    def _next_ns(self) -> int | None:
        """When something leaves next, on the monotonic clock, in this process or in the workers'."""
        if self._overseer is None:
            return self._volley.next_ns()
        context = self._context
        bell_ns = context.monotonic_of(context.bell_ns)
        rung = context.at_once or context.clock.monotonic_ns() > bell_ns
        return None if rung else bell_ns

    def _keep_quiet(self, next_ns: int) -> None:
        """Let nothing happen until just after the next orders; only see whether the workers live.

        Others have their turn in any case: an order that is late has not left yet, and needs it.
        """
        gevent.sleep(GIVE_WAY_S)
        until_ns, clock = next_ns + int(QUIET_UNTIL_S * _NS), self._context.clock
        while (left_ns := until_ns - clock.monotonic_ns()) > 0 and not self._context.interrupt.is_set():
            if self._overseer is None:
                gevent.sleep(left_ns / _NS)
            else:
                self._overseer.glance()
                gevent.sleep(min(GLANCE_EVERY_S, left_ns / _NS))

    def _look(self, as_of_ns: int | None = None) -> results.RunView | None:
        try:
            return self.bring_up_to_date(ended=False, as_of_ns=as_of_ns)
        except FirstbellError as error:
            # The orders go on: results that cannot be written now may be written at the end, or by `reconcile`.
            _log.error("%s", error)
            return None

    def _is_over(self) -> bool:
        """Whether every account is done, or no user is left that could still do anything."""
        run = self._look()
        if run is not None and run.finished:
            return True
        runner = self._runner
        return isinstance(runner, LocalRunner) and runner.state == STATE_RUNNING and runner.user_count == 0
