"""Numbers as people write them: digits, ``1.2M``, ``55 million``, ``ten``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.claims.tokens import Kind, Token

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: float(value) for value, word in enumerate(_ONES)}
_WORDS |= {"fifteen": 15.0, **{word: 10.0 * value for value, word in enumerate(_TENS, start=2)}, "hundred": 100.0}
_SUFFIXES = {"k": 1e3, "K": 1e3, "M": 1e6, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_JOINS = frozenset({".", "_", "@", "#", "$", "\u20ac", "\u00a3", "\u00a7", "/", ":", "="})


@dataclass(frozen=True)
class Numeral:
    """A number in a sentence.

    Attributes:
        value: its value.
        first: index of its first token.
        last: index of its last.
        half_step: half a unit of its last digit.
    """

    value: float
    first: int
    last: int
    half_step: float


def read_numeral(tokens: Sequence[Token], index: int) -> Numeral | None:
    """The number that begins at an index; None where none does."""
    if index >= len(tokens):
        return None
    token = tokens[index]
    if token.kind is Kind.WORD and token.lower in _WORDS:
        return Numeral(_WORDS[token.lower], index, index, 0.5)
    if token.kind is not Kind.NUMBER or _glued(tokens, index):
        return None
    scale, last = 1.0, index
    suffix = tokens[index + 1] if index + 1 < len(tokens) else None
    if suffix is not None and suffix.text in _SUFFIXES and (not suffix.spaced or len(suffix.text) > 1):
        scale, last = _SUFFIXES[suffix.text], index + 1
    if not math.isfinite(token.value * scale):
        return None
    return Numeral(token.value * scale, index, last, 0.5 * 10.0**-token.decimals * scale)


def _glued(tokens: Sequence[Token], index: int) -> bool:
    """Whether a number is the end of a name or of a price: ``v8.1``, ``ViT-S/16``, ``$49``, ``gpt-4``."""
    token = tokens[index]
    if token.spaced or index == 0:
        return False
    before = tokens[index - 1]
    if before.kind is Kind.WORD:
        return True
    if before.text == "," and index >= 2 and tokens[index - 2].kind is Kind.NUMBER and not before.spaced:
        # A decimal comma: better not read than read as another number.
        return True
    if before.text in _JOINS:
        # "4.2/5.0 ms" goes on, "P99=4 ms" says what, and "S/16" is a name.
        numeric = index >= 2 and tokens[index - 2].kind in (Kind.NUMBER, Kind.PERCENTILE)
        return not (before.text in "/=:" and (numeric or before.spaced or before.text == "="))
    named = index >= 2 and tokens[index - 2].kind is Kind.WORD and not before.spaced
    return before.text == "-" and named and tokens[index - 2].lower not in _BEFORE_HYPHEN


# "sub-10ms" and "p99-4.48ms" are measures, "gpt-4" is a name.
_BEFORE_HYPHEN = frozenset({"sub", "latency", "time", "to"})
