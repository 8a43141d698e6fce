"""The slot that a model is served from: its versions are loaded, tried, promoted and taken back under load."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.registry.registry import utc_now
from voiceflow_ml.service.guard import Finding, GuardPlan, Latencies, Watch
from voiceflow_ml.service.history import Attempt, SwapHistory
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.memory import give_back_memory
from voiceflow_ml.service.routing import Lease, Routes, Seat, SlotStatus, draw, status_of, version_on
from voiceflow_ml.service.swaps import (
    Kind,
    LoadRefused,
    LoadUnderWay,
    NothingServed,
    NothingToChange,
    Refusal,
    SwapRecord,
)

_DRAIN_POLL_S = 0.002


class ModelSlot:
    """Serves one model, and changes its version without a request being dropped.

    Args:
        loader: loads its versions.
        guard: what a new version is held to while it is watched.
        drain_s: longest wait, after a swap, for the requests on the version before; they end well in any case.
        seed: decides which keys the canary gets.
        on_record: called with every record, to log and to count it; from any thread.
        clock_ns: monotonic time.
        sleep_s: waits.
        now: the time that is written down.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        guard: GuardPlan | None = None,
        drain_s: float = 2.0,
        seed: int = 0,
        on_record: Callable[[SwapRecord], None] = lambda _: None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        sleep_s: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.model = loader.model
        self._loader, self._guard, self._drain_ns = loader, guard or GuardPlan(), round(drain_s * 1e9)
        self._seed, self._keyless = seed, itertools.count()
        self._clock_ns, self._sleep_s = clock_ns, sleep_s
        self._history = SwapHistory(on_record, clock_ns, now)
        self._routes = Routes()
        self._watched: tuple[Seat, Watch] | None = None
        self._loading = threading.Lock()
        # Held for a few instructions each time.
        self._changing = threading.Lock()

    def route(self, key: str | None = None) -> Lease:
        """A lease on the version that is to answer.

        Args:
            key: who asks; one key stays on one side of a canary. None draws anew each time.

        Raises:
            NothingServed: no version is loaded yet.
        """
        routes = self._routes
        if routes.live is None:
            raise NothingServed(f"no version of {self.model} is loaded yet; try again shortly")
        if routes.canary is not None:
            # The prefix keeps a client's keys apart from the counter.
            drawn = draw(self._seed, f"#{next(self._keyless)}" if key is None else f"={key}")
            if drawn < routes.share:
                return Lease(routes.canary, is_canary=True)
        return Lease(routes.live, is_canary=False)

    def report(self, lease: Lease, *, error: bool, elapsed_ns: int) -> None:
        """Tell how an answer went; a new version with too many errors or too long a tail is taken back at once.

        Args:
            lease: of the answer.
            error: whether the server failed; what the client did wrong is no error here.
            elapsed_ns: how long the version took.
        """
        if not error:
            lease.seat.latencies.add(elapsed_ns)
        watched = self._watched
        if watched is None or watched[0] is not lease.seat:
            return
        with self._changing:
            finding = watched[1].add(error=error, elapsed_ns=elapsed_ns)
            if watched[1].is_over and self._watched is watched:
                self._watched = None
        if finding is not None:
            self._take_back(lease.seat, finding)

    def load(self, source: str, *, canary: float = 0.0) -> SwapRecord:
        """Load a version and serve it; blocks for as long as that takes, so call it in a thread.

        Args:
            source: a version, a channel, the path of a folder, or ``builtin:fast-cnn``.
            canary: the share of requests that it gets at first, below 1; 0 serves everyone at once.

        Raises:
            LoadRefused: it is unfit; what was served still is.
            LoadUnderWay: another load is under way, or a canary is being tried.
            ConfigError: a share outside of [0, 1).
        """
        if not 0 <= canary < 1:
            raise ConfigError(f"the share of a canary must be at least 0 and below 1, got {canary!r}")
        if not self._loading.acquire(blocking=False):
            raise LoadUnderWay(f"a version of {self.model} is being loaded already; try again when it is done")
        try:
            attempt = Attempt(self._clock_ns(), self._routes, source)
            if (tried := attempt.routes.canary) is not None:
                raise LoadUnderWay(f"{version_on(tried)} is being tried as a canary; promote it or roll it back first")
            return self._load(attempt, canary)
        finally:
            give_back_memory()
            self._loading.release()

    def _load(self, attempt: Attempt, share: float) -> SwapRecord:
        live = attempt.routes.live
        try:
            version = self._loader.load(attempt.source, live.version if live is not None else None, attempt.steps)
            seat = Seat(version, Latencies(self._guard.watched))
            self._swap(seat, attempt.routes, share)
        except LoadRefused as error:
            raise self._refused(error, attempt) from None
        except Exception as error:  # whatever it is, it becomes a sentence, and the version in use stays
            # Words that nobody here chose may name places of this machine: they are for its log.
            say("a load failed", level=logging.ERROR, error=error, source=attempt.source)
            refusal = LoadRefused(Refusal.FAILED, f"loading it failed ({type(error).__name__}); the log says more")
            raise self._refused(refusal, attempt) from error
        if share and live is not None:
            return self._history.add(Kind.CANARY, attempt, self._routes, seat)
        left = self._drained(live) if live is not None else 0
        return self._history.add(Kind.LOADED, attempt, self._routes, seat, still_leased=left)

    def _swap(self, seat: Seat, routes: Routes, share: float) -> None:
        with self._changing:
            if self._routes is not routes:
                raise LoadRefused(Refusal.OVERTAKEN, "the version in use was changed meanwhile; load this one again")
            if share and routes.live is not None:
                self._routes = replace(routes, canary=seat, share=share)
            else:
                self._routes = Routes(live=seat, before=routes.live)
            self._watch(seat, routes.live)

    def _watch(self, seat: Seat, before: Seat | None) -> None:
        # Without a version before there is nothing to go back to.
        self._watched = (seat, Watch(self._guard, before.latencies)) if before is not None else None

    def _drained(self, seat: Seat) -> int:
        """Wait for the requests on a version, and say how many are left."""
        end_ns = self._clock_ns() + self._drain_ns
        while seat.leases and self._clock_ns() < end_ns:
            self._sleep_s(_DRAIN_POLL_S)
        return len(seat.leases)

    def _refused(self, error: LoadRefused, attempt: Attempt) -> LoadRefused:
        error.record = self._history.add(Kind.REFUSED, attempt, self._routes, None, code=error.code, reason=str(error))
        return error

    def promote_canary(self) -> SwapRecord:
        """Let the canary serve everyone.

        Raises:
            NothingToChange: there is none.
        """
        start_ns = self._clock_ns()
        with self._changing:
            routes = self._routes
            if routes.canary is None:
                raise NothingToChange(f"no canary of {self.model} is being tried")
            self._routes = Routes(live=routes.canary, before=routes.live)
            self._watch(routes.canary, routes.live)
        return self._history.add(Kind.PROMOTED, Attempt(start_ns, routes), self._routes, routes.canary)

    def rollback(self) -> SwapRecord:
        """Drop the canary; without one, serve the version before again. Instant: it was kept in memory.

        Raises:
            NothingToChange: there is nothing to go back to.
        """
        start_ns = self._clock_ns()
        with self._changing:
            routes = self._routes
            seat = routes.canary or routes.live
            if seat is None or not self._drop(seat):
                raise NothingToChange(f"no version of {self.model} was served before this one since the server began")
        return self._history.add(Kind.ROLLED_BACK, Attempt(start_ns, routes), self._routes, seat)

    def _take_back(self, seat: Seat, finding: Finding) -> None:
        start_ns = self._clock_ns()
        with self._changing:
            routes = self._routes
            if not self._drop(seat):
                return
        self._history.add(
            Kind.ROLLED_BACK_BY_RULE,
            Attempt(start_ns, routes),
            self._routes,
            seat,
            code=finding.code,
            reason=finding.sentence,
        )

    def _drop(self, seat: Seat) -> bool:
        """Take a version out of the routes; False when it is in none, or nothing would be left."""
        routes = self._routes
        if routes.canary is seat:
            self._routes = replace(routes, canary=None, share=0.0)
        elif routes.live is seat and routes.before is not None:
            self._routes = Routes(live=routes.before)
        else:
            return False
        self._watched = None
        return True

    def close(self) -> None:
        """The server ends: a load that goes on is ended, where it can be, and none begins any more."""
        self._loader.close()

    def history(self) -> tuple[SwapRecord, ...]:
        """The last 200 changes and refusals since the server began, oldest first."""
        return self._history.records

    def status(self) -> SlotStatus:
        """What is served right now."""
        watched = self._watched
        return status_of(
            self.model,
            self._routes,
            is_loading=self._loading.locked(),
            watched_answers=watched[1].answers if watched is not None else None,
        )
