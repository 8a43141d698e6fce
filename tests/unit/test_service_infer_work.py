"""Inferences that share a run: each gets what it would have got alone, whatever the others asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.contract_models import NAME, contracted_model
from tests.onnx_models import save_graph
from voiceflow_ml.client.exchanges import infer
from voiceflow_ml.contract import read_contract
from voiceflow_ml.contract.protocol import Answer, read_outputs
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.ort_session import make_session
from voiceflow_ml.service.infer_work import Inference, InferWork
from voiceflow_ml.service.pool import InferencePool
from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_request import JSON_LENGTH_HEADER
from voiceflow_ml.service.version import LoadedVersion
from voiceflow_ml.service.work import HungError

LONG_NS = 10**12
Rows = NDArray[np.float32]


class Counted(LoadedVersion):
    """Notes how many rows each run had, and waits for ``open`` in the first one."""

    def run(self, inputs: Any) -> Any:
        self.__dict__.setdefault("runs", []).append(len(inputs["x"]))
        gate = self.__dict__.get("gate")
        if gate is not None and len(self.__dict__["runs"]) == 1:
            gate.begun.set()
            assert gate.open.wait(20)
        return super().run(inputs)


class Gate:
    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()


@pytest.fixture(name="version", scope="module")
def _version(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    folder = tmp_path_factory.mktemp("model")
    path = contracted_model(folder)
    session = make_session(path, CPU, threads=1, spinning=False)
    contract = read_contract(folder)
    return LoadedVersion(contract=contract, session=session, model=NAME, version="1", digest="", loaded_at="")


def counted(version: LoadedVersion) -> Counted:
    return Counted(**{name: getattr(version, name) for name in LoadedVersion.__dataclass_fields__})


def rows(count: int, seed: int) -> Rows:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def work(version: LoadedVersion, x: Rows) -> InferWork:
    exchange = infer(NAME, {"x": x})
    length = {name.lower(): value for name, value in exchange.headers.items()}[JSON_LENGTH_HEADER.decode()]
    return InferWork(version, exchange.body, int(length), 1 << 20)


def y_of(found: Inference | Exception) -> Rows:
    assert isinstance(found, Inference)
    outputs = read_outputs(Answer(200, found.body, found.json_bytes))
    return np.asarray(outputs["y"], dtype=np.float32)


def test_each_gets_its_own_rows_of_a_shared_run(version: LoadedVersion) -> None:
    tried = counted(version)
    asked = [rows(2, seed) for seed in range(3)]
    works = [work(tried, x) for x in asked]
    assert len({one.key for one in works}) == 1
    found = works[0].together(works)
    assert tried.__dict__["runs"] == [6]
    for x, one in zip(asked, found, strict=True):
        np.testing.assert_allclose(y_of(one), y_of(work(version, x)()), rtol=1e-6)
    assert len({one.inference_ns for one in found if isinstance(one, Inference)}) == 1


def test_requests_of_different_numbers_of_rows_share_a_run(version: LoadedVersion) -> None:
    tried = counted(version)
    asked = [rows(1, 0), rows(3, 1), rows(2, 2)]
    found = work(tried, asked[0]).together([work(tried, x) for x in asked])
    assert tried.__dict__["runs"] == [6]
    assert [len(y_of(one)) for one in found] == [1, 3, 2]
    np.testing.assert_allclose(y_of(found[1]), y_of(work(version, asked[1])()), rtol=1e-6)


def test_inputs_of_one_length_and_another_shape_are_run_apart(version: LoadedVersion, tmp_path: Path) -> None:
    (taken,), (given,) = version.contract.inputs, version.contract.outputs
    axes = ("batch", "samples")
    contract = replace(version.contract, inputs=(replace(taken, axes=axes),), outputs=(replace(given, axes=axes),))
    session = make_session(_passing_on(tmp_path / "clip.onnx"), CPU, threads=1, spinning=False)
    tried = counted(replace(version, contract=contract, session=session))
    asked = [rows(2, 0), rows(4, 1).reshape(8, 2), rows(2, 2), rows(4, 3).reshape(2, 8)]
    works = [work(tried, x) for x in asked]
    found = works[0].together(works)
    assert tried.__dict__["runs"] == [4, 8, 2]
    for x, one in zip(asked, found, strict=True):
        np.testing.assert_array_equal(y_of(one), np.maximum(x, 0))


def _passing_on(path: Path) -> Path:
    """A model that clips ``x`` [batch, samples] at zero."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "samples"]) for name in ("x", "y")]
    return save_graph(path, helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "clip", ends[:1], ends[1:]))


def test_one_that_is_refused_leaves_the_others_alone(version: LoadedVersion) -> None:
    tried = counted(version)
    bad = np.full((2, 4), np.nan, dtype=np.float32)
    works = [work(tried, bad), work(tried, rows(2, 1)), work(tried, rows(2, 2))]
    refused, *answered = works[0].together(works)
    assert isinstance(refused, RequestError)
    assert refused.status == 422
    assert tried.__dict__["runs"] == [4]
    np.testing.assert_allclose(y_of(answered[1]), y_of(work(version, rows(2, 2))()), rtol=1e-6)


