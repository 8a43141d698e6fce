"""The physical floor: recorded beside a verdict, and refused before a run where a promise is below it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.integration.plugin_project import OBJECTIVE, Project, table
from tests.onnx_models import chain_model
from voiceflow_ml.results.record import Result

CHAIN = """\
version = 1

[models.chain]
file = "chain.onnx"
inputs = { x = { shape = [256, 128] } }
"""


def promise(project: Project, limit: str, *more: str) -> None:
    chain_model(project.root / "chain.onnx", layers=8)
    project.write_sla(*more, OBJECTIVE.format(target="cpu", limit=limit).replace('"tiny"', '"chain"'), head=CHAIN)


def test_the_floor_is_in_the_result(project: Project) -> None:
    promise(project, "10s")
    project.run("sla.toml").assert_outcomes(passed=1)
    (content,) = project.results()
    found = content["measurement"]["roofline"]
    assert found["flops"] == {"fp32": 8 * 2 * 256 * 128 * 128}
    # Weights are one matrix that all layers share; inputs and outputs are of one size.
    assert found["bytes_moved"] == 4 * (128 * 128 + 2 * 256 * 128)
    assert (found["target"], found["bound_by"], found["measured_peaks"]) == ("cpu", "compute", True)
    assert found["source"].startswith("measured here")
    measurement = Result.from_json(json.dumps(content)).measurement
    assert measurement is not None
    assert measurement.roofline is not None
    median_ns = int(np.median(measurement.samples_ns))
    assert measurement.roofline.share == pytest.approx(found["floor_ns"] / median_ns, rel=0.05)
    facts = [finding.fact for finding in measurement.findings]
    assert any(fact.startswith("the median reaches ") and "% of what the hardware allows" in fact for fact in facts)
    # A result of an earlier release has none.
    del content["measurement"]["roofline"]
    earlier = Result.from_json(json.dumps(content)).measurement
    assert earlier is not None
    assert earlier.roofline is None


def test_a_promise_that_the_hardware_cannot_keep_is_refused_before_it_is_measured(project: Project) -> None:
    promise(project, "1us")
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    (line, *_) = table(result)
    assert line.startswith("ERROR ")
    assert "P99 <= 1 us is impossible on this target: one inference takes at least" in line
    (content,) = project.results()
    assert (content["state"], content["measurement"]) == ("error", None)


def test_peaks_that_the_project_states_are_used(project: Project) -> None:
    # A machine of 1 GFLOP/s would need 67 ms: what was measured is faster than that, and says so.
    promise(project, "10s", "\n[targets.cpu]\ntflops = { fp32 = 0.001 }\n")
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: a median of * is faster than the hardware can be: at least 67.1 ms on cpu*"])
