"""Writing things down for people: the run log, event logs, and the one boundary at which secrets are removed.

Whatever firstbell writes outside the cache goes through `redact` or `redact_value`. Whoever learns a secret says so
with `hide`.
"""

from __future__ import annotations

from firstbell.log.escape import json_line, json_lines, lines, one_line
from firstbell.log.events import EventLog, TextLog, event_line, text_line
from firstbell.log.redaction import redact, redact_value
from firstbell.log.rotation import Rotation, older_parts
from firstbell.log.run_log import complain, guard, guard_tracebacks, set_up
from firstbell.log.secrets import hide

__all__ = [
    "EventLog",
    "Rotation",
    "TextLog",
    "complain",
    "event_line",
    "guard",
    "guard_tracebacks",
    "hide",
    "json_line",
    "json_lines",
    "lines",
    "older_parts",
    "one_line",
    "redact",
    "redact_value",
    "set_up",
    "text_line",
]
