"""The grammar of a measure: a comparator, one or two numbers, and a unit, over the tokens of a sentence.

measure    = [comparator] quantity | quantity [comparator behind it]
quantity   = number unit | number [unit] sep number unit | "between" number [unit] "and" number unit
           | number {"/" number} unit
number     = digits [k | M | million ...] | number word
unit       = time | bytes | bytes "/s" | thing "/s" | thing "per second" | rps ... | "x" | "%"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from voiceflow_ml.claims.comparators import Reading, read_comparator
from voiceflow_ml.claims.numerals import Numeral, read_numeral
from voiceflow_ml.claims.quantities import Comparator, Unit
from voiceflow_ml.claims.tokens import Kind, Token
from voiceflow_ml.claims.units_read import read_unit

_SEPARATORS = frozenset({"-", "\u2013", "\u2014", "to", "...", "..", "\u2026", "\u2012"})
_MOST_LISTED = 8


@dataclass(frozen=True)
class Measure:
    """A number with its unit, as found in a sentence; whether it is a claim is not said yet.

    Attributes:
        low: the value, or the lower end of a range, in ``unit``.
        high: the upper end of a range; None for a single value.
        unit: the unit.
        comparator: how it is meant.
        first: index of its first token, its comparator left out.
        last: index of its last token.
        start: place of its first character in the document.
        end: one past its last.
        half_step: half a unit in the last digit that is written: its stated precision.
        place: of several that share a unit (``4 / 5 ms``), which one this is, from 0.
        places: of how many.
        lead: index of the first token of its comparator; ``first`` where there is none.
    """

    low: float
    high: float | None
    unit: Unit
    comparator: Comparator
    first: int
    last: int
    start: int
    end: int
    half_step: float
    place: int = 0
    places: int = 1
    lead: int = 0


def read_measures(tokens: Sequence[Token], default: Unit | None = None) -> list[Measure]:
    """All measures of a sentence, in order.

    Args:
        tokens: the tokens of one sentence, or of one cell of a table.
        default: the unit of a bare number, where the head of a column says one.
    """
    found: list[Measure] = []
    index = 0
    while index < len(tokens):
        measures = _at(tokens, index, default)
        if measures:
            found += measures
            index = measures[-1].last + 1
        else:
            index += 1
    return found


def _at(tokens: Sequence[Token], index: int, default: Unit | None) -> list[Measure]:
    """The measures whose first number is at an index: several for ``4 / 5 ms``, none where there is no number."""
    first = read_numeral(tokens, index)
    if first is None:
        return []
    reading = read_comparator(tokens, index)
    ranged = _range(tokens, first, reading, default)
    if ranged is not None:
        return [ranged]
    listed = _list(tokens, first, reading, default)
    if listed:
        return listed
    unit = read_unit(tokens, first.last + 1)
    if unit is not None:
        return [_measure(tokens, first, None, unit[0], unit[1], reading)]
    return [_measure(tokens, first, None, default, first.last, reading)] if default is not None else []


def _range(tokens: Sequence[Token], first: Numeral, reading: Reading, default: Unit | None) -> Measure | None:
    low_unit = read_unit(tokens, first.last + 1)
    separator = (low_unit[1] if low_unit else first.last) + 1
    if separator + 1 >= len(tokens) or not _separates(tokens, separator, reading):
        return None
    second = read_numeral(tokens, separator + 1)
    if second is None:
        return None
    unit = read_unit(tokens, second.last + 1) or ((default, second.last) if default is not None else None)
    if unit is None:
        return None
    low = first.value * (low_unit[0].scale / unit[0].scale if low_unit else 1.0)
    # "From 480 ms to 95 ms" is a change, not a range, and so is anything that falls.
    if (low_unit and low_unit[0].quantity is not unit[0].quantity) or low >= second.value:
        return None
    if low_unit and reading.words == ("from",):
        return None
    whole = replace(first, value=low, half_step=max(first.half_step, second.half_step))
    return _measure(tokens, whole, second, unit[0], unit[1], replace(reading, comparator=Comparator.RANGE))


def _separates(tokens: Sequence[Token], index: int, reading: Reading) -> bool:
    if reading.words == ("between",):
        return tokens[index].lower == "and"
    if tokens[index].lower not in _SEPARATORS:
        return False
    # "4 -5 ms" is a minus, "4-5" and "4 - 5" are ranges.
    return tokens[index].kind is Kind.WORD or tokens[index].spaced == tokens[index + 1].spaced


def _list(tokens: Sequence[Token], first: Numeral, reading: Reading, default: Unit | None) -> list[Measure]:
    numerals, index = [first], first.last + 1
    while len(numerals) < _MOST_LISTED and index + 1 < len(tokens) and tokens[index].text == "/":
        following = read_numeral(tokens, index + 1)
        if following is None:
            break
        numerals.append(following)
        index = following.last + 1
    unit = read_unit(tokens, index) or ((default, index - 1) if default else None)
    if len(numerals) == 1 or unit is None or unit[0] is None:
        return []
    count = len(numerals)
    return [
        replace(
            _measure(tokens, numeral, None, unit[0], unit[1] if place == count - 1 else numeral.last, reading),
            place=place,
            places=count,
        )
        for place, numeral in enumerate(numerals)
    ]


def _measure(
    tokens: Sequence[Token], low: Numeral, high: Numeral | None, unit: Unit, last: int, reading: Reading
) -> Measure:
    return Measure(
        low=low.value,
        high=high.value if high else None,
        unit=unit,
        comparator=reading.comparator,
        first=low.first,
        last=last,
        start=tokens[low.first].start,
        end=tokens[last].end,
        half_step=low.half_step,
        lead=reading.first,
    )
