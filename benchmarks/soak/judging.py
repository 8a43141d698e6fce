"""Whether an answer is right, and what was not: an answer is held to what its version answers to its content."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from voiceflow_ml.client.answers import Reply


class Trouble(StrEnum):
    """What must not happen."""

    WRONG = "wrong answers"
    LOST = "lost results"
    SERVER_ERROR = "unexpected 5xx"
    STATUS = "other answers than expected"
    FAULT = "faults answered otherwise than stated"
    LOGGED = "errors in the server's log"


TURNED_AWAY = "turned away with 503, or close code 1013"
BY_RULE = "versions taken back by rule"


@dataclass(frozen=True)
class Known:
    """What a version answers.

    Attributes:
        version: what the server calls it.
        source: the folder that it is loaded from.
        answers: what is asked -> fingerprint of the answer.
    """

    version: str
    source: str
    answers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is to be judged; times in nanoseconds after the soak began.

    Attributes:
        asked: what was asked.
        version: what the answer names; for a stream, what its start named.
        fingerprint: of its content.
        sent_ns: when it was asked.
        bound_ns: by when its version was chosen: the whole answer of a request, the first one of a stream.
    """

    asked: str
    version: str
    fingerprint: str
    sent_ns: int
    bound_ns: int


class InUse:
    """Which versions were in use when.

    Args:
        first: at the beginning.
    """

    def __init__(self, first: str) -> None:
        self._changes: list[tuple[float, float, frozenset[str]]] = [(-math.inf, -math.inf, frozenset({first}))]

    def change(self, begun_ns: int, ended_ns: int, versions: frozenset[str]) -> None:
        """From some time between these two on, each of these versions may answer, and no other."""
        self._changes.append((begun_ns, ended_ns, versions))
        self._changes.sort(key=lambda change: change[1])

    def between(self, first_ns: int, last_ns: int) -> frozenset[str]:
        """Versions that may have been in use at any time between two."""
        before: frozenset[str] = frozenset()
        during: set[str] = set()
        for begun_ns, ended_ns, versions in self._changes:
            if ended_ns <= first_ns:
                before = versions
            elif begun_ns <= last_ns:
                during |= versions
        return before | during


def problem_of(answer: Answer, known: Sequence[Known], in_use: InUse) -> str:
    """What is wrong with an answer, in one sentence; empty when it is right."""
    by_version = {one.version: one for one in known}
    named = by_version.get(answer.version)
    if named is None:
        return f"{answer.asked}: answered by {answer.version or 'a version without a name'}, which nobody loaded"
    if named.answers[answer.asked] != answer.fingerprint:
        others = [one.version for one in known if one.answers[answer.asked] == answer.fingerprint]
        whose = f"that of {others[0]}" if others else "that of no version"
        return f"{answer.asked}: the answer names {answer.version} and is {whose}"
    allowed = in_use.between(answer.sent_ns, answer.bound_ns)
    if answer.version not in allowed:
        return f"{answer.asked}: answered by {answer.version}, while {', '.join(sorted(allowed))} was in use"
    return ""


@dataclass
class Ledger:
    """What was counted, and the first example of each.

    Attributes:
        counts: by :class:`Trouble`, :data:`TURNED_AWAY` and :data:`BY_RULE`.
        examples: the first of each, in a sentence.
        right: right answers, by what was asked.
        faults: faults that ended as stated, by their name.
        changes: steps of the versions that ended as stated, by their name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    right: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, sentence: str) -> None:
        """Count something, and keep the sentence if it is the first of its kind."""
        self.counts[what] += 1
        self.examples.setdefault(what, sentence[:500])

    @property
    def troubles(self) -> int:
        """How often anything happened that must not."""
        return sum(self.counts[trouble] for trouble in Trouble)

    def refused(self, asked: str, reply: Reply) -> None:
        """Note an answer that is no success where one was expected; 503 is one, if it says when to come back."""
        status = reply.status
        sentence = f"{asked}: {status}, {reply.body[:300].decode(errors='replace')}"
        if status == 503 and reply.headers.get("retry-after", "").isdecimal():
            self.note(TURNED_AWAY, sentence)
        else:
            self.note(Trouble.SERVER_ERROR if status >= 500 else Trouble.STATUS, sentence)
