"""How this platform names refusals and the states of orders.

1017, 1018, 1011, 1001 and 1006 are the platform's; for rules whose codes are not known the numbers from 1900 on are
made up, so that a client must take them for what they are: codes that it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import Side
from firstbell.simulator.rules import Reason

if TYPE_CHECKING:
    from firstbell.simulator.orders import ExchangeOrder

REFUSALS: Final = {
    Reason.MARKET_CLOSED: (1017, "بازار در وضعیت سفارش گیری نمی باشد."),
    Reason.TOO_SOON: (1018, "فاصله زمانی بین دو سفارش کمتر از حد مجاز است."),
    Reason.NOT_ENOUGH_MONEY: (1011, "قدرت خرید کافی نمی باشد."),
    Reason.WRONG_QUANTITY: (1001, "تعداد سفارش صحیح نمی باشد."),
    Reason.QUANTITY_TOO_LARGE: (1001, "تعداد سفارش صحیح نمی باشد."),
    Reason.VALUE_TOO_SMALL: (1006, "ارزش سفارش کمتر از حداقل مجاز است."),
    Reason.NO_CHANGES_NOW: (1901, "در این زمان ویرایش و حذف سفارش امکان پذیر نمی باشد."),
    Reason.UNKNOWN_INSTRUMENT: (1902, "نماد یافت نشد."),
    Reason.UNKNOWN_ORDER: (1903, "سفارش یافت نشد."),
    Reason.OUTSIDE_BAND: (1904, "قیمت سفارش خارج از دامنه مجاز است."),
    Reason.OFF_TICK: (1905, "قیمت سفارش مضرب صحیحی از گام قیمت نمی باشد."),
    Reason.NOT_CLOSING_PRICE: (1906, "در این زمان تنها سفارش با قیمت پایانی پذیرفته می شود."),
    Reason.NOT_ENOUGH_SHARES: (1907, "دارایی کافی نمی باشد."),
    Reason.DUPLICATE: (1909, "سفارش تکراری است."),
    Reason.WRONG_TIME_IN_FORCE: (1908, "اعتبار سفارش صحیح نمی باشد."),
}
"""Why → (code, message)."""

MALFORMED: Final = (1900, "درخواست نامعتبر است.")
"""What a body that cannot be read is answered."""

WRONG_PASSWORD: Final = (3000, "نام کاربری یا رمز عبور اشتباه است.")
WRONG_CAPTCHA: Final = (-1000, "کد امنیتی اشتباه است.")

SIDES: Final = {1: Side.BUY, 2: Side.SELL}
"""The platform's number for a side."""

SIDE_NUMBERS: Final = {side: number for number, side in SIDES.items()}
"""The same, the other way."""

_EDITED: Final = (7, "ویرایش شده")
_STATES: Final = {
    OrderStatus.ACCEPTED: (2, "ثبت شده"),
    OrderStatus.PARTIALLY_FILLED: (6, "قسمتی انجام شده"),
    OrderStatus.FILLED: (3, "انجام شده"),
    OrderStatus.CANCELED: (4, "حذف شده"),
    OrderStatus.EXPIRED: (4, "منقضی شده"),
}


def state_of(order: ExchangeOrder) -> tuple[int, str]:
    """An order's state as the platform numbers it, and its words for it."""
    if order.edited and order.status is OrderStatus.ACCEPTED:
        return _EDITED
    return _STATES[order.status]