def test_where_all_are_refused_nothing_is_run(version: LoadedVersion) -> None:
    tried = counted(version)
    works = [work(tried, np.full((1, 4), np.inf, dtype=np.float32)) for _ in range(2)]
    assert [type(one) for one in works[0].together(works)] == [RequestError, RequestError]
    assert "runs" not in tried.__dict__


def test_a_model_without_a_batch_axis_shares_nothing(version: LoadedVersion) -> None:
    (taken,) = version.contract.inputs
    fixed = replace(version, contract=replace(version.contract, inputs=(replace(taken, axes=(2, 4)),)))
    assert version.takes_batches
    assert not fixed.takes_batches
    assert len({one.key for one in (work(fixed, rows(2, 0)), work(fixed, rows(2, 1)))}) == 2
    other = replace(version, contract=replace(version.contract, inputs=(replace(taken, axes=("samples", 4)),)))
    assert not other.takes_batches


def test_versions_share_nothing(version: LoadedVersion) -> None:
    assert work(version, rows(2, 0)).key != work(counted(version), rows(2, 0)).key


def waiting(version: LoadedVersion, asked: Sequence[Rows], *, most_shared: int) -> tuple[list[Any], list[int]]:
    """What those get that wait while one thread is busy with a first one, and how many rows the runs had."""
    tried, gate = counted(version), Gate()
    tried.__dict__["gate"] = gate

    async def run() -> list[Any]:
        pool = InferencePool(1, 16, most_shared=most_shared)
        try:
            first = pool.submit(work(tried, rows(1, 99)), wait_ns=LONG_NS)
            await asyncio.to_thread(gate.begun.wait, 20)
            futures = [pool.submit(work(tried, x), wait_ns=LONG_NS) for x in asked]
            gate.open.set()
            done = await asyncio.gather(first, *futures, return_exceptions=True)
        finally:
            pool.close()
        return [one.value if not isinstance(one, BaseException) else one for one in done[1:]]

    found = asyncio.run(asyncio.wait_for(run(), 30))
    return found, tried.__dict__["runs"][1:]


@pytest.mark.parametrize(("most_shared", "runs"), [(1, [2] * 5), (2, [4, 4, 2]), (4, [8, 2]), (8, [10])])
def test_a_thread_takes_those_that_wait_up_to_the_bound(
    version: LoadedVersion, most_shared: int, runs: list[int]
) -> None:
    asked = [rows(2, seed) for seed in range(5)]
    found, seen = waiting(version, asked, most_shared=most_shared)
    assert seen == runs
    for x, one in zip(asked, found, strict=True):
        np.testing.assert_allclose(y_of(one), y_of(work(version, x)()), rtol=1e-6)


def test_what_is_not_alike_keeps_its_turn(version: LoadedVersion) -> None:
    asked = [rows(2, 0), rows(3, 1), rows(2, 2), rows(3, 3)]
    found, seen = waiting(version, asked, most_shared=4)
    assert seen == [4, 6]
    assert [len(y_of(one)) for one in found] == [2, 3, 2, 3]


def test_a_model_that_fails_fails_all_that_shared_its_run(version: LoadedVersion) -> None:
    (taken,) = version.contract.inputs
    # The contract lets five through where the graph takes four.
    wrong = replace(version.contract, inputs=(replace(taken, axes=(taken.axes[0], "columns")),))
    asked = [np.ones((1, 5), dtype=np.float32)] * 2
    found, seen = waiting(replace(version, contract=wrong), asked, most_shared=4)
    assert seen == [2]
    assert [type(one) for one in found] == [ModelFileError, ModelFileError]


def test_those_that_share_a_run_that_hangs_are_all_answered(version: LoadedVersion) -> None:
    clock = [0]
    tried, gate = counted(version), Gate()
    tried.__dict__["gate"] = gate

    async def run() -> list[Any]:
        pool = InferencePool(1, 16, most_shared=4, hang_ns=LONG_NS, now_ns=lambda: clock[0])
        blocker = threading.Event()
        try:
            first = pool.submit(lambda: blocker.wait(20), wait_ns=LONG_NS)
            futures = [pool.submit(work(tried, rows(1, seed)), wait_ns=LONG_NS) for seed in range(3)]
            blocker.set()
            await first
            await asyncio.to_thread(gate.begun.wait, 20)
            clock[0] += 2 * LONG_NS
            pool.look()
            return await asyncio.gather(*futures, return_exceptions=True)
        finally:
            gate.open.set()
            pool.close()

    found = asyncio.run(asyncio.wait_for(run(), 30))
    assert [type(one) for one in found] == [RequestError, RequestError, HungError]
    assert all("hangs" in str(one) for one in found[:2])
