"""A machine for the capacity model, from two trials of a running server: one caller, and more than it can serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.capacity import Machine, sampled_durations
from voiceflow_ml.load import Trial


@dataclass(frozen=True)
class Fitted:
    """What the trials say.

    Attributes:
        machine: for the simulation.
        capacity_per_s: answers in a second when callers never let the server rest.
        way_ns: what a lone request takes beyond the inference and the server's work for it: sockets and the client.
    """

    machine: Machine
    capacity_per_s: float
    way_ns: float


def told_ns(trials: Sequence[Trial]) -> NDArray[np.int64]:
    """The inference times that the server told of each answer, int64, shape ``[n]``."""
    told = [shot.model_ns for trial in trials for shot in trial.shots if shot.model_ns >= 0]
    return np.array(told, dtype=np.int64)


def fit(lone: Sequence[Trial], busy: Sequence[Trial], *, workers: int, cores: int, queue: int) -> Fitted:
    """Make a machine of measured trials.

    What a request costs beyond its inference is read off the throughput: workers that are never idle answer
    ``workers / (inference + overhead)`` requests in a second. It holds the hand-over between threads, and, where the
    server loop has no core of its own, the loop's work.

    Args:
        lone: trials with one caller.
        busy: trials with more callers than workers; its inferences slow each other down as they do under load.
        workers: the server's inference threads.
        cores: of the machine.
        queue: the server's bound.
    """
    inference_ns = told_ns(busy)
    capacity_per_s = float(np.mean([trial.rate_per_s for trial in busy]))
    cost_ns = max(0.0, workers * 1e9 / capacity_per_s - float(inference_ns.mean()))
    alone_ns = float(np.median(np.concatenate([trial.latencies_ns for trial in lone])))
    beyond_ns = max(0.0, alone_ns - float(np.median(told_ns(lone))) - cost_ns)
    source = f"{inference_ns.size} inferences while all workers were busy"
    if workers >= cores:
        machine = Machine(workers, sampled_durations(inference_ns, source), cost_ns, queue, cores)
    else:
        # The loop has a core of its own: what a worker loses between two requests is the worker's.
        held_ns = inference_ns + round(cost_ns)
        machine = Machine(workers, sampled_durations(held_ns, source), 0.0, queue, cores)
    return Fitted(machine, capacity_per_s, beyond_ns)


def measured_ns(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Latency of each request that was sent, infinite for one that was turned away or failed; sorted."""
    values = [
        float(shot.done_ns - shot.intended_ns) if 200 <= shot.status < 300 else np.inf
        for trial in trials
        for shot in trial.shots
    ]
    return np.sort(np.array(values, dtype=np.float64))
