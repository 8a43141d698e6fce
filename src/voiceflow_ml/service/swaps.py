"""What becomes of an attempt to change the served version: one record each, and the reasons for refusing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from voiceflow_ml.errors import VoiceflowError


class Kind(StrEnum):
    """What happened."""

    LOADED = "loaded"
    """A new version serves everyone."""
    CANARY = "canary"
    """A new version serves its share."""
    PROMOTED = "promoted"
    """The canary serves everyone."""
    ROLLED_BACK = "rolled-back"
    """The version before serves again, or the canary is gone, because somebody asked."""
    ROLLED_BACK_BY_RULE = "rolled-back-by-rule"
    """The same, because of errors or latency."""
    REFUSED = "refused"
    """Nothing changed."""


class Refusal(StrEnum):
    """Why a version was not taken; the text is what responses, logs and metrics carry."""

    NOT_FOUND = "not-found"
    YANKED = "yanked"
    HASH = "hash-mismatch"
    WRONG_MODEL = "wrong-model"
    UNREADABLE = "unreadable-file"
    OPSET = "opset"
    OPERATOR = "unknown-operator"
    EXTERNAL_DATA = "external-data"
    NO_CONTRACT = "no-contract"
    CONTRACT_BROKEN = "contract-broken"
    CONTRACT_CHANGED = "contract-changed"
    CANNOT_RUN = "cannot-run"
    NOT_FINITE = "not-finite"
    GOLDEN = "golden-mismatch"
    TOO_SLOW = "too-slow"
    CRASHED = "crashed"
    OVERTAKEN = "overtaken"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One step of a load.

    Attributes:
        name: what was done.
        elapsed_ns: how long it took.
        note: what it found.
    """

    name: str
    elapsed_ns: int
    note: str


@dataclass(frozen=True)
class SwapRecord:
    """One change of the served version, or one that was refused.

    Attributes:
        number: its place, from 1.
        kind: what happened.
        source: what was asked for: a version, a channel, a folder's name; empty where nothing was loaded.
        before: version that served everyone before; empty when none did.
        after: version that serves everyone afterwards.
        subject: the version that this is about; empty when it never became known.
        digest: SHA-256 of its model file; likewise.
        when: ISO 8601, UTC.
        elapsed_ns: from the request to the end.
        steps: of a load, in order; the last one of a refused load is where it failed.
        code: of a refusal, one of :class:`Refusal`; of a rollback by rule ``"errors"`` or ``"latency"``.
        reason: why, in one sentence; empty where nothing has to be explained.
        still_leased: requests and streams that were still on the version before when waiting for them ended.
    """

    number: int
    kind: Kind
    source: str
    before: str
    after: str
    subject: str
    digest: str
    when: str
    elapsed_ns: int
    steps: tuple[Step, ...] = ()
    code: str = ""
    reason: str = ""
    still_leased: int = 0

    def to_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return asdict(self)


class LoadRefused(VoiceflowError):  # noqa: N818 - what happened, as the log says it
    """A version was not taken, and what served before still does.

    Attributes:
        code: why, for machines.
        record: what was written into the history; None until it is.
    """

    def __init__(self, code: Refusal, sentence: str, record: SwapRecord | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.record = record


@contextlib.contextmanager
def made(name: str, tell: Callable[[Step], None], clock_ns: Callable[[], int]) -> Iterator[list[str]]:
    """Inside the block a step is made; it is told when it is over, a step that failed with the reason for it.

    Args:
        name: of the step.
        tell: gets it.
        clock_ns: monotonic time.

    Yields:
        What the step finds: a list to append to.
    """
    start_ns, note = clock_ns(), list[str]()
    try:
        yield note
    except LoadRefused as error:
        note.append(str(error))
        raise
    finally:
        tell(Step(name, clock_ns() - start_ns, "; ".join(filter(None, note))))


class LoadUnderWay(VoiceflowError):  # noqa: N818
    """Another load is under way, or a canary is being tried; one at a time."""


class NothingToChange(VoiceflowError):  # noqa: N818
    """There is no version to go back to, or no canary to promote."""


class NothingServed(VoiceflowError):  # noqa: N818
    """No version is loaded yet."""
