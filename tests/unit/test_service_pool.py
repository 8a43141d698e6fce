"""The inference pool with real threads: bounds, order, fairness, and its end."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from voiceflow_ml.latency import FakeClock
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.refusals import RequestError

LONG_NS = 10**12
PATIENCE_S = 20


@contextmanager
def a_pool(threads: int = 1, most_queued: int = 4, clock: FakeClock | None = None) -> Iterator[InferencePool]:
    pool = InferencePool(threads, most_queued, now_ns=(clock or FakeClock()).now_ns)
    try:
        yield pool
    finally:
        pool.close()


class Gate:
    """Work that waits until it is let go, and says when it began."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(PATIENCE_S)
        return "held"

    async def begins(self) -> None:
        await asyncio.to_thread(self.begun.wait, PATIENCE_S)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), PATIENCE_S)

    asyncio.run(bounded())


def test_work_is_done_in_a_thread_of_the_pool_and_its_value_comes_back() -> None:
    async def test() -> None:
        with a_pool() as pool:
            done = await pool.submit(lambda: threading.current_thread().name, wait_ns=LONG_NS)
            assert done.value == "inference-0"
            assert done.queue_ns >= 0

    run(test)


def test_what_work_raises_is_raised_where_it_is_awaited_and_the_thread_lives_on() -> None:
    async def test() -> None:
        with a_pool() as pool:
            with pytest.raises(ZeroDivisionError):
                await pool.submit(lambda: 1 // 0, wait_ns=LONG_NS)
            assert (await pool.submit(lambda: 2, wait_ns=LONG_NS)).value == 2

    run(test)


def test_a_full_queue_refuses_with_the_time_to_come_back() -> None:
    async def test() -> None:
        gate = Gate()
        with a_pool(most_queued=2) as pool:
            first = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            waiting = [pool.submit(lambda: 1, wait_ns=LONG_NS) for _ in range(2)]
            assert pool.depth == 2
            with pytest.raises(RequestError, match="2 requests wait already") as refused:
                pool.submit(lambda: 1, wait_ns=2_500_000_000)
            assert (refused.value.status, refused.value.retry_after_s) == (503, 3)
            gate.open.set()
            assert (await first).value == "held"
            assert [(await future).value for future in waiting] == [1, 1]
            assert pool.depth == 0

    run(test)


def test_work_that_waited_beyond_its_bound_is_refused_and_not_done() -> None:
    async def test() -> None:
        clock, gate, done = FakeClock(), Gate(), list[int]()
        with a_pool(clock=clock) as pool:
            held = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            late = pool.submit(lambda: done.append(1), wait_ns=10**9)
            in_time = pool.submit(lambda: done.append(2), wait_ns=LONG_NS)
            clock.advance_ns(10**9 + 1)
            gate.open.set()
            with pytest.raises(RequestError, match="longer than the queue's bound") as refused:
                await late
            assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
            assert (await in_time).queue_ns >= 10**9
            await held
            assert done == [2]

    run(test)


def test_work_that_nobody_waits_for_any_more_leaves_the_queue_and_is_not_done() -> None:
    async def test() -> None:
        gate, done = Gate(), list[int]()
        with a_pool() as pool:
            held = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            for quick in (True, False):
                pool.submit(lambda: done.append(1), wait_ns=LONG_NS, quick=quick).cancel()
            await asyncio.sleep(0)
            assert pool.depth == 0
            last = pool.submit(lambda: done.append(2), wait_ns=LONG_NS)
            gate.open.set()
            await asyncio.gather(held, last)
            assert done == [2]

    run(test)


def test_quick_work_is_done_in_the_middle_of_long_work() -> None:
    async def test() -> None:
        order, gate = list[str](), Gate()
        with a_pool() as pool:

            def long_work() -> None:
                order.append("long begins")
                gate()
                pool.give_way()
                order.append("long ends")

            long = pool.submit(long_work, wait_ns=LONG_NS, quick=False)
            await gate.begins()
            other_long = pool.submit(lambda: order.append("other long"), wait_ns=LONG_NS, quick=False)
            quick = [pool.submit(lambda: order.append("quick"), wait_ns=LONG_NS) for _ in range(2)]
            gate.open.set()
            await asyncio.gather(long, other_long, *quick)
        assert order == ["long begins", "quick", "quick", "long ends", "other long"]

    run(test)


def test_quick_work_does_not_give_way_itself_and_nobody_outside_of_the_pool_does() -> None:
    async def test() -> None:
        order, gate = list[str](), Gate()
        with a_pool() as pool:

            def outer() -> None:
                gate()
                pool.give_way()
                order.append("outer")

            def inner() -> None:
                order.append("inner begins")
                pool.give_way()
                order.append("inner ends")

            first = pool.submit(outer, wait_ns=LONG_NS, quick=False)
            await gate.begins()
            rest = [pool.submit(inner, wait_ns=LONG_NS) for _ in range(2)]
            pool.give_way()
            assert order == []
            gate.open.set()
            await asyncio.gather(first, *rest)
        assert order == ["inner begins", "inner ends"] * 2 + ["outer"]

    run(test)


def test_work_that_nobody_waits_for_any_more_ends_where_it_gives_way() -> None:
    async def test() -> None:
        begun = threading.Event()
        with a_pool() as pool:

            def endless() -> None:
                begun.set()
                while True:
                    pool.give_way()

            future = pool.submit(endless, wait_ns=LONG_NS, quick=False)
            await asyncio.to_thread(begun.wait, PATIENCE_S)
            future.cancel()
            assert (await pool.submit(lambda: "next", wait_ns=LONG_NS, quick=False)).value == "next"

    run(test)


def test_long_work_is_not_starved_by_quick_work_that_keeps_coming() -> None:
    async def test() -> None:
        gate = Gate()
        numbers = itertools.count()
        with a_pool(most_queued=10) as pool:
            held = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            before = pool.submit(lambda: next(numbers), wait_ns=LONG_NS)
            long = pool.submit(lambda: next(numbers), wait_ns=LONG_NS, quick=False)
            after = pool.submit(lambda: next(numbers), wait_ns=LONG_NS)
            gate.open.set()
            await held
            assert [(await future).value for future in (before, long, after)] == [0, 1, 2]

    run(test)


def test_closing_finishes_what_was_taken_and_takes_nothing_more() -> None:
    async def test() -> None:
        gate = Gate()
        pool = InferencePool(1, 4)
        futures = [pool.submit(gate, wait_ns=LONG_NS), pool.submit(lambda: "waited", wait_ns=LONG_NS)]
        await gate.begins()
        closing = asyncio.create_task(asyncio.to_thread(pool.close))
        while not pool._closed:
            await asyncio.sleep(0)
        with pytest.raises(RequestError, match="shutting down"):
            pool.submit(lambda: 1, wait_ns=LONG_NS)
        gate.open.set()
        assert [(await future).value for future in futures] == ["held", "waited"]
        await closing

    run(test)


def test_many_threads_do_everything_once() -> None:
    async def test() -> None:
        with a_pool(threads=4, most_queued=500) as pool:
            futures = [pool.submit(lambda number=number: number, wait_ns=LONG_NS) for number in range(500)]  # type: ignore[misc]
            assert [(await future).value for future in futures] == list(range(500))

    run(test)
