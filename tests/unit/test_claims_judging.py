"""A claim against an interval: confirmed, refuted, too modest, or left open."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.claims_project import audit_of, write_session
from voiceflow_ml.claims.basis import Judgement
from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.judging import Measured, Status, judge
from voiceflow_ml.claims.quantities import Comparator, Quantity

E, A, M, L, R = Comparator


def claim(
    low: float, high: float | None = None, comparator: Comparator = E, quantity: Quantity = Quantity.LATENCY
) -> Claim:
    return Claim("p.md", 1, 1, 0, 4, "4 ms", quantity, low, high, "ms", 1e6, comparator, 0.005)


@pytest.mark.parametrize(
    ("said", "low", "high", "expected"),
    [
        (claim(4.48), 4.4, 4.6, Status.CONFIRMED),
        (claim(4.48), 4.484, 4.9, Status.CONFIRMED),
        (claim(4.48), 8.7, 9.4, Status.REFUTED),
        (claim(4.48), 1.0, 1.1, Status.TOO_MODEST),
        (claim(4.48), 4.486, 4.9, Status.REFUTED),
        (claim(4.48, comparator=A), 4.8, 5.5, Status.CONFIRMED),
        (claim(4.48, comparator=A), 5.0, 5.5, Status.REFUTED),
        (claim(10, comparator=M), 8, 10, Status.CONFIRMED),
        (claim(10, comparator=M), 8, 10.1, Status.UNVERIFIED),
        (claim(10, comparator=M), 10.1, 12, Status.REFUTED),
        (claim(10, comparator=M), 3, 4, Status.TOO_MODEST),
        (claim(10, comparator=M), 3, math.inf, Status.UNVERIFIED),
        (claim(10, comparator=M), 3, math.nan, Status.UNVERIFIED),
        (claim(40, 80, R), 41, 79, Status.CONFIRMED),
        (claim(40, 80, R), 70, 90, Status.UNVERIFIED),
        (claim(40, 80, R), 81, 90, Status.REFUTED),
        (claim(40, 80, R), 10, 20, Status.TOO_MODEST),
        (claim(300, comparator=L, quantity=Quantity.THROUGHPUT), 310, 320, Status.CONFIRMED),
        (claim(300, comparator=L, quantity=Quantity.THROUGHPUT), 290, 320, Status.UNVERIFIED),
        (claim(300, comparator=L, quantity=Quantity.THROUGHPUT), 280, 290, Status.REFUTED),
        (claim(300, comparator=L, quantity=Quantity.THROUGHPUT), 700, 720, Status.TOO_MODEST),
        (claim(300, quantity=Quantity.THROUGHPUT), 200, 210, Status.REFUTED),
        (claim(300, quantity=Quantity.THROUGHPUT), 400, 410, Status.TOO_MODEST),
        (claim(20.9, quantity=Quantity.DER), 31.6, 31.6, Status.REFUTED),
    ],
)
def test_statuses(said: Claim, low: float, high: float, expected: Status) -> None:
    assert judge(said, Measured(low, high)) is expected


def test_a_copied_number_is_refuted_by_a_better_one_too() -> None:
    assert judge(claim(4.48), Measured(4.2, 4.2), to_the_digit=True) is Status.REFUTED


def only(root: Path, text: str, **settings: object) -> Judgement:
    (judgement,) = audit_of(root, text, **settings).judgements
    return judgement


def test_both_numbers_are_named_with_the_hardware(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/a", center_ms=9.0)
    judgement = only(tmp_path, "fast-cnn, model inference: 4.48ms P99.")
    assert judgement.status is Status.REFUTED
    assert judgement.sentence.startswith("the text says P99 4.48 ms, results say 9.09 ms [9.0")
    assert "2026-01-02, CPU Example CPU, logical cores 2" in judgement.sentence
    assert judgement.basis == "fast-cnn · model-inference · cpu"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("fast-cnn on a CPU, model inference: 9.1 ms P99.", Status.CONFIRMED),
        ("fast-cnn on a CPU, model inference: 9.0 ms P50.", Status.CONFIRMED),
        ("fast-cnn on a CPU answers in 9.0 ms.", Status.CONFIRMED),
        ("fast-cnn on a CPU: P99 < 10 ms.", Status.CONFIRMED),
        ("fast-cnn on a CPU: P99 < 8 ms.", Status.REFUTED),
        ("fast-cnn on a CPU: P99 < 100 ms.", Status.TOO_MODEST),
        # Another machine, another stage, another model, another statistic: this run says nothing about them.
        ("fast-cnn on a T4: 9.1 ms P99.", Status.UNVERIFIED),
        ("fast-cnn on an RTX 3080: 9.1 ms P99.", Status.UNVERIFIED),
        ("fast-cnn on a GPU: 9.1 ms P99.", Status.UNVERIFIED),
        ("fast-cnn on a Raspberry Pi: 9.1 ms P99.", Status.UNVERIFIED),
        ("fast-cnn end-to-end: 9.1 ms P99.", Status.UNVERIFIED),
        ("fast-cnn on a CPU: 9.1 ms on average.", Status.UNVERIFIED),
        ("The cache answers in 9.1 ms.", Status.UNVERIFIED),
        ("The fast-cnn file is 9.1 MB.", Status.UNVERIFIED),
    ],
)
def test_a_claim_is_judged_by_what_it_is_about_and_nothing_else(tmp_path: Path, text: str, status: Status) -> None:
    write_session(tmp_path / "reports/results/a", center_ms=9.0)
    assert only(tmp_path, text).status is status


def test_two_promises_that_it_may_be_about_leave_it_open_by_name(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/a")
    write_session(tmp_path / "reports/results/b", target="cuda-t4")
    judgement = only(tmp_path, "fast-cnn, model inference: 9.1 ms P99.")
    assert judgement.status is Status.UNVERIFIED
    assert "fast-cnn · model-inference · cpu, fast-cnn · model-inference · cuda-t4" in judgement.sentence


def test_a_gpu_without_a_name_is_the_only_one_that_was_measured(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/a")
    write_session(tmp_path / "reports/results/b", target="cuda-t4", center_ms=20)
    judgement = only(tmp_path, "fast-cnn on a GPU: 20.2 ms P99.")
    assert (judgement.status, judgement.basis) == (Status.CONFIRMED, "fast-cnn · model-inference · cuda-t4")


def test_the_latest_session_counts(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/new", center_ms=5.0, at="2026-01-03T00:00:00+00:00")
    write_session(tmp_path / "reports/results/old", center_ms=9.0)
    assert only(tmp_path, "fast-cnn on a CPU: 5.05 ms P99.").status is Status.CONFIRMED


def test_old_results_are_stale_and_still_say_what_they_said(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/a")
    judgement = only(tmp_path, "fast-cnn on a CPU: 9.1 ms P99.", max_age_days=8)
    assert judgement.status is Status.STALE
    assert judgement.sentence.startswith(
        "its results are 9 days old, 8 are allowed: measure again; the text says P99 9.1"
    )
    assert only(tmp_path, "fast-cnn on a CPU: 9.1 ms P99.", max_age_days=9).status is Status.CONFIRMED


def test_results_of_another_model_file_are_stale(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"now")
    (tmp_path / "sla.toml").write_text(
        'version = 1\n[models.m]\nfile = "m.onnx"\n[[objective]]\nmodel = "m"\ntarget = "cpu"\np99 = "10ms"\n',
        encoding="utf-8",
    )
    write_session(tmp_path / "reports/results/a", model="m", sha256="ab" * 32)
    judgement = only(tmp_path, "The m answers in 9.1 ms P99 on a CPU.")
    assert judgement.status is Status.STALE
    assert "results are of abababababab: measure again" in judgement.sentence


def test_a_session_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_session(tmp_path / "reports/results/a")
    (tmp_path / "reports/results/a/session.json").write_text("{", encoding="utf-8")
    audit = audit_of(tmp_path, "fast-cnn: 9.1 ms P99.")
    assert audit.judgements[0].status is Status.UNVERIFIED
    assert "left out: " in audit.problems[0]
