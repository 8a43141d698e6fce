"""The watch over calls that do not come back, on calls that a test lets go."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from voiceflow_ml.pytest_plugin.hang import HangWatch, _parse_limit

ITEM = cast(pytest.Item, object())
MS = 1_000_000


class Seen:
    """What a watch told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, int]] = []
        self.event = threading.Event()

    def __call__(self, item: pytest.Item, returned: int) -> None:
        self.told.append((item, returned))
        self.event.set()


def test_a_call_that_does_not_come_back_is_told_once_with_those_that_did() -> None:
    seen, let_go = Seen(), threading.Event()
    calls: Iterator[Callable[[], object]] = iter([lambda: None, lambda: None, let_go.wait])
    with HangWatch(5 * MS, seen) as watch:
        watched = watch.watched(ITEM, lambda: next(calls)())  # noqa: PLW0108 - the next one at each call
        watched()
        watched()
        # A call that comes back after all must not go on beside a session that is being ended: its thread stays.
        threading.Thread(target=watched, daemon=True).start()
        assert seen.event.wait(60)
        let_go.set()
    assert seen.told == [(ITEM, 2)]


def test_a_call_is_itself_without_a_limit_and_when_it_times_itself() -> None:
    class Timed:
        def __call__(self) -> int:
            return 1

        def send_at(self, offsets_ns: list[int]) -> list[int]:
            return offsets_ns

    def call() -> None: ...

    assert HangWatch(None, Seen()).watched(ITEM, call) is call
    timed = Timed()
    assert HangWatch(MS, Seen()).watched(ITEM, timed) is timed


def test_a_call_that_is_more_than_one_inference_gets_more_time() -> None:
    seen, let_go = Seen(), threading.Event()
    with HangWatch(20 * MS, seen) as watch:
        patient = watch.watched(ITEM, let_go.wait, patience=1_000_000)
        thread = threading.Thread(target=patient)
        thread.start()
        assert not seen.event.wait(0.5)
        let_go.set()
        thread.join()
        # And the next has the usual limit again.
        threading.Thread(target=watch.watched(ITEM, threading.Event().wait), daemon=True).start()
        assert seen.event.wait(60)
    assert seen.told == [(ITEM, 0)]


def test_what_a_call_returns_and_raises_passes_through() -> None:
    with HangWatch(3_600_000 * MS, Seen()) as watch:
        assert watch.watched(ITEM, lambda: 7)() == 7
        with pytest.raises(ZeroDivisionError):
            watch.watched(ITEM, lambda: 1 // 0)()


def test_a_limit_that_is_none_is_refused_with_its_text() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="soon"):
        _parse_limit("soon")
    assert _parse_limit("60s") == 60_000 * MS
