"""Which percentile each number of a sentence is: ``P50 3 ms, P99 9 ms``, ``3 ms (median)``, ``P50/P99: 3/9 ms``."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.claims.measures import Measure
from voiceflow_ml.claims.mentions import Mention, statistics
from voiceflow_ml.claims.tokens import Token

_LINKS = frozenset({"at", "the", "(", "in", "for", "a", "on", "p", "of"})
_LIST = frozenset({"/", ",", "and"})
_STOPS = frozenset({";", ")"})


def percentiles_of(tokens: Sequence[Token], measures: Sequence[Measure]) -> list[str]:
    """The statistic of each measure of a sentence; empty where it names none for it."""
    mentions = statistics(tokens)
    found: list[str] = []
    taken: set[int] = set()
    for index, measure in enumerate(measures):
        listed = _listed(tokens, mentions, measure)
        floor = measures[index - 1].last if index else -1
        ceiling = measures[index + 1].lead if index + 1 < len(measures) else len(tokens)
        said = listed or _before(tokens, mentions, measure, floor, taken) or _behind(tokens, mentions, measure, ceiling)
        if isinstance(said, Mention):
            taken.add(said.first)
            said = said.value
        found.append(said or _only(mentions, measure))
    return found


def _listed(tokens: Sequence[Token], mentions: Sequence[Mention], measure: Measure) -> str:
    """``P50/P95/P99 were 4/5/6 ms``: as many percentiles as numbers, each in its place."""
    if measure.places < 2:
        return ""
    run: list[Mention] = []
    for mention in mentions:
        joined = run and all(token.lower in _LIST for token in tokens[run[-1].last + 1 : mention.first])
        run = [*run, mention] if joined else [mention]
        if len(run) == measure.places:
            return run[measure.place].value
    return ""


def _before(
    tokens: Sequence[Token], mentions: Sequence[Mention], measure: Measure, floor: int, taken: set[int]
) -> Mention | None:
    for mention in reversed(mentions):
        if floor < mention.first and mention.last < measure.first and mention.first not in taken:
            between = tokens[mention.last + 1 : measure.lead]
            return None if any(token.text in _STOPS for token in between) else mention
    return None


def _behind(tokens: Sequence[Token], mentions: Sequence[Mention], measure: Measure, ceiling: int) -> Mention | None:
    for mention in mentions:
        if measure.last < mention.first < ceiling:
            between = tokens[measure.last + 1 : mention.first]
            return mention if all(token.lower in _LINKS for token in between) else None
    return None


def _only(mentions: Sequence[Mention], measure: Measure) -> str:
    """A single percentile at the head of a sentence is that of all its numbers."""
    only = mentions[0] if len(mentions) == 1 else None
    # A mean is named anew for each number.
    return only.value if only and only.value.startswith("P") and only.last < measure.first else ""
