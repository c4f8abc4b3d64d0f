from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.model.instrument import Instrument
from firstbell.model.order_request import OrderRequest
from firstbell.model.price_band import PriceBand
from firstbell.model.refusals import RefusalKind
from firstbell.oms.policies.fallback import FallbackConfig, QuantityReduction, Splitting, applied, propose
from firstbell.oms.policies.pricing import Market

D = Decimal
BAND = PriceBand(D(4724), D(5010))


def refused(quantity, largest, lot=1):
    instrument = Instrument("IRO1FOLD0001", "", "", BAND, D(1), D(largest), D(lot))
    asked = OrderRequest(instrument=instrument.id, side="buy", order_type="limit", quantity=quantity, price=4800)
    config = FallbackConfig(max_parts=50)
    return asked, propose(asked, asked, RefusalKind.QUANTITY_TOO_LARGE, 1, Market("XTEH", instrument), config)


@pytest.mark.parametrize(
    ("quantity", "parts"),
    [
        (1_000_000, [333_334, 333_333, 333_333]),
        (800_000, [400_000, 400_000]),
        (400_001, [200_001, 200_000]),
    ],
)
def test_what_is_too_large_is_split_into_parts_that_are_taken(quantity, parts):
    asked, found = refused(quantity, 400_000)
    assert [order.quantity for order in applied(asked, found)] == parts


@given(st.integers(2, 5_000), st.integers(1, 1_000), st.integers(1, 20))
def test_no_part_is_larger_than_the_largest_order_and_nothing_is_lost(lots, in_one, lot):
    largest = in_one * lot + lot // 2
    asked, found = refused(lots * lot, largest, lot)
    if lots <= in_one:
        assert not isinstance(found, Splitting)
    elif isinstance(found, Splitting):
        assert sum(found.quantities) == asked.quantity
        assert max(found.quantities) <= largest
        assert len(found.quantities) == -(-lots // in_one)
        assert all(each % lot == 0 for each in found.quantities)
    else:
        assert isinstance(found, QuantityReduction)
        assert -(-lots // in_one) > 50
