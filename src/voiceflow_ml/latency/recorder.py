"""Where samples are written while they are taken: room for all of them, made before the first.

Inside the timed region nothing happens but the call. Between samples, where asked for, the scheduler's counters
are read: once, since the end of one sample is the start of the next.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.latency.counters import Counters
from voiceflow_ml.latency.run import SchedulerRecord
from voiceflow_ml.latency.self_timed import SelfTimed

Call = Callable[[], object]
_UNKNOWN = -1


class Recorder:
    """Samples, and the scheduler's counts beside them, in arrays that are allocated once.

    Args:
        call: what is timed.
        clock: the clock.
        counters: the scheduler's counters of this thread; None to leave them alone.
        capacity: most samples.
        blocks: most blocks.
    """

    def __init__(self, call: Call, clock: Clock, counters: Counters | None, *, capacity: int, blocks: int) -> None:
        self._call = call
        self._clock = clock
        self._counters = counters
        self.taken = 0
        self.blocks = 0
        self.late_calls = 0
        self._samples_ns = np.zeros(capacity, dtype=np.int64)
        self._block_starts_ns = np.zeros(blocks, dtype=np.int64)
        self._block_durations_ns = np.zeros(blocks, dtype=np.int64)
        self._process_total_ns = 0
        self._thread_total_ns = 0
        if counters is not None:
            self._run_delay_ns = np.zeros(capacity, dtype=np.int64)
            self._thread_time_ns = np.zeros(capacity, dtype=np.int64)
            self._cpu_wait_ns = np.zeros(blocks, dtype=np.int64)

    @property
    def samples_ns(self) -> NDArray[np.int64]:
        """The samples so far, int64, shape ``[taken]``; a view."""
        return _frozen(self._samples_ns[: self.taken])

    @property
    def block_starts_ns(self) -> NDArray[np.int64]:
        """Clock reading at the start of each block so far."""
        return _frozen(self._block_starts_ns[: self.blocks])

    @property
    def block_durations_ns(self) -> NDArray[np.int64]:
        """Duration of each block so far, settling calls included."""
        return _frozen(self._block_durations_ns[: self.blocks])

    @property
    def scheduler(self) -> SchedulerRecord | None:
        """The scheduler's counts so far, as views; None when they are not read."""
        if self._counters is None:
            return None
        cpu_wait_ns = _frozen(self._cpu_wait_ns[: self.blocks])
        return SchedulerRecord(
            source=self._counters.source,
            run_delay_ns=_frozen(self._run_delay_ns[: self.taken]),
            thread_time_ns=_frozen(self._thread_time_ns[: self.taken]),
            cpu_wait_ns=None if np.any(cpu_wait_ns == _UNKNOWN) else cpu_wait_ns,
            process_total_ns=self._process_total_ns,
            thread_total_ns=self._thread_total_ns,
        )

    def closed_block(self, calls: int, settling_calls: int) -> None:
        """Make settling calls, then time ``calls`` calls, one after the other."""
        with self._block():
            for _ in range(settling_calls):
                self._call()
            if isinstance(self._call, SelfTimed):
                self._keep_told(self._call() for _ in range(calls))
            elif self._counters is None:
                self._time_bare(calls)
            else:
                self._time_counted(self._counters, calls)

    def scheduled_block(self, offsets_ns: list[int], *, from_due: bool) -> None:
        """Time one call at each given time, or as soon after it as the one before allows.

        Args:
            offsets_ns: when calls are due, after the start of the block; ascending. One that is negative was due
                before.
            from_due: count latency from when the call was due, and not from when it began.
        """
        now_ns, wait_until_ns, call = self._clock.now_ns, self._clock.wait_until_ns, self._call
        with self._block() as block_start_ns:
            if isinstance(call, SelfTimed):
                self._keep_told(call.send_at(offsets_ns))
                return
            for offset_ns in offsets_ns:
                due_ns = block_start_ns + offset_ns
                self.late_calls += now_ns() > due_ns
                if from_due:
                    # What is read after a call is due is part of a latency that counts from then.
                    before = self._read()
                    wait_until_ns(due_ns)
                else:
                    wait_until_ns(due_ns)
                    before = self._read()
                start_ns = now_ns()
                call()
                end_ns = now_ns()
                self._samples_ns[self.taken] = end_ns - (due_ns if from_due else start_ns)
                if self._counters is not None:
                    delay_ns, thread_ns = self._read()
                    self._count(delay_ns - before[0], thread_ns - before[1])
                self.taken += 1

    def _read(self) -> tuple[int, int]:
        """Run delay and CPU time of the thread so far."""
        counters = self._counters
        return (counters.run_delay_ns(), counters.thread_time_ns()) if counters else (0, 0)

    def _keep_told(self, samples_ns: Iterable[int]) -> None:
        """Keep latencies that the call measured itself; nothing of them was this thread's wait for a CPU."""
        for sample_ns in samples_ns:
            self._samples_ns[self.taken] = sample_ns
            if self._counters is not None:
                self._count(0, sample_ns)
            self.taken += 1

    def _time_bare(self, calls: int) -> None:
        now_ns, call, samples_ns = self._clock.now_ns, self._call, self._samples_ns
        for slot in range(self.taken, self.taken + calls):
            start_ns = now_ns()
            call()
            end_ns = now_ns()
            samples_ns[slot] = end_ns - start_ns
        self.taken += calls

    def _time_counted(self, counters: Counters, calls: int) -> None:
        now_ns, call, samples_ns = self._clock.now_ns, self._call, self._samples_ns
        read_delay_ns, read_thread_ns = counters.run_delay_ns, counters.thread_time_ns
        delay_ns, thread_ns = read_delay_ns(), read_thread_ns()
        for _ in range(calls):
            start_ns = now_ns()
            call()
            end_ns = now_ns()
            samples_ns[self.taken] = end_ns - start_ns
            last_delay_ns, last_thread_ns = delay_ns, thread_ns
            delay_ns, thread_ns = read_delay_ns(), read_thread_ns()
            self._count(delay_ns - last_delay_ns, thread_ns - last_thread_ns)
            self.taken += 1

    def _count(self, delay_ns: int, thread_ns: int) -> None:
        # A wait that began before the sample, or an unbounded one, is none of it beyond the sample itself.
        self._run_delay_ns[self.taken] = min(delay_ns, int(self._samples_ns[self.taken]))
        self._thread_time_ns[self.taken] = thread_ns

    @contextmanager
    def _block(self) -> Iterator[int]:
        """Time a block as a whole, the garbage collector off inside it; yields when it began."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            before = self._totals()
            start_ns = self._clock.now_ns()
            yield start_ns
        finally:
            end_ns = self._clock.now_ns()
            if collecting:
                gc.enable()
        after = self._totals()
        self._process_total_ns += after[0] - before[0]
        self._thread_total_ns += after[1] - before[1]
        if self._counters is not None:
            known = before[2] is not None and after[2] is not None
            self._cpu_wait_ns[self.blocks] = (after[2] or 0) - (before[2] or 0) if known else _UNKNOWN
        self._block_starts_ns[self.blocks] = start_ns
        self._block_durations_ns[self.blocks] = end_ns - start_ns
        self.blocks += 1

    def _totals(self) -> tuple[int, int, int | None]:
        """CPU time of process and thread, and the machine's CPU wait, so far."""
        counters = self._counters
        return (
            (counters.process_time_ns(), counters.thread_time_ns(), counters.cpu_wait_ns()) if counters else (0, 0, 0)
        )


def _frozen(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A view that cannot be written through: a run is never edited."""
    view = values.view()
    view.setflags(write=False)
    return view
