"""A tiny trained network through the whole export: three precisions, a contract, a record, and what goes wrong."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from tests.speech_data import TINY_RUN, shipped_bank
from tests.unit.result_set import run_of
from voiceflow_ml.contract import Promise, read_contract
from voiceflow_ml.contract.check import check_model
from voiceflow_ml.contract.diff import diff
from voiceflow_ml.contract.from_model import contract_of
from voiceflow_ml.diarization.evaluation import Pair
from voiceflow_ml.errors import DataError, ExportError, TrainingError
from voiceflow_ml.export import (
    ExportOptions,
    ExportResult,
    ExportSpeech,
    Precision,
    Source,
    export,
    load_source,
    load_speech,
)
from voiceflow_ml.export.parity import LENGTHS, PARITY_LIMITS, check_parity, measure_parity
from voiceflow_ml.export.scoring import check_recordings
from voiceflow_ml.export.speech import cut
from voiceflow_ml.export.steps import alone_in
from voiceflow_ml.export.tuning import Duel, judged
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.models.signal import WINDOW_SAMPLES
from voiceflow_ml.training.evaluate import evaluation_windows
from voiceflow_ml.training.train import train

PROMISED = (Promise("model-inference", "cpu", "P99", 10_000_000),)
ALL = ExportOptions(tuple(Precision), promises=PROMISED)


@pytest.fixture(name="checkpoint", scope="module")
def _checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(replace(TINY_RUN, steps=2), shipped_bank(), tmp_path_factory.mktemp("run"), progress=lambda _: None)


@pytest.fixture(name="source", scope="module")
def _source(checkpoint: Path) -> Source:
    return load_source(checkpoint)


@pytest.fixture(name="speech", scope="module")
def _speech() -> ExportSpeech:
    """The shipped speech, and a few windows to score, so that everything runs."""
    shipped = load_speech(None)
    windows = evaluation_windows(shipped_bank(), TINY_RUN.simulation, WINDOW_SAMPLES, conversations=1)
    few = replace(windows, audio=windows.audio[:4], activity=windows.activity[:4], identities=windows.identities[:4])
    sample = Pair(shipped_speech_path(), shipped_speech_path().with_suffix(".rttm"))
    return replace(
        shipped, scored={"dev": few}, conversations=1, data_sha256="0" * 64, recordings={"sample": (sample,)}
    )


@pytest.fixture(name="stopped", scope="module")
def _stopped(source: Source, speech: ExportSpeech, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an export that was stopped when all was made and proven; torch exports once for many tests."""
    folder = tmp_path_factory.mktemp("stopped")

    def stop(text: str) -> None:
        if text == "writing files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(source, folder, speech, ALL, say=stop)
    return folder


@pytest.fixture(name="folder")
def _folder(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "out"))


@pytest.fixture(name="exported", scope="module")
def _exported(
    source: Source, speech: ExportSpeech, stopped: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportResult:
    return export(source, Path(shutil.copytree(stopped, tmp_path_factory.mktemp("out") / "x")), speech, ALL)


def test_every_variant_is_there_whole_and_nothing_else(exported: ExportResult) -> None:
    names = {path.name for path in exported.folder.iterdir()}
    models = {"fast-cnn.onnx", "fast-cnn.fp16.onnx", "fast-cnn.int8.onnx"}
    assert names == {*models, "fast-cnn.json", "contract.json", "golden"}
    for variant in exported.variants.values():
        content = variant.path.read_bytes()
        assert (variant.sha256, variant.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))


def test_fp32_and_fp16_equal_the_network_within_their_bars(exported: ExportResult) -> None:
    for precision, limit in PARITY_LIMITS.items():
        parity = exported.variants[precision].parity
        assert max(parity.scaled_error.values()) <= limit
        assert parity.windows == 9
    assert exported.variants[Precision.FP32].parity.disagreement_percent == 0.0
    assert exported.variants[Precision.FP32].parity.least_cosine > 0.999


def test_each_variant_keeps_its_own_contract(exported: ExportResult) -> None:
    for variant in exported.variants.values():
        contract = check_model(variant.path)
        assert contract.sla == PROMISED
        assert len(contract.golden) == 2
    assert contract_of(exported.variants[Precision.FP32].path) == read_contract(exported.folder) == exported.contract
    int8 = contract_of(exported.variants[Precision.INT8].path)
    assert {str(change.level) for change in diff(exported.contract, int8).changes} <= {"patch", "minor"}


