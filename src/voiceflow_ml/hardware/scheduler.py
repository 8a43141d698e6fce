"""What the Linux scheduler counts about the thread that measures, read as cheaply as Python can."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

SCHEDSTAT = Path("/proc/thread-self/schedstat")
CPU_PRESSURE = Path("/proc/pressure/cpu")
SWITCH_NS = 3_600_000_000_000
"""What one involuntary switch counts for, in nanoseconds: an hour, longer than any sample."""

# Three unsigned 64-bit numbers with their separators.
_SCHEDSTAT_BYTES = 64
# The whole of the first line: three percentages and an unsigned 64-bit number.
_PRESSURE_BYTES = 96
# Long enough that the thread surely leaves the CPU.
_NAP_S = 0.001


class SchedulerCounters:
    """The counters of the thread that makes this; implements :class:`voiceflow_ml.latency.counters.Counters`.

    Make it in the thread that measures: ``/proc/thread-self`` names the thread that opens it, and the file stays that
    thread's wherever it is read. Each file is opened once; leaving the ``with`` block closes both, and nothing may be
    read after that. A file that is absent, unreadable or without sense is a counter that is not there, never an error.

    How the run delay is known (``source``):

    - ``"schedstat"``: the second number of ``/proc/thread-self/schedstat``, nanoseconds spent in a run queue. It
      needs a kernel with ``CONFIG_SCHED_INFO``, not the ``kernel.sched_schedstats`` switch. A kernel without it
      leaves the file out or writes only zeros, which no thread that runs can have: the third number counts its turns
      on a CPU.
    - ``"involuntary switches"``: ``getrusage`` tells how often the thread was sent off its CPU, not for how long, so
      every switch counts as a wait of :data:`SWITCH_NS`. With ``adjusted = wall - min(run delay, max(0, wall - thread
      time))`` a sample that was interrupted is then adjusted to its thread CPU time (time asleep is lost with the
      wait), and one that was not keeps its wall time.
    - ``"none"``: neither is there; the run delay stays zero and the adjusted clock is the wall clock.

    Args:
        schedstat: the kernel's file about this thread.
        pressure: the kernel's file of pressure stall information about the CPUs.
    """

    def __init__(self, schedstat: Path = SCHEDSTAT, pressure: Path = CPU_PRESSURE) -> None:
        self.thread_time_ns: Callable[[], int] = time.thread_time_ns
        self.process_time_ns: Callable[[], int] = time.process_time_ns
        self._files: list[int] = []
        self.cpu_wait_ns: Callable[[], int | None] = self._open_pressure(pressure)
        self.source, self.run_delay_ns = self._open_run_delay(schedstat)

    def __enter__(self) -> Self:
        """These counters themselves, open since they were made."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files; a second time does nothing."""
        while self._files:
            os.close(self._files.pop())

    def _open(self, path: Path) -> int | None:
        try:
            file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return None
        self._files.append(file)
        return file

    def _open_pressure(self, path: Path) -> Callable[[], int | None]:
        file = self._open(path)
        return (lambda: None) if file is None else _pressure_reader(file)

    def _open_run_delay(self, path: Path) -> tuple[str, Callable[[], int]]:
        file = self._open(path)
        if file is not None and _is_counted(file):
            return "schedstat", _schedstat_reader(file)
        switches = _involuntary_switches()
        if switches is not None:
            return "involuntary switches", switches
        return "none", lambda: 0


def parse_pressure(content: bytes) -> int | None:
    r"""Total of the first line ("some") of a pressure stall information file, in nanoseconds; None without sense.

    Args:
        content: the file's beginning, such as ``b"some avg10=0.00 avg60=0.00 avg300=0.00 total=42\n"``; the kernel
            counts microseconds.
    """
    try:
        return int(content.partition(b"\n")[0].partition(b"total=")[2]) * 1_000
    except ValueError:
        return None


def _pressure_reader(file: int) -> Callable[[], int | None]:
    pread = os.pread

    def read() -> int | None:
        try:
            return parse_pressure(pread(file, _PRESSURE_BYTES, 0))
        except OSError:
            return None

    return read


def _is_counted(file: int) -> bool:
    """Whether this is a schedstat file of a kernel that fills it: three whole numbers, not all zero."""
    try:
        fields = [int(field) for field in os.pread(file, _SCHEDSTAT_BYTES, 0).split()]
    except (OSError, ValueError):
        return False
    return len(fields) == 3 and min(fields) >= 0 and any(fields)


def _schedstat_reader(file: int) -> Callable[[], int]:
    # A closure over locals: the loop reads this twice per sample, and each look-up would show.
    pread, last_ns = os.pread, 0

    def read() -> int:
        nonlocal last_ns
        try:
            last_ns = int(pread(file, _SCHEDSTAT_BYTES, 0).split(None, 2)[1])
        except (OSError, IndexError, ValueError):
            # The thread has ended: it waits no more.
            return last_ns
        return last_ns

    return read


def _involuntary_switches() -> Callable[[], int] | None:
    """Reader of the run delay from switches since now; None where the system does not count them for a thread."""
    try:
        from resource import RUSAGE_THREAD, getrusage  # noqa: PLC0415
    except ImportError:
        return None
    # Sandboxed kernels answer zeros: a thread that has slept has left its CPU at least once.
    time.sleep(_NAP_S)
    usage = getrusage(RUSAGE_THREAD)
    if usage.ru_nvcsw == 0 and usage.ru_nivcsw == 0:
        return None
    # From now on, so that an hour each cannot add up beyond 64 bits in a process that is days old.
    before = usage.ru_nivcsw

    def read() -> int:
        return (getrusage(RUSAGE_THREAD).ru_nivcsw - before) * SWITCH_NS

    return read
