"""Versions change under requests: who gets which, what is kept, and who takes a version back."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bad_models import good_folder
from tests.contract_models import NAME
from tests.unit.test_slot_refusals import PLAN, X, answer, ticks
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.clock import FakeClock
from voiceflow_ml.service.guard import GuardPlan
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.opened import Opened, open_file
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import Kind, LoadRefused, LoadUnderWay, NothingServed, NothingToChange, SwapRecord
from voiceflow_ml.service.trial import Here

MS = 1_000_000


class Gate:
    """A clock of CPU time that stops a load at its last step until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.opened.set()
        self._time_ns = ticks(1_000)

    def __call__(self) -> int:
        self.reached.set()
        assert self.opened.wait(10)
        return self._time_ns()

    def close(self) -> None:
        self.reached.clear()
        self.opened.clear()


@pytest.fixture(name="folders")
def _folders(tmp_path: Path) -> list[str]:
    return [str(good_folder(tmp_path / f"v{place}", shift=0.1 * place)) for place in range(3)]


@pytest.fixture(name="gate")
def _gate() -> Gate:
    return Gate()


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="slot")
def _slot(gate: Gate, clock: FakeClock) -> ModelSlot:
    def sleep_s(duration_s: float) -> None:
        clock.sleep_ns(round(duration_s * 1e9))

    loader = Loader(NAME, trial=Here(PLAN, clock_ns=clock.now_ns, thread_time_ns=gate), clock_ns=clock.now_ns)
    return ModelSlot(loader, clock_ns=clock.now_ns, sleep_s=sleep_s)


def answers(slot: ModelSlot, count: int, *, error: bool = False, elapsed_ns: int = 5 * MS) -> None:
    for _ in range(count):
        with slot.route() as lease:
            slot.report(lease, error=error, elapsed_ns=elapsed_ns)


def test_before_the_first_load_nothing_is_served(slot: ModelSlot) -> None:
    with pytest.raises(NothingServed, match="no version of tiny is loaded yet"):
        slot.route()
    assert slot.status().version == ""
    with pytest.raises(NothingToChange):
        slot.rollback()


def test_a_swap_is_recorded_with_its_steps(slot: ModelSlot, folders: list[str]) -> None:
    first, second = slot.load(folders[0]), slot.load(folders[1])
    assert [step.name for step in second.steps] == [
        "fetch and hash",
        "contract",
        "open",
        "warm-up",
        "golden parity",
        "speed",
    ]
    assert second.steps[1].note == f"patch change from {first.after}"
    assert second.steps[4].note == "1 pairs within their tolerance"
    assert (second.number, second.kind, second.before, second.after) == (2, Kind.LOADED, first.after, second.subject)
    assert slot.history() == (first, second)
    assert second.to_json()["steps"][0]["name"] == "fetch and hash"
    status = slot.status()
    assert (status.version, status.before, status.digest) == (second.after, first.after, second.digest)


def test_a_lease_keeps_its_version_over_a_reload(slot: ModelSlot, folders: list[str]) -> None:
    slot.load(folders[0])
    expected = answer(slot)
    stream = slot.route()
    record = slot.load(folders[1])
    # The stream goes on, and the load did not wait for it for ever: two seconds of a clock that sleeps move.
    assert record.still_leased == 1
    assert stream.version.run({"x": X})["y"].ravel().tolist() == expected[1]
    assert stream.version.version == expected[0] != answer(slot)[0]
    stream.end()
    stream.end()
    assert slot.load(folders[2]).still_leased == 0


