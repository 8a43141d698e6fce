"""What load is to be put on a service, decided before the first request."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.units import NS_PER_MS, NS_PER_S


class Kind(StrEnum):
    """Who sends, and when."""

    OPEN_LOOP = "open-loop"
    """Poisson arrivals that wait for nobody (MLPerf: Server)."""
    CLOSED_LOOP = "closed-loop"
    """So many connections, each of which sends again as soon as it has its answer (MLPerf: MultiStream)."""
    STREAMS = "streams"
    """So many live streams, each of which sends a chunk of audio every hop, in real time."""


_SIZES = {Kind.OPEN_LOOP: "rate_per_s", Kind.CLOSED_LOOP: "connections", Kind.STREAMS: "streams"}


@dataclass(frozen=True)
class LoadPlan:
    """The frozen plan of one trial; a value out of range raises :class:`ConfigError`.

    Attributes:
        kind: who sends, and when.
        rate_per_s: open loop: requests in a second, on average.
        connections: closed loop: how many callers.
        streams: how many live streams.
        duration_ns: how long requests are counted.
        warmup_ns: how long before that they are sent and not counted.
        hop_ns: streams: from one chunk to the next, and the audio in each.
        seed: of the arrivals.
        timeout_s: longest wait for an answer; what takes longer has none.
    """

    kind: Kind
    rate_per_s: float = 0.0
    connections: int = 0
    streams: int = 0
    duration_ns: int = 10 * NS_PER_S
    warmup_ns: int = 2 * NS_PER_S
    hop_ns: int = 100 * NS_PER_MS
    seed: int = 0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        for kind, name in _SIZES.items():
            value = getattr(self, name)
            if (kind is self.kind) != (value > 0):
                needs = "must be above 0" if kind is self.kind else "must be left out"
                raise ConfigError(f"of a load of kind {self.kind}, {name} {needs}, got {value!r}")
        for name, least in {"duration_ns": 1, "warmup_ns": 0, "hop_ns": 1}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, got {getattr(self, name)!r}")

    @property
    def total_ns(self) -> int:
        """Warm-up and what is counted."""
        return self.warmup_ns + self.duration_ns

    @property
    def size(self) -> str:
        """``"80 requests/s"``, ``"20 connections"`` or ``"4 streams"``."""
        if self.kind is Kind.OPEN_LOOP:
            return f"{self.rate_per_s:g} requests/s"
        return f"{self.connections} connections" if self.kind is Kind.CLOSED_LOOP else f"{self.streams} streams"


def poisson_offsets_ns(rate_per_s: float, total_ns: int, seed: int) -> list[int]:
    """When the requests of an open loop are to be sent: a Poisson process, after its start, ascending.

    The times between arrivals are exponentially distributed and independent, so that a burst is as likely as
    it is among callers who know nothing of each other.

    Args:
        rate_per_s: requests in a second, on average.
        total_ns: no arrival comes after this.
        seed: equal seeds give equal arrivals.
    """
    draws = random.Random(seed)  # noqa: S311 - arrivals need to be irregular, not secret # nosec B311
    offsets_ns: list[int] = []
    next_ns = draws.expovariate(rate_per_s) * NS_PER_S
    while next_ns < total_ns:
        offsets_ns.append(round(next_ns))
        next_ns += draws.expovariate(rate_per_s) * NS_PER_S
    return offsets_ns