def test_the_contract_says_what_goes_in_and_comes_out(exported: ExportResult) -> None:
    contract = exported.contract
    assert [(tensor.name, tensor.describe()) for tensor in (*contract.inputs, *contract.outputs)] == [
        ("audio", "float32 [batch, samples]"),
        ("powerset_logits", "float32 [batch, frames, 7]"),
        ("embeddings", f"float32 [batch, 3, {TINY_RUN.model.embedding_dim}]"),
    ]
    assert contract.classes == ("", "0", "1", "2", "0+1", "0+2", "1+2")
    assert contract.signal is not None
    assert contract.signal.frame_rate_hz == 50.0


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_int8_computes_in_int8_and_leaves_the_front_end_alone(exported: ExportResult) -> None:
    path = exported.variants[Precision.INT8].path
    graph = onnx.load(path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    plain = [node for node in graph.node if node.op_type == "Conv" and node.input[1] in weights]
    # The DFT and the mel filters keep their fp32 weights; every other convolution takes int8 ones per channel.
    assert len(plain) == 2
    quantised = [node for node in graph.node if node.op_type == "Conv" and node not in plain]
    assert len(quantised) > 10
    for node in quantised:
        dequantise = made_by[node.input[1]]
        stored = weights[dequantise.input[0]]
        assert stored.data_type == onnx.TensorProto.INT8
        assert len(onnx.numpy_helper.to_array(weights[dequantise.input[1]])) == stored.dims[0]
        assert weights[made_by[node.input[0]].input[2]].data_type == onnx.TensorProto.UINT8
    assert "ReduceMean" in operators(path)
    assert "GlobalAveragePool" in operators(path)


def test_nothing_of_the_machine_is_left_in_the_files(exported: ExportResult) -> None:
    for path in exported.folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for trace in (b"/site-packages/", b".py\0", str(Path.home()).encode() + b"/", str(exported.folder).encode()):
            assert trace not in content


def test_the_record_says_what_the_files_are(exported: ExportResult) -> None:
    record = json.loads(exported.record_path.read_text(encoding="utf-8"))
    portable = exported.variants[Precision.FP32]
    assert (record["sha256"], record["size_bytes"]) == (portable.sha256, portable.size_bytes)
    assert record["training"]["steps_done"] == 2
    assert record["training"]["config"] == replace(TINY_RUN, steps=2).to_dict()
    assert set(record["variants"]) == {"fp32", "fp16", "int8"}
    assert record["evaluation"]["dev"] == dict(portable.scores["dev"])
    assert record["variants"]["int8"]["scores"]["dev"]["windows"] == 4
    assert "% of the products are in half precision" in record["variants"]["fp16"]["notes"][0]


def test_every_variant_is_scored_on_whole_recordings(exported: ExportResult) -> None:
    record = json.loads(exported.record_path.read_text(encoding="utf-8"))
    for variant in record["variants"].values():
        counts = variant["recordings"]["sample"]
        assert counts["recordings"] == 1
        parts = sum(counts[name] for name in ("missed_s", "false_alarm_s", "confused_s"))
        assert counts["der_percent"] == pytest.approx(100.0 * parts / counts["reference_s"], abs=0.01)
    whole = record["evaluation"]["recordings"]
    assert whole["what"].startswith("DER of whole recordings, heard offline, no collar, overlap scored")
    assert whole["folders"]["sample"] == record["variants"]["fp32"]["recordings"]["sample"]
    assert len(whole["sha256"]) == 64


def test_a_variant_that_loses_more_than_a_point_of_whole_recordings_is_refused() -> None:
    before, after = ({"rooms": {"recordings": 3, "der_percent": percent}} for percent in (20.0, 21.01))
    check_recordings("int8", {"rooms": {"der_percent": 21.0}}, before)
    with pytest.raises(ExportError, match=r"DER of int8 on the recordings of rooms is 21\.01 %, that of fp32 20 %"):
        check_recordings("int8", after, before)
    with pytest.raises(ExportError, match="is nan %"):
        check_recordings("int8", {"rooms": {"recordings": 3}}, before)
    check_recordings("int8", {"rooms": {"recordings": 3}}, {"rooms": {"recordings": 3}})


def test_folders_of_recordings_need_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="told apart by their names, got rooms, rooms"):
        load_speech(None, recordings=[tmp_path / "a" / "rooms", tmp_path / "b" / "rooms"])
    with pytest.raises(DataError, match="holds no recording"):
        load_speech(None, recordings=[tmp_path])