def test_a_load_waits_for_the_requests_on_the_version_before(
    slot: ModelSlot, folders: list[str], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot.load(folders[0])
    lease = slot.route()
    start_ns = clock.now_ns()

    def sleep_s(duration_s: float) -> None:
        clock.sleep_ns(round(duration_s * 1e9))
        if clock.now_ns() - start_ns > 100 * MS:
            lease.end()

    monkeypatch.setattr(slot, "_sleep_s", sleep_s)
    record = slot.load(folders[1])
    assert record.still_leased == 0
    assert 100 * MS < record.elapsed_ns < 200 * MS


def test_rollback_is_instant_and_once(slot: ModelSlot, folders: list[str]) -> None:
    first, second = slot.load(folders[0]), slot.load(folders[1])
    record = slot.rollback()
    assert (record.kind, record.before, record.after) == (Kind.ROLLED_BACK, second.after, first.after)
    assert answer(slot)[0] == first.after
    with pytest.raises(NothingToChange, match="was served before this one since the server began"):
        slot.rollback()


def test_two_loads_at_once_one_is_turned_away(slot: ModelSlot, folders: list[str], gate: Gate) -> None:
    slot.load(folders[0])
    gate.close()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slot.load, folders[1])
        assert gate.reached.wait(10)
        assert slot.status().is_loading
        with pytest.raises(LoadUnderWay, match="a version of tiny is being loaded already"):
            slot.load(folders[2])
        # Requests are answered all the while.
        assert answer(slot)[0] == slot.history()[0].after
        gate.opened.set()
        assert first.result().kind is Kind.LOADED
    assert not slot.status().is_loading
    assert [record.kind for record in slot.history()] == [Kind.LOADED, Kind.LOADED]


def test_a_load_that_was_overtaken_by_a_rollback_changes_nothing(
    slot: ModelSlot, folders: list[str], gate: Gate
) -> None:
    first = slot.load(folders[0])
    slot.load(folders[1])
    gate.close()
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(slot.load, folders[2])
        assert gate.reached.wait(10)
        slot.rollback()
        gate.opened.set()
        with pytest.raises(LoadRefused, match="was changed meanwhile") as refused:
            load.result()
    assert refused.value.code == "overtaken"
    assert answer(slot)[0] == first.after


def test_a_canary_gets_its_share_and_a_key_stays_on_its_side(slot: ModelSlot, folders: list[str]) -> None:
    slot.load(folders[0])
    record = slot.load(folders[1], canary=0.25)
    assert (record.kind, record.before, record.after) == (Kind.CANARY, record.before, record.before)
    assert (slot.status().canary, slot.status().canary_share) == (record.subject, 0.25)
    sides = {key: slot.route(key).is_canary for key in map(str, range(2_000))}
    assert 0.22 < np.mean(list(sides.values())) < 0.28
    assert all(slot.route(key).is_canary == side for key, side in sides.items())
    assert 0.22 < np.mean([slot.route().is_canary for _ in range(2_000)]) < 0.28
    with pytest.raises(LoadUnderWay, match="is being tried as a canary; promote it or roll it back first"):
        slot.load(folders[2])


def test_a_canary_is_promoted(slot: ModelSlot, folders: list[str]) -> None:
    first = slot.load(folders[0])
    canary = slot.load(folders[1], canary=0.5)
    record = slot.promote_canary()
    assert (record.kind, record.before, record.after) == (Kind.PROMOTED, first.after, canary.subject)
    assert slot.status().canary == ""
    assert answer(slot)[0] == canary.subject
    with pytest.raises(NothingToChange, match="no canary of tiny is being tried"):
        slot.promote_canary()
    assert slot.rollback().after == first.after


def test_a_canary_is_dropped_by_a_rollback_and_what_was_before_stays(slot: ModelSlot, folders: list[str]) -> None:
    first, second = slot.load(folders[0]), slot.load(folders[1])
    slot.load(folders[2], canary=0.5)
    assert slot.rollback().after == second.after
    assert slot.rollback().after == first.after


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_is_a_share(slot: ModelSlot, folders: list[str], share: float) -> None:
    with pytest.raises(ConfigError, match="at least 0 and below 1"):
        slot.load(folders[0], canary=share)


def test_a_canary_of_an_empty_slot_serves_everyone(slot: ModelSlot, folders: list[str]) -> None:
    assert slot.load(folders[0], canary=0.5).kind is Kind.LOADED


def test_errors_take_a_new_version_back(slot: ModelSlot, folders: list[str]) -> None:
    first = slot.load(folders[0])
    answers(slot, 10)
    second = slot.load(folders[1])
    answers(slot, 10, error=True)
    record = slot.history()[-1]
    assert (record.kind, record.code) == (Kind.ROLLED_BACK_BY_RULE, "errors")
    assert (record.before, record.after, record.subject) == (second.after, first.after, second.after)
    assert record.reason == "4 of its first 4 answers failed; of all, a share of 0.01 may"
    # The six that failed afterwards were answers of the version that was always there.
    assert answer(slot)[0] == first.after
    assert len(slot.history()) == 3


