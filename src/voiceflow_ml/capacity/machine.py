"""One machine of a service, as far as a queue needs to know it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from voiceflow_ml.capacity.durations import Durations
from voiceflow_ml.errors import ConfigError


@dataclass(frozen=True)
class Machine:
    """A bounded queue in front of fixed workers, behind a server loop that reads requests and sends answers.

    Attributes:
        workers: inferences that run at the same time: threads, each with a core of its own, or GPUs.
        inference: how long one takes, undisturbed.
        overhead_ns: CPU time of the server for one request: read, parse, answer; measured.
        queue: requests that may wait; one more is refused.
        cores: cores of the machine; None where workers are no threads on them, as for GPUs.
    """

    workers: int
    inference: Durations
    overhead_ns: float = 0.0
    queue: int = 64
    cores: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers must be at least 1, got {self.workers}")
        if self.queue < 0:
            raise ConfigError(f"queue must be at least 0, got {self.queue}")
        if not 0 <= self.overhead_ns < math.inf:
            raise ConfigError(f"the server's overhead must be a duration from 0 on, got {self.overhead_ns!r} ns")
        if self.cores is not None and self.workers > self.cores:
            raise ConfigError(
                f"{self.workers} workers on {self.cores} cores would take turns, which no sample of one inference "
                "tells; give at most one worker for each core"
            )

    @property
    def shares_cores(self) -> bool:
        """Whether the server loop has no core of its own, so that its work stands in the way of an inference."""
        return self.cores is not None and self.workers >= self.cores

    @property
    def capacity_per_s(self) -> float:
        """Requests in a second that keep all of it busy; more than that no queue survives."""
        if self.shares_cores:
            return self.workers * 1e9 / (self.inference.mean_ns + self.overhead_ns)
        loop_per_s = 1e9 / self.overhead_ns if self.overhead_ns else math.inf
        return min(self.workers * 1e9 / self.inference.mean_ns, loop_per_s)
