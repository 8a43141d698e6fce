"""Whether a number is a promise: words around it, weighed. A setting, a duration or a machine's size is none.

The weights were set on the development part of the corpus (tests/claims_corpus) and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.claims import vocabulary as words
from voiceflow_ml.claims.measures import Measure
from voiceflow_ml.claims.quantities import Comparator, Quantity
from voiceflow_ml.claims.sentences import BARRIERS
from voiceflow_ml.claims.tokens import Kind, Token

_REACH_BEFORE = 6
_REACH_BEHIND = 4
_CLOSE = 3
_STOPS = frozenset({",", ";", "."})
_SUPPOSES = words.HYPOTHETICAL
# Where nothing speaks for or against it: milliseconds are mostly a promise, seconds mostly a setting.
_AT_FIRST = {"ns": 1.0, "us": 0.8, "ms": 0.6, "s": -0.9}
_AT_FIRST_OF = {Quantity.THROUGHPUT: 0.8, Quantity.SIZE: -0.6}


@dataclass(frozen=True)
class Surroundings:
    """The words around a number.

    Attributes:
        close: up to three words before it, nothing between.
        before: words before it in its clause.
        adjacent: the first word behind its unit.
        behind: words behind it in its clause.
        sentence: all words of the sentence.
        head: words of the column's head and the row's label.
        option: the name of an option, in code, stands right before or behind it.
        chained: it goes on from the number before it: "from 8 s **to 2 s**".
    """

    close: tuple[str, ...]
    before: tuple[str, ...]
    adjacent: str
    behind: tuple[str, ...]
    sentence: frozenset[str]
    head: frozenset[str]
    option: bool
    chained: bool


def surroundings(
    tokens: Sequence[Token], measure: Measure, measures: Sequence[Measure], head: Sequence[Token]
) -> Surroundings:
    """Collect the words around a number.

    Args:
        tokens: its sentence.
        measure: the number.
        measures: all numbers of the sentence: one hides the words beyond it.
        head: head of its column and label of its row.
    """
    floor = max((other.last for other in measures if other.last < measure.first), default=-1)
    ceiling = min((other.lead for other in measures if other.first > measure.last), default=len(tokens))
    between = tokens[floor + 1 : measure.lead] if floor >= 0 else ()
    floor = _after_long_time(tokens, floor, measure.lead)
    behind = _clause_behind(tokens, measure.last + 1, ceiling)
    content = [word for word in behind if word not in words.ARTICLES and word != "-"]
    return Surroundings(
        close=_close(tokens, measure, floor),
        before=_clause_before(tokens, measure.lead, floor),
        adjacent=content[0] if content else "",
        behind=behind,
        sentence=frozenset(token.lower for token in tokens),
        head=frozenset(token.lower for token in head),
        option=_beside_option(tokens, measure),
        chained=bool(between) and all(token.lower in words.CHAINS for token in between),
    )


def _close(tokens: Sequence[Token], measure: Measure, floor: int) -> tuple[str, ...]:
    """The comparator's own words are close too: what lasts "longer than 250 ms" is measured against a setting."""
    close = [token.lower for token in tokens[max(floor + 1, measure.lead - _CLOSE) : measure.first]]
    last_stop = max((index + 1 for index, word in enumerate(close) if word in _STOPS), default=0)
    promised = measure.comparator is Comparator.AT_MOST
    return tuple(word for word in close[last_stop:] if not (promised and word == "longer"))


def _after_long_time(tokens: Sequence[Token], floor: int, lead: int) -> int:
    """``Training took 67 minutes (3 998 s)``: what the minutes took is not what the seconds are."""
    places = [
        index
        for index in range(floor + 2, lead)
        if tokens[index].lower in words.LONG_TIMES and tokens[index - 1].kind is Kind.NUMBER
    ]
    return places[-1] if places else floor


