"""Contracts, manifests and results of strangers: read, or refused with one error of ours, and usable when read."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.documents import as_json, damaged, is_one_sentence, mutated, refusal
from tests.hypothesis_profiles import share_of_examples
from tests.unit.result_set import RESULTS, SESSION
from voiceflow_ml.contract import Contract, Golden, Promise, Signal, Tensor, diff, to_json
from voiceflow_ml.contract.document import from_json
from voiceflow_ml.errors import ContractError, DataError, ExportError, IntegrityError, ResultError
from voiceflow_ml.export.triton import TritonOptions, config_pbtxt
from voiceflow_ml.registry.channels import Channel, Promotion
from voiceflow_ml.registry.manifest import Manifest, PublishedFile, manifest_from_bytes
from voiceflow_ml.registry.sealed import seal
from voiceflow_ml.registry.store import Store
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.results.record import Result, Session
from voiceflow_ml.service.swaps import LoadRefused
from voiceflow_ml.service.trials import trial_inputs
from voiceflow_ml.training.data.manifest import (
    Clip,
    PackageRecord,
    read_manifest,
    read_record,
    record_path,
    shard_path,
    write_manifest,
    write_record,
)
from voiceflow_ml.wire import DATATYPES

CONTRACT = Contract(
    model="net",
    inputs=(Tensor("audio", "float32", ("batch", "samples")), Tensor("gain", "float32", (1,), optional=True)),
    outputs=(Tensor("logits", "float32", ("batch", 7)),),
    opset={"": 17},
    ir_version=8,
    computation_sha256="0" * 64,
    signal=Signal(16_000, 48_000, 320),
    golden=(Golden("ramp", {"audio": "a.npy"}, {"logits": "l.npy"}, {"a.npy": "0", "l.npy": "1"}, {"logits": 1e-5}),),
    sla=(Promise("model-inference", "cpu", "P99", 10_000_000),),
    training_data={"voices": "MIT"},
)
MANIFEST = Manifest("net", "1.0.0", {"net.onnx": PublishedFile("0" * 64, 4, "files/1.0.0/0/net.onnx")}, scores={"d": 1})
PROMOTION = Promotion(1, "1.0.0", "0" * 64, "promote", 0, "ann", "2026-01-02", "")
RECORD = PackageRecord(
    "pkg",
    "1",
    "MIT",
    "ann",
    "0",
    "1",
    0,
    (Clip("a", "s", "g", "train", 0, 10, "2"), Clip("b", "", "", "dev", 10, 5, "3")),
)
no_fixture_check = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def use(contract: Contract) -> None:
    """What the server, the exporter and the command line do with a contract that was read."""
    assert diff(contract, contract).changes == ()
    assert from_json(to_json(contract), "again") == contract
    for tensor in (*contract.inputs, *contract.outputs):
        tensor.describe()
    assert contract.signal is None or contract.signal.frame_rate_hz > 0
    refusal(lambda: config_pbtxt(contract, TritonOptions()), ExportError)
    if all(tensor.dtype in DATATYPES for tensor in contract.inputs):
        refusal(lambda: try_out(contract), LoadRefused)


def try_out(contract: Contract) -> None:
    """Make up inputs, as the server does for a version without golden pairs."""
    assert all(np.isfinite(array).all() for array in trial_inputs(contract, None).values())


@given(mutated(json.loads(to_json(CONTRACT))))
@example({**json.loads(to_json(CONTRACT)), "inputs": [{"name": "a", "dtype": "float32", "axes": [900, 900, 900]}]})
@example({**json.loads(to_json(CONTRACT)), "signal": {"sample_rate_hz": 1, "window_samples": 1, "frame_samples": 0}})
@example({**json.loads(to_json(CONTRACT)), "inputs": [{"name": "a", "dtype": "float32", "axes": [-1]}]})
@example({**json.loads(to_json(CONTRACT)), "model": "\ud800"})
@example(
    {**json.loads(to_json(CONTRACT)), "outputs": [{"name": "a", "dtype": "float32", "axes": [axis]} for axis in (1, 2)]}
)
def test_a_contract_is_usable_or_refused(content: Any) -> None:
    told = refusal(lambda: use(from_json(as_json(content), "contract.json")), ContractError)
    assert not told or (told.startswith("contract.json") and is_one_sentence(told)), told


@given(damaged(to_json(CONTRACT).encode()) | st.binary(max_size=60))
@example(b"[" * 100_000)
@example(b"1" * 10_000)
@example(b'{"schema_version": 1' + b"0" * 5_000 + b"}")
def test_a_damaged_contract_is_one_error(content: bytes) -> None:
    told = refusal(lambda: from_json(content, "contract.json"), ContractError)
    assert not told or (told.startswith("contract.json") and is_one_sentence(told)), told


def test_the_documents_that_are_broken_here_are_whole() -> None:
    use(CONTRACT)
    assert manifest_from_bytes(MANIFEST.to_bytes(), "m") == MANIFEST


@given(mutated({"manifest_version": 1, **json.loads(json.dumps(asdict(MANIFEST)))}))
@example(
    {"manifest_version": 1, **asdict(MANIFEST), "files": {"net.onnx": {"sha256": "0", "size_bytes": 1, "path": 1}}}
)
def test_a_sealed_manifest_is_a_manifest_or_refused(content: Any) -> None:
    """The seal is right: who wrote it meant it, or another release did."""
    if not isinstance(content, dict) or refusal(lambda: seal(content), Exception):
        return
    read: list[Manifest] = []
    told = refusal(lambda: read.append(manifest_from_bytes(seal(content), "manifest.json")), IntegrityError)
    if told:
        assert told.startswith("manifest.json")
        assert is_one_sentence(told)
        return
    assert all(entry.size_bytes >= 0 and len(entry.sha256) >= 0 for entry in read[0].files.values())
    assert manifest_from_bytes(read[0].to_bytes(), "again") == read[0]
    assert isinstance(", ".join((read[0].model, read[0].version, *read[0].changes, *read[0].verdicts)), str)


@given(damaged(MANIFEST.to_bytes()))
def test_a_damaged_manifest_is_never_taken(content: bytes) -> None:
    assert content == MANIFEST.to_bytes() or refusal(lambda: manifest_from_bytes(content, "m"), IntegrityError)


@no_fixture_check
@given(mutated(asdict(PROMOTION)))
def test_a_sealed_promotion_is_one_or_refused(tmp_path: Path, content: Any) -> None:
    if not isinstance(content, dict) or refusal(lambda: seal(content), Exception):
        return
    (tmp_path / "prod").mkdir(exist_ok=True)
    (tmp_path / "prod" / "000001.json").write_bytes(seal(content))
    channel = Channel(Store(f"file://{tmp_path}"), "prod")
    read: list[Any] = []
    told = refusal(lambda: read.append(channel.current()), IntegrityError)
    assert told or isinstance(read[0].version + read[0].who + read[0].why, str)


@no_fixture_check
@given(mutated(json.loads(json.dumps(asdict(RECORD)))), st.booleans())
@example({**asdict(RECORD), "clips": [{**asdict(RECORD.clips[0]), "samples": "many"}]}, True)
def test_speech_data_is_read_or_one_error(tmp_path: Path, content: Any, whole: bool) -> None:
    write_record(tmp_path, RECORD)
    shard_path(tmp_path, "pkg").touch()
    record_path(tmp_path, "pkg").write_text(as_json(content))
    (tmp_path / "manifest.json").write_text(as_json({"version": 1, "packages": [content]} if whole else content))
    records: list[PackageRecord] = []
    for told in (
        refusal(lambda: records.append(read_record(tmp_path, "pkg") or RECORD), DataError),
        refusal(lambda: records.extend(read_manifest(tmp_path)[0]), DataError),
    ):
        assert not told or (str(tmp_path) in told and is_one_sentence(told)), told
    for record in records:
        refusal(partial(write_manifest, tmp_path / "again", (record,)), DataError)


@no_fixture_check
@given(st.data())
def test_damaged_speech_data_is_one_error(tmp_path: Path, data: st.DataObject) -> None:
    path = write_manifest(tmp_path, (RECORD,))
    path.write_bytes(data.draw(damaged(path.read_bytes()) | st.just(b"[" * 100_000)))
    told = refusal(lambda: read_manifest(tmp_path), DataError)
    assert not told or (told.startswith(str(path)) and is_one_sentence(told)), told


def shortened(result: Result) -> dict[str, Any]:
    """A result as JSON values; long lists of samples make no difference to what is looked for here."""
    content: dict[str, Any] = json.loads(result.to_json())
    return content


_SHORT = [content for content in map(shortened, RESULTS) if len(json.dumps(content)) < 4_000_000][:6]


def whole_report(session: Session, results: tuple[Result, ...]) -> None:
    assert render_report(session, results, Path("none"))


@share_of_examples(0.4)
@given(st.sampled_from(range(len(_SHORT))), st.data())
def test_a_result_file_makes_a_report_or_is_one_error(index: int, data: st.DataObject) -> None:
    content = data.draw(mutated_result(_SHORT[index]))
    told = refusal(lambda: whole_report(SESSION, (Result.from_json(as_json(content), "0001.json"),)), ResultError)
    assert not told or (told.startswith("0001.json") and is_one_sentence(told)), told


@st.composite
def mutated_result(draw: st.DrawFn, content: dict[str, Any]) -> Any:
    """Changes outside of the long lists, which hypothesis would find nothing else than."""
    lists = dict(_long_lists(content))
    bare = _without(content, ())
    changed = draw(mutated(bare))
    return _with(changed, lists, ())


def _long_lists(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], list[Any]]]:
    if isinstance(value, list) and len(value) > 20:
        return [(at, value)]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, each in inner for found in _long_lists(each, (*at, key))]


def _without(value: Any, at: tuple[Any, ...]) -> Any:
    if isinstance(value, list):
        return "<list>" if len(value) > 20 else [_without(each, (*at, place)) for place, each in enumerate(value)]
    return {key: _without(each, (*at, key)) for key, each in value.items()} if isinstance(value, dict) else value


def _with(value: Any, lists: dict[tuple[Any, ...], list[Any]], at: tuple[Any, ...]) -> Any:
    if value == "<list>":
        return lists.get(at, [1, 2, 3])
    if isinstance(value, list):
        return [_with(each, lists, (*at, place)) for place, each in enumerate(value)]
    return {key: _with(each, lists, (*at, key)) for key, each in value.items()} if isinstance(value, dict) else value


@share_of_examples(0.4)
@given(mutated(json.loads(SESSION.to_json())))
def test_a_session_file_makes_a_report_or_is_one_error(content: Any) -> None:
    told = refusal(lambda: whole_report(Session.from_json(as_json(content), "session.json"), RESULTS), ResultError)
    assert not told or (told.startswith("session.json") and is_one_sentence(told)), told


@pytest.mark.parametrize("version", [0, 1, 3, "2", None, 2.5, True, [2], -1])
def test_other_versions_are_named(version: object) -> None:
    content = {**_SHORT[0], "schema_version": version}
    assert "schema version" in refusal(lambda: Result.from_json(json.dumps(content), "0001.json"), ResultError)


@given(damaged(json.dumps(_SHORT[0])[:3_000].encode()))
def test_a_result_file_that_is_cut_off_is_one_error(content: bytes) -> None:
    assert refusal(lambda: Result.from_json(content.decode(errors="replace"), "0001.json"), ResultError)