def test_a_long_tail_takes_a_canary_back(slot: ModelSlot, folders: list[str]) -> None:
    first = slot.load(folders[0])
    answers(slot, 300)
    slot.load(folders[1], canary=0.5)
    for _ in range(40):
        with slot.route() as lease:
            slot.report(lease, error=False, elapsed_ns=11 * MS if lease.is_canary else 5 * MS)
    record = slot.history()[-1]
    assert (record.kind, record.code, record.after) == (Kind.ROLLED_BACK_BY_RULE, "latency", first.after)
    assert "took over 10 ms" in record.reason
    assert slot.status().canary == ""


def test_a_version_that_has_proved_itself_is_not_watched_any_more(gate: Gate, folders: list[str]) -> None:
    slot = ModelSlot(Loader(NAME, trial=Here(PLAN, thread_time_ns=gate)), guard=GuardPlan(watched=20))
    slot.load(folders[0])
    second = slot.load(folders[1])
    answers(slot, 19)
    assert slot.status().watched_answers == 19
    answers(slot, 1)
    assert slot.status().watched_answers is None
    answers(slot, 50, error=True)
    assert answer(slot)[0] == second.after


def test_the_first_version_has_nothing_to_go_back_to(slot: ModelSlot, folders: list[str]) -> None:
    first = slot.load(folders[0])
    answers(slot, 50, error=True)
    assert answer(slot)[0] == first.after


def test_a_report_about_a_version_that_is_gone_changes_nothing(slot: ModelSlot, folders: list[str]) -> None:
    slot.load(folders[0])
    slot.load(folders[1])
    late = slot.route()
    slot.rollback()
    for _ in range(20):
        slot.report(late, error=True, elapsed_ns=MS)
    assert len(slot.history()) == 3


def test_versions_that_nobody_needs_are_freed(slot: ModelSlot, folders: list[str]) -> None:
    slot.load(folders[0])
    first = weakref.ref(slot.route().version)
    slot.load(folders[1])
    assert first() is not None, "the version before is kept for a rollback"
    for lease in list(slot._routes.before.leases if slot._routes.before else ()):
        lease.end()
    del lease
    slot.load(folders[2])
    gc.collect()
    assert first() is None


def test_a_refused_version_is_freed(slot: ModelSlot, folders: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    slot.load(folders[0])
    opened: list[weakref.ref[Opened]] = []

    def remembered(*arguments: Any, **options: Any) -> Opened:
        model = open_file(*arguments, **options)
        opened.append(weakref.ref(model))
        return model

    def broken(*_: object) -> str:
        raise MemoryError

    monkeypatch.setattr("voiceflow_ml.service.trial.open_file", remembered)
    monkeypatch.setattr("voiceflow_ml.service.trial.smoke_speed", broken)
    # pytest keeps what is logged, and with it the frames of the error; a server's log does not.
    monkeypatch.setattr("voiceflow_ml.service.slot.say", lambda *_, **__: None)
    with pytest.raises(LoadRefused):
        slot.load(folders[1])
    gc.collect()
    # As it came, and as it was optimised.
    assert [reference() for reference in opened] == [None, None]


def test_requests_under_fifteen_swaps_get_no_error_and_no_wrong_answer(folders: list[str]) -> None:
    told: list[SwapRecord] = []
    slot = ModelSlot(Loader(NAME, trial=Here(PLAN, thread_time_ns=ticks(1_000))), on_record=told.append)
    right: dict[str, list[float]] = {}
    for folder in folders:
        slot.load(folder)
        version, numbers = answer(slot)
        right[version] = numbers
    stop = threading.Event()

    def ask() -> Iterator[str]:
        while not stop.is_set():
            version, numbers = answer(slot)
            assert numbers == right[version]
            yield version

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(lambda: list(ask())) for _ in range(2)]
        for place in range(15):
            slot.load(folders[place % 3])
        stop.set()
        seen = [version for future in asking for version in future.result()]
    assert set(seen) == set(right)
    assert [record.kind for record in told] == [Kind.LOADED] * 18
