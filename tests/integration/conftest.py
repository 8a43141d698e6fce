"""Fixtures of the integration tests."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

# pytester forgets modules that a run in this process was the first to import: imported here, they are imported
# once, which is faster, and which compiled ones (numpy, onnxruntime) depend on.
import voiceflow_ml.inference.declared
import voiceflow_ml.reporting.render
import voiceflow_ml.sla.schema  # noqa: F401
from tests.integration.plugin_project import Project


@pytest.fixture
def project(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """An empty project on a machine where nobody else measures, and which is not a CI machine."""
    # What this run was started by is not what started the runs inside of it.
    github = ("GITHUB_ACTIONS", "GITHUB_BASE_REF", "GITHUB_STEP_SUMMARY")
    for name in ("CI", *github, "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    # The device lock lives in the temporary folder: a measurement outside of this test must not hold it up.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Every run here rewrites the plugins' assertions anew unless it may keep what it compiled.
    bytecode = str(tmp_path_factory.getbasetemp() / "bytecode")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", bytecode)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", bytecode)
    return Project(pytester)


@pytest.fixture(autouse=True)
def _environment_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a session in this process makes CUDA see is gone after the test."""
    # Set first, so that it is taken back even where it was not there before.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
