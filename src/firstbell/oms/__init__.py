"""The order manager: what to order, the attempts at it, and the broker's lists that say what became of it.

What scripts use is offered here, and imported when it is asked for::

    from firstbell.oms import OrderDesk, OrderRequest, OrderType, Side
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.order_status import OrderStatus
    from firstbell.model.position import Position, Trade
    from firstbell.model.terms import OrderRole, OrderType, Side, TimeInForce
    from firstbell.oms.orders.manager import OrderManager
    from firstbell.oms.orders.order_desk import OrderDesk
    from firstbell.oms.orders.requests import BracketRequest, OcoRequest
    from firstbell.oms.orders.response import OrderResponse
    from firstbell.oms.orders.validator import OrderValidator, Validation
    from firstbell.oms.policies.fallback import FallbackConfig
    from firstbell.oms.policies.order_retry import OrderRetryHandler
    from firstbell.oms.policies.partial_fills import CompletionStrategy, PartialFillConfig, PartialFillHandler
    from firstbell.oms.policies.retry import RetryConfig, RetryStrategy
    from firstbell.oms.positions.monitor import PositionMonitor, PositionNotFound
    from firstbell.risk.verdict import ErrorCode, Verdict

__all__ = [
    "BracketRequest",
    "CompletionStrategy",
    "ErrorCode",
    "FallbackConfig",
    "OcoRequest",
    "OrderDesk",
    "OrderManager",
    "OrderRequest",
    "OrderResponse",
    "OrderRetryHandler",
    "OrderRole",
    "OrderStatus",
    "OrderType",
    "OrderValidator",
    "PartialFillConfig",
    "PartialFillHandler",
    "Position",
    "PositionMonitor",
    "PositionNotFound",
    "RetryConfig",
    "RetryStrategy",
    "Side",
    "TimeInForce",
    "Trade",
    "Validation",
    "Verdict",
]

_WHERE: Final = MappingProxyType(
    {
        "BracketRequest": "oms.orders.requests",
        "CompletionStrategy": "oms.policies.partial_fills",
        "ErrorCode": "risk.verdict",
        "FallbackConfig": "oms.policies.fallback",
        "OcoRequest": "oms.orders.requests",
        "OrderDesk": "oms.orders.order_desk",
        "OrderManager": "oms.orders.manager",
        "OrderRequest": "model.order_request",
        "OrderResponse": "oms.orders.response",
        "OrderRetryHandler": "oms.policies.order_retry",
        "OrderRole": "model.terms",
        "OrderStatus": "model.order_status",
        "OrderType": "model.terms",
        "OrderValidator": "oms.orders.validator",
        "PartialFillConfig": "oms.policies.partial_fills",
        "PartialFillHandler": "oms.policies.partial_fills",
        "Position": "model.position",
        "PositionMonitor": "oms.positions.monitor",
        "PositionNotFound": "oms.positions.monitor",
        "RetryConfig": "oms.policies.retry",
        "RetryStrategy": "oms.policies.retry",
        "Side": "model.terms",
        "TimeInForce": "model.terms",
        "Trade": "model.position",
        "Validation": "oms.orders.validator",
        "Verdict": "risk.verdict",
    }
)


def __getattr__(name: str) -> Any:
    """Import what is asked for: whoever wants one module of this room does not wait for the rest."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"firstbell.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    """What is offered, besides what every module has."""
    return sorted({*globals(), *__all__})
