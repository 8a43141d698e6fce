"""Releases of a tiny model to publish, with a record of scores and, where wanted, verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.contract_models import NAME, contracted_model, save_contract
from tests.unit import result_set
from voiceflow_ml.contract import Contract, Promise, read_contract
from voiceflow_ml.files import hash_file
from voiceflow_ml.registry.publish import Terms
from voiceflow_ml.results.record import Result

TERMS = Terms("somebody")
CPU_10_MS = Promise("model-inference", "cpu", "P99", 10_000_000)
T4_20_MS = Promise("model-inference", "cuda-t4", "P99", 20_000_000)
END_TO_END = Promise("end-to-end", "cpu", "P99", 100_000_000)


def release(
    folder: Path,
    *,
    promised: tuple[Promise, ...] = (),
    shift: float = 0.0,
    der: float | None = None,
    what: str = "local DER",
) -> Path:
    """Write a release and return its folder."""
    contracted_model(folder, promised=promised, shift=shift)
    record: dict[str, object] = {
        "model": NAME,
        "parameters": 12,
        "training": {},
        "calibration": "",
        "variants": {},
        "evaluation": {},
    }
    if der is not None:
        record["evaluation"] = {"what": what, "conversations_per_split": 60, "test": {"local_der_percent": der}}
    (folder / f"{NAME}.json").write_text(json.dumps(record))
    return folder


def with_contract(folder: Path, **fields: object) -> Path:
    """Change a release's contract, in both of its places."""
    contract: Contract = replace(read_contract(folder), **fields)  # type: ignore[arg-type]
    save_contract(folder / f"{NAME}.onnx", contract)
    return folder


def measured(folder: Path, *, target: str = "cpu", latency_ms: float = 1.0, limit_ms: int = 10) -> Result:
    """A finished test about a release's own file: 3 000 samples of one latency."""
    samples = np.full(3_000, round(latency_ms * 1e6), dtype=np.int64)
    result = result_set.measured(result_set.planned("test", NAME, target, P99=limit_ms * 10**6), samples)
    measurement = result.measurement
    if measurement is None:
        raise AssertionError("a measured test without a measurement")
    facts = {**measurement.facts, "model SHA-256": hash_file(folder / f"{NAME}.onnx")}
    return replace(result, measurement=replace(measurement, facts=facts))
