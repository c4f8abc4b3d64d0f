from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.config import RetrySettings
from firstbell.errors import BrokerError, NoAnswer, NotSent, RateLimited, Refused, TokenEnded, Unreadable, WrongPassword
from firstbell.oms.policies.retry import Backoff, BackoffAim, RetryConfig, RetryStrategy, read_with_retry

S = 1_000_000_000


def pauses(strategy, count=7, **given):
    backoff = Backoff(RetryConfig(strategy, **{"jitter": 0.0, **given}))
    return [backoff.after(number) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        (RetryStrategy.EXPONENTIAL_BACKOFF, [1, 2, 4, 8, 16, 30, 30]),
        (RetryStrategy.LINEAR_BACKOFF, [1, 2, 3, 4, 5, 6, 7]),
        (RetryStrategy.FIXED_DELAY, [1] * 7),
        (RetryStrategy.IMMEDIATE, [0] * 7),
    ],
)
def test_pauses_grow_as_their_strategy_says(strategy, seconds):
    assert pauses(strategy) == seconds


def test_no_pause_is_longer_than_the_longest():
    assert pauses("linear_backoff", base_delay=10, max_delay=25) == [10, 20, 25, 25, 25, 25, 25]
    assert pauses("exponential_backoff", 3, base_delay=2, backoff_multiplier=10, max_delay=50) == [2, 20, 50]
    assert pauses("exponential_backoff", 1, max_attempts=10_000)[0] == 1
    assert Backoff(RetryConfig(jitter=0.0)).after(100_000) == 30
    assert pauses("fixed_delay", 2, base_delay=0, max_delay=0) == [0, 0]


def test_chance_with_a_seed_makes_the_same_pauses_again():
    def made(seed):
        backoff = Backoff(RetryConfig(jitter=0.5), Random(seed))  # noqa: S311 - it spreads pauses
        return [backoff.after(number) for number in range(1, 6)]

    assert made(7) == made(7) != made(8)


@given(
    st.sampled_from(RetryStrategy),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(1, 100),
    st.floats(0, 1),
    st.integers(1, 10**6),
    st.integers(),
)
def test_a_pause_is_between_its_jitter_and_its_cap(strategy, base, more, multiplier, jitter, attempt, seed):
    config = RetryConfig(strategy, 3, base, base + more, multiplier, jitter)
    whole = Backoff(RetryConfig(strategy, 3, base, base + more, multiplier, 0.0)).after(attempt)
    pause = Backoff(config, Random(seed)).after(attempt)  # noqa: S311 - likewise
    assert 0 <= whole * (1 - jitter) <= pause * (1 + 1e-9) + 1e-9
    assert pause <= whole <= base + more


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"strategy": "harder"}, "harder"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"base_delay": -1}, "base_delay"),
        ({"base_delay": 31}, "base_delay"),
        ({"base_delay": 0, "max_delay": -1}, "base_delay"),
        ({"max_delay": 86_401}, "max_delay"),
        ({"backoff_multiplier": 0.5}, "backoff_multiplier"),
        ({"backoff_multiplier": 100.5}, "backoff_multiplier"),
        ({"backoff_multiplier": float("nan")}, "backoff_multiplier"),
        ({"jitter": 1.01}, "jitter"),
        ({"jitter": -0.01}, "jitter"),
        ({"max_attempts": 2.5}, "max_attempts"),
        ({"max_attempts": "2.5"}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"base_delay": "soon"}, "base_delay"),
        ({"base_delay": None}, "base_delay"),
        ({"max_delay": float("inf")}, "max_delay"),
    ],
)
def test_a_config_that_cannot_be_is_refused(given, name):
    with pytest.raises(ValueError, match=name):
        RetryConfig(**given)


def test_numbers_may_be_given_as_texts():
    given = RetryConfig(max_attempts="3", base_delay="1", jitter=Decimal("0.1"))
    assert given == RetryConfig()
    assert [type(each) for each in (given.max_attempts, given.base_delay, given.jitter)] == [int, float, float]


@pytest.mark.parametrize(
    "given",
    [
        {"max_attempts": 1},
        {"base_delay": 0, "max_delay": 0},
        {"base_delay": 86_400, "max_delay": 86_400},
        {"backoff_multiplier": 1},
        {"backoff_multiplier": 100},
        {"jitter": 0},
        {"jitter": 1},
    ],
    ids=repr,
)
def test_a_config_may_go_to_its_ends(given):
    config = RetryConfig(**given)
    assert {name: getattr(config, name) for name in given} == given


def test_what_is_wrong_is_named_with_what_stands_there():
    with pytest.raises(ValueError, match="^jitter cannot be 1.5$"):
        RetryConfig(jitter=1.5)


def test_a_section_makes_the_config_of_the_same_numbers():
    assert RetryConfig.of(RetrySettings()) == RetryConfig()
    section = RetrySettings(strategy="fixed_delay", max_attempts=5, base_delay=timedelta(milliseconds=250), jitter="0")
    assert RetryConfig.of(section) == RetryConfig(RetryStrategy.FIXED_DELAY, 5, 0.25, jitter=0.0)


