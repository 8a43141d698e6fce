"""A piece of work on its way through the pool, and the thread that does it."""

from __future__ import annotations

import asyncio
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.units import NS_PER_S

Result = TypeVar("Result")


class HungError(VoiceflowError):
    """The model did not come back within its time; the thread that runs it may never."""


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What became of a piece of work.

    Attributes:
        value: what it returned.
        queue_ns: how long it waited for a thread.
    """

    value: Result
    queue_ns: int


class SharedWork(ABC):
    """Work that may be done together with work of the same key, for less than each by itself.

    Attributes:
        key: equal for what may be done together.
    """

    key: Hashable

    @abstractmethod
    def __call__(self) -> Any:
        """Do this alone."""

    @abstractmethod
    def together(self, works: Sequence[Any]) -> list[Any]:
        """Do these, this one first: the value of each, or the exception that it failed with."""


def run_together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do one piece of work, or several that share a run: the value of each, or the exception that it failed with."""
    first = works[0]
    if len(works) > 1 and isinstance(first, SharedWork):
        return first.together(works)
    return [work() for work in works]


def whole_seconds(time_ns: int) -> int:
    """A time as ``Retry-After`` has it: at least one second."""
    return max(1, math.ceil(time_ns / NS_PER_S))


class Job:
    """One piece of work on its way.

    Args:
        number: its place among all.
        work: what is to be done.
        loop: where its outcome is awaited.
        queued_ns: when it was queued.
        wait_ns: how long it may wait.
    """

    __slots__ = ("future", "loop", "number", "queued_ns", "wait_ns", "work")

    def __init__(
        self, number: int, work: Callable[[], Any], loop: asyncio.AbstractEventLoop, queued_ns: int, wait_ns: int
    ) -> None:
        self.number, self.work, self.loop = number, work, loop
        self.future: asyncio.Future[Done[Any]] = loop.create_future()
        self.queued_ns, self.wait_ns = queued_ns, wait_ns

    def settle(self, done: Done[Any] | None, error: BaseException | None) -> None:
        """Hand the outcome to the loop; it is woken once, and the first outcome counts."""
        try:
            self.loop.call_soon_threadsafe(self._settle, done, error)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits any more.
            return

    def refuse_if_late(self, now_ns: int) -> bool:
        """Whether it has waited for too long by now; if so, it is answered 503."""
        queue_ns = now_ns - self.queued_ns
        if queue_ns <= self.wait_ns:
            return False
        sentence = f"waited {queue_ns / NS_PER_S:.2f} s for a thread, longer than the queue's bound; ask again later"
        self.settle(None, RequestError(503, sentence, retry_after_s=whole_seconds(self.wait_ns)))
        return True

    def _settle(self, done: Done[Any] | None, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        elif done is not None:
            self.future.set_result(done)


class Worker:
    """A thread of the pool.

    Args:
        serve: what it does until the end of the pool.
        name: of the thread.

    Attributes:
        thread: the thread.
        jobs: what it is at: nothing, one job, or a long one and the quick one that is done in the middle of it.
        since_ns: when it last was known to get on.
        told_ns: the ``since_ns`` of a hang that was told.
    """

    def __init__(self, serve: Callable[[Worker], None], name: str) -> None:
        self.thread = threading.Thread(target=serve, args=(self,), name=name, daemon=True)
        self.jobs: tuple[Job, ...] = ()
        self.since_ns = 0
        self.told_ns = -1

    def hangs(self, now_ns: int, bound_ns: int) -> bool:
        """Whether it has been at one thing for longer than the bound."""
        return bool(self.jobs) and now_ns - self.since_ns > bound_ns
