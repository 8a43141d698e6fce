"""What one measurement produced: the raw samples in arrival order, and how they were taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.quantiles import as_samples_ns


@dataclass(frozen=True, eq=False)
class Run:
    """The raw record of one measurement. Built by :func:`voiceflow_ml.latency.measure`, never edited.

    Attributes:
        samples_ns: kept latencies, int64, shape ``[n]``, in arrival order; read-only.
        cold_start_ns: the very first call; reported, never judged.
        warmup_ns: the discarded calls after it, in order.
        settling_calls: calls discarded at the start of blocks (cold caches after a gap).
        blocks: number of blocks that the samples were taken in.
        span_ns: from the start of the first kept block to the end of the last.
        stopped_by: ``"decided"``, ``"samples"`` or ``"time"``.
        seed: seed of the random gaps between blocks.
    """

    samples_ns: NDArray[np.int64]
    cold_start_ns: int
    warmup_ns: tuple[int, ...]
    settling_calls: int
    blocks: int
    span_ns: int
    stopped_by: str
    seed: int

    def __post_init__(self) -> None:
        samples_ns = as_samples_ns(self.samples_ns).copy()
        samples_ns.setflags(write=False)
        object.__setattr__(self, "samples_ns", samples_ns)
