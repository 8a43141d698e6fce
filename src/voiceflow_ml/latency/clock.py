"""Clocks as arguments: the real one, and one that tests move by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

_WATCHED_NS = 200_000
"""The last part of a precise wait is spent awake; more than a sleep usually ends late by."""


class Clock(Protocol):
    """What the loop needs of time. ``now_ns`` must never go backwards."""

    now_ns: Callable[[], int]
    """Monotonic time in nanoseconds, from an arbitrary start."""

    def sleep_ns(self, duration_ns: int) -> None:
        """Wait for a duration in nanoseconds."""

    def wait_until_ns(self, time_ns: int) -> None:
        """Wait for a time as precisely as can be; return at once when it has passed."""


class SystemClock:
    """The machine's monotonic clock (``time.perf_counter_ns``).

    ``now_ns`` is the C function itself: a Python method around it would add its own cost to every sample.
    """

    def __init__(self) -> None:
        self.now_ns: Callable[[], int] = time.perf_counter_ns

    def sleep_ns(self, duration_ns: int) -> None:
        """Sleep; durations of zero or less return at once."""
        if duration_ns > 0:
            time.sleep(duration_ns / 1e9)

    def wait_until_ns(self, time_ns: int) -> None:
        """Sleep until shortly before a time, then watch the clock: a sleep alone ends late by its timer's slack."""
        self.sleep_ns(time_ns - self.now_ns() - _WATCHED_NS)
        while self.now_ns() < time_ns:
            pass


class FakeClock:
    """A clock that moves only when told to, for tests of anything that measures.

    Example::

        clock = FakeClock()
        run = measure(lambda: clock.advance_ns(2_000_000), plan, clock=clock)
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._time_ns = start_ns
        self.now_ns: Callable[[], int] = self._read_ns

    def _read_ns(self) -> int:
        return self._time_ns

    def advance_ns(self, duration_ns: int) -> None:
        """Move time forward by a duration in nanoseconds."""
        self._time_ns += duration_ns

    def sleep_ns(self, duration_ns: int) -> None:
        """Move time forward by a duration; what a sleeper sees."""
        self.advance_ns(max(0, duration_ns))

    def wait_until_ns(self, time_ns: int) -> None:
        """Move time forward to a time, if it is still to come."""
        self.sleep_ns(time_ns - self._time_ns)
