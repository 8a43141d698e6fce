"""The model card, the Triton repository, and the judging of two graphs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from tests.contract_cases import BASE
from tests.contract_models import contracted_model
from tests.releases import CPU_10_MS, TERMS, release
from tests.unit.result_set import run_of, scheduled
from voiceflow_ml import cli
from voiceflow_ml.contract import Contract, Tensor, to_json
from voiceflow_ml.errors import ConfigError, ExportError, ResultError
from voiceflow_ml.export.triton import TritonOptions, config_pbtxt, export_triton
from voiceflow_ml.export.tuning import judged
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.reporting.model_card import render_card

RECORD: dict[str, Any] = {
    "model": "fast-cnn",
    "parameters": 1_973_463,
    "training": {"seed": 0, "hardware": "2-core|CPU", "config": {"width": 192}},
    "calibration": "128 windows",
    "evaluation": {"what": "local DER", "conversations_per_split": 60, "dev": {"local_der_percent": 20.0}},
    "variants": {
        name: {
            "path": f"fast-cnn{suffix}.onnx",
            "size_bytes": size,
            "parity": {"max_abs_error": {"powerset_logits": error}, "disagreement_percent": 1.5},
            "scores": {"dev": {"local_der_percent": der}},
            "notes": notes,
        }
        for name, suffix, size, error, der, notes in (
            ("fp32", "", 8_590_000, 1e-6, 20.0, ["folded DFT: kept; P50 is slower"]),
            ("int8", ".int8", 2_500_000, 0.5, 20.4, []),
        )
    },
}


def card(folder: Path, contract: Contract = BASE, record: object = RECORD, verdicts: tuple[str, ...] = ()) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "contract.json").write_text(to_json(contract))
    (folder / "fast-cnn.json").write_text(json.dumps(record))
    return render_card(folder, folder / "no-templates", verdicts)


def test_the_card_says_what_the_model_is(tmp_path: Path) -> None:
    text = card(tmp_path, verdicts=("cpu · P99 <= 10000000 ns: MET",))
    for line in (
        "# fast-cnn",
        "| input | `audio` float32 \\[batch, samples\\]: mono, in \\[-1, 1\\] |",
        "| classes | nobody, 0, 1, 2, 0+1, 0+2, 1+2 |",
        "| fp32 | `fast-cnn.onnx` | 8.59 MB | powerset\\_logits 1e-06 | 1.50 % | 20.0 % | ",
        "| int8 | `fast-cnn.int8.onnx` | 2.50 MB | powerset\\_logits 0.5 | 1.50 % | 20.4 % | ",
        "- folded DFT: kept; P50 is slower",
        "| model-inference | cpu | P99 | 10 ms |",
        "- cpu · P99 <= 10000000 ns: MET",
        "- hardware: 2-core\\|CPU",
    ):
        assert f"{line}\n" in text
    assert "width" not in text


def test_the_card_tells_the_error_rate_of_whole_recordings_for_each_variant(tmp_path: Path) -> None:
    rates = {"fp32": {"der_percent": 31.5, "recordings": 8}, "int8": {"recordings": 8}}
    variants = {name: {**RECORD["variants"][name], "recordings": {"dev_1": rates[name]}} for name in rates}
    whole = {"what": "DER of whole recordings", "sha256": "0", "folders": {"dev_1": rates["fp32"]}}
    text = card(tmp_path, record={**RECORD, "variants": variants, "evaluation": {"recordings": whole}})
    table = (
        "| precision | DER, dev\\_1 | \n|---|---|\n| fp32 | 31.5 % | \n| int8 | no speech | \n\n"
        "DER of whole recordings; dev\\_1: 8 recordings.\n"
    )
    assert table in text
    assert "Not scored: no data folder" in text


def test_the_card_of_a_model_without_scores_and_promises_says_so(tmp_path: Path) -> None:
    record = {**RECORD, "evaluation": {}}
    text = card(tmp_path, replace(BASE, sla=(), signal=None), record)
    assert "Not scored: no data folder" in text
    assert "## Promises\n\nNone.\n" in text


def test_a_card_without_a_record_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "contract.json").write_text(to_json(BASE))
    with pytest.raises(ResultError, match="is not a readable export record"):
        render_card(tmp_path, tmp_path)


def test_the_card_is_published_with_the_verdicts(tmp_path: Path) -> None:
    registry = Registry(Store(str(tmp_path / "registry")), "tiny")
    folder = release(tmp_path / "a", promised=(CPU_10_MS,))
    terms = replace(TERMS, waived={"sla:cpu": "later"}, card=lambda _, verdicts: f"card: {verdicts[0]}")
    manifest = publish(registry, folder, "1.0.0", terms)
    content = registry.store.read(f"tiny/{manifest.files['MODEL_CARD.md'].path}")
    assert content.decode() == "card: cpu · P99 <= 10000000 ns: not measured (waived: later)"


def test_a_triton_repository_holds_the_model_and_its_configuration(tmp_path: Path) -> None:
    model = contracted_model(tmp_path / "release")
    folder = export_triton(model, tmp_path / "repository", TritonOptions(version=3))
    assert (folder / "3" / "model.onnx").read_bytes() == model.read_bytes()
    assert (folder / "config.pbtxt").read_text() == (
        'name: "tiny"\n'
        'backend: "onnxruntime"\n'
        "max_batch_size: 0\n"
        'input [ { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]\n'
        'output [ { name: "y" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]\n'
        "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
        'parameters { key: "intra_op_thread_count" value: { string_value: "1" } }\n'
    )
    onnxruntime.InferenceSession(folder / "3" / "model.onnx", providers=["CPUExecutionProvider"])
    with pytest.raises(ExportError, match="is there already"):
        export_triton(model, tmp_path / "repository", TritonOptions(version=3))
    arguments = ["export-triton", str(model), "--repository", str(tmp_path / "repository"), "--version", "4"]
    assert "config.pbtxt and 4/model.onnx" in CliRunner().invoke(cli.app, arguments).output


def test_triton_joins_requests_along_a_dynamic_first_axis() -> None:
    text = config_pbtxt(BASE, TritonOptions(kind="gpu", largest_batch=8, instances=2))
    assert "max_batch_size: 8\n" in text
    assert "dims: [ -1 ] } ]\n" in text
    assert "dynamic_batching { }\n" in text
    assert "count: 2 kind: KIND_GPU" in text
    assert "intra_op" not in text


def test_what_triton_cannot_have_is_one_sentence() -> None:
    with pytest.raises(ExportError, match="first axis of 'audio' is fixed"):
        config_pbtxt(
            replace(BASE, inputs=(Tensor("audio", "float32", (1, "samples")),)), TritonOptions(largest_batch=2)
        )
    with pytest.raises(ExportError, match="'audio' is bfloat16, which Triton has no type for"):
        config_pbtxt(replace(BASE, inputs=(Tensor("audio", "bfloat16", (1,)),)), TritonOptions())
    with pytest.raises(ConfigError, match="unknown kind 'tpu'; Triton runs a model on: cpu, gpu"):
        TritonOptions(kind="tpu")
    with pytest.raises(ConfigError, match="version must be at least 1, got 0"):
        TritonOptions(version=0)


def test_two_graphs_are_compared_less_the_wait_for_a_cpu_where_that_is_known() -> None:
    quick, slow = (np.full(400, value, dtype=np.int64) + np.arange(400) % 7 for value in (1_000_000, 1_100_000))
    duel = judged(run_of(quick), run_of(slow))
    assert (duel.slower, duel.adjusted) == (True, False)
    assert duel.describe().endswith("(wall clock)")
    waited = slow + 5_000_000
    adjusted = judged(
        run_of(waited, scheduler=scheduled(waited, waited_over_ns=900_000)),
        run_of(waited, scheduler=scheduled(waited, waited_over_ns=800_000)),
    )
    assert (adjusted.slower, adjusted.adjusted) == (False, True)
