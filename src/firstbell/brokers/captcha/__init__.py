"""Captchas: nothing here reads one. A person does, or a solver that the user plugs in."""

from __future__ import annotations

from firstbell.brokers.captcha.make import make_solver
from firstbell.brokers.captcha.nobody import Nobody
from firstbell.brokers.captcha.solver import CaptchaSolver, TakesTurns, taken

__all__ = ["CaptchaSolver", "Nobody", "TakesTurns", "make_solver", "taken"]