def test_two_exports_into_one_folder_do_not_meet(source: Source, speech: ExportSpeech, tmp_path: Path) -> None:
    with alone_in(tmp_path / "out"), pytest.raises(ExportError, match=r"another export is at work in .*out; wait"):
        export(source, tmp_path / "out", speech)
    with alone_in(tmp_path / "out"):
        pass


def test_a_disk_that_is_full_while_files_are_written_changes_nothing(
    source: Source, speech: ExportSpeech, folder: Path
) -> None:
    earlier = folder / "fast-cnn.onnx"
    earlier.write_text("earlier")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # A file that grows over the limit fails as on a full disk, with another number.
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        with pytest.raises(ExportError, match=r"the export to .* stopped: .*too large; what is done is kept"):
            export(source, folder, speech, ALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name for path in folder.iterdir()} == {".export", "fast-cnn.onnx"}
    assert earlier.read_text() == "earlier"
    said: list[str] = []
    result = export(source, folder, speech, ALL, say=said.append)
    assert all(text.endswith(("before", "writing files")) for text in said)
    assert check_model(result.variants[Precision.FP32].path).model == "fast-cnn"


def test_variants_that_are_not_asked_for_any_more_go_with_the_weights_that_they_were_of(
    source: Source, speech: ExportSpeech, folder: Path
) -> None:
    for name in ("fast-cnn.int8.onnx", "notes.txt"):
        (folder / name).write_text("earlier")
    export(source, folder, speech)
    assert not (folder / "fast-cnn.int8.onnx").exists()
    assert (folder / "notes.txt").read_text() == "earlier"


