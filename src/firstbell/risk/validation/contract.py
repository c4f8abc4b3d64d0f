"""Whether what a request names can be traded at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.market.states import is_tradable
from firstbell.risk.verdict import ErrorCode, Verdict

if TYPE_CHECKING:
    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.validation.known import Known

_LONGEST: Final = 40
"""Characters of a stranger's word."""


def instrument_known(request: OrderRequest, known: Known) -> Verdict | None:
    """The broker knows the instrument, and what is known is of that one."""
    instrument, quote = known.instrument, known.quote
    if instrument is None:
        return Verdict(ErrorCode.SYMBOL_ERROR, "instrument", request.instrument, "what the broker knows")
    if instrument.id != request.instrument:
        found = f"facts of {instrument.id[:_LONGEST]!r}"
    elif quote is not None and quote.instrument != request.instrument:
        found = f"a quote of {quote.instrument[:_LONGEST]!r}"
    else:
        return None
    return Verdict(ErrorCode.SYMBOL_ERROR, "instrument", found, f"those of {request.instrument}")


def instrument_tradable(request: OrderRequest, known: Known) -> Verdict | None:
    """Its trading state lets orders in, where the broker says one."""
    del request
    state = "" if known.instrument is None else known.instrument.state.strip()
    if not state or is_tradable(state, known.bounds.tradable_states):
        return None
    return Verdict(ErrorCode.SYMBOL_ERROR, "instrument state", repr(state[:_LONGEST]), "one that may be traded")


def contract_lives(request: OrderRequest, known: Known) -> Verdict | None:
    """The contract has not expired."""
    del request
    expiry = None if known.instrument is None else known.instrument.expiry
    today = known.now.date() if known.day is None else known.day.day
    if expiry is None or expiry >= today:
        return None
    return Verdict(ErrorCode.SYMBOL_ERROR, "expiry", str(expiry), f"{today} or later")
