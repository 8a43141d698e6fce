"""One measurement, a block at a time, so that several can take turns: warm-up, blocks, and the gaps between."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from voiceflow_ml.latency.channels import Channels
from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.latency.counters import Counters
from voiceflow_ml.latency.plan import Mode, SamplingPlan
from voiceflow_ml.latency.recorder import Call, Recorder
from voiceflow_ml.latency.run import ColdStart, Run, WarmUp, channels_of
from voiceflow_ml.latency.self_timed import SelfTimed
from voiceflow_ml.latency.warmup import steady_state

_PILOT_CHUNK = 25
"""Calls of the pilot between two questions whether the state is steady."""
_WARMUP_SHARE = 0.2
"""Most of the time budget that a warm-up may take: a slow model is judged on fewer warm calls, and it is said."""
MAIN_INPUTS = "measured inputs"


@dataclass(frozen=True)
class Progress:
    """What a watcher is told after each block.

    Attributes:
        samples: taken so far.
        next_look: at how many the verdicts are looked at next.
        budget: after how many they stay as they are.
        elapsed_ns: since the measurement began.
        time_budget_ns: after which no new block begins.
        latest: both readings of the samples so far; made only when asked for.
    """

    samples: int
    next_look: int
    budget: int
    elapsed_ns: int
    time_budget_ns: int
    latest: Callable[[], Channels]


Decided = Callable[[Channels], bool]
Watch = Callable[[Progress], None]


def never_decided(_channels: Channels) -> bool:
    """For a run that takes all of its budget."""
    return False


def nobody_watches(_progress: Progress) -> None:
    """For a run without an audience."""


@dataclass(frozen=True)
class Instruments:
    """What a measurement reads beside the call itself.

    Attributes:
        clock: the clock.
        counters: the scheduler's counters of the measuring thread; None to leave them alone.
        control: a fixed piece of work, timed after each block; None for none.
    """

    clock: Clock
    counters: Counters | None = None
    control: Call | None = None


class Sampler:
    """One measurement in progress.

    Args:
        call: what is timed; takes nothing, and has done its work when it returns.
        plan: how many samples, in which blocks, over which span.
        instruments: clock and counters.
        decided: asked at each planned look with the samples so far; a true answer ends the run.
        watch: told of the progress after each block, outside of every timed region.
        cold_calls: further first calls to time before the warm-up, by what their inputs are.
        time_budget_ns: the plan's, or that of a group that takes turns.
    """

    def __init__(
        self,
        call: Call,
        plan: SamplingPlan,
        instruments: Instruments,
        *,
        decided: Decided = never_decided,
        watch: Watch = nobody_watches,
        cold_calls: Mapping[str, Call] | None = None,
        time_budget_ns: int | None = None,
    ) -> None:
        self.plan = plan
        self.stopped_by = ""
        self.due_ns = 0
        self.longest_wait_ns = 0
        self._call, self._instruments = call, instruments
        self._decided, self._watch, self._cold_calls = decided, watch, dict(cold_calls or {})
        self._time_budget_ns = plan.time_budget_ns if time_budget_ns is None else time_budget_ns
        self._random = random.Random(plan.seed)  # noqa: S311 - gaps need to be irregular, not secret # nosec B311
        # Room for the block that passes the last look.
        capacity = plan.looks[-1] + plan.block_calls
        blocks = capacity // plan.block_calls
        self._recorder = Recorder(call, instruments.clock, instruments.counters, capacity=capacity, blocks=blocks)
        self._control_ns = np.zeros(blocks, dtype=np.int64)
        self._cold_starts: tuple[ColdStart, ...] = ()
        self._warmup = WarmUp()
        self._gap_ns = 0
        self._first_offset_ns = 0
        self._next_look = plan.looks[0]
        self._began_ns = 0

    @property
    def finished(self) -> bool:
        """Whether no further block is wanted."""
        return bool(self.stopped_by)

    def begin(self) -> None:
        """Time the cold starts, then call until the state is steady; none of it is ever judged."""
        clock = self._instruments.clock
        self._began_ns = clock.now_ns()
        calls = {MAIN_INPUTS: self._call, **self._cold_calls}
        self._cold_starts = tuple(ColdStart(inputs, self._time(call)) for inputs, call in calls.items())
        self._warmup = self._warm_up()
        pilot_ns = self._warmup.pilot_ns[self._warmup.first_steady :] or (self._cold_starts[0].duration_ns,)
        self._gap_ns = self.plan.gap_ns(sorted(pilot_ns)[len(pilot_ns) // 2])
        self.due_ns = clock.now_ns()

    def block(self) -> None:
        """Take one block, tell the watcher, and see whether the run is over."""
        plan, clock, recorder = self.plan, self._instruments.clock, self._recorder
        if plan.mode.has_schedule:
            self._scheduled_block()
        else:
            recorder.closed_block(plan.block_calls, plan.settling)
        end_ns = clock.now_ns()
        if self._instruments.control is not None:
            self._control_ns[recorder.blocks - 1] = self._time(self._instruments.control)
        elapsed_ns = end_ns - self._began_ns
        self._watch(
            Progress(recorder.taken, self._next_look, plan.looks[-1], elapsed_ns, self._time_budget_ns, self._channels)
        )
        self._look()
        gap_ns = round(self._gap_ns * self._random.uniform(0.5, 1.5))
        if not self.stopped_by and elapsed_ns + gap_ns >= self._time_budget_ns:
            self.stopped_by = "time"
        self.due_ns, self.longest_wait_ns = end_ns + gap_ns, gap_ns

    def run(self) -> Run:
        """What was recorded. Needs at least one block."""
        recorder = self._recorder
        starts_ns = recorder.block_starts_ns
        last_ns = int(starts_ns[-1] + recorder.block_durations_ns[-1])
        return Run(
            samples_ns=recorder.samples_ns,
            cold_starts=self._cold_starts,
            warmup=self._warmup,
            settling_calls=recorder.blocks * self.plan.settling,
            block_calls=self.plan.block_calls,
            block_starts_ns=starts_ns - starts_ns[0],
            block_durations_ns=recorder.block_durations_ns,
            control_ns=self._control_ns[: recorder.blocks] if self._instruments.control is not None else None,
            scheduler=recorder.scheduler,
            late_calls=recorder.late_calls,
            span_ns=last_ns - int(starts_ns[0]),
            stopped_by=self.stopped_by,
            mode=self.plan.mode,
            interval_ns=self.plan.interval_ns,
            seed=self.plan.seed,
        )

    def _channels(self) -> Channels:
        return channels_of(self._recorder.samples_ns, self._recorder.scheduler, self.plan.mode)

    def _look(self) -> None:
        taken = self._recorder.taken
        if taken < self._next_look:
            return
        if self._decided(self._channels()):
            self.stopped_by = "decided"
        elif taken >= self.plan.looks[-1]:
            self.stopped_by = "samples"
        else:
            # One block may pass several looks: they are one look then.
            self._next_look = min(look for look in self.plan.looks if look > taken)

    def _scheduled_block(self) -> None:
        """Take a block of calls that are due at given times. The schedule stands still between blocks.

        What happens there, such as a look at the verdicts, is our doing and not a load on the model.
        """
        plan, recorder = self.plan, self._recorder
        offsets_ns = []
        next_ns = self._first_offset_ns
        for _ in range(plan.block_calls):
            offsets_ns.append(next_ns)
            poisson = plan.mode is Mode.OPEN_LOOP
            next_ns += round(self._random.expovariate(1 / plan.interval_ns) if poisson else plan.interval_ns)
        recorder.scheduled_block(offsets_ns, from_due=plan.mode is Mode.OPEN_LOOP)
        # Negative when calls wait behind the last one: they are late in the next block too. Calls that wait for no
        # other are all answered by now, and the next is due its own time after the start.
        passed_ns = offsets_ns[-1] if isinstance(self._call, SelfTimed) else int(recorder.block_durations_ns[-1])
        self._first_offset_ns = next_ns - passed_ns

    def _warm_up(self) -> WarmUp:
        clock = self._instruments.clock
        budget_ns = self._time_budget_ns * _WARMUP_SHARE
        pilot_ns: list[int] = []
        while len(pilot_ns) < self.plan.pilot_calls and clock.now_ns() - self._began_ns < budget_ns:
            pilot_ns.append(self._time(self._call))
            if len(pilot_ns) % _PILOT_CHUNK == 0 and (state := steady_state(pilot_ns)).steady:
                return WarmUp(tuple(pilot_ns), steady=True, first_steady=state.first_steady)
        return WarmUp(tuple(pilot_ns), steady=False)

    def _time(self, call: Call) -> int:
        now_ns = self._instruments.clock.now_ns
        start_ns = now_ns()
        call()
        return now_ns() - start_ns
