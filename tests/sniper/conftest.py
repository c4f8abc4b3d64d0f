"""Locust is first imported here, whichever test of this folder runs first or alone: see `sniper_locust`."""

import sniper_locust as _sniper_locust  # noqa: F401 - for what importing it does
