"""Which version a request gets, without a lock.

The routes are one immutable record, read once by each request and replaced by one assignment, and leases are kept in
sets, whose additions and removals are atomic. So no load, and no thread that happens to hold a lock while it waits for
a core, can make a request wait.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from types import TracebackType

from voiceflow_ml.service.guard import Latencies
from voiceflow_ml.service.version import LoadedVersion


@dataclass(frozen=True, eq=False)
class Seat:
    """A version that requests are routed to.

    Attributes:
        version: the version.
        latencies: how long its last answers took.
        leases: who is on it.
    """

    version: LoadedVersion
    latencies: Latencies
    leases: set[Lease] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Routes:
    """Who gets which version.

    Attributes:
        live: for everyone; None before the first load.
        canary: a version that is being tried; None when none is.
        share: the share of requests that the canary gets, 0 to 1.
        before: what a rollback goes back to; None when there is nothing.
    """

    live: Seat | None = None
    canary: Seat | None = None
    share: float = 0.0
    before: Seat | None = None


class Lease:
    """A request or stream on one version, which stays what it is until the lease ends; a context manager.

    Attributes:
        seat: where it sits.
        version: the version to run.
        is_canary: whether that version is being tried.
    """

    def __init__(self, seat: Seat, *, is_canary: bool) -> None:
        self.seat = seat
        self.version = seat.version
        self.is_canary = is_canary
        seat.leases.add(self)

    def end(self) -> None:
        """Give the version back; once is enough, twice does no harm."""
        self.seat.leases.discard(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


@dataclass(frozen=True)
class SlotStatus:
    """What is served right now.

    Attributes:
        model: name of the model.
        version: what serves everyone; empty when nothing does.
        digest: SHA-256 of its model file.
        loaded_at: ISO 8601, UTC.
        before: what a rollback goes back to; empty when there is nothing.
        canary: what is being tried; empty when nothing is.
        canary_share: the share of requests that it gets, 0 to 1.
        is_loading: whether a load is under way.
        leases: requests and streams on the version that serves everyone.
        watched_answers: answers of the new version that were watched so far; None when none is watched.
    """

    model: str
    version: str
    digest: str
    loaded_at: str
    before: str
    canary: str
    canary_share: float
    is_loading: bool
    leases: int
    watched_answers: int | None


def status_of(model: str, routes: Routes, *, is_loading: bool, watched_answers: int | None) -> SlotStatus:
    """The routes, in words."""
    live = routes.live
    return SlotStatus(
        model=model,
        version=version_on(live),
        digest=live.version.digest if live is not None else "",
        loaded_at=live.version.loaded_at if live is not None else "",
        before=version_on(routes.before),
        canary=version_on(routes.canary),
        canary_share=routes.share,
        is_loading=is_loading,
        leases=len(live.leases) if live is not None else 0,
        watched_answers=watched_answers,
    )


def version_on(seat: Seat | None) -> str:
    """Name of a seat's version; empty for no seat."""
    return seat.version.version if seat is not None else ""


def draw(seed: int, key: str) -> float:
    """A number in [0, 1), evenly spread over keys and always the same for one."""
    digest = hashlib.blake2b(f"{seed}:{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
