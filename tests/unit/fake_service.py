"""A service for tests of anything that measures: it moves a fake clock, and fake counters, as it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voiceflow_ml.latency import FakeClock, FakeCounters, Instruments, Run, Sampler, SamplingPlan
from voiceflow_ml.units import NS_PER_MS


class Service:
    """A call that takes time on a clock of its own.

    Args:
        each_ns: duration of the n-th call (from 1), or of every call; n milliseconds by default.
        clock: the clock to move; a new one by default.
        counters: told of each call's CPU time, which is all of its time but for ``waits_ns``.
        waits_ns: run-queue wait of the n-th call.
        process_share: CPU time of the process over that of the thread.
    """

    def __init__(
        self,
        each_ns: Callable[[int], int] | int | None = None,
        *,
        clock: FakeClock | None = None,
        counters: FakeCounters | None = None,
        waits_ns: Callable[[int], int] = lambda _: 0,
        process_share: float = 1.0,
    ) -> None:
        self.clock = clock or FakeClock(start_ns=123)
        self.counters = counters
        self.calls = 0
        self.began_ns: list[int] = []
        self.slept_ns: list[int] = []
        self._duration_ns = each_ns if callable(each_ns) else lambda n: n * NS_PER_MS if each_ns is None else each_ns
        self._waits_ns, self._process_share = waits_ns, process_share
        self._sleep_ns = self.clock.sleep_ns
        self.clock.sleep_ns = self._note_sleep  # type: ignore[method-assign]

    def __call__(self) -> None:
        self.calls += 1
        self.began_ns.append(self.clock.now_ns())
        duration_ns = self._duration_ns(self.calls)
        self.clock.advance_ns(duration_ns)
        if self.counters is not None:
            waits_ns = self._waits_ns(self.calls)
            running_ns = max(0, duration_ns - waits_ns)
            self.counters.advance(
                run_delay_ns=waits_ns,
                thread_time_ns=running_ns,
                process_time_ns=round(running_ns * self._process_share),
                cpu_wait_ns=waits_ns,
            )

    def _note_sleep(self, duration_ns: int) -> None:
        if duration_ns > 0:
            self.slept_ns.append(duration_ns)
        self._sleep_ns(duration_ns)


def finish(service: Service, plan: SamplingPlan, **options: Any) -> Run:
    """Take a measurement to its end, sleeping until each block is due."""
    control = options.pop("control", None)
    sampler = Sampler(service, plan, Instruments(service.clock, service.counters, control), **options)
    sampler.begin()
    while not sampler.finished:
        if not plan.mode.has_schedule:
            service.clock.sleep_ns(sampler.due_ns - service.clock.now_ns())
        sampler.block()
    return sampler.run()
