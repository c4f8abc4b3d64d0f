"""firstbell: first in the queue at the opening bell, on every one of your own accounts, exactly once each.

The rooms of this package stand on floors and import only downwards; ``docs/architecture.md`` draws them.
"""

__version__ = "0.1.0"