def test_an_export_that_was_stopped_goes_on(source: Source, speech: ExportSpeech, folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == [".export"]
    assert not list(folder.rglob("*.part"))
    damaged = next(folder.rglob("int8-of-fp32.onnx"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    said: list[str] = []
    export(source, folder, speech, ALL, say=said.append)
    assert said[:2] == ["fp32: made before", "proof of fp32 (fp32): done before"]
    assert said[2:4] == ["fp16 search (fp32): done before", "fp16-of-fp32: made before"]
    assert said[5] == "int8-of-fp32: making it"
    assert not (folder / ".export").exists()


def test_a_step_that_was_damaged_says_what_to_delete(source: Source, speech: ExportSpeech, folder: Path) -> None:
    next(folder.rglob("proof of fp32*.json")).write_text("{")
    with pytest.raises(ExportError, match=r"is damaged .*; delete .* and export again"):
        export(source, folder, speech, ALL)


def test_a_failed_proof_leaves_the_earlier_files_as_they_were(
    source: Source, speech: ExportSpeech, folder: Path
) -> None:
    (folder / "fast-cnn.onnx").write_text("earlier")
    proof = next(folder.rglob("proof of int8*.json"))
    facts = json.loads(proof.read_text())
    before = facts["scores"]["dev"]["local_der_percent"]
    facts["scores"]["dev"]["local_der_percent"] = before + 1.01
    proof.write_text(json.dumps(facts))
    with pytest.raises(
        ExportError, match=r"local DER of int8 on dev voices is .* %, that of fp32 .* %; at most 1 points"
    ):
        export(source, folder, speech, ALL)
    assert {path.name for path in folder.iterdir()} == {".export", "fast-cnn.onnx"}
    assert (folder / "fast-cnn.onnx").read_text() == "earlier"


def test_other_weights_fail_the_proof(exported: ExportResult, checkpoint: Path, speech: ExportSpeech) -> None:
    other = load_source(checkpoint)
    with torch.no_grad():
        other.module.get_parameter("classify.weight").add_(0.01)
    parity = measure_parity(other.network, exported.variants[Precision.FP32].path, speech.audio)
    with pytest.raises(
        ExportError, match=r"powerset_logits of the fp32 graph differs from torch by .*; 1e-05 is allowed"
    ):
        check_parity(Precision.FP32, parity)
    with pytest.raises(ExportError, match="differs from torch by nan"):
        check_parity(Precision.FP16, replace(parity, scaled_error={"embeddings": float("nan")}))


@pytest.mark.parametrize("slower", [True, False])
def test_tuning_keeps_a_rewrite_only_when_the_plain_graph_is_slower(
    slower: bool, source: Source, speech: ExportSpeech, folder: Path
) -> None:
    def measure(first: Path, second: Path, audio: Any, tell: Any) -> Duel:
        assert "MatMul" in operators(first)
        assert audio.shape == (1, WINDOW_SAMPLES)
        quick, slow = (run_of(np.full(400, value) + np.arange(400) % 7) for value in (1_000_000, 2_000_000))
        return judged(quick, slow) if slower else judged(slow, quick)

    result = export(source, folder, speech, ExportOptions(tune=True), measure=measure)
    notes = result.variants[Precision.FP32].notes
    assert notes[0].startswith("folded DFT: kept; " if slower else "folded DFT: not kept; ")
    assert notes[1] == "Conv1d as Conv2d: nothing in the graph to rewrite"
    assert any("folded" in node.name for node in onnx.load(result.variants[Precision.FP32].path).graph.node) == slower


class Gru(nn.Module):
    """Another network of the same contract: one strided 1-D convolution and a linear head, no log-mel, no norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.Conv1d(1, 16, 640, stride=640, padding=320)
        self.classify = nn.Linear(16, 7)
        self.embed = nn.Linear(16, 12)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.convolve(audio[:, None, :])).transpose(1, 2)
        return self.classify(features), self.embed(features.mean(dim=1)).view(-1, 3, 4)


def test_any_network_of_the_contract_exports_and_agrees_at_four_lengths(speech: ExportSpeech, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = Source("other", Gru().eval(), "0" * 64, {})
    assert len(LENGTHS) == 4
    plain = replace(speech, scored={}, data_sha256="", recordings={})
    result = export(source, tmp_path, plain, ExportOptions((Precision.INT8,)))
    assert check_model(result.variants[Precision.INT8].path).model == "other"
    assert result.variants[Precision.FP32].scores == {}


class Stubborn(nn.Module):
    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        if float(audio.sum()) > 0:
            audio = -audio
        return audio, audio


def test_what_cannot_be_exported_is_one_sentence(
    source: Source, speech: ExportSpeech, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="torch could not export the network: "):
        export(Source("x", Stubborn().eval(), "1" * 64, {}), tmp_path, speech)
    with pytest.raises(TrainingError, match="no such checkpoint"):
        load_source(tmp_path / "none.pt")
    with pytest.raises(ExportError, match="at least 48000 samples of speech are needed"):
        cut(np.zeros(100, dtype=np.float32))
    with pytest.raises(ExportError, match="calibration must hold windows of at least 48000 samples"):
        replace(speech, calibration=np.zeros((1, 10), dtype=np.float32))


def test_the_segmentation_of_a_second_run_takes_the_place_of_the_first_ones(
    checkpoint: Path, speech: ExportSpeech, tmp_path: Path
) -> None:
    second = train(replace(TINY_RUN, steps=2, seed=7), shipped_bank(), tmp_path / "second", progress=lambda _: None)
    voices, segmentation = load_source(checkpoint), load_source(second)
    joined = load_source(checkpoint, second)
    audio = torch.from_numpy(speech.audio[:2])
    with torch.no_grad():
        assert torch.equal(joined.network(audio)[0], segmentation.network(audio)[0])
        assert not torch.equal(joined.network(audio)[0], voices.network(audio)[0])
    assert torch.equal(joined.module.get_parameter("embed.weight"), voices.module.get_parameter("embed.weight"))
    assert len({joined.sha256, voices.sha256, segmentation.sha256}) == 3
    assert joined.training["segmentation"]["seed"] == 7


def test_only_a_fast_cnn_of_the_same_shape_gives_its_segmentation(checkpoint: Path, tmp_path: Path) -> None:
    wider = replace(TINY_RUN, steps=1, model=replace(TINY_RUN.model, width=24))  # type: ignore[type-var]
    other = train(wider, shipped_bank(), tmp_path / "wider", progress=lambda _: None)
    with pytest.raises(TrainingError, match="only a Fast CNN can give its segmentation to one of the same shape"):
        load_source(checkpoint, other)
