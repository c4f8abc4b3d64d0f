from __future__ import annotations

import pytest
from pydantic import ValidationError

from firstbell.config.order_log_settings import OrderLogSettings


def test_what_is_kept_where_the_config_says_nothing():
    found = OrderLogSettings()
    assert (found.max_size, found.keep, found.max_age, found.compress) == (5 * 1024 * 1024, 20, None, True)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("max_size", "500K", 512_000),
        ("max_size", "2 mb", 2 << 20),
        ("max_size", "4G", 1 << 32),
        ("max_size", "1024", 1024),
        ("max_size", "۵M", 5 << 20),
        ("keep", "1", 1),
        ("keep", "1,000", 1000),
        ("max_age", "90", 90),
        ("max_age", "90d", 90),
        ("max_age", "1 day", 1),
        ("compress", "no", False),
    ],
)
def test_how_each_is_written(key, text, value):
    assert getattr(OrderLogSettings(**{key: text}), key) == value


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("max_size", "1023", "from 1K to 4G"),
        ("max_size", "5G", "from 1K to 4G"),
        ("max_size", "much", "from 1K to 4G"),
        ("max_size", True, "from 1K to 4G"),
        ("keep", "0", "above zero"),
        ("keep", "1001", "from 1 to 1000"),
        ("max_age", "0", "number of days"),
        ("max_age", "3h", "number of days"),
        ("max_age", "36501", "number of days"),
        ("compress", "perhaps", "yes or no"),
    ],
)
def test_what_is_none_is_refused_with_what_would_be_right(key, text, words):
    with pytest.raises(ValidationError, match=words):
        OrderLogSettings(**{key: text})
