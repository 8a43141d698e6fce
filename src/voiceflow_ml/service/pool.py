"""A fixed number of threads that run the model, in front of them a queue that never grows beyond its bound."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from voiceflow_ml.service.ending import end_run
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.refusals import ClientGoneError, RequestError
from voiceflow_ml.service.work import Done, HungError, Job, SharedWork, Worker, run_together, whole_seconds
from voiceflow_ml.units import NS_PER_S

Result = TypeVar("Result")
Now = Callable[[], int]
_LONGEST_LOOK_S = 1.0
_JOIN_S = 0.05


class InferencePool:
    """Threads that run the model.

    Work is either quick or long. Who does long work calls :meth:`give_way` now and then: the quick work that waits at
    that moment is done first, in the same thread, so one long recording does not hold up everybody's requests.

    A thread that neither ends its work nor gives way within a bound hangs: its work is answered, its run of the model
    is asked to end, and until it comes back it counts among :attr:`hung`.

    Args:
        threads: how many.
        most_queued: how many pieces of work may wait.
        most_shared: how many pieces of alike work a thread takes at once (:class:`~.work.SharedWork`).
        hang_ns: how long one step of a piece of work may take.
        now_ns: the clock.
    """

    def __init__(
        self,
        threads: int,
        most_queued: int,
        *,
        most_shared: int = 1,
        hang_ns: int = 60 * NS_PER_S,
        now_ns: Now = time.perf_counter_ns,
    ) -> None:
        self.most_queued, self._most_shared = most_queued, most_shared
        self._hang_ns, self._now_ns = hang_ns, now_ns
        self._quick: deque[Job] = deque()
        self._long: deque[Job] = deque()
        self._waiting = threading.Condition()
        self._number = 0
        self._closed = False
        self._own = threading.local()
        self._workers = [Worker(self._serve, f"inference-{number}") for number in range(threads)]
        self._end = threading.Event()
        for thread in (*(worker.thread for worker in self._workers), self._watch_thread()):
            thread.start()

    @property
    def depth(self) -> int:
        """Pieces of work that wait."""
        return len(self._quick) + len(self._long)

    @property
    def hung(self) -> int:
        """Threads that hang."""
        now_ns = self._now_ns()
        return sum(worker.hangs(now_ns, self._hang_ns) for worker in self._workers)

    @property
    def is_lost(self) -> bool:
        """Whether every thread hangs, so that nothing is done any more."""
        return self.hung == len(self._workers)

    def check_room(self, wait_ns: int) -> None:
        """Refuse what could not be queued now.

        Args:
            wait_ns: how long it would wait at most, and so when to come back.

        Raises:
            RequestError: as many wait already as may, or every thread hangs (503).
        """
        if self.is_lost:
            raise RequestError(503, "every thread that runs the model hangs", retry_after_s=whole_seconds(wait_ns))
        if self.depth >= self.most_queued:
            sentence = f"{self.most_queued} requests wait already; ask again later"
            raise RequestError(503, sentence, retry_after_s=whole_seconds(wait_ns))

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
            RequestError: as many wait already as may, or every thread hangs (503).
            HungError: raised by the future; the work did not get on within its bound.
        """
        with self._waiting:
            if self._closed:
                raise RequestError(503, "the server is shutting down", retry_after_s=1)
            self.check_room(wait_ns)
            self._number += 1
            job = Job(self._number, work, asyncio.get_running_loop(), self._now_ns(), wait_ns)
            (self._quick if quick else self._long).append(job)
            self._waiting.notify()
        job.future.add_done_callback(partial(self._forget, job))
        return job.future

    def _forget(self, job: Job, future: asyncio.Future[Done[Any]]) -> None:
        """Give the place of work that nobody waits for any more to others."""
        if future.cancelled():
            with self._waiting, contextlib.suppress(ValueError):
                (self._quick if job in self._quick else self._long).remove(job)

    def give_way(self) -> None:
        """Do the quick work that waits now; does nothing outside of the pool, nor in work that is done meanwhile.

        Raises:
            ClientGoneError: nobody waits any more for the work that gives way.
        """
        worker: Worker | None = getattr(self._own, "worker", None)
        if worker is None:
            return
        self._got_on(worker, worker.jobs)
        if len(worker.jobs) != 1:
            return
        if worker.jobs[0].future.done():
            raise ClientGoneError("nobody waits for this any more")
        for _ in range(len(self._quick)):
            with self._waiting:
                jobs = self._take_quick() if self._quick else None
            if jobs is None:
                return
            self._do(worker, jobs)

    def close(self) -> None:
        """Take nothing more, do what was taken, and end the threads; one that hangs is left behind."""
        with self._waiting:
            self._closed = True
            self._waiting.notify_all()
        for worker in self._workers:
            while worker.thread.is_alive() and not worker.hangs(self._now_ns(), self._hang_ns):
                worker.thread.join(_JOIN_S)
        self._end.set()

    def _serve(self, worker: Worker) -> None:
        self._own.worker = worker
        while (jobs := self._next()) is not None:
            self._do(worker, jobs)
            # What the jobs hold (bodies, versions) must not live until the next one comes.
            del jobs

    def _next(self) -> list[Job] | None:
        """The piece of work that has waited longest, with what is done along with it; None when there is no more."""
        with self._waiting:
            while not (self._quick or self._long):
                if self._closed:
                    return None
                self._waiting.wait()
            if self._quick and (not self._long or self._quick[0].number < self._long[0].number):
                return self._take_quick()
            return [self._long.popleft()]

    def _take_quick(self) -> list[Job]:
        """The first piece of quick work, and others that share a run with it; called with the lock held."""
        jobs = [self._quick.popleft()]
        if self._most_shared > 1 and isinstance(jobs[0].work, SharedWork):
            key = jobs[0].work.key
            alike = (job for job in self._quick if isinstance(job.work, SharedWork) and job.work.key == key)
            jobs += itertools.islice(alike, self._most_shared - 1)
            for job in jobs[1:]:
                self._quick.remove(job)
        return jobs

    def _do(self, worker: Worker, taken: list[Job]) -> None:
        begun_ns = self._now_ns()
        jobs = [job for job in taken if not job.future.cancelled() and not job.refuse_if_late(begun_ns)]
        if not jobs:
            return
        before = worker.jobs
        self._got_on(worker, (*before, *jobs))
        try:
            outcomes = run_together([job.work for job in jobs])
        except BaseException as error:
            for job in jobs:
                job.settle(None, error)
        else:
            for job, outcome in zip(jobs, outcomes, strict=True):
                failed = isinstance(outcome, Exception)
                done = None if failed else Done(outcome, begun_ns - job.queued_ns)
                job.settle(done, outcome if failed else None)
        finally:
            self._got_on(worker, before)

    def _got_on(self, worker: Worker, jobs: tuple[Job, ...]) -> None:
        came_back = worker.told_ns == worker.since_ns
        worker.since_ns, worker.jobs = self._now_ns(), jobs
        if came_back:
            say("a thread that hung came back", level=logging.WARNING, thread=worker.thread.name)

    def _watch_thread(self) -> threading.Thread:
        every_s = min(_LONGEST_LOOK_S, self._hang_ns / NS_PER_S / 4)

        def watch() -> None:
            while not self._end.wait(every_s):
                self.look()

        return threading.Thread(target=watch, name="inference-watch", daemon=True)

    def look(self) -> None:
        """Answer what hangs, and what has waited for too long; a thread calls this again and again."""
        now_ns = self._now_ns()
        for worker in self._workers:
            since_ns, jobs = worker.since_ns, worker.jobs
            if worker.hangs(now_ns, self._hang_ns) and worker.told_ns != since_ns:
                worker.told_ns = since_ns
                self._give_up(worker, jobs)
        with self._waiting:
            for queue in (self._quick, self._long):
                for late in [job for job in queue if job.refuse_if_late(now_ns)]:
                    queue.remove(late)

    def _give_up(self, worker: Worker, jobs: tuple[Job, ...]) -> None:
        bound_s = self._hang_ns / NS_PER_S
        say("a thread hangs", level=logging.ERROR, thread=worker.thread.name, bound_s=bound_s)
        *around, inner = jobs
        inner.settle(None, HungError(f"the model did not come back within {bound_s:g} s"))
        for job in around:
            # Perhaps not its own fault: what was done in the middle of it, or along with it, hangs.
            job.settle(None, RequestError(503, "the thread that did this hangs; ask again", retry_after_s=1))
        end_run(worker.thread.ident)
