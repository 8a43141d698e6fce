"""Passages as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voiceflow_ml.claims.tokens import Kind, Token

_LONGEST = 200
_ENDS = frozenset({".", "?", "!"})
BARRIERS = frozenset({".", ";", ":", ",", "(", ")", "?", "!", "|", "\u2014", "\u2013", "\u00b7"})


def sentences(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The sentences of a passage; a full stop inside a name or before a small letter ends none.

    What has no end for very long is cut, so that the time that a text takes grows no faster than its length.
    """
    first = 0
    for index, token in enumerate(tokens):
        if (token.text in _ENDS and _ends(tokens, index)) or index - first >= _LONGEST:
            yield tokens[first : index + 1]
            first = index + 1
    if first < len(tokens):
        yield tokens[first:]


def _ends(tokens: Sequence[Token], index: int) -> bool:
    if index + 1 == len(tokens):
        return True
    following = tokens[index + 1]
    return following.spaced and (following.kind is not Kind.WORD or not following.text[0].islower())
