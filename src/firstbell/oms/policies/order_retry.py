"""An order through a function of the caller's own, with retries and fallbacks: for scripts and for trying things out.

The door for real orders is the order manager: it claims each of them in the journal first, so that no second process,
and no second run, can send one twice. Nothing here does that; what is shared with the manager are the rules of what may
be sent again, and what may be tried instead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Generic

from firstbell.brokers.base import Outcome
from firstbell.clock import SystemClock
from firstbell.errors import BrokerError, NotSent, RateLimited, Refused, TokenEnded, WrongPassword
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.order import Order
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.orders.response import OrderResponse
from firstbell.oms.policies.exposure import Exposure
from firstbell.oms.policies.fallback import NO_MEANS, A, ManualIntervention, applied, propose
from firstbell.oms.policies.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from firstbell.clock import Clock
    from firstbell.oms.policies.fallback import Fallback, FallbackConfig, Means
    from firstbell.oms.policies.pricing import Market
    from firstbell.oms.policies.retry import RetryConfig


@dataclass(frozen=True, slots=True)
class Try(Generic[A]):
    """One call of the caller's function.

    Attributes:
        order: What it was called with.
        outcome: What it came to; `NOT_SENT` where not one byte left.
        placed: How much of it was accepted, in shares: an order manager may have placed less than was asked for.
    """

    order: A
    outcome: Outcome
    placed: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class RetryResult(Generic[A]):
    """What became of an order.

    Attributes:
        outcome: What the last call came to.
        tries: Every call, in order.
        placed: How much of it was accepted, in shares, whatever the last call came to.
        left: What was not tried any more: parts of it after one that was not accepted.
        intervention: Why a person has to look, if one has to.
    """

    outcome: Outcome
    tries: tuple[Try[A], ...]
    placed: Decimal
    left: tuple[A, ...] = ()
    intervention: ManualIntervention | None = None

    @property
    def is_success(self) -> bool:
        """Whether all that was tried last was accepted, and nothing is left."""
        return self.outcome.outcome is AttemptOutcome.ACCEPTED and not self.left


class OrderRetryHandler:
    """Sends what is certainly not placed again, and tries something else after a certain refusal.

    Args:
        retry_config: How often, and after which pauses.
        fallback_config: What may be tried instead.
        clock: Pauses.
        chance: Where chance comes from.
    """

    def __init__(
        self,
        retry_config: RetryConfig,
        fallback_config: FallbackConfig,
        *,
        clock: Clock | None = None,
        chance: Random | None = None,
    ) -> None:
        self._retry = retry_config
        self._fallback = fallback_config
        self._clock = clock or SystemClock()
        self._backoff = Backoff(retry_config, chance)

    def execute_with_retry(
        self,
        order: A,
        execute_function: Callable[[A], Outcome | OrderResponse],
        *,
        market: Callable[[], Market] | None = None,
        means: Callable[[], Means] | None = None,
    ) -> RetryResult[A]:
        """Send an order until it is accepted, refused for good, or nobody knows what became of it.

        Args:
            order: The order, or the request for one.
            execute_function: Sends one order once, and says what the broker's answer means or raises `BrokerError`.
                What is not certain (`NoAnswer`, `UNRESOLVED`) is never sent again, and nothing is sent after it. An
                order manager's `place` may be given too: it is called once, for it tries again by itself.
            market: Reads instrument and quote for fallbacks; without it there are none.
            means: Reads buying power and holding, likewise.

        Returns:
            The last outcome, and every call. Orders that fallbacks made have names of their own.
        """
        tries: list[Try[A]] = []
        waiting: deque[A] = deque([order])
        following: tuple[A, ...]
        fallback: Fallback | None = None
        placed, refusals, made = Decimal(0), 0, 0
        while waiting:
            current = waiting.popleft()
            outcome = self._send(current, execute_function, tries)
            placed += tries[-1].placed
            if outcome.outcome is AttemptOutcome.ACCEPTED:
                continue
            if outcome.outcome is not AttemptOutcome.REJECTED or market is None:
                break
            refusals += 1
            told = NO_MEANS if means is None else means()
            fallback = propose(order, current, outcome.kind, refusals, market(), self._fallback, told)
            following = () if fallback is None else applied(current, fallback)
            total = sum((each.quantity for each in (*following, *waiting)), Decimal(0))
            if not following:
                break
            if (why := Exposure(order.quantity, working=placed).why_not(total)) is not None:
                fallback = ManualIntervention(why)
                break
            waiting.extendleft(
                reversed([_named(each, order, made + number) for number, each in enumerate(following, 1)])
            )
            made += len(following)
        person = fallback if isinstance(fallback, ManualIntervention) else None
        return RetryResult(tries[-1].outcome, tuple(tries), placed, tuple(waiting), person)

    def _send(self, order: A, execute: Callable[[A], Outcome | OrderResponse], tries: list[Try[A]]) -> Outcome:
        """One order, again while it is certainly not placed and the refusal is one that passes."""
        attempts = 0
        while True:
            attempts += 1
            outcome, placed = _outcome_of(order, execute)
            tries.append(Try(order, outcome, placed))
            asked_for = outcome.retry_after or 0.0
            passes = outcome.outcome is AttemptOutcome.NOT_SENT or (
                outcome.outcome is AttemptOutcome.REJECTED and outcome.again and not outcome.token_ended
            )
            if not passes or attempts >= self._retry.max_attempts or asked_for > self._retry.max_delay:
                return outcome
            self._clock.sleep(max(self._backoff.after(attempts), asked_for))


def _outcome_of(order: A, execute: Callable[[A], Outcome | OrderResponse]) -> tuple[Outcome, Decimal]:
    """What one call came to, and how many shares were accepted.

    What is not known for certain to be refused, or not to have left, is unresolved.
    """
    try:
        answer = execute(order)
    except NotSent as error:
        outcome = Outcome(AttemptOutcome.NOT_SENT, message=str(error))
    except RateLimited as error:
        outcome = Outcome(AttemptOutcome.REJECTED, message=str(error), again=True, kind=RefusalKind.RATE)
        outcome = replace(outcome, retry_after=error.retry_after)
    except (TokenEnded, WrongPassword) as error:
        outcome = Outcome(AttemptOutcome.REJECTED, error.code, str(error), kind=RefusalKind.AUTHENTICATION)
    except Refused as error:
        outcome = Outcome(AttemptOutcome.REJECTED, error.code, str(error))
    except BrokerError as error:
        outcome = Outcome(AttemptOutcome.UNRESOLVED, message=str(error))
    else:
        outcome = _meant(answer)
        if outcome.outcome is AttemptOutcome.ACCEPTED:
            return outcome, answer.placed if isinstance(answer, OrderResponse) else order.quantity
    return outcome, Decimal(0)


def _meant(answer: object) -> Outcome:
    """What came of a call that raised nothing; what says nothing of it leaves it unresolved."""
    if isinstance(answer, Outcome):
        return answer
    if not isinstance(answer, OrderResponse):
        words = f"the function brought {type(answer).__name__}, no Outcome: nobody knows what became of the order"
        return Outcome(AttemptOutcome.UNRESOLVED, message=words)
    if answer.is_unresolved:
        outcome = AttemptOutcome.UNRESOLVED
    else:
        outcome = AttemptOutcome.ACCEPTED if answer.is_success else AttemptOutcome.REJECTED
    return Outcome(outcome, message=answer.message, venue_order_id=answer.venue_order_id)


def _named(each: A, asked: A, number: int) -> A:
    """An order with a name of its own, made of the name of what was asked for; a request without a key has none."""
    if isinstance(asked, Order):
        return replace(each, client_order_id=ClientOrderId(f"{asked.client_order_id}-f{number}"))
    return each if asked.key is None else replace(each, key=f"{asked.key}-f{number}")
