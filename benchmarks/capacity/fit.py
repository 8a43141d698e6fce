"""A machine for the capacity model, from two trials of a running server: lone requests, and more than it can serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.capacity import Machine, sampled_durations
from voiceflow_ml.load import Trial

_GRID = 4_000
"""Quantiles that stand for a distribution."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What the trials say.

    Attributes:
        capacity_per_s: answers in a second when callers never let the server rest.
        cost_ns: what a worker spends on a request beyond its inference.
        way_ns: what a lone request takes beyond both: sockets and the client.
        lone_ns: inferences while nothing else was to be done, int64, shape ``[n]``.
        busy_ns: inferences while everything was busy.
        workers: the server's inference threads.
        cores: of the machine.
        queue: the server's bound.
    """

    capacity_per_s: float
    cost_ns: float
    way_ns: float
    lone_ns: NDArray[np.int64]
    busy_ns: NDArray[np.int64]
    workers: int
    cores: int
    queue: int

    def machine(self, load: float) -> Machine:
        """The machine at a load: so large a share of the inferences meets a busy machine, the rest a quiet one.

        Args:
            load: the rate over the capacity, from 0 to 1.
        """
        met = round(load * _GRID)
        parts = [(self.busy_ns, met), (self.lone_ns, _GRID - met)]
        inference_ns = np.concatenate([_evenly(values_ns, count) for values_ns, count in parts])
        source = f"{self.lone_ns.size} inferences alone, {self.busy_ns.size} while all was busy, mixed by the load"
        if self.workers >= self.cores:
            durations = sampled_durations(inference_ns, source)
            return Machine(self.workers, durations, self.cost_ns, self.queue, self.cores)
        # The loop has a core of its own: what a worker loses between two requests is the worker's.
        durations = sampled_durations(inference_ns + round(self.cost_ns), source)
        return Machine(self.workers, durations, 0.0, self.queue, self.cores)


def _evenly(values_ns: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """So many quantiles of a distribution, evenly spread."""
    return np.rint(np.quantile(values_ns, (np.arange(count) + 0.5) / max(1, count))).astype(np.int64)


def told_ns(trials: Sequence[Trial]) -> NDArray[np.int64]:
    """The inference times that the server told of each answer, int64, shape ``[n]``."""
    told = [shot.model_ns for trial in trials for shot in trial.shots if shot.model_ns >= 0]
    return np.array(told, dtype=np.int64)


def fit(lone: Sequence[Trial], busy: Sequence[Trial], *, workers: int, cores: int, queue: int) -> Fitted:
    """Read what a machine needs off measured trials.

    What a request costs beyond its inference is read off the throughput: workers that are never idle answer
    ``workers / (inference + overhead)`` requests in a second. It holds the hand-over between threads, and, where the
    server loop has no core of its own, the loop's work.

    Args:
        lone: trials whose requests hardly ever meet.
        busy: trials with more callers than workers.
        workers: the server's inference threads.
        cores: of the machine.
        queue: the server's bound.
    """
    busy_ns, lone_ns = told_ns(busy), told_ns(lone)
    capacity_per_s = float(np.mean([trial.rate_per_s for trial in busy]))
    cost_ns = max(0.0, workers * 1e9 / capacity_per_s - float(busy_ns.mean()))
    alone_ns = float(np.median(np.concatenate([trial.latencies_ns for trial in lone])))
    way_ns = max(0.0, alone_ns - float(np.median(lone_ns)) - cost_ns)
    return Fitted(capacity_per_s, cost_ns, way_ns, lone_ns, busy_ns, workers, cores, queue)


def measured_ns(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Latency of each request that was sent, infinite for one that was turned away or failed; sorted."""
    values = [
        float(shot.done_ns - shot.intended_ns) if 200 <= shot.status < 300 else np.inf
        for trial in trials
        for shot in trial.shots
    ]
    return np.sort(np.array(values, dtype=np.float64))
