"""The solver that the config asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.brokers.captcha.command import CommandSolver
from firstbell.brokers.captcha.prompt import PromptSolver
from firstbell.brokers.captcha.url import UrlSolver
from firstbell.config import CaptchaSolverKind

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.brokers.captcha.solver import CaptchaSolver
    from firstbell.config import CaptchaSettings


def make_solver(settings: CaptchaSettings, state_dir: Path) -> CaptchaSolver:
    """Make the solver of ``[captcha]``.

    Args:
        settings: The section.
        state_dir: Where pictures for people and locks lie.

    Raises:
        CaptchaError: The command or the address cannot be used.
    """
    if settings.solver is CaptchaSolverKind.COMMAND and settings.command is not None:
        return CommandSolver(settings.command)
    if settings.solver is CaptchaSolverKind.URL and settings.url is not None:
        return UrlSolver(settings.url.get_secret_value())
    return PromptSolver(state_dir)