def test_an_aim_waits_longer_each_time_and_is_never_early():
    aim = BackoffAim(7, RetryConfig(jitter=0.0))
    assert [aim.again_ns(100 * S) for _ in range(3)] == [101 * S, 102 * S, 104 * S]
    assert (aim.bell_ns, aim.arrival_ns(5, 9)) == (7, 5)
    aim.was_too_early(9)
    at_once = BackoffAim(7, RetryConfig(RetryStrategy.IMMEDIATE))
    assert [at_once.again_ns(3) for _ in range(3)] == [3, 3, 3]


class Script:
    """Answers each call with its next line, and notes when it was called."""

    def __init__(self, clock, *lines):
        self.clock, self.lines, self.called_at = clock, list(lines), []

    def __call__(self):
        self.called_at.append(self.clock.now_ns / S)
        line = self.lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line


PLAIN = RetryConfig(jitter=0.0)


def test_a_read_is_repeated_until_it_succeeds(stepped_clock):
    call = Script(stepped_clock, NotSent("DNS"), Unreadable("HTML"), "the list")
    assert read_with_retry(call, PLAIN, stepped_clock) == "the list"
    assert call.called_at == [0, 1, 3]


def test_a_read_that_goes_on_failing_raises_its_last_error(stepped_clock):
    call = Script(stepped_clock, NotSent("1"), NotSent("2"), NoAnswer("3"), "never")
    with pytest.raises(NoAnswer, match="^3$"):
        read_with_retry(call, PLAIN, stepped_clock)
    assert call.lines == ["never"]


def test_a_pause_that_the_broker_asks_for_is_kept(stepped_clock):
    call = Script(stepped_clock, RateLimited("429", retry_after=7.5), RateLimited("429"), "read")
    assert read_with_retry(call, PLAIN, stepped_clock) == "read"
    assert call.called_at == [0, 7.5, 9.5]


def test_a_pause_longer_than_the_longest_is_not_waited_for(stepped_clock):
    call = Script(stepped_clock, RateLimited("429", retry_after=31), "never")
    with pytest.raises(RateLimited):
        read_with_retry(call, PLAIN, stepped_clock)
    assert (call.called_at, stepped_clock.now_ns) == ([0], 0)


@pytest.mark.parametrize(
    "error", [Refused("no"), WrongPassword("no"), TokenEnded("no"), BrokerError("?"), ValueError("ours")], ids=repr
)
def test_what_the_broker_has_refused_is_not_asked_again(stepped_clock, error):
    call = Script(stepped_clock, error, "never")
    with pytest.raises(type(error)):
        read_with_retry(call, PLAIN, stepped_clock)
    assert call.called_at == [0]


def test_what_asks_for_no_pause_waits_no_longer_than_the_strategy_says(stepped_clock):
    short = RetryConfig(base_delay=0.25, max_delay=0.5, jitter=0.0)
    call = Script(stepped_clock, NotSent("DNS"), RateLimited("429"), "read")
    assert read_with_retry(call, short, stepped_clock) == "read"
    assert call.called_at == [0, 0.25, 0.75]


def test_a_pause_as_long_as_the_longest_is_waited_for(stepped_clock):
    call = Script(stepped_clock, RateLimited("429", retry_after=30), "read")
    assert read_with_retry(call, PLAIN, stepped_clock) == "read"
    assert call.called_at == [0, 30]


def test_a_shorter_pause_than_the_strategys_is_not_all_that_is_waited(stepped_clock):
    call = Script(stepped_clock, RateLimited("429", retry_after=0.5), "read")
    assert read_with_retry(call, PLAIN, stepped_clock) == "read"
    assert call.called_at == [0, 1]


def test_as_often_as_is_allowed_is_not_once_more(stepped_clock):
    call = Script(stepped_clock, NotSent("1"), "never")
    with pytest.raises(NotSent, match="^1$"):
        read_with_retry(call, RetryConfig(max_attempts=1), stepped_clock)
    assert (call.lines, stepped_clock.now_ns) == (["never"], 0)


def test_pauses_between_reads_are_spread_by_chance_and_by_the_same_chance_alike(stepped_clock):
    def called_at(seed):
        call = Script(stepped_clock, NotSent("1"), NotSent("2"), "read")
        began = stepped_clock.now_ns / S
        read_with_retry(call, RetryConfig(jitter=0.5), stepped_clock, Random(seed))  # noqa: S311 - likewise
        return [round(at - began, 6) for at in call.called_at]

    assert called_at(7) == called_at(7) != called_at(8)


def test_an_aims_pauses_are_spread_by_its_own_chance():
    def pauses_of(seed):
        aim = BackoffAim(7, RetryConfig(jitter=0.5), Random(seed))  # noqa: S311 - likewise
        return [aim.again_ns(0) for _ in range(3)]

    assert pauses_of(7) == pauses_of(7) != pauses_of(8)
    first, second, third = pauses_of(7)
    assert S // 2 <= first <= S <= second <= 2 * S <= third <= 4 * S
