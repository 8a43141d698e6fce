"""Numbers without a unit that are claims all the same: real-time factors, error rates, "twice as fast"."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.claims.comparators import read_comparator
from voiceflow_ml.claims.measures import Measure
from voiceflow_ml.claims.numerals import read_numeral
from voiceflow_ml.claims.quantities import BARE_RTF, DER_PERCENT, RATES, RATIO, Comparator, Quantity, Unit
from voiceflow_ml.claims.tokens import Kind, Token
from voiceflow_ml.claims.units_read import read_unit
from voiceflow_ml.claims.vocabulary import ARTICLES, COMPARATIVES, TURNED

_REACH = 6
_STOPS = frozenset({",", ";", "."})


def bare_measures(tokens: Sequence[Token]) -> list[Measure]:
    """Numbers that follow "RTF", "real-time factor", "DER" or "QPS:" in a sentence, or stand right before "RTF"."""
    found: list[Measure] = []
    for index in range(len(tokens)):
        unit = _unit_of(tokens, index)
        if unit is None:
            continue
        if unit.quantity is Quantity.THROUGHPUT:
            measure = _bare(tokens, index + 2, unit) if _assigns(tokens, index + 1) else None
        else:
            measure = _behind(tokens, index, unit) or _before(tokens, index, unit)
        if measure is not None and all(measure.first != other.first for other in found):
            found.append(measure)
    return found


def _unit_of(tokens: Sequence[Token], index: int) -> Unit | None:
    lower = tokens[index].lower
    if lower == "rtf":
        return BARE_RTF
    if lower == "der":
        return DER_PERCENT
    if lower in RATES:
        return RATES[lower]
    words = [token.lower for token in tokens[max(0, index - 3) : index] if token.text != "-"]
    named = lower == "factor" and (words[-2:] == ["real", "time"] or words[-1:] == ["realtime"])
    return BARE_RTF if named else None


def _assigns(tokens: Sequence[Token], index: int) -> bool:
    return index + 1 < len(tokens) and tokens[index].lower in {":", "=", "of", "is", "was"}


def _behind(tokens: Sequence[Token], index: int, unit: Unit) -> Measure | None:
    for place in range(index + 1, min(len(tokens), index + 1 + _REACH)):
        if tokens[place].text in _STOPS:
            return None
        measure = _bare(tokens, place, unit)
        if measure is not None or tokens[place].kind is Kind.NUMBER:
            return measure
    return None


def _before(tokens: Sequence[Token], index: int, unit: Unit) -> Measure | None:
    return _bare(tokens, index - 1, unit) if index and unit is BARE_RTF else None


def _bare(tokens: Sequence[Token], place: int, unit: Unit) -> Measure | None:
    """A number without a unit of its own, and with a decimal point: other numbers there are counts, but of rates."""
    counts = unit.quantity is not Quantity.THROUGHPUT and not tokens[place].decimals
    if tokens[place].kind is not Kind.NUMBER or counts:
        return None
    numeral = read_numeral(tokens, place)
    own = read_unit(tokens, place + 1)
    if numeral is None or own is not None:
        return None
    reading = read_comparator(tokens, place)
    token = tokens[place]
    return Measure(
        low=numeral.value,
        high=None,
        unit=unit,
        comparator=reading.comparator,
        first=place,
        last=numeral.last,
        start=token.start,
        end=tokens[numeral.last].end,
        half_step=numeral.half_step,
        lead=reading.first,
    )


def turned_measures(tokens: Sequence[Token]) -> list[Measure]:
    """Multiples in one word: "twice as fast", "half the memory", "double the throughput"."""
    found = []
    for index, token in enumerate(tokens):
        if token.lower not in TURNED:
            continue
        behind = [other for other in tokens[index + 1 : index + 4] if other.lower not in ARTICLES | {"as"}]
        if behind and behind[0].lower in COMPARATIVES | {"memory", "size", "latency", "time"}:
            last = tokens.index(behind[0], index)
            value = TURNED[token.lower]
            found.append(
                Measure(
                    value, None, RATIO, Comparator.EXACT, index, index, token.start, tokens[last].end, 0.0, lead=index
                )
            )
    return found
