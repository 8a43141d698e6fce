"""What the measuring loop and the judging cost in time, each cost beside its bar.

The call that is timed does nothing, so what is left is the loop. The bare clock pair is the same three lines in a
hand-written loop, run in turns with ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter_ns

import numpy as np

from voiceflow_ml.latency import (
    Counters,
    Instruments,
    Mode,
    Run,
    Sampler,
    SamplingPlan,
    SystemClock,
    compare,
    judge,
    measure,
    percentile,
)
from voiceflow_ml.latency.quantiles import Samples

_JUDGED = 10_000
_CALLS = 1_000


@dataclass(frozen=True)
class Cost:
    """One cost of the loop.

    Attributes:
        what: is measured.
        value: measured; None when the samples were too few to say.
        bar: what it may be at most; None for a number that is only shown.
        unit: of both.
        detail: the numbers behind it.
    """

    what: str
    value: float | None
    bar: float | None
    unit: str
    detail: str

    @property
    def held(self) -> bool | None:
        """Whether the value is within its bar; None without either."""
        return None if self.bar is None or self.value is None else self.value <= self.bar


def nothing() -> None:
    """The call that is timed here."""


def bare_samples(call: Callable[[], object], count: int, now_ns: Callable[[], int]) -> list[int]:
    """Samples of a bare clock pair around a call."""
    samples_ns = [0] * count
    for slot in range(count):
        start_ns = now_ns()
        call()
        end_ns = now_ns()
        samples_ns[slot] = end_ns - start_ns
    return samples_ns


def loop_run(call: Callable[[], object], count: int, counters: Counters | None) -> Run:
    """A run of our loop, one call after the other, in blocks of the default size."""
    plan = SamplingPlan(looks=(count,), aimed_samples=count, mode=Mode.BACK_TO_BACK, pilot_calls=25)
    return measure(call, plan, counters=counters)


def _loop_samples(counters: Counters | None) -> list[int]:
    samples_ns: list[int] = loop_run(nothing, _CALLS, counters).samples_ns.tolist()
    return samples_ns


def timed_region_costs(rounds: int, counters: Counters) -> list[Cost]:
    """What the loop adds to a sample, with and without the counters, over a bare pair in the same rounds."""
    arms: dict[str, Callable[[], Sequence[int]]] = {
        "bare": partial(bare_samples, nothing, _CALLS, perf_counter_ns),
        "clock only": partial(_loop_samples, None),
        "counters read": partial(_loop_samples, counters),
    }
    order = random.Random(0)  # noqa: S311 - the order needs to be irregular, not secret
    taken: dict[str, list[int]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in order.sample(list(arms), len(arms)):
            taken[name].extend(arms[name]())
    costs = []
    for name in ("clock only", "counters read"):
        for label, quantile in (("P50", 0.5), ("P99", 0.99)):
            bare_ns, ours_ns = percentile(taken["bare"], quantile), percentile(taken[name], quantile)
            detail = f"ours {ours_ns} ns, bare pair {bare_ns} ns, {rounds * _CALLS} samples each"
            costs.append(Cost(f"added in the timed region, {label}, {name}", ours_ns - bare_ns, 100, "ns", detail))
    return costs


def between_costs(rounds: int, counters: Counters) -> list[Cost]:
    """Time from one sample to the next, and that of a whole measurement, for each sample."""
    costs = []
    for name, source, bar_us in (("clock only", None, 2.0), ("counters read", counters, 20.0)):
        within_us, whole_us = [], []
        for _ in range(rounds):
            start_ns = perf_counter_ns()
            run = loop_run(nothing, _JUDGED, source)
            wall_ns = perf_counter_ns() - start_ns
            samples, timed_ns = len(run.samples_ns), int(run.samples_ns.sum())
            within_us.append((int(run.block_durations_ns.sum()) - timed_ns) / samples / 1e3)
            whole_us.append((wall_ns - timed_ns) / samples / 1e3)
        detail = f"mean of {_JUDGED} samples, median of {rounds} runs, {min(within_us):.2f} to {max(within_us):.2f}"
        costs.append(Cost(f"between samples, {name}", median(within_us), bar_us, "us", detail))
        detail = "all of measure() less its samples: warm-up, blocks, looks and the record"
        costs.append(Cost(f"the same with all between blocks, {name}", median(whole_us), None, "us", detail))
    return costs


def judging_costs(repeats: int) -> list[Cost]:
    """Time of one ``judge()`` of 10 000 samples, for the slowest of its three answers."""
    random_ = np.random.default_rng(0)
    wall_ns = np.round(random_.lognormal(16, 0.2, _JUDGED)).astype(np.int64)
    adjusted_ns = wall_ns - random_.integers(0, 1_000, _JUDGED)
    limits_ns = [round(percentile(wall_ns, 0.99) * factor) for factor in (0.8, 1.0, 1.3)]
    as_list, adjusted_list = wall_ns.tolist(), adjusted_ns.tolist()
    calls: dict[str, Callable[[int], object]] = {
        "array": lambda limit_ns: judge(wall_ns, limit_ns=limit_ns, quantile=0.99),
        "list": lambda limit_ns: judge(as_list, limit_ns=limit_ns, quantile=0.99),
        "both clocks, arrays": lambda limit_ns: judge(
            wall_ns, limit_ns=limit_ns, quantile=0.99, adjusted_ns=adjusted_ns
        ),
        "both clocks, lists": lambda limit_ns: judge(
            as_list, limit_ns=limit_ns, quantile=0.99, adjusted_ns=adjusted_list
        ),
    }
    costs = []
    for name, call in calls.items():
        each_ms = [median(bare_samples(partial(call, ns), repeats, perf_counter_ns)) / 1e6 for ns in limits_ns]
        detail = f"BREACHED {each_ms[0]:.2f}, INCONCLUSIVE {each_ms[1]:.2f}, MET {each_ms[2]:.2f}: median of {repeats}"
        costs.append(Cost(f"judging {_JUDGED} samples, {name}", max(each_ms), 2, "ms", detail))
    return costs


def paired_effects(name: str, call: Callable[[], object], samples: int, counters: Counters) -> list[Cost]:
    """A model in our loop over the bare pair, and with the counters read over not.

    Blocks of ten of each in turns, their order drawn anew every time.
    """
    plan = SamplingPlan(looks=(samples,), aimed_samples=samples, mode=Mode.BACK_TO_BACK)
    samplers = {
        name: Sampler(call, plan, Instruments(SystemClock(), source))
        for name, source in (("our loop", None), ("counters read", counters))
    }
    for sampler in samplers.values():
        sampler.begin()
    bare: list[int] = []
    turns = [sampler.block for sampler in samplers.values()]
    turns.append(lambda: bare.extend(bare_samples(call, plan.block_calls, perf_counter_ns)))
    order = random.Random(0)  # noqa: S311 - the order needs to be balanced, not secret
    while len(bare) < samples:
        order.shuffle(turns)
        for turn in turns:
            turn()
    taken: dict[str, Samples] = {
        "a bare pair": bare,
        **{arm: sampler.run().samples_ns for arm, sampler in samplers.items()},
    }
    costs = []
    for candidate, baseline in (("our loop", "a bare pair"), ("counters read", "our loop")):
        for label, quantile in (("P50", 0.5), ("P99", 0.99)):
            change = compare(taken[baseline], taken[candidate], quantile=quantile, tolerance=0.05)
            detail = f"99 % interval {_ratio(change.ratio_low)} to {_ratio(change.ratio_high)}, {samples} samples each"
            what = f"{label} of {name}, {candidate} over {baseline}"
            costs.append(Cost(what, change.ratio, None, "", detail))
    return costs


def _ratio(ratio: float | None) -> str:
    return "unbounded" if ratio is None else f"{ratio:.4f}"
