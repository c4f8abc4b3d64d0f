"""A machine's clock is set back while an order is on its way: what may have left is asked for, and never sent again."""

from __future__ import annotations

import pytest
from oms_desk import Deeds, Desk, Killed, request

from firstbell.model.order_status import OrderStatus
from stepped_clock import SteppedClock


@pytest.mark.parametrize("looks", ["the next process", "one that lives on"])
@pytest.mark.parametrize("seconds", [0.5, 3, 10, 3600])
def test_what_a_dead_process_may_have_sent_is_asked_for(tmp_path, looks, seconds):
    desk = Desk(tmp_path, SteppedClock())
    desk.quote(4860, 4870)
    other = Desk(tmp_path, desk.clock, desk.market)
    # 1 is the claim, 2 the sending.
    desk.open(Deeds(2, after=True))
    with pytest.raises(Killed):
        desk.manager.place(request(key="k"))
    desk.clock.suspend(-seconds)
    desk.clock.sleep(0.25)
    if looks == "the next process":
        desk.open()
    else:
        desk = other
    again = desk.manager.place(request(key="k"))
    assert again.is_success or again.is_unresolved
    # A look that finds it busy in other hands is made again in a moment.
    desk.rounds(20)
    assert [row.quantity for row in desk.at_venue()] == [1000]
    (entry,) = desk.journal.entries()
    assert (entry.state.status, entry.state.unresolved) == (OrderStatus.ACCEPTED, False)
    desk.close()
