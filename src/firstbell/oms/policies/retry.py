"""When to try again: the pauses between attempts, and the loop around reads.

The pauses are tenacity's. Whether an *order* may leave again is never asked here: `firstbell.oms.decision` says that of
all orders, and `firstbell.oms.attempts` sends them; what stands here only makes that wait, through `BackoffAim`.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_exponential, wait_fixed, wait_incrementing, wait_none

from firstbell.errors import NoAnswer, NotSent, RateLimited
from firstbell.model.policies import RetryStrategy
from firstbell.oms.policies.given import real, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.clock import Clock
    from firstbell.config import RetrySettings

__all__ = ["Backoff", "BackoffAim", "RetryConfig", "RetryStrategy", "read_with_retry"]

T = TypeVar("T")

_NS: Final = 1_000_000_000
_LONGEST_S: Final = 86_400.0
_LARGEST: Final = 100.0


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often, and after which pauses. Times are in seconds.

    Attributes:
        strategy: How the pauses grow.
        max_attempts: How often at most, the first time counted.
        base_delay: The first pause.
        max_delay: No pause is longer.
        backoff_multiplier: For the exponential one: each pause is so many times the one before it.
        jitter: Up to this part of each pause is left out, by chance.

    Raises:
        ValueError: A number is out of its range.
    """

    strategy: RetryStrategy = RetryStrategy.EXPONENTIAL_BACKOFF
    max_attempts: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0
    backoff_multiplier: float = 2.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "strategy", RetryStrategy(self.strategy))
        object.__setattr__(self, "max_attempts", whole("max_attempts", self.max_attempts))
        for name in ("base_delay", "max_delay", "backoff_multiplier", "jitter"):
            object.__setattr__(self, name, real(name, getattr(self, name)))
        for name, fits in (
            ("base_delay", 0 <= self.base_delay <= self.max_delay),
            ("max_delay", 0 <= self.max_delay <= _LONGEST_S),
            ("backoff_multiplier", 1 <= self.backoff_multiplier <= _LARGEST),
            ("jitter", 0 <= self.jitter <= 1),
        ):
            if not fits:
                raise ValueError(f"{name} cannot be {getattr(self, name)}")

    @classmethod
    def of(cls, section: RetrySettings) -> RetryConfig:
        """What a config's ``[retry]`` asks for."""
        return cls(
            section.strategy,
            section.max_attempts,
            section.base_delay.total_seconds(),
            section.max_delay.total_seconds(),
            float(section.backoff_multiplier),
            float(section.jitter),
        )


class Backoff(wait_base):
    """The pauses of a strategy, as tenacity takes them: capped, and made a little shorter by chance.

    Args:
        config: How they grow.
        chance: Where chance comes from; a seeded one makes the same pauses again.
    """

    def __init__(self, config: RetryConfig, chance: Random | None = None) -> None:
        self._jitter = config.jitter
        self._chance = chance or Random()  # noqa: S311 - it spreads pauses, and guards nothing  # nosec B311
        self._longest = config.max_delay
        self._pauses = _pauses(config)

    def __call__(self, retry_state: RetryCallState) -> float:
        """The pause after an attempt, in seconds."""
        pause = min(self._pauses(retry_state), self._longest)
        # Shorter, never longer: so the cap holds, and what has reached it is spread as well.
        return pause * (1 - self._jitter * self._chance.random())

    def after(self, attempt: int) -> float:
        """The pause after the attempt of that number, in seconds; 1 is the first."""
        state = RetryCallState(_NOBODY, None, (), {})
        state.attempt_number = attempt
        return self(state)


_NOBODY: Final = Retrying()
"""The loop that pauses are asked for where there is none."""


def _pauses(config: RetryConfig) -> wait_base:
    base, longest = config.base_delay, config.max_delay
    match config.strategy:
        case RetryStrategy.EXPONENTIAL_BACKOFF:
            return wait_exponential(multiplier=base, exp_base=config.backoff_multiplier, max=longest)
        case RetryStrategy.LINEAR_BACKOFF:
            return wait_incrementing(start=base, increment=base, max=longest)
        case RetryStrategy.FIXED_DELAY:
            return wait_fixed(base)
        case RetryStrategy.IMMEDIATE:
            return wait_none()


class BackoffAim:
    """An `Aim` by our own clock, for one order: each further attempt waits as long as the strategy says.

    Args:
        bell_ns: The instant from which lateness counts, in ns since the epoch.
        config: How the pauses grow.
        chance: Where chance comes from.
    """

    def __init__(self, bell_ns: int, config: RetryConfig, chance: Random | None = None) -> None:
        self._bell_ns = bell_ns
        self._config = config
        self._chance = chance
        self._backoff: Backoff | None = None
        self._attempts = 0

    @property
    def bell_ns(self) -> int:
        """The instant from which lateness counts, in ns since the epoch."""
        return self._bell_ns

    def arrival_ns(self, sent_ns: int, sent_monotonic_ns: int) -> int:
        """The instant of sending itself."""
        del sent_monotonic_ns
        return sent_ns

    def again_ns(self, not_before_ns: int) -> int:
        """One pause after the instant from which on it is allowed, on the monotonic clock; the next one is longer."""
        self._attempts += 1
        if self._backoff is None:
            # Nearly every order leaves once, and never comes here.
            self._backoff = Backoff(self._config, self._chance)
        return not_before_ns + round(self._backoff.after(self._attempts) * _NS)

    def was_too_early(self, sent_monotonic_ns: int) -> None:
        """Nothing to learn: there is no estimate to mend."""


def read_with_retry(call: Callable[[], T], config: RetryConfig, clock: Clock, chance: Random | None = None) -> T:
    """Read something of a broker (a list, a quote, the buying power), and again where that failed for a while.

    For reads alone. An order never goes through here: what got no answer may have been placed.

    Args:
        call: The read.
        config: How often, and after which pauses.
        clock: Pauses.
        chance: Where chance comes from.

    Raises:
        NotSent: The last attempt did not leave.
        NoAnswer: The last attempt got no answer.
        RateLimited: Too many calls to the last; or the broker asks for a pause longer than `RetryConfig.max_delay`,
            which is not waited for here.
        BrokerError: Whatever else the broker says, at once.
    """
    loop = Retrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(config.max_attempts) | _TooLong(config.max_delay),
        wait=_AsAsked(Backoff(config, chance)),
        retry=retry_if_exception_type((NotSent, NoAnswer, RateLimited)),
        reraise=True,
    )
    return loop(call)


class _AsAsked(wait_base):
    """No less than the broker asks for."""

    def __init__(self, otherwise: wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: RetryCallState) -> float:
        return max(self._otherwise(retry_state), _asked_for(retry_state))


class _TooLong(stop_base):
    """The broker asks for more than we wait by ourselves."""

    def __init__(self, longest: float) -> None:
        self._longest = longest

    def __call__(self, retry_state: RetryCallState) -> bool:
        return _asked_for(retry_state) > self._longest


def _asked_for(retry_state: RetryCallState) -> float:
    error = None if retry_state.outcome is None else retry_state.outcome.exception()
    return (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0
