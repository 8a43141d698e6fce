"""Work that never comes back: it is answered, it is told, and what waits behind it is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.test_service_pool import LONG_NS, Gate, run
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.service import pool as pool_module
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.refusals import ClientGoneError, RequestError
from voiceflow_ml.service.work import HungError

BOUND_NS = 10**9


@contextmanager
def watched(threads: int, clock: FakeClock) -> Iterator[InferencePool]:
    pool = InferencePool(threads, 4, hang_ns=BOUND_NS, now_ns=clock.now_ns)
    try:
        yield pool
    finally:
        pool.close()


def test_work_that_hangs_is_answered_and_its_thread_counts_again_when_it_comes_back() -> None:
    async def test() -> None:
        clock, gate = FakeClock(), Gate()
        with watched(1, clock) as pool:
            hanging = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            clock.advance_ns(BOUND_NS)
            pool.look()
            assert (pool.hung, hanging.done()) == (0, False)
            clock.advance_ns(1)
            pool.look()
            with pytest.raises(HungError, match="did not come back within 1 s"):
                await hanging
            assert (pool.hung, pool.is_lost) == (1, True)
            with pytest.raises(RequestError, match="every thread that runs the model hangs"):
                pool.submit(lambda: 1, wait_ns=LONG_NS)
            gate.open.set()
            while pool.hung:
                await asyncio.sleep(0)
            assert (await pool.submit(lambda: 2, wait_ns=LONG_NS)).value == 2

    run(test)


def test_one_thread_of_two_that_hangs_leaves_the_other_to_work() -> None:
    async def test() -> None:
        clock, gate = FakeClock(), Gate()
        with watched(2, clock) as pool:
            hanging = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            clock.advance_ns(BOUND_NS + 1)
            pool.look()
            with pytest.raises(HungError):
                await hanging
            assert (pool.hung, pool.is_lost) == (1, False)
            assert (await pool.submit(lambda: 2, wait_ns=LONG_NS)).value == 2
            gate.open.set()

    run(test)


def test_what_waits_behind_a_thread_that_hangs_is_answered_within_its_bound() -> None:
    async def test() -> None:
        clock, gate = FakeClock(), Gate()
        with watched(1, clock) as pool:
            pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            waiting = [pool.submit(lambda: 1, wait_ns=10, quick=quick) for quick in (True, False)]
            clock.advance_ns(11)
            pool.look()
            for future in waiting:
                with pytest.raises(RequestError, match="longer than the queue's bound"):
                    await future
            assert pool.depth == 0
            gate.open.set()

    run(test)


def test_long_work_that_gives_way_does_not_hang() -> None:
    async def test() -> None:
        clock = FakeClock()
        with watched(1, clock) as pool:

            def long_work() -> str:
                for _ in range(5):
                    clock.advance_ns(BOUND_NS)
                    pool.look()
                    pool.give_way()
                return "done"

            assert (await pool.submit(long_work, wait_ns=LONG_NS, quick=False)).value == "done"

    run(test)


def test_quick_work_that_hangs_in_the_middle_of_long_work_takes_both_and_is_the_only_one_to_blame() -> None:
    async def test() -> None:
        clock, begun, gate, ended = FakeClock(), Gate(), Gate(), list[type[BaseException]]()
        with watched(1, clock) as pool:

            def long_work() -> None:
                begun()
                try:
                    pool.give_way()
                    pool.give_way()
                except BaseException as error:
                    ended.append(type(error))
                    raise

            long = pool.submit(long_work, wait_ns=LONG_NS, quick=False)
            await begun.begins()
            quick = pool.submit(gate, wait_ns=LONG_NS)
            begun.open.set()
            await gate.begins()
            clock.advance_ns(BOUND_NS + 1)
            pool.look()
            with pytest.raises(HungError):
                await quick
            with pytest.raises(RequestError, match="ask again") as refused:
                await long
            assert refused.value.status == 503
            gate.open.set()
            while pool.hung:
                await asyncio.sleep(0)
        # When the thread came back, nobody waited for the long work any more.
        assert ended == [ClientGoneError]

    run(test)


def test_a_hang_and_its_end_are_told_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(pool_module, "say", lambda event, **fields: told.append(f"{event}: {fields['thread']}"))

    async def test() -> None:
        clock, gate = FakeClock(), Gate()
        with watched(1, clock) as pool:
            hanging = pool.submit(gate, wait_ns=LONG_NS)
            await gate.begins()
            clock.advance_ns(BOUND_NS + 1)
            for _ in range(3):
                pool.look()
            with pytest.raises(HungError):
                await hanging
            gate.open.set()

    run(test)
    assert told == ["a thread hangs: inference-0", "a thread that hung came back: inference-0"]


def test_a_pool_is_closed_although_a_thread_hangs() -> None:
    async def test() -> None:
        clock, gate = FakeClock(), Gate()
        pool = InferencePool(1, 4, hang_ns=BOUND_NS, now_ns=clock.now_ns)
        hanging = pool.submit(gate, wait_ns=LONG_NS)
        await gate.begins()
        clock.advance_ns(BOUND_NS + 1)
        pool.look()
        await asyncio.to_thread(pool.close)
        with pytest.raises(HungError):
            await hanging
        gate.open.set()

    run(test)
