"""Calls that time themselves: where what is asked about is not how long the calling thread waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class SelfTimed(Protocol):
    """A call whose latency only it can tell: one of many requests under way at once, or a server's share of one."""

    def __call__(self) -> int:
        """Make one call, wait for it, and return its latency in nanoseconds."""

    def send_at(self, offsets_ns: Sequence[int]) -> Sequence[int]:
        """Begin a call at each of these times, whatever became of the one before, and wait for all.

        Args:
            offsets_ns: nanoseconds from now, ascending.

        Returns:
            The latency of each in nanoseconds, counted from when it was due; in the order of those times.
        """
