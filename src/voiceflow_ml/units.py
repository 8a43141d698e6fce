"""Durations at the edge: text such as ``"10ms"`` in, integer nanoseconds inside, text out again."""

from __future__ import annotations

import re
from decimal import Decimal

from voiceflow_ml.errors import UnitError, quoted

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_NS_PER_UNIT = {
    "ns": 1,
    "us": NS_PER_US,
    "\u00b5s": NS_PER_US,  # the micro sign
    "\u03bcs": NS_PER_US,  # the Greek letter, which looks the same
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "min": 60 * NS_PER_S,
}
_DURATION = re.compile(r"\s*(?P<sign>[+-]?)(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[a-zA-Z\u00b5\u03bc]*)\s*")
_MOST_NS = 2**63 - 1
_MOST_SHOWN = 100
_MOST_LETTERS = 10_000
"""A number of millions of digits is beyond what can be multiplied, or takes its time."""
_VALID_FORM = 'write a number and a unit, such as "10ms" (units: ns, us, ms, s, min)'


def parse_duration_ns(text: object, *, allow_zero: bool = False) -> int:
    """Read a duration with a unit.

    Args:
        text: a string such as ``"10ms"``, ``"4.48 ms"`` or ``"2s"``.
        allow_zero: accept ``"0s"``; a limit of nothing makes no sense, a minimum span of nothing does.

    Returns:
        The duration in whole nanoseconds, rounded to the nearest.

    Raises:
        UnitError: not a string, no unit, an unknown unit, negative, beyond 64 bits of nanoseconds (292
            years), or less than 1 ns where that makes no sense.
    """
    if not isinstance(text, str):
        raise UnitError(f"{text!r} is not a duration: {_VALID_FORM}")
    match = _DURATION.fullmatch(text) if len(text) <= _MOST_LETTERS else None
    shown = text if len(text) <= _MOST_SHOWN else quoted(text, _MOST_SHOWN)
    if match is None:
        raise UnitError(f"{shown!r} is not a duration: {_VALID_FORM}")
    unit = match["unit"]
    if not unit:
        raise UnitError(f"{shown!r} has no unit: {_VALID_FORM}")
    if unit not in _NS_PER_UNIT:
        raise UnitError(f"{shown!r} has the unknown unit {unit!r}: {_VALID_FORM}")
    if match["sign"] == "-":
        raise UnitError(f"{shown!r} is negative: a duration must be positive; {_VALID_FORM}")
    # Decimal, because 0.1 has no exact float and a float of many digits can be infinite.
    exact_ns = Decimal(match["number"]) * _NS_PER_UNIT[unit]
    if exact_ns > _MOST_NS:
        raise UnitError(f"{shown!r} is longer than 292 years: {_VALID_FORM}")
    duration_ns = round(exact_ns)
    if duration_ns == 0 and not allow_zero:
        raise UnitError(f"{shown!r} is less than 1 ns: a duration must be at least 1ns; {_VALID_FORM}")
    return duration_ns


def format_ns(duration_ns: float, *, digits: int = 3) -> str:
    """Write a duration for people, in the largest unit that keeps it at or above one.

    Args:
        duration_ns: a duration in nanoseconds, of either sign.
        digits: significant digits; trailing zeros are dropped.

    Returns:
        Text such as ``"4.61 ms"``, ``"870 ns"`` or ``"41 s"``.
    """
    size_ns = abs(duration_ns)
    for unit, ns_per_unit in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        # Rounding first keeps 999 999.9 ns from being printed as "1000 us".
        if float(f"{size_ns / ns_per_unit:.{digits}g}") >= 1:
            return f"{_significant(duration_ns / ns_per_unit, digits)} {unit}"
    return f"{_significant(duration_ns, digits)} ns"


def format_count(count: int) -> str:
    """Write a count in groups of three: ``12 000``."""
    return f"{count:,}".replace(",", " ")


def _significant(value: float, digits: int) -> str:
    if abs(value) >= 10**digits:
        return format_count(round(value))
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{float(text):.0f}"
    return text
