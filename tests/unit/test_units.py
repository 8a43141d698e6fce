from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.errors import ConfigError, UnitError
from voiceflow_ml.units import format_count, format_ns, parse_duration_ns


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("10ms", 10_000_000),
        ("4.48 ms", 4_480_000),
        ("  2s ", 2_000_000_000),
        ("+1us", 1_000),
        ("1\u00b5s", 1_000),  # micro sign
        ("1\u03bcs", 1_000),  # Greek mu
        ("7ns", 7),
        ("1.6ns", 2),
        ("1.5min", 90_000_000_000),
        ("0.4999999999999999999ns", None),
        ("9007199254740993ns", 9_007_199_254_740_993),  # one more than a float can hold
        ("0.1ms", 100_000),
    ],
)
def test_durations_are_read_exactly(text: str, duration_ns: int | None) -> None:
    if duration_ns is None:
        with pytest.raises(UnitError, match="less than 1 ns"):
            parse_duration_ns(text)
    else:
        assert parse_duration_ns(text) == duration_ns


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10", "'10' has no unit"),
        ("-3ms", "'-3ms' is negative"),
        ("10 parsecs", "unknown unit 'parsecs'"),
        ("10MS", "unknown unit 'MS'"),
        ("", "'' is not a duration"),
        ("ms", "'ms' is not a duration"),
        ("1,5ms", "'1,5ms' is not a duration"),
        ("1e3ms", "not a duration"),
        (".5ms", "not a duration"),
        ("\u0661ms", "not a duration"),  # a digit, but not one that anybody types by intention
        ("nan ms", "not a duration"),
        ("0ms", "'0ms' is less than 1 ns"),
        ("293000000min", "longer than 292 years"),
        ("9" * 5000 + "s", "longer than 292 years"),
        (10, "10 is not a duration"),
        (None, "None is not a duration"),
        (True, "True is not a duration"),
    ],
)
def test_what_is_no_duration_is_refused_with_a_valid_form(value: object, message: str) -> None:
    with pytest.raises(UnitError, match=message) as caught:
        parse_duration_ns(value)
    assert 'such as "10ms" (units: ns, us, ms, s, min)' in str(caught.value)
    assert isinstance(caught.value, ConfigError)


def test_zero_is_allowed_only_where_asked_for() -> None:
    assert parse_duration_ns("0s", allow_zero=True) == 0
    with pytest.raises(UnitError, match="negative"):
        parse_duration_ns("-1s", allow_zero=True)


@given(st.text())
def test_any_text_is_a_positive_duration_or_one_clear_error(text: str) -> None:
    try:
        assert parse_duration_ns(text) >= 1
    except UnitError as error:
        assert repr(text) in str(error)  # noqa: PT017 - both outcomes are right, each in its own way


@given(st.integers(1, 2**63 - 1))
def test_whole_nanoseconds_survive_a_round_trip_through_text(duration_ns: int) -> None:
    assert parse_duration_ns(f"{duration_ns}ns") == duration_ns


@given(st.integers(1, 999 * 10**9), st.integers(3, 9))
def test_what_is_written_reads_back_to_the_digits_asked_for(duration_ns: int, digits: int) -> None:
    read_ns = parse_duration_ns(format_ns(duration_ns, digits=digits))
    assert read_ns == pytest.approx(duration_ns, rel=0.5 * 10 ** (1 - digits), abs=0.5)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (4_610_000, "4.61 ms"),
        (870, "870 ns"),
        (41_000_000_000, "41 s"),
        (999_999.9, "1 ms"),
        (999_499, "999 us"),
        (0, "0 ns"),
        (-4_610_000, "-4.61 ms"),
        (12_345_000_000_000, "12 345 s"),
        (10_000_000, "10 ms"),
    ],
)
def test_durations_are_written_in_the_unit_that_a_reader_expects(duration_ns: float, text: str) -> None:
    assert format_ns(duration_ns) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (1_000, "1 000"), (12_345_678, "12 345 678")])
def test_counts_are_grouped_by_three(count: int, text: str) -> None:
    assert format_count(count) == text
