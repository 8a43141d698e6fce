"""What a process that tries a version is told arrives as it was meant."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.bad_models import PROMISED, SIGNAL, good_folder
from voiceflow_ml.contract import Contract, read_contract
from voiceflow_ml.hardware.targets import CPU, find_target
from voiceflow_ml.service.trial import Candidate, LoadingPlan
from voiceflow_ml.service.trial_job import Job, ServedFile, job_from_json
from voiceflow_ml.service.trials import Smoke


@pytest.fixture(name="contract")
def _contract(tmp_path: Path) -> Contract:
    contract = replace(
        read_contract(good_folder(tmp_path / "good")),
        signal=SIGNAL,
        classes=("silence", "1"),
        preprocessing=("mono", "16 kHz"),
        postprocessing=("argmax",),
        sla=PROMISED,
        training_data={"some": "1, MIT"},
    )
    empty = [each.name for each in fields(contract) if not getattr(contract, each.name)]
    assert empty == [], "a field that is empty proves nothing"
    return contract


def test_a_job_arrives_as_it_was_sent(contract: Contract, tmp_path: Path) -> None:
    candidate = Candidate(tmp_path / "m.onnx", contract, tmp_path, tmp_path / "o.onnx", ("weights/w.bin",))
    plan = LoadingPlan(2, CPU, Smoke(1, 2, 3.0, 0.9), 4.5)
    job = Job(candidate, plan, ServedFile(tmp_path / "s.onnx", contract, is_optimised=True))
    line = job.to_json()
    assert "\n" not in line
    assert job_from_json(line.encode()) == job


def test_the_first_version_without_golden_files(contract: Contract, tmp_path: Path) -> None:
    bare = replace(contract, signal=None, golden=(), sla=())
    job = Job(Candidate(tmp_path / "m.onnx", bare, None, tmp_path / "o.onnx"), LoadingPlan(), None)
    assert job_from_json(job.to_json().encode()) == job


def test_a_target_keeps_what_matters_to_a_session(contract: Contract, tmp_path: Path) -> None:
    target = find_target("cuda-t4")
    job = Job(Candidate(tmp_path, contract, None, tmp_path), LoadingPlan(target=target), None)
    found = job_from_json(job.to_json().encode()).plan
    names = ("name", "device_name", "compute_capability", "providers", "provider_options", "is_cuda")
    assert [getattr(found.target, name) for name in names] == [getattr(target, name) for name in names]
    assert not found.is_plain
