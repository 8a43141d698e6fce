"""Words and signs before a number that say how it is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.claims.quantities import Comparator
from voiceflow_ml.claims.tokens import Token

_MOST, _LEAST, _ABOUT = Comparator.AT_MOST, Comparator.AT_LEAST, Comparator.APPROXIMATE

# Longest first: "no more than" before "more than".
_PHRASES: tuple[tuple[tuple[str, ...], Comparator], ...] = (
    *((words, _MOST) for words in (("no", "more", "than"), ("not", "more", "than"), ("no", "longer", "than"))),
    *((words, _LEAST) for words in (("no", "less", "than"), ("not", "less", "than"), ("no", "fewer", "than"))),
    *((words, _MOST) for words in (("less", "than"), ("fewer", "than"), ("faster", "than"), ("at", "most"))),
    *((words, _MOST) for words in (("up", "to"), ("lower", "than"), ("smaller", "than"), ("shorter", "than"))),
    *((words, _LEAST) for words in (("more", "than"), ("longer", "than"), ("greater", "than"), ("at", "least"))),
    *((words, _LEAST) for words in (("larger", "than"), ("slower", "than"), ("higher", "than"))),
    *(((word,), _MOST) for word in ("<", "<=", "=<", "\u2264", "under", "below", "within", "sub", "max", "beneath")),
    *(((word,), _LEAST) for word in (">", ">=", "\u2265", "over", "above", "exceeds", "exceeding", "beyond")),
    *(((word,), _ABOUT) for word in ("~", "\u2248", "\u223c", "about", "around", "roughly", "approximately", "approx")),
    *(((word,), _ABOUT) for word in ("circa", "ca", "some", "nearly", "almost", "typically")),
    *(((word,), Comparator.EXACT) for word in ("between", "from")),
)
_FLIPPED = {_LEAST: _MOST, _MOST: _LEAST}
_NEGATIONS = frozenset({"never", "no", "none", "not", "without", "nothing"})
_NEGATION_REACH = 5
_SKIPPED = frozenset({"=", "-", ".", "only", "just"})


@dataclass(frozen=True)
class Reading:
    """A comparator before a number.

    Attributes:
        comparator: EXACT where there is none.
        words: the words that it is made of.
        first: index of its first token; the number's where there is none.
    """

    comparator: Comparator
    words: tuple[str, ...]
    first: int


def read_comparator(tokens: Sequence[Token], index: int) -> Reading:
    """The comparator before the number at an index."""
    last = index
    # "< = 5", "sub-10ms", "ca. 5 ms", "about only 5 ms".
    while last > 0 and index - last < 2 and tokens[last - 1].lower in _SKIPPED:
        last -= 1
    for end in dict.fromkeys((index, last)):
        for words, comparator in _PHRASES:
            first = end - len(words)
            if first >= 0 and tuple(token.lower for token in tokens[first:end]) == words:
                return Reading(_negated(tokens, first, comparator), words, first)
    return Reading(Comparator.EXACT, (), index)


def _negated(tokens: Sequence[Token], first: int, comparator: Comparator) -> Comparator:
    """``never above 2 ms`` is at most 2 ms."""
    nearby = {token.lower for token in tokens[max(0, first - _NEGATION_REACH) : first]}
    if comparator in _FLIPPED and nearby & _NEGATIONS and tokens[first].lower != "no":
        return _FLIPPED[comparator]
    return comparator
