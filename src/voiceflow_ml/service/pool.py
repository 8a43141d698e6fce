"""A fixed number of threads that run the model, in front of them a queue that never grows beyond its bound."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from voiceflow_ml.service.refusals import ClientGoneError, RequestError
from voiceflow_ml.units import NS_PER_S

Result = TypeVar("Result")
Now = Callable[[], int]


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What became of a piece of work.

    Attributes:
        value: what it returned.
        queue_ns: how long it waited for a thread.
    """

    value: Result
    queue_ns: int


class _Job:
    """One piece of work on its way."""

    __slots__ = ("future", "loop", "number", "queued_ns", "wait_ns", "work")

    def __init__(
        self, number: int, work: Callable[[], Any], loop: asyncio.AbstractEventLoop, queued_ns: int, wait_ns: int
    ) -> None:
        self.number, self.work, self.loop = number, work, loop
        self.future: asyncio.Future[Done[Any]] = loop.create_future()
        self.queued_ns, self.wait_ns = queued_ns, wait_ns

    def settle(self, done: Done[Any] | None, error: BaseException | None) -> None:
        """Hand the outcome to the loop; it is woken once."""
        try:
            self.loop.call_soon_threadsafe(self._settle, done, error)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits any more.
            return

    def _settle(self, done: Done[Any] | None, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        elif done is not None:
            self.future.set_result(done)


class InferencePool:
    """Threads that run the model.

    Work is either quick or long. Who does long work calls :meth:`give_way` now and then: the quick work that waits at
    that moment is done first, in the same thread, so one long recording does not hold up everybody's requests.

    Args:
        threads: how many.
        most_queued: how many pieces of work may wait.
        now_ns: the clock.
    """

    def __init__(self, threads: int, most_queued: int, *, now_ns: Now = time.perf_counter_ns) -> None:
        self.most_queued, self._now_ns = most_queued, now_ns
        self._quick: deque[_Job] = deque()
        self._long: deque[_Job] = deque()
        self._waiting = threading.Condition()
        self._number = 0
        self._closed = False
        self._own = threading.local()
        self._threads = [
            threading.Thread(target=self._serve, name=f"inference-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """Pieces of work that wait."""
        return len(self._quick) + len(self._long)

    def check_room(self, wait_ns: int) -> None:
        """Refuse what could not be queued now.

        Args:
            wait_ns: how long it would wait at most, and so when to come back.

        Raises:
            RequestError: as many wait already as may (503).
        """
        if self.depth >= self.most_queued:
            sentence = f"{self.most_queued} requests wait already; ask again later"
            raise RequestError(503, sentence, retry_after_s=_seconds(wait_ns))

    def submit(self, work: Callable[[], Result], *, wait_ns: int, quick: bool = True) -> asyncio.Future[Done[Result]]:
        """Queue a piece of work; call this on the event loop.

        Args:
            work: done in one of the threads.
            wait_ns: work that waited longer is not done any more; its future raises.
            quick: whether it may be done in the middle of long work.

        Returns:
            Its outcome. Cancelled before a thread takes the work, it leaves the queue and is not done; afterwards,
            work that gives way ends there.

        Raises:
            RequestError: as many wait already as may (503).
        """
        with self._waiting:
            if self._closed:
                raise RequestError(503, "the server is shutting down", retry_after_s=1)
            self.check_room(wait_ns)
            self._number += 1
            job = _Job(self._number, work, asyncio.get_running_loop(), self._now_ns(), wait_ns)
            (self._quick if quick else self._long).append(job)
            self._waiting.notify()
        job.future.add_done_callback(partial(self._forget, job))
        return job.future

    def _forget(self, job: _Job, future: asyncio.Future[Done[Any]]) -> None:
        """Give the place of work that nobody waits for any more to others."""
        if future.cancelled():
            with self._waiting, contextlib.suppress(ValueError):
                (self._quick if job in self._quick else self._long).remove(job)

    def give_way(self) -> None:
        """Do the quick work that waits now; does nothing outside of the pool, nor in work that is done meanwhile.

        Raises:
            ClientGoneError: nobody waits any more for the work that gives way.
        """
        job: _Job | None = getattr(self._own, "job", None)
        if job is None:
            return
        if job.future.cancelled():
            raise ClientGoneError("nobody waits for this any more")
        self._own.job = None
        try:
            for _ in range(len(self._quick)):
                with self._waiting:
                    job = self._quick.popleft() if self._quick else None
                if job is None:
                    return
                self._do(job)
        finally:
            self._own.job = job

    def close(self) -> None:
        """Take nothing more, do what was taken, and end the threads."""
        with self._waiting:
            self._closed = True
            self._waiting.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            self._own.job = job
            self._do(job)
            # What the job holds (bodies, versions) must not live until the next one comes.
            self._own.job = None
            del job

    def _next(self) -> _Job | None:
        """The piece of work that has waited longest; None when there will be no more."""
        with self._waiting:
            while not (self._quick or self._long):
                if self._closed:
                    return None
                self._waiting.wait()
            if self._quick and (not self._long or self._quick[0].number < self._long[0].number):
                return self._quick.popleft()
            return self._long.popleft()

    def _do(self, job: _Job) -> None:
        if job.future.cancelled():
            return
        queue_ns = self._now_ns() - job.queued_ns
        if queue_ns > job.wait_ns:
            sentence = (
                f"waited {queue_ns / NS_PER_S:.2f} s for a thread, longer than the queue's bound; ask again later"
            )
            job.settle(None, RequestError(503, sentence, retry_after_s=_seconds(job.wait_ns)))
            return
        try:
            done = Done(job.work(), queue_ns)
        except BaseException as error:
            job.settle(None, error)
        else:
            job.settle(done, None)


def _seconds(wait_ns: int) -> int:
    return max(1, math.ceil(wait_ns / NS_PER_S))
