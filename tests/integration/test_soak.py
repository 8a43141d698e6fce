"""The soak itself, for some seconds: a real server, real faults, and no trouble."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.soak.__main__ import main
from benchmarks.soak.faults import STOPS
from benchmarks.soak.judging import Trouble
from benchmarks.soak.run_state import FINISHED
from benchmarks.soak.sampling import GAUGES

from voiceflow_ml.client.sync import TOKEN_VARIABLE


def test_a_short_soak_finds_nothing_and_writes_what_it_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # It sets the variable; this way the test takes it back.
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    path = tmp_path / "results.json"
    # Memory of so few seconds is no verdict, so its exit status is none either.
    main(["--quick", "--json", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["state"] == FINISHED
    assert {trouble: results["counts"][trouble] for trouble in Trouble} == dict.fromkeys(Trouble, 0), results[
        "examples"
    ]
    asked = {name.split(",")[0] for name in results["right"]}
    assert {"infer", "diarize"} <= asked
    assert results["changes"]["load"]
    assert results["faults"][STOPS]
    assert results["samples"]["resident_bytes"][0] > 1 << 20
    assert not any(results["after"][gauge] for gauge in GAUGES)
    assert "| wrong answers | 0 of " in capsys.readouterr().out
