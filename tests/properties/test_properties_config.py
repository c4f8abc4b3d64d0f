"""What is written into a config is what comes out of it, whatever the values, the digits and the ends of lines."""

from __future__ import annotations

import tempfile
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.config import load
from firstbell.model.terms import Side

NUMBERS = st.integers(1, 10**15 - 1)
WRITTEN = st.sampled_from(
    [
        str,
        lambda number: f"{number:,}",
        lambda number: str(number).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")),
        lambda number: str(number).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")),
    ]
)
NAMES = st.text(st.characters(min_codepoint=33, categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and text != "YOUR_USERNAME"
)
TIMES = st.times().map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
PASSWORD = "p;#%='\" x"


@settings(max_examples=60)
@given(
    name=NAMES,
    price=st.none() | NUMBERS,
    quantity=st.none() | NUMBERS,
    side=st.sampled_from(Side),
    wide=WRITTEN,
    bell=TIMES,
    patience=st.integers(1, 86_400),
    end=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
def test_a_config_says_what_was_written_into_it(name, price, quantity, side, wide, bell, patience, end, mark):
    lines = [
        "[firstbell]",
        f"order_time = {bell.isoformat(timespec='milliseconds')}",
        f"give_up_after = {patience}s",
        "[Order_A]",
        f"username = {name}",
        f"password = {PASSWORD}",
        "broker_code = gs",
        "isin = IRO1MHRN0001",
        f"side = {side.value.upper()}",
        *([] if price is None else [f"price={wide(price)}"]),
        *([] if quantity is None else [f"Quantity   =   {wide(quantity)}"]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.ini"
        path.write_bytes(mark + end.join(lines).encode())
        path.chmod(0o600)
        found = load(path, today=date(2026, 11, 21))
    (account,) = found.accounts
    assert (account.username, account.password.get_secret_value()) == (name, PASSWORD)
    assert account.price == (None if price is None else Decimal(price))
    assert account.quantity == (None if quantity is None else Decimal(quantity))
    assert account.side is side
    assert found.firstbell.order_time == time.fromisoformat(bell.isoformat())
    assert found.firstbell.give_up_after == timedelta(seconds=patience)
