"""Comments that bind claims, JSON results that they point to, and words that hide a stage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.claims_project import audit_of, write_session
from voiceflow_ml.claims.judging import Status
from voiceflow_ml.claims.pointers import all_values, at_pointer
from voiceflow_ml.errors import ResultError

RESULTS = {
    "started_at": "2026-01-10T00:00:00+00:00",
    "nets": [{"name": "ours", "p99_ns": 5_400_000, "size_bytes": 9_100_000, "times": {"low": 1.4, "high": 1.6}}],
    "der": {"dev_percent": 20.81, "share": 0.316},
    "rtf": 0.016,
    "req_s": 1,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "r.json").write_text(json.dumps(RESULTS), encoding="utf-8")
    write_session(tmp_path / "reports/results/a", center_ms=9.0)
    return tmp_path


def statuses(root: Path, text: str, **settings: object) -> list[str]:
    return [str(judgement.status) for judgement in audit_of(root, text, **settings).judgements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P99 is 5.40 ms. <!-- claim: results r.json#/nets/0/p99_ns -->", ["CONFIRMED"]),
        ("P99 is 5.3 ms. <!-- claim: results r.json#/nets/0/p99_ns -->", ["REFUTED"]),
        ("P99 is 5.5 ms. <!-- claim: results r.json#/nets/0/p99_ns -->", ["REFUTED"]),
        ("P99 is < 6 ms. <!-- claim: results r.json#/nets/0/p99_ns -->", ["CONFIRMED"]),
        ("The file is 9.1 MB. <!-- claim: results r.json#/nets/0/size_bytes -->", ["CONFIRMED"]),
        ("It is 1.5x faster. <!-- claim: results r.json#/nets/0/times -->", ["CONFIRMED"]),
        ("DER 20.8 %, RTF 0.02. <!-- claim: results r.json#/der/dev_percent, r.json#/rtf -->", ["CONFIRMED"] * 2),
        ("DER 31.6 %. <!-- claim: results r.json#/der/share -->", ["CONFIRMED"]),
        ("DER 20.8 %, RTF 0.02, file 9.1 MB. <!-- claim: results r.json#/rtf, r.json#/rtf -->", ["UNVERIFIED"] * 3),
        ("The file is 9.1 MB. <!-- claim: results r.json#/nets/0/p99_ns -->", ["UNVERIFIED"]),
        ("The file is 9.1 MB. <!-- claim: results r.json#/nets/1 -->", ["UNVERIFIED"]),
        ("The file is 9.1 MB. <!-- claim: results gone.json#/x -->", ["UNVERIFIED"]),
        ("<!-- claim: results r.json -->\n\nP99 is 5.40 ms, the file 9.2 MB.", ["CONFIRMED", "REFUTED"]),
        ("P99 is 5 ms <!-- claim: none an example --> and P50 4 ms.", ["NO PROMISE", "REFUTED"]),
        ("<!-- claim: none why -->\n\n| P99 |\n|---|\n| 5 ms |\n\nP99: 9.1 ms.", ["NO PROMISE", "CONFIRMED"]),
        ("# A\n\n<!-- claim: section none old -->\n\nP99: 5 ms.\n\n# B\n\nP99: 3 ms.", ["NO PROMISE", "REFUTED"]),
        ("<!-- claim: page none old -->\n\n# A\n\nP99: 5 ms.\n\n# B\n\nP99: 3 ms.", ["NO PROMISE"] * 2),
        ("<!-- claim: page none old -->\n\nP99: 9 ms. <!-- claim: fast-cnn model-inference cpu p99 -->", ["CONFIRMED"]),
        ("It answers in 9 ms. <!-- claim: fast-cnn model-inference cpu p50 -->", ["CONFIRMED"]),
        ("It answers in 4 ms. <!-- claim: fast-cnn cpu p50 -->", ["REFUTED"]),
        ("It answers in 4 ms. <!-- claim: fast-cnn cuda-t4 p50 -->", ["UNVERIFIED"]),
        ("| a |\n|---|\n| 5 ms P99 <!-- claim: none why --> |\n| 9.1 ms P99 |", ["NO PROMISE", "CONFIRMED"]),
    ],
)  # fmt: skip
def test_comments_bind(root: Path, text: str, expected: list[str]) -> None:
    assert statuses(root, text) == expected


def test_old_json_results_are_stale(root: Path) -> None:
    text = "P99 is 5.40 ms. <!-- claim: results r.json#/nets/0/p99_ns -->"
    assert statuses(root, text, max_age_days=1) == ["STALE"]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("claim:", "the comment binds nothing: write claim: none REASON"),
        ("claim: none", "claim: none gives no reason"),
        ("claim: results", "claim: results names no file"),
        (
            "claim: fast-cnn gpu9",
            "'gpu9' is no stage (model-inference, server-processing, network, end-to-end), target",
        ),
    ],
)
def test_a_comment_that_binds_nothing_fails_and_says_what_would(root: Path, comment: str, message: str) -> None:
    audit = audit_of(root, f"Here P99 is 9 ms. <!-- {comment} -->")
    assert audit.failed
    assert audit.remarks[0].where == "PAGE.md:1:19"
    assert audit.remarks[0].message.startswith(message)


def test_a_comment_without_a_number_is_told(root: Path) -> None:
    (remark,) = audit_of(root, "Nothing here. <!-- claim: none why -->").remarks
    assert remark.message == "the comment is about no number that is found here: remove it, or move it"


MIXED = "# Speed\n\nThe latency (model inference, end-to-end) is 9 ms P99.\n"
UNNAMED = "Model inference takes 9 ms P99.\n\nThe end-to-end P99 is 80 ms.\n\nOur latency: 9 ms P99.\n"


def test_two_stages_under_one_word_are_named(root: Path) -> None:
    (remark,) = audit_of(root, MIXED).remarks
    assert remark.message == 'model inference and end-to-end are mixed under one word, "P99", for 9 ms: say which'
    assert remark.line == 3


def test_a_latency_without_a_stage_is_named_where_a_text_has_several(root: Path) -> None:
    (remark,) = audit_of(root, UNNAMED).remarks
    assert remark.where == "PAGE.md:5:14"
    assert remark.message == (
        '9 ms is called "P99" without a stage, in a text that has model inference (line 1), end-to-end (line 3): '
        "say which"
    )


def test_a_comment_that_contradicts_its_text_is_named(root: Path) -> None:
    text = "End-to-end P99: 9 ms. <!-- claim: fast-cnn model-inference cpu p99 -->"
    (remark,) = audit_of(root, text).remarks
    assert remark.message == "9 ms is called end-to-end, its comment binds it to model inference: one of them is wrong"


def test_words_fail_only_a_strict_audit(root: Path) -> None:
    text = "Model inference on a CPU: 9.1 ms P99. Not end-to-end. A P99 of 9.1 ms."
    assert audit_of(root, text).remarks
    assert not audit_of(root, text).failed
    assert audit_of(root, text, strict=True).failed


def test_one_stage_needs_no_word(root: Path) -> None:
    assert audit_of(root, "Model inference is quick: 9.1 ms P99, and the latency is 9.1 ms.").remarks == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_every_number_of_a_file_is_found_at_its_pointer(content: object) -> None:
    for found in all_values(content):
        assert at_pointer(content, found.pointer) == found


@given(JSON, st.text(max_size=12))
def test_a_pointer_to_nothing_is_one_sentence(content: object, pointer: str) -> None:
    with contextlib.suppress(ResultError):
        at_pointer(content, pointer)


def test_status_words_are_what_people_read() -> None:
    assert [str(status) for status in Status][4:] == ["TOO MODEST", "NO PROMISE"]
