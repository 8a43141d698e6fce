"""Two readings of each sample: the wall clock, and the same less the time spent waiting for a CPU.

On a shared machine most of the tail on the wall clock is run-queue wait: the thread was ready, and something
else had the core. The scheduler counts that wait for each thread, so it can be taken off::

    adjusted = wall - min(run delay, max(0, wall - thread CPU time))

The second term keeps what is taken off within the time that the thread did not run. The adjusted reading does
not count when other threads of the process did part of the work: the wait can then be for one's own helpers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.counters import PROCESS_SHARE


@dataclass(frozen=True, eq=False)
class Channels:
    """Both readings of the same samples.

    Attributes:
        wall_ns: int64, shape ``[n]``, in arrival order.
        adjusted_ns: int64, shape ``[n]``; None when it does not count.
        problem: why the adjusted reading does not count; empty when it does.
    """

    wall_ns: NDArray[np.int64]
    adjusted_ns: NDArray[np.int64] | None
    problem: str


def take_off_wait(
    wall_ns: NDArray[np.int64], run_delay_ns: NDArray[np.int64], thread_time_ns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The adjusted reading, int64 ns, shape ``[n]``, of samples with their scheduler counts, each ``[n]``."""
    # In place: a look at a long run needs one more array, and not four.
    adjusted_ns: NDArray[np.int64] = wall_ns - thread_time_ns
    np.maximum(adjusted_ns, 0, out=adjusted_ns)
    np.minimum(adjusted_ns, run_delay_ns, out=adjusted_ns)
    np.subtract(wall_ns, adjusted_ns, out=adjusted_ns)
    return adjusted_ns


def own_threads_problem(process_time_ns: int, thread_time_ns: int) -> str:
    """Why the adjusted reading does not count when the process used more CPU than the measuring thread, or ""."""
    if process_time_ns <= PROCESS_SHARE * thread_time_ns:
        return ""
    share = process_time_ns / thread_time_ns if thread_time_ns else float("inf")
    return (
        f"the process used {share:.2f} times the CPU time of the measuring thread, "
        "so the wait may be for its own threads"
    )
