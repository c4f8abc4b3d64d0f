"""The opening auction: no other tick would have been better."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from firstbell.market import tick_size
from firstbell.simulator.auction import Clearing, clear

if TYPE_CHECKING:
    from collections.abc import Mapping


def tick(price: Decimal) -> Decimal:
    return tick_size("XTEH", price)


def side(levels: Mapping[int, int]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(shares) for price, shares in levels.items()}


def cleared(buys: Mapping[int, int], sells: Mapping[int, int], reference: int) -> tuple[int, int, int] | None:
    found = clear(side(buys), side(sells), Decimal(reference), tick)
    return None if found is None else (int(found.price), int(found.volume), int(found.imbalance))


def test_the_greatest_volume_wins() -> None:
    assert cleared({105: 10, 100: 50}, {95: 20, 100: 40, 104: 5}, 120) == (100, 60, 0)


def test_of_equal_volumes_the_smallest_imbalance_wins_even_between_named_prices() -> None:
    buys, sells = {110: 100, 90: 50}, {90: 100, 110: 50}
    assert cleared(buys, sells, 90) == (91, 100, 0)
    assert cleared(buys, sells, 200) == (109, 100, 0)
    assert cleared(buys, sells, 97) == (97, 100, 0)


def test_of_equal_imbalances_the_price_nearest_the_reference_wins() -> None:
    assert cleared({110: 10}, {90: 10}, 104) == (104, 10, 0)
    assert cleared({110: 10}, {90: 10}, 50) == (90, 10, 0)
    assert cleared({110: 10}, {90: 10}, 500) == (110, 10, 0)


def test_of_two_equally_near_ticks_the_lower_wins() -> None:
    # 5,015 is not a tick, so that 5,010 and 5,020 are equally near.
    assert cleared({5030: 10}, {5000: 10}, 5015) == (5010, 10, 0)


def test_the_tick_below_a_change_of_ticks_is_seen() -> None:
    assert cleared({5000: 100, 4000: 50}, {4000: 100, 5000: 50}, 9000) == (4999, 100, 0)


def test_nothing_trades_where_nothing_crosses() -> None:
    assert cleared({}, {90: 1}, 100) is None
    assert cleared({90: 1}, {}, 100) is None
    assert cleared({90: 1}, {91: 1}, 100) is None


def at(price: Decimal, buys: Mapping[Decimal, Decimal], sells: Mapping[Decimal, Decimal]) -> Clearing:
    wanted = sum((shares for limit, shares in buys.items() if limit >= price), Decimal(0))
    offered = sum((shares for limit, shares in sells.items() if limit <= price), Decimal(0))
    return Clearing(price, min(wanted, offered), wanted - offered)


# Prices around 5,000, where the tick changes from 1 to 10.
PRICES = st.one_of(st.integers(4970, 4999), st.integers(500, 503).map(lambda tens: tens * 10)).map(Decimal)
LEVELS = st.dictionaries(PRICES, st.integers(1, 9).map(Decimal), max_size=8)


@given(LEVELS, LEVELS, st.integers(4960, 5040).map(Decimal))
def test_no_other_tick_is_better(
    buys: dict[Decimal, Decimal], sells: dict[Decimal, Decimal], reference: Decimal
) -> None:
    ticks = [Decimal(price) for price in [*range(4960, 5000), *range(5000, 5041, 10)]]
    every = [at(price, buys, sells) for price in ticks]
    most = max(each.volume for each in every)
    found = clear(buys, sells, reference, tick)
    if found is None:
        assert most == 0
        return
    best = min(every, key=lambda c: (-c.volume, abs(c.imbalance), abs(c.price - reference), c.price))
    assert found == best
    assert found.volume > 0
