"""The swap history of a slot: a record for each change of the served version and each refusal."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from voiceflow_ml.service.routing import Routes, Seat, version_on
from voiceflow_ml.service.sources import shown
from voiceflow_ml.service.swaps import Kind, Step, SwapRecord

_KEPT_RECORDS = 200


@dataclass(frozen=True)
class Attempt:
    """A change under way.

    Attributes:
        start_ns: when it was asked for, monotonic.
        routes: what was served then.
        source: what was asked for; empty where nothing is loaded.
        steps: the steps of a load so far.
    """

    start_ns: int
    routes: Routes
    source: str = ""
    steps: list[Step] = field(default_factory=list)


class SwapHistory:
    """The last 200 records.

    Args:
        on_record: called with every record, to log and to count it; from any thread.
        clock_ns: monotonic time.
        now: the time that is written down.
    """

    def __init__(
        self, on_record: Callable[[SwapRecord], None], clock_ns: Callable[[], int], now: Callable[[], datetime]
    ) -> None:
        self._on_record, self._clock_ns, self._now = on_record, clock_ns, now
        self._records: deque[SwapRecord] = deque(maxlen=_KEPT_RECORDS)
        self._numbers = itertools.count(1)

    @property
    def records(self) -> tuple[SwapRecord, ...]:
        """Oldest first."""
        return tuple(self._records)

    def add(
        self,
        kind: Kind,
        attempt: Attempt,
        after: Routes,
        subject: Seat | None,
        *,
        code: str = "",
        reason: str = "",
        still_leased: int = 0,
    ) -> SwapRecord:
        """Write down what became of an attempt.

        Args:
            kind: what happened.
            attempt: the attempt.
            after: what is served now.
            subject: the version that it is about; None when it never became one.
            code: why, for machines.
            reason: why, in one sentence.
            still_leased: requests that were still on the version before.
        """
        record = SwapRecord(
            number=next(self._numbers),
            kind=kind,
            source=shown(attempt.source),
            before=version_on(attempt.routes.live),
            after=version_on(after.live),
            subject=version_on(subject),
            digest=subject.version.digest if subject is not None else "",
            when=self._now().isoformat(timespec="seconds"),
            elapsed_ns=self._clock_ns() - attempt.start_ns,
            steps=tuple(attempt.steps),
            code=code,
            reason=reason,
            still_leased=still_leased,
        )
        self._records.append(record)
        self._on_record(record)
        return record
