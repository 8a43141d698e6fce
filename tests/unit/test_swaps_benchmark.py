"""The table of the swap benchmark: what is reached, missed or undecided, and that the page shows the committed run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.marked import block_of
from benchmarks.service.swap_table import BLOCK, PAGE, RESULTS, render
from benchmarks.service.variants import write_variant

from voiceflow_ml.contract.check import check_model
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot

MS = 1_000_000
GOOD: dict[str, Any] = {
    "machine": {"CPU": "Some CPU", "logical cores": "2"},
    "load_average_at_the_end": [1.0, 2.5, 3.0],
    "capacity_per_s": 100.0,
    "rate_per_s": 50.0,
    "duration_ns": 200_000 * MS,
    "memory": {"before": 200 << 20, "after": 210 << 20, "growth": 0.05},
    "failed": 0,
    "wrong": 0,
    "most_times": 2.0,
    "ratio": 1.5,
    "latency": "MET",
    "verdict": "P99 is within",
    "problems": [],
    "overlapping": {"requests": 2_500, "P50": 5 * MS, "P99": 15 * MS, "slowest": 20 * MS},
    "steady": {"requests": 7_500, "P50": 5 * MS, "P99": 10 * MS, "slowest": 20 * MS},
    "load": {"requests": 10_000, "statuses": {"200": 10_000}},
    "reloads": [{"begun_ns": 0, "ended_ns": 800 * MS}, {"begun_ns": 0, "ended_ns": 900 * MS}],
}


def rows(**changed: Any) -> list[str]:
    return [line for line in render({**GOOD, **changed}).splitlines() if line.startswith("| ")][1:]


def test_all_goals_reached() -> None:
    text = render(GOOD)
    assert "2 swaps in 200 s at 50 requests/s, half of the 100.0 that were measured just before" in text
    assert "| failed requests | 0 of 10 000 | 0 | reached |" in text
    assert "1.50x (15 ms of 2 500; 10 ms of 7 500) | at most 2x | reached |" in text
    assert "| +5.0% (200 MiB before) | at most +10% | reached |" in text
    assert "A swap took 850 ms (median)." in text
    assert "INVALID" not in text


@pytest.mark.parametrize(
    ("changed", "row", "word"),
    [
        ({"failed": 1}, 0, "**missed**"),
        ({"wrong": 1}, 1, "**missed**"),
        ({"latency": "BREACHED"}, 2, "**missed**"),
        ({"latency": "INCONCLUSIVE"}, 2, "undecided"),
        ({"latency": "MET", "problems": ["the generator was late"]}, 2, "undecided"),
        ({"memory": {"before": 100, "after": 111, "growth": 0.11}}, 3, "**missed**"),
    ],
)
def test_a_goal_missed_or_undecided(changed: dict[str, Any], row: int, word: str) -> None:
    found = rows(**changed)
    assert found[row].endswith(f"| {word} |")
    assert sum(line.endswith("| reached |") for line in found) == 3


def test_what_the_failed_were_answered_is_said() -> None:
    statuses = {"200": 9_997, "503": 3}
    text = render({**GOOD, "failed": 3, "load": {"requests": 10_000, "statuses": statuses}})
    assert "| failed requests | 3 of 10 000 (3 x 503) | 0 | **missed** |" in text


def test_an_invalid_trial_says_why() -> None:
    assert "The trial is INVALID: the generator was late." in render({**GOOD, "problems": ["the generator was late"]})


def test_the_page_shows_the_committed_run() -> None:
    assert block_of(PAGE.read_text(encoding="utf-8"), BLOCK) == render(json.loads(RESULTS.read_text(encoding="utf-8")))


def test_variants_keep_their_contract_and_answer_differently(tmp_path: Path) -> None:
    folders = [write_variant(tmp_path / str(number), number) for number in (1, 2)]
    answers = []
    slot = ModelSlot(Loader("fast-cnn"))
    for folder in folders:
        contract = check_model(folder / "fast-cnn.onnx")
        assert contract.golden
        slot.load(str(folder))
        with slot.route() as lease:
            outputs = lease.version.run({"audio": np.zeros((1, 3_200), np.float32)})
            answers.append(np.asarray(outputs["powerset_logits"], dtype=np.float64))
    assert np.abs(answers[1] - answers[0] - 0.001).max() < 1e-5
