"""Measures firstbell side by side with what one would write instead, on this machine, in one run.

`__main__` reads the command line; one module a part: `volley`, `lanes`, `warmup`, `memory`, `clock`, `safety`.
What is measured against stands in `contenders/`, each in a process of its own; who receives, in `recorder`; `report`
writes ``docs/performance.md``. Nothing here judges: figures and ratios are written down, and nothing fails for being
slow.
"""
