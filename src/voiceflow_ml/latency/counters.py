"""The scheduler's counters as an argument: what a measurement needs of them, and ones that tests move by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

PROCESS_SHARE = 1.05
"""CPU time of the process over that of the measuring thread, above which other threads of it did the work.

The measuring thread's wait may then be for its own helpers, so taking it off the clock would flatter the program.
"""


class Counters(Protocol):
    """What the scheduler says about the measuring thread; all cumulative, nanoseconds, never going backwards.

    The four are attributes that hold functions, as a clock's is, so that a C function can be read without a wrapper.
    """

    source: str
    """How the run delay is known: ``"schedstat"``, ``"involuntary switches"`` or ``"none"``."""
    run_delay_ns: Callable[[], int]
    """Time that the measuring thread was ready to run and stood in a run queue."""
    thread_time_ns: Callable[[], int]
    """CPU time of the measuring thread."""
    process_time_ns: Callable[[], int]
    """CPU time of all threads of the process."""
    cpu_wait_ns: Callable[[], int | None]
    """Time that any task of the machine waited for a CPU; None where the system does not say."""


class FakeCounters:
    """Counters that move only when told to, for tests of anything that measures.

    Args:
        source: how the run delay is said to be known.
        cpu_wait_ns: start of the machine's counter; None for a system without one, where it stays None.

    Example::

        clock, counters = FakeClock(), FakeCounters()

        def call() -> None:
            clock.advance_ns(3_000_000)
            counters.advance(run_delay_ns=1_000_000, thread_time_ns=2_000_000, process_time_ns=2_000_000)
    """

    def __init__(self, source: str = "schedstat", *, cpu_wait_ns: int | None = 0) -> None:
        self.source = source
        self._run_delay_ns = 0
        self._thread_time_ns = 0
        self._process_time_ns = 0
        self._cpu_wait_ns = cpu_wait_ns
        self.run_delay_ns: Callable[[], int] = lambda: self._run_delay_ns
        self.thread_time_ns: Callable[[], int] = lambda: self._thread_time_ns
        self.process_time_ns: Callable[[], int] = lambda: self._process_time_ns
        self.cpu_wait_ns: Callable[[], int | None] = lambda: self._cpu_wait_ns

    def advance(
        self, *, run_delay_ns: int = 0, thread_time_ns: int = 0, process_time_ns: int = 0, cpu_wait_ns: int = 0
    ) -> None:
        """Move each counter forward by a duration in nanoseconds; those left out stand still."""
        self._run_delay_ns += run_delay_ns
        self._thread_time_ns += thread_time_ns
        self._process_time_ns += process_time_ns
        if self._cpu_wait_ns is not None:
            self._cpu_wait_ns += cpu_wait_ns
