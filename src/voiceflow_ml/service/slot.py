"""The version that serves: who asks gets it, and another takes its place in one assignment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.service.version import LoadedVersion


@dataclass(frozen=True)
class SwapRecord:
    """One change of the served version."""

    source: str
    before: str
    after: str
    when: str

    def to_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return dict(vars(self))


class LoadRefused(VoiceflowError):  # noqa: N818
    """A version was not taken, and what served before still does."""


class LoadUnderWay(VoiceflowError):  # noqa: N818
    """Another load is under way; one at a time."""


class NothingToChange(VoiceflowError):  # noqa: N818
    """There is nothing to go back to, or no canary to promote."""


class NothingServed(VoiceflowError):  # noqa: N818
    """No version is loaded yet."""


@dataclass(frozen=True)
class SlotStatus:
    """What is served right now."""

    model: str
    version: str
    digest: str
    loaded_at: str


class Lease:
    """A version for as long as a request or a stream needs it."""

    def __init__(self, version: LoadedVersion) -> None:
        self.version = version

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


class ModelSlot:
    """The place of the served version."""

    def __init__(self, opener: Callable[[str], LoadedVersion], source: str) -> None:
        self._opener, self._loading = opener, threading.Lock()
        self._current = opener(source)
        self.model = self._current.model
        self._history: list[SwapRecord] = [SwapRecord(source, "", self._current.version, self._current.loaded_at)]

    def route(self, key: str | None = None) -> Lease:  # noqa: ARG002
        """The version that a request is served by."""
        return Lease(self._current)

    def report(self, lease: Lease, *, error: bool, elapsed_ns: int) -> None:
        """Tell how a request went."""

    def load(self, source: str, *, canary: float = 0.0) -> SwapRecord:  # noqa: ARG002
        """Put another version into use."""
        if not self._loading.acquire(blocking=False):
            raise LoadUnderWay("another load is under way; ask again when it is done")
        try:
            before, self._current = self._current, self._opener(source)
        finally:
            self._loading.release()
        record = SwapRecord(source, before.version, self._current.version, self._current.loaded_at)
        self._history.append(record)
        return record

    def rollback(self) -> SwapRecord:
        """Put the version before into use again."""
        raise NothingToChange("there is no version before this one")

    def history(self) -> tuple[SwapRecord, ...]:
        """Every change, oldest first."""
        return tuple(self._history)

    def promote_canary(self) -> SwapRecord:
        """Let the canary serve everyone."""
        raise NothingToChange("there is no canary")

    def status(self) -> SlotStatus:
        """What serves now."""
        current = self._current
        return SlotStatus(current.model, current.version, current.digest, current.loaded_at)
