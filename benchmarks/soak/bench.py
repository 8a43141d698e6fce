"""What everybody who takes part in a soak shares: the clock, the ledger, what is in use, what is measured."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.soak.judging import BY_RULE, Answer, InUse, Known, Ledger, Trouble, problem_of
from benchmarks.soak.plan import Plan
from voiceflow_ml.client.aio import AsyncClient
from voiceflow_ml.latency import percentile
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.units import NS_PER_S


class Durations:
    """How long things took, by their kind, since they were last asked for."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, kind: str, elapsed_ns: int) -> None:
        """Keep one."""
        self._values[kind].append(elapsed_ns)

    def taken(self, kind: str) -> dict[str, int | None]:
        """Number, P50 and P99 of a kind, nearest rank, in nanoseconds; they are forgotten."""
        found = self.peek(kind)
        self._values.pop(kind, None)
        return found

    def peek(self, kind: str) -> dict[str, int | None]:
        """The same, and they are kept."""
        values = np.array(self._values[kind], dtype=np.int64)
        p50, p99 = (percentile(values, quantile) if values.size else None for quantile in (0.5, 0.99))
        return {"count": int(values.size), "p50_ns": p50, "p99_ns": p99}


@dataclass
class Bench:
    """One soak under way.

    Attributes:
        url: of the server.
        plan: of the soak.
        known: the versions.
        in_use: which of them when.
        ledger: what was counted.
        start_ns: when the load began, by ``time.perf_counter_ns``.
        durations: of requests and chunks.
        waiting: answers that are not judged yet.
        over: set when nothing new is to be begun.
    """

    url: str
    plan: Plan
    known: Sequence[Known]
    in_use: InUse
    ledger: Ledger = field(default_factory=Ledger)
    start_ns: int = field(default_factory=time.perf_counter_ns)
    durations: Durations = field(default_factory=Durations)
    waiting: list[Answer] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def now_ns(self) -> int:
        """Since the start."""
        return time.perf_counter_ns() - self.start_ns

    async def rest(self, seconds: float) -> bool:
        """Wait; returns whether the soak goes on."""
        try:
            await asyncio.wait_for(self.over.wait(), max(0.0, seconds))
        except TimeoutError:
            # A wait of no length ends so even when the soak is over.
            return not self.over.is_set()
        return False

    async def ticks(self, every_s: float) -> AsyncIterator[None]:
        """Go on every so often until the soak is over; what was missed while it was held up is not made up for."""
        number = 1
        while await self.rest(number * every_s - self.now_ns() / NS_PER_S):
            yield
            number = max(number + 1, math.ceil(self.now_ns() / NS_PER_S / every_s))

    def judge(self, horizon_ns: float) -> None:
        """Judge the answers of which it is known by now what was in use."""
        ready = [answer for answer in self.waiting if answer.bound_ns < horizon_ns]
        self.waiting = [answer for answer in self.waiting if answer.bound_ns >= horizon_ns]
        for answer in ready:
            problem = problem_of(answer, self.known, self.in_use)
            if problem:
                self.ledger.note(Trouble.WRONG, f"{problem}, {answer.sent_ns / NS_PER_S:.1f} s after the start")
            else:
                self.ledger.right[answer.asked] += 1


class Served:
    """Asks the server which version it serves, and notes what it took back by itself.

    Args:
        bench: of the soak.
        client: asks.

    Attributes:
        by_rule: how many versions it took back by rule.
        step_ns: when the step of the versions that is under way began; None when none is.
    """

    def __init__(self, bench: Bench, client: AsyncClient) -> None:
        self._bench, self._client = bench, client
        # A change may be seen a moment before its record, so the last look alone is not trusted yet.
        self._earlier_ns = self._looked_ns = self._seen = 0
        self._one_at_a_time = asyncio.Lock()
        self.by_rule = 0
        self.step_ns: int | None = None

    @property
    def horizon_ns(self) -> int:
        """Up to here it is known what was in use."""
        return self._earlier_ns if self.step_ns is None else min(self._earlier_ns, self.step_ns)

    async def look(self) -> frozenset[str]:
        """The versions that may answer now.

        Raises:
            ClientError: the server does not say.
        """
        async with self._one_at_a_time:
            begun_ns = self._bench.now_ns()
            said = await self._client.metadata(MODEL_NAME)
            versions = versions_of(said["status"])
            new = [record for record in said["swaps"] if record["number"] > self._seen]
            self._seen = max((record["number"] for record in new), default=self._seen)
            for record in new:
                if record["kind"] == "rolled-back-by-rule":
                    self.by_rule += 1
                    self._bench.ledger.note(BY_RULE, f"{record['subject']}: {record['reason']}")
                    self._bench.in_use.change(self._earlier_ns, self._bench.now_ns(), versions)
            self._earlier_ns, self._looked_ns = self._looked_ns, begun_ns
            return versions


def versions_of(status: dict[str, Any]) -> frozenset[str]:
    """The versions that may answer, of a server's status."""
    return frozenset(version for version in (status["version"], status["canary"]) if version)
