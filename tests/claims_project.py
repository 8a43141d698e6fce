"""A project with documents and real result files, for the claims audit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.unit.result_set import measurement, run_of
from voiceflow_ml.claims import Audit, Auditor, ClaimsSettings
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.results.store import ResultStore

NOW = datetime(2026, 1, 12, tzinfo=UTC)
MEASURED_AT = "2026-01-02T03:04:05+00:00"
MACHINE = {"CPU": "Example CPU", "logical cores": "2"}


def write_session(
    folder: Path,
    *,
    model: str = "fast-cnn",
    stage: str = "model-inference",
    target: str = "cpu",
    center_ms: float = 9.0,
    limit_ms: float = 10.0,
    at: str = MEASURED_AT,
    sha256: str = "",
) -> None:
    """Write a session with one measurement of 2 000 samples within 1 % of ``center_ms``; its P99 is 0.98 % above."""
    plan = Planned("sla.toml::x", model, stage, target, {"P99": round(limit_ms * 1e6)}, where="sla.toml:11")
    # Every order of the samples is as good as the next to the verdict: here they rise and fall.
    wave = np.tile(np.concatenate([np.arange(100), np.arange(100)[::-1]]), 10)
    samples_ns = (center_ms * 1e6 * (1 + (wave - 50) / 5000)).astype(np.int64)
    made = measurement(plan, run_of(samples_ns))
    if sha256:
        made = type(made)(**{**vars(made), "facts": {**made.facts, "model SHA-256": sha256}})
    store = ResultStore(folder)
    store.write_session(Session(at, "pytest sla.toml", "strict", 0.99, MACHINE, (plan,), (plan,), finished=True))
    store.write_result(Result(plan, State.MEASURED, "", at, made), 0)


def audit_of(root: Path, text: str, **settings: object) -> Audit:
    """The audit of one document, in the project's root folder."""
    (root / "PAGE.md").write_text(text, encoding="utf-8")
    asked = ClaimsSettings(root, **settings)  # type: ignore[arg-type]
    return Auditor(asked, NOW).audit([root / "PAGE.md"])
