"""What we wrote ourselves and read again: as what it was written, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.model.facts import Facts, day_of, document, instant_of, number_of, text_of, texts_of, whole_of
from firstbell.model.strict_json import DEEPEST, parse

FACTS = Facts(
    {
        "text": "a",
        "whole": 7,
        "number": "5860.50",
        "instant": "2026-11-21T08:45:00.000001+03:30",
        "yes": True,
        "no": False,
        "nothing": None,
        "inner": {"text": "b"},
        "list": [1, "x"],
    }
)


def test_each_fact_is_what_it_was_written_as():
    assert FACTS.text("text") == FACTS.maybe_text("text") == "a"
    assert FACTS.whole("whole") == FACTS.maybe_whole("whole") == 7
    assert FACTS.number("number") == FACTS.maybe_number("number") == Decimal("5860.50")
    assert FACTS.maybe_instant("instant") == datetime(2026, 11, 21, 5, 15, 0, 1, tzinfo=UTC)
    assert FACTS.flag("yes") is True
    assert FACTS.flag("no") is False
    assert FACTS.inner("inner").text("text") == "b"
    assert FACTS.items("inner") == [("text", "b")]
    assert FACTS.list("list") == [1, "x"]


@pytest.mark.parametrize("name", ["nothing", "absent"])
def test_what_may_be_missing_may_be_missing(name):
    for look in (FACTS.maybe_text, FACTS.maybe_whole, FACTS.maybe_number, FACTS.maybe_instant, FACTS.inner):
        assert look(name) is None


def test_a_flag_nobody_wrote_is_what_was_agreed():
    assert FACTS.flag("absent", unsaid=False) is False
    assert FACTS.flag("absent", unsaid=True) is True
    assert FACTS.flag("yes", unsaid=False) is True


@pytest.mark.parametrize(
    ("look", "name", "words"),
    [
        (Facts.text, "whole", "a text"),
        (Facts.text, "absent", "a text"),
        (Facts.maybe_text, "whole", "a text"),
        (Facts.whole, "yes", "a whole number"),
        (Facts.whole, "text", "a whole number"),
        (Facts.maybe_whole, "number", "a whole number"),
        (Facts.number, "whole", "a number"),
        (Facts.maybe_number, "text", "a number"),
        (Facts.maybe_instant, "whole", "a text"),
        (Facts.flag, "nothing", "yes or no"),
        (Facts.flag, "whole", "yes or no"),
        (Facts.flag, "absent", "yes or no"),
        (Facts.inner, "text", "an object"),
        (Facts.items, "list", "an object"),
        (Facts.list, "inner", "a list"),
    ],
)
def test_what_has_become_something_else_is_damage(look, name, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        look(FACTS, name)


def test_only_an_object_has_facts():
    with pytest.raises(ValueError, match="an object"):
        Facts([])


@pytest.mark.parametrize("text", ["0", "-1", "5860", "0.1", "1E+3", "1E-99", "9" * 100, "0." + "1" * 100])
def test_numbers_come_back_as_they_were_written(text):
    assert number_of(text) == Decimal(text)


@pytest.mark.parametrize(
    "bad", ["", "NaN", "Infinity", "+1", "1.", ".5", "1E+100", "1_0", " 1", "۵", "9" * 101, 5, None]
)
def test_nothing_else_is_a_number(bad):
    with pytest.raises(ValueError, match="a number is not one"):
        number_of(bad)


@pytest.mark.parametrize("text", ["0002-01-01T00:00:00+00:00", "9998-12-31T23:59:59+00:00"])
def test_instants_of_the_years_that_every_zone_has(text):
    assert instant_of(text).isoformat() == text


@pytest.mark.parametrize(
    "bad", ["2026-11-21T08:45:00", "0001-12-31T23:00:00+00:00", "9999-01-01T00:00:00+00:00", "soon", ""]
)
def test_nothing_else_is_an_instant(bad):
    with pytest.raises(ValueError, match="."):
        instant_of(bad)


def test_a_day_is_written_in_one_way():
    assert day_of("2026-11-21") == date(2026, 11, 21)
    with pytest.raises(ValueError, match="a day is not written as one"):
        day_of("20261121")


def test_texts_and_whole_numbers():
    assert texts_of(["a", "b"]) == ["a", "b"]
    assert (text_of("a"), whole_of(-3)) == ("a", -3)
    with pytest.raises(ValueError, match="a text is not one"):
        texts_of(["a", 1])
    with pytest.raises(ValueError, match="a list is not one"):
        texts_of("ab")


def test_our_own_texts_may_hold_half_a_character_and_a_strangers_may_not():
    assert document('"\\ud800"') == "\ud800"
    with pytest.raises(ValueError, match="half a character"):
        parse('"\\ud800"')


@pytest.mark.parametrize("text", ['{"a": ["\\ud800"]}', '{"\\ud800": 1}', '[{"a": "\\udfff"}]'])
def test_half_a_character_is_found_wherever_it_stands(text):
    with pytest.raises(ValueError, match="half a character"):
        parse(text)


def test_the_deepest_document_is_read_and_a_deeper_one_is_not():
    deepest = "[" * DEEPEST + "]" * DEEPEST
    assert DEEPEST == 32
    assert parse(f"[{deepest[1:-1]}, []]") is not None
    # Many beside one another are not deep.
    assert parse("[" + ", ".join(["{}"] * 100) + "]") == [{}] * 100
    with pytest.raises(ValueError, match="nests deeper than 32"):
        parse(f"[{deepest}]")


@pytest.mark.parametrize("text", ["1" * 40, "-" + "1" * 39, "1e40", "1e-40", "0." + "1" * 38])
def test_the_longest_numbers_are_read_exactly(text):
    assert parse(text) == Decimal(text)


@pytest.mark.parametrize("text", ["1" * 41, "-" + "1" * 40, "1e41", "1e-41", "0." + "1" * 39])
def test_longer_ones_are_none(text):
    with pytest.raises(ValueError, match="too long"):
        parse(text)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_named(name):
    with pytest.raises(ValueError, match=f"it says {name} in place of a number"):
        parse(f"[{name}]")


@pytest.mark.parametrize("text", ["", "{", "nothing", '{"a": 1} {}'])
def test_what_is_no_document_is_said_without_quoting_it(text):
    with pytest.raises(ValueError, match="^it is not JSON$"):
        parse(text)


def test_depth_is_counted_over_all_kinds_of_brackets_and_after_any_number_of_others():
    with pytest.raises(ValueError, match="nests deeper"):
        parse('[{"a":' * 20 + "1" + "}]" * 20)
    with pytest.raises(ValueError, match="nests deeper"):
        parse("[" + "[]," * 40 + "[" * DEEPEST + "]" * DEEPEST + "]")
