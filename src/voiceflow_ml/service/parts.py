"""Everything that the routes of one server share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from voiceflow_ml.service.metrics import Metrics
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.receiving import Buffers
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.slot import ModelSlot


@dataclass
class Life:
    """Where the server is in its life; the only thing here that changes.

    Attributes:
        draining: it answers what it has and what still comes, and asks to be sent nothing more.
        streams: streams that are open.
        streams_of: the same by address; only those that have one.
    """

    draining: bool = False
    streams: int = 0
    streams_of: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """Inside the block one more stream is open.

        Args:
            client: address of who opened it.
        """
        self.streams += 1
        self.streams_of[client] += 1
        try:
            yield
        finally:
            self.streams -= 1
            self.streams_of[client] -= 1
            if not self.streams_of[client]:
                del self.streams_of[client]


@dataclass(frozen=True)
class Parts:
    """The parts of a server.

    Attributes:
        settings: as they were read at the start.
        slot: the version that serves.
        pool: the threads that run it.
        metrics: what is measured.
        buffers: bodies that are held.
        source: what a load without a source loads: a channel, or what the server was started with.
        life: where the server is in its life.
    """

    settings: ServeSettings
    slot: ModelSlot
    pool: InferencePool
    metrics: Metrics
    buffers: Buffers
    source: str
    life: Life = field(default_factory=Life)

    @property
    def wait_ns(self) -> int:
        """Longest time in the queue."""
        return round(self.settings.queue_timeout_s * 1e9)
