"""Two graphs of one model, measured in turns: is one of them faster on this machine?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.hardware.device_lock import device_lock
from voiceflow_ml.hardware.scheduler import SchedulerCounters
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import Change, Comparison, Run, SamplingPlan, compare, measure_pair
from voiceflow_ml.latency.compare import samples_per_arm
from voiceflow_ml.units import NS_PER_S

QUANTILE = 0.5
_TIME_BUDGET_NS = 120 * NS_PER_S
_SPAN_NS = 10 * NS_PER_S


@dataclass(frozen=True)
class Duel:
    """Two graphs, measured in turns in one process.

    Attributes:
        comparison: of the second against the first, at the median; its tolerance is nothing.
        adjusted: whether the time that a thread waited for a CPU is taken off both.
    """

    comparison: Comparison
    adjusted: bool

    @property
    def slower(self) -> bool:
        """Whether the second is slower than the first at 99 % confidence."""
        return self.comparison.outcome is Change.SLOWER

    def describe(self) -> str:
        """The comparison in one sentence, with the clock that it was read on."""
        clock = "less run-queue wait" if self.adjusted else "wall clock"
        return f"{self.comparison.sentence} ({clock})"


Contest = Callable[[Path, Path, NDArray[np.float32], Callable[[str], None]], Duel]
"""First file, second file, what both are fed, and who is told of a wait."""


def contest(
    first: Path, second: Path, audio: NDArray[np.float32], tell: Callable[[str], None] = lambda _: None
) -> Duel:
    """Measure two model files in turns: pairs of blocks in random order, on one CPU thread each.

    Args:
        first: an ``.onnx`` file.
        second: another.
        audio: float32 ``[batch, samples]`` that both are fed.
        tell: told when somebody else measures, which is waited for.

    Raises:
        ModelFileError: a file cannot be opened.
    """
    one, other = (open_onnx(path).bind(audio) for path in (first, second))
    samples = samples_per_arm(QUANTILE)
    plan = SamplingPlan(looks=(samples,), aimed_samples=samples, span_ns=_SPAN_NS, time_budget_ns=_TIME_BUDGET_NS)
    with device_lock("cpu", tell), SchedulerCounters() as counters:
        runs = measure_pair(one, other, plan, counters=counters)
    return judged(*runs)


def judged(first: Run, second: Run) -> Duel:
    """Compare the medians of two runs that were taken in turns, on the adjusted clock where both have one."""
    arms = [run.channels.adjusted_ns for run in (first, second)]
    known = [arm for arm in arms if arm is not None]
    adjusted = len(known) == 2
    if not adjusted:
        known = [first.samples_ns, second.samples_ns]
    return Duel(compare(known[0], known[1], quantile=QUANTILE, tolerance=0.0), adjusted)
