"""Prose as tokens with their places: numbers, words, comparators, percentiles, and things that are no prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a token is."""

    NUMBER = "number"
    WORD = "word"
    PERCENTILE = "percentile"
    SYMBOL = "symbol"
    OPAQUE = "opaque"
    """A version, a date, a time of day, or a code span: read as one thing, never as a number."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a document.

    Attributes:
        kind: what it is.
        text: as written; of an entity or an escape, what it stands for.
        start: its place in the document, in characters from 0.
        end: one past its last character.
        spaced: white space, or the start of the passage, stands before it.
        lower: ``text`` in lower case.
    """

    kind: Kind
    text: str
    start: int
    end: int
    spaced: bool
    lower: str

    @property
    def value(self) -> float:
        """The value of a number; NaN for anything else."""
        return float(self.text.translate(_GROUPING)) if self.kind is Kind.NUMBER else float("nan")

    @property
    def decimals(self) -> int:
        """Digits behind the point of a number."""
        return len(self.text.partition(".")[2])


# Thousands are grouped by commas or by one of several spaces.
_GROUPING = {ord(character): None for character in ", \u00a0\u2009\u202f"}

# The only pattern that ever sees raw text: it cuts, and understands nothing.
_LEXER = re.compile(
    r"(?P<opaque>\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}(?::\d{2})?(?!\d)|v?\d+(?:\.\d+){2,}\w*)"
    r"|(?P<percentile>[pP]\d{2}(?:\.\d+)?(?!\w))"
    r"|(?P<number>\d+(?:\.\d+)?[eE][+-]?\d+(?!\w)|\d{1,3}(?:[,\u00a0\u2009\u202f ]\d{3})+(?!\d)(?:\.\d+)?"
    r"|\d+(?:\.\d+)?)"
    r"|(?P<word>[^\W\d_]\w*)"
    r"|(?P<symbol><=|>=|=<|\.{2,3}|\S)",
    re.ASCII,
)
_LETTERS = re.compile(r"[^\W\d_]\w*")


def tokenise(text: str, start: int, *, spaced: bool = True) -> Iterator[Token]:
    """Cut text into tokens.

    Args:
        text: a stretch of a document, as written.
        start: the place of its first character in the document.
        spaced: whether white space stands before it.
    """
    position = 0
    while position < len(text):
        if text[position].isspace():
            position, spaced = position + 1, True
            continue
        end, kind = _next(text, position)
        piece = text[position:end]
        yield Token(kind, piece, start + position, start + end, spaced, piece.lower())
        position, spaced = end, False


def _next(text: str, position: int) -> tuple[int, Kind]:
    # Letters of any alphabet make words; digits are ASCII, since float() reads others in surprising ways.
    letters = _LETTERS.match(text, position) if not text[position].isascii() else None
    if letters is not None:
        return letters.end(), Kind.WORD
    match = _LEXER.match(text, position)
    if match is None or match.lastgroup is None:
        return position + 1, Kind.SYMBOL
    return match.end(), Kind(match.lastgroup)


def opaque(text: str, start: int, end: int, *, spaced: bool) -> Token:
    """A code span or the like as one token."""
    return Token(Kind.OPAQUE, text, start, end, spaced, text.lower())
