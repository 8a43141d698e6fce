"""Doing things at given times, more precisely than an event loop's own timers, which go by whole milliseconds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

Due = Callable[[int], Coroutine[Any, Any, None]]
"""Told which of the times has come."""


async def at_offsets(start_ns: int, offsets_ns: Sequence[int], due: Due, *, sleep_s: Callable[[float], object]) -> None:
    """Start one coroutine at each of these times, whatever became of the others; wait for all.

    A thread sleeps from one time to the next and wakes the loop, so that no core spins beside the service that is
    measured, and the loop's timers round nothing.

    Args:
        start_ns: what the offsets are counted from, by ``time.perf_counter_ns``.
        offsets_ns: ascending.
        due: is given the number of its offset.
        sleep_s: waits in that thread, for seconds.

    Raises:
        Exception: whatever a coroutine raised first; the others are cancelled.
    """
    loop = asyncio.get_running_loop()
    arrivals: asyncio.Queue[int | None] = asyncio.Queue()
    stopped = threading.Event()

    def pace() -> None:
        for place, offset_ns in enumerate(offsets_ns):
            left_ns = start_ns + offset_ns - time.perf_counter_ns()
            if left_ns > 0:
                sleep_s(left_ns / 1e9)
            if stopped.is_set():
                return
            loop.call_soon_threadsafe(arrivals.put_nowait, place)
        loop.call_soon_threadsafe(arrivals.put_nowait, None)

    thread = threading.Thread(target=pace, name="pacer", daemon=True)
    thread.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            while (place := await arrivals.get()) is not None:
                tasks.create_task(due(place))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        stopped.set()