def _beside_option(tokens: Sequence[Token], measure: Measure) -> bool:
    before = tokens[max(0, measure.lead - 3) : measure.lead]
    behind = tokens[measure.last + 1 : measure.last + 3]
    return any(
        token.kind is Kind.OPAQUE and (token.text.startswith("-") or "_" in token.text or "." in token.text)
        for token in (*before, *behind)
    )


def _clause_before(tokens: Sequence[Token], lead: int, floor: int) -> tuple[str, ...]:
    found: list[str] = []
    for token in reversed(tokens[max(floor + 1, lead - _REACH_BEFORE) : lead]):
        if token.text in _STOPS:
            break
        found.append(token.lower)
    return tuple(reversed(found))


def _clause_behind(tokens: Sequence[Token], first: int, ceiling: int) -> tuple[str, ...]:
    found: list[str] = []
    for token in tokens[first : min(ceiling, first + _REACH_BEHIND)]:
        if token.text in BARRIERS:
            break
        found.append(token.lower)
    return tuple(found)


def weight(measure: Measure, statistic: str, around: Surroundings, before: float) -> float:
    """How much speaks for a promise; more than 0 is one.

    Args:
        measure: the number.
        statistic: the percentile that it is said to be; empty for none.
        around: the words around it.
        before: the weight of the number before it, of the same kind; 0 where there is none.
    """
    quantity = measure.unit.quantity
    if quantity is Quantity.RATIO:
        return 1.0 if _is_ratio(measure, around) else -1.0
    if quantity in (Quantity.RTF, Quantity.DER):
        return -1.0 if around.adjacent in words.SETTING_AFTER else 1.0
    score = _AT_FIRST[measure.unit.name] if quantity is Quantity.LATENCY else _AT_FIRST_OF[quantity]
    score += 2.5 * bool(statistic) + _for(quantity, around) - 2.5 * around.option
    score -= 3.0 * _any(around.sentence, _SUPPOSES) + 3.0 * _any(around.behind, words.SETTING_BEHIND)
    score -= _against_latency(around) if quantity is Quantity.LATENCY else _against(quantity, around)
    return score + (max(-2.0, min(2.0, before)) if around.chained else 0.0)


def _for(quantity: Quantity, around: Surroundings) -> float:
    performance = words.PERFORMANCE[quantity]
    clause = 1.5 * _any(around.before, performance) + 1.0 * _any(around.behind, performance)
    table = 2.0 * _any(around.head, performance) - 4.0 * _any(around.head, words.SETTING_HEAD)
    return clause + table + 0.4 * _any(around.sentence, performance)


def _against_latency(around: Surroundings) -> float:
    close = _any(around.close, words.SETTING_BEFORE)
    before = 1.5 * _any(around.before, words.SETTING_BEFORE) + 0.4 * _any(around.sentence, words.SETTING_FAR)
    return 3.0 * (around.adjacent in words.SETTING_AFTER) + 3.0 * close + before


def _against(quantity: Quantity, around: Surroundings) -> float:
    settings = words.SETTING_OF[quantity]
    close, behind = _any(around.close, settings), _any(around.behind, settings - {"at", "up", "need", "with"})
    before = 2.0 if close else 1.0 * _any(around.before, settings)
    return before + 1.5 * behind + 2.0 * (quantity is Quantity.SIZE and around.adjacent in words.SIZE_AFTER)


def _is_ratio(measure: Measure, around: Surroundings) -> bool:
    compared = _any(around.behind, words.COMPARATIVES) or _any(around.head, words.COMPARATIVES)
    if measure.unit.name == "%":
        # "27 % more throughput", but not "97 % coverage" or "a 5 % higher price".
        return around.adjacent in words.COMPARATIVES - {"wall", "throughput", "speed"} and compared
    return compared or _any(around.before[-3:], words.COMPARATIVES)


def _any(some: Sequence[str] | frozenset[str], of: frozenset[str]) -> bool:
    return not of.isdisjoint(some)
