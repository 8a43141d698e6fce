"""The registry's benchmark on a few versions, and what the release transcript keeps of an output."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.registry.__main__ import Taken, fill, table
from benchmarks.release.__main__ import HEAD, TRANSCRIPT, Transcript, UnexpectedError, shortened

RESULTS = Path("benchmarks/registry/results.json")


def test_the_registry_that_is_listed_is_one_that_reads(tmp_path: Path) -> None:
    registry = fill(tmp_path.as_uri(), 60)
    listed = registry.list()
    assert [entry.version for entry in listed][:2] == ["0.0.0", "0.0.1"]
    assert len(listed) == 60
    assert [entry.version for entry in listed if entry.yanked] == ["0.2.5"]
    assert {name: entry.version for entry in listed for name in entry.channels} == {"canary": "0.0.0", "prod": "0.5.0"}
    assert registry.manifest("0.5.9")[0].files["fast-cnn.onnx"].size_bytes > 0


def test_the_committed_listing_of_a_thousand_versions_took_less_than_a_second() -> None:
    results = json.loads((Path(__file__).parents[2] / RESULTS).read_text(encoding="utf-8"))
    rounds = results["rows"]["the listing alone, 1000 versions"]
    assert results["versions"] == 1_000
    assert max(taken["wall_s"] for taken in rounds) < 1.0
    assert "CPU" in results["machine"]


def test_times_are_told_in_milliseconds() -> None:
    text = table({"x": [Taken(0.1, 0.01), Taken(0.3, 0.02), Taken(0.2, 0.03)]})
    assert text.splitlines()[2] == "| x | 200 ms | 300 ms | 20 ms |"


def test_progress_in_parts_is_left_out_of_the_transcript() -> None:
    output = "fp32: making it\nfp16: part 3 of 9 alone\nint8: MatMul in fp32\ndiarizing 3 recordings\n\nint8: x.onnx \n"
    assert shortened(output) == "fp32: making it\nint8: x.onnx\n"


def test_a_command_that_ends_otherwise_stops_the_transcript(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path)
    transcript.run("voiceflow list nothing", status=2, needs="has no version of nothing")
    assert transcript.text.startswith(f"{HEAD}\n$ voiceflow list nothing\nvoiceflow: file://./registry has no version")
    assert transcript.text.endswith("exit status 2\n")
    with pytest.raises(UnexpectedError, match="voiceflow list nothing ended with 2, not 0"):
        transcript.run("voiceflow list nothing")


def test_the_committed_transcript_ends_in_a_promoted_version_without_a_waiver() -> None:
    text = TRANSCRIPT.read_text(encoding="utf-8")
    assert "waive" not in text
    assert text.count("MET  ") >= 2
    assert "voiceflow: 1.0.1 is too small a step from 1.0.0: the change is minor" in text
    assert "1.1.0  prod" in text
    assert str(Path.home()) not in text


def test_the_usage_of_both_is_told() -> None:
    for module in ("benchmarks.registry", "benchmarks.release"):
        done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
        assert f"python -m {module}" in done.stdout
