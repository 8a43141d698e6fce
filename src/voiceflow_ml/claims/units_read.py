"""The unit behind a number."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.claims.quantities import PER_SECOND_WORDS, PERCENT, RATES, RATIO, TIME, Unit, rate_of, size_unit
from voiceflow_ml.claims.tokens import Kind, Token

_TIMES = frozenset({"x", "\u00d7", "times"})
_PERCENT = frozenset({"%", "percent"})


def read_unit(tokens: Sequence[Token], index: int) -> tuple[Unit, int] | None:
    """The unit that begins at an index, and the index of its last token; None where none does."""
    if index >= len(tokens):
        return None
    # "2-second", "2.7-fold".
    hyphen = tokens[index].text == "-" and not tokens[index].spaced and index + 1 < len(tokens)
    if hyphen and not tokens[index + 1].spaced:
        return _hyphenated(tokens, index + 1)
    token = tokens[index]
    if token.lower in _TIMES:
        product = index + 1 < len(tokens) and tokens[index + 1].kind is Kind.NUMBER
        return None if product else (RATIO, index)
    if token.lower in _PERCENT:
        return PERCENT, index
    if token.kind is not Kind.WORD:
        return None
    return _rate(tokens, index) or _plain(token, index)


def _hyphenated(tokens: Sequence[Token], index: int) -> tuple[Unit, int] | None:
    token = tokens[index]
    if token.lower == "fold":
        return RATIO, index
    return _plain(token, index) if token.kind is Kind.WORD else None


def _plain(token: Token, index: int) -> tuple[Unit, int] | None:
    unit = TIME.get(token.text if len(token.text) < 3 else token.lower) or size_unit(token.text)
    return (unit, index) if unit else None


def _rate(tokens: Sequence[Token], index: int) -> tuple[Unit, int] | None:
    """``rps``, ``req/s``, ``images per second``, ``concurrent requests per second``."""
    token = tokens[index]
    if token.lower in RATES:
        return RATES[token.lower], index
    for counted in (index, index + 1):
        if counted + 2 >= len(tokens) or tokens[counted].kind is not Kind.WORD:
            return None
        per, second = tokens[counted + 1], tokens[counted + 2]
        if second.lower in PER_SECOND_WORDS and (per.lower == "per" or (per.text == "/" and not per.spaced)):
            unit = rate_of(tokens[counted].text)
            return (unit, counted + 2) if unit else None
    return None
