"""Every kind of bad version is refused while the one in use goes on answering, and the reason is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.bad_models import BAD, OTHERWISE, PROMISED, Bad, good_folder, refusal_rows
from tests.contract_models import NAME
from tests.releases import with_contract
from voiceflow_ml.contract import read_contract
from voiceflow_ml.files import hash_file
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import Kind, LoadRefused, Refusal, SwapRecord
from voiceflow_ml.service.trial import Here, LoadingPlan
from voiceflow_ml.service.trials import Smoke

X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
PLAN = LoadingPlan(smoke=Smoke(warm_up_runs=1))
ReadTime = Callable[[], int]


def ticks(step_ns: int) -> ReadTime:
    """A clock of CPU time on which every run takes this long."""
    return itertools.count(0, step_ns).__next__


def opened(
    tmp_path: Path, *, thread_time_ns: ReadTime | None = None, told: list[SwapRecord] | None = None
) -> ModelSlot:
    """A slot that serves the good model."""
    registry = Registry(Store(f"file://{tmp_path}/registry"), NAME)
    loader = Loader(NAME, registry, trial=Here(PLAN, thread_time_ns=thread_time_ns or ticks(1_000)))
    slot = ModelSlot(loader, on_record=told.append if told is not None else lambda _: None)
    slot.load(str(good_folder(tmp_path / "good")))
    return slot


def at_a_speed(slot: ModelSlot, thread_time_ns: ReadTime) -> None:
    """From now on versions are tried by this clock."""
    slot._loader._trial = Here(PLAN, thread_time_ns=thread_time_ns)


def answer(slot: ModelSlot) -> tuple[str, list[float]]:
    with slot.route() as lease:
        return lease.version.version, lease.version.run({"x": X})["y"].ravel().tolist()


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_version_is_refused(bad: Bad, tmp_path: Path) -> None:
    told: list[SwapRecord] = []
    slot = opened(tmp_path, told=told)
    before = answer(slot)
    registry = Registry(Store(f"file://{tmp_path}/registry"), NAME)
    source = bad.make(tmp_path / "bad", registry)
    with pytest.raises(LoadRefused) as refused:
        slot.load(source)
    assert refused.value.code == bad.code
    assert bad.reason in str(refused.value)
    # Everybody may read the sentence: no folder or address of this machine is in it.
    assert "voiceflow-ml-load-" not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert str(tmp_path) not in str(slot.history()[-1].to_json())
    record = slot.history()[-1]
    assert record == refused.value.record == told[-1]
    assert (record.kind, record.code, record.reason) == (Kind.REFUSED, bad.code, str(refused.value))
    assert (record.before, record.after) == (before[0], before[0])
    assert record.steps[-1].name == bad.step
    assert record.steps[-1].note.endswith(str(refused.value))
    assert answer(slot) == before


def test_the_documentation_lists_them_all() -> None:
    text = (Path(__file__).parents[2] / "docs" / "hot-reload.md").read_text(encoding="utf-8")
    listed = [line for line in text.splitlines() if line.startswith("| `")]
    assert listed == refusal_rows(), "python -m tests.bad_models prints the rows as they must be"


def test_at_least_twelve_kinds_and_all_reasons_have_a_bad_model() -> None:
    assert len({bad.name for bad in BAD}) == len(BAD) > 12
    assert {bad.code for bad in BAD} | set(OTHERWISE) == set(Refusal)


def test_a_version_slower_than_promised_is_refused(tmp_path: Path) -> None:
    slot = opened(tmp_path)
    served = slot.status().version
    slow = good_folder(tmp_path / "slow", shift=0.1)
    at_a_speed(slot, ticks(10_000_001))
    with pytest.raises(LoadRefused, match=r"runs are over the limit: median CPU time 10 ms in \d+ runs, limit 10 ms"):
        slot.load(str(slow))
    assert slot.history()[-1].code == "too-slow"
    assert slot.status().version == served
    # On the limit is within it.
    at_a_speed(slot, ticks(10_000_000))
    assert "(promised)" in slot.load(str(slow)).steps[-1].note


def test_a_version_without_a_promise_is_compared_with_the_one_in_use(tmp_path: Path) -> None:
    times: Iterator[int] = iter(())

    def thread_time_ns() -> int:
        return next(times)

    slot = ModelSlot(Loader(NAME, trial=Here(PLAN, thread_time_ns=thread_time_ns)))
    for name, shift in (("one", 0.0), ("two", 0.1)):
        with_contract(good_folder(tmp_path / name, shift=shift), sla=())
    first = slot.load(str(tmp_path / "one"))
    assert first.steps[-1].note.startswith("not checked: the contract promises nothing")
    # Two reads for a run of the new version, two for one of the version in use.
    times = itertools.accumulate(itertools.cycle((0, 2_100, 0, 1_000)))
    with pytest.raises(LoadRefused, match=r"2\.1 us in \d+ runs, limit 2 us \(2 times the version in use\)"):
        slot.load(str(tmp_path / "two"))
    times = itertools.accumulate(itertools.cycle((0, 2_000, 0, 1_000)))
    assert slot.load(str(tmp_path / "two")).kind is Kind.LOADED


def test_a_speed_that_stays_open_is_no_pass(tmp_path: Path) -> None:
    every_other = itertools.accumulate(itertools.cycle((0, 9_000_000, 0, 11_000_000)))
    slot = opened(tmp_path)
    at_a_speed(slot, every_other.__next__)
    with pytest.raises(LoadRefused, match=r"20 of 40 runs"):
        slot.load(str(good_folder(tmp_path / "other", shift=0.1)))


def test_a_version_that_does_not_run_is_refused(tmp_path: Path) -> None:
    slot = opened(tmp_path)
    folder = good_folder(tmp_path / "bad")
    # A golden input that the graph does not take: batch and width are swapped.
    np.save(tmp_path / "x.npy", X.T)
    target = next((folder / "golden").glob("*.x.npy"))
    target.write_bytes((tmp_path / "x.npy").read_bytes())
    pair = read_contract(folder).golden[0]
    name = pair.inputs["x"]
    with_contract(folder, golden=(replace(pair, sha256={**pair.sha256, name: hash_file(target)}),))
    with pytest.raises(LoadRefused, match="the model does not run"):
        slot.load(str(folder))
    assert slot.history()[-1].code == "cannot-run"


def test_whatever_else_goes_wrong_is_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = opened(tmp_path)

    def broken(*_: object) -> str:
        raise MemoryError("no memory left")

    monkeypatch.setattr("voiceflow_ml.service.trial.warm_up", broken)
    with pytest.raises(LoadRefused, match="loading it failed \\(MemoryError\\); the log says more") as refused:
        slot.load(str(good_folder(tmp_path / "good again")))
    assert isinstance(refused.value.__cause__, MemoryError)
    assert slot.history()[-1].code == "failed"
    monkeypatch.undo()
    assert slot.load(str(tmp_path / "good again")).kind is Kind.LOADED


def test_a_registry_reference_without_a_registry(tmp_path: Path) -> None:
    with pytest.raises(LoadRefused, match="this server has no registry"):
        ModelSlot(Loader(NAME)).load("1.0.0")


def test_the_shipped_model_is_not_for_every_slot() -> None:
    with pytest.raises(LoadRefused, match="builtin:fast-cnn is a fast-cnn, and tiny is served here"):
        ModelSlot(Loader(NAME)).load("builtin:fast-cnn")


def test_a_weaker_promise_is_refused_and_a_tighter_one_is_taken(tmp_path: Path) -> None:
    slot = opened(tmp_path)
    weaker, tighter = (replace(PROMISED[0], limit_ns=limit_ns) for limit_ns in (20_000_000, 5_000_000))
    with pytest.raises(LoadRefused, match="is promised within 20000000 ns, was 10000000 ns"):
        slot.load(str(with_contract(good_folder(tmp_path / "weaker"), sla=(weaker,))))
    record = slot.load(str(with_contract(good_folder(tmp_path / "tighter"), sla=(tighter,))))
    assert "minor change from folder-" in record.steps[1].note
