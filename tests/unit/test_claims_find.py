"""Claims in documents: where they stand, what is no prose, what tables and badges say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.find import find_claims
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import read_document

NAMES = Names(models=("fast-cnn", "fast-cnn-int8"))


def claims(text: str) -> tuple[Claim, ...]:
    return find_claims(read_document(text), "page.md", NAMES)


def only(text: str) -> Claim:
    (claim,) = claims(text)
    return claim


def test_a_claim_has_its_place_its_percentile_and_its_names() -> None:
    claim = only("# Speed\n\nOn a T4 the `fast-cnn` needs **4.48ms** P99 (model inference).\n")
    assert (claim.where, claim.text, claim.statistic) == ("page.md:3:32", "4.48ms", "P99")
    assert (claim.model, claim.stage, claim.target) == ("fast-cnn", "model-inference", "cuda-t4")


def test_the_longest_name_wins_however_it_is_written() -> None:
    assert only("fast_cnn_int8 answers in 2 ms.").model == "fast-cnn-int8"
    assert only("Fast CNN answers in 2 ms.").model == "fast-cnn"


@pytest.mark.parametrize(
    "text",
    [
        "```\nP99 4.48 ms\n```",
        "    P99 4.48 ms\n",
        "`P99 4.48 ms`",
        "[the report](https://example.org/p99-4.48ms)",
        "<https://example.org/p99-4.48ms>",
        "<!-- P99 4.48 ms -->",
        '<div title="P99 4.48 ms"></div>',
        "---\nlatency: P99 of 4.48 ms\n---\n",
        "![](https://example.org/p99-4.48ms.png)",
    ],
)
def test_code_addresses_comments_and_html_are_no_prose(text: str) -> None:
    assert claims(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "![p99](https://img.shields.io/badge/p99-4.48ms-green)",
        '<img src="https://img.shields.io/badge/p99-4.48ms-green">',
        "[![p99](https://img.shields.io/badge/latency__p99-4.48%20ms-green)](docs/latency.md)",
    ],
)
def test_a_badge_says_what_its_address_says(text: str) -> None:
    claim = only(f"Before.\n\n{text}\n")
    assert (claim.line, claim.low, claim.unit) == (3, 4.48, "ms")


def test_a_picture_of_another_host_says_what_its_text_says() -> None:
    assert claims("![latency of 5 ms](https://example.org/a.svg)")[0].low == 5


TABLE = """
| model | P50 (ms) | P99 | file | RTF |
|---|--:|--:|---|---|
| fast-cnn | 4.1 | 4.48 ms | 9.1 MB | 0.02 |
| a \\| b | 30 | `x` 55 ms | 8.8 MB | 0.5 |
"""


def test_a_table_gives_units_percentiles_and_models() -> None:
    found = claims(TABLE)
    assert [(claim.line, claim.column, claim.text) for claim in found[:4]] == [
        (4, 14, "4.1"),
        (4, 20, "4.48 ms"),
        (4, 30, "9.1 MB"),
        (4, 39, "0.02"),
    ]
    assert [claim.statistic for claim in found[:2]] == ["P50", "P99"]
    assert [claim.unit for claim in found[:4]] == ["ms", "ms", "MB", ""]
    assert {claim.model for claim in found[:4]} == {"fast-cnn"}
    assert [claim.text for claim in found[4:]] == ["30", "55 ms", "8.8 MB", "0.5"]


def test_a_head_of_several_names_gives_each_number_its_own() -> None:
    (claim,) = claims("| n | recall / QPS |\n|---|---|\n| x | 0.90 / 419 |\n")
    assert (claim.low, claim.unit) == (419, "qps")


def test_a_range_below_a_unit_is_one_claim() -> None:
    (claim,) = claims("| n | reads (ops/s) |\n|---|---|\n| x | 3,390\u20134,230 |\n")
    assert (claim.low, claim.high, claim.unit) == (3390, 4230, "ops/s")


def test_percentiles_and_stages_may_stand_at_the_side_and_at_the_top() -> None:
    found = claims("| | model inference | end-to-end |\n|---|---|---|\n| P99 | 4 ms | 50 ms |\n")
    assert [(claim.statistic, claim.stage) for claim in found] == [("P99", "model-inference"), ("P99", "end-to-end")]


def test_a_heading_names_the_stage_unless_it_names_two() -> None:
    assert only("# End-to-end\n\nP99 is 4 ms.").stage == "end-to-end"
    assert only("# Model inference and end-to-end\n\nP99 is 4 ms.").stage == ""


def test_entities_quotes_and_windows_line_ends_keep_their_places() -> None:
    text = "> P99 &lt; 10 ms \\* now\r\n> and P50 4 ms\r\n"
    first, second = claims(text)
    assert (first.comparator, text[first.start : first.end], first.where) == ("at_most", "10 ms", "page.md:1:12")
    assert (text[second.start : second.end], second.where) == ("4 ms", "page.md:2:11")


@pytest.mark.parametrize(
    "sentence",
    [
        "A timeout of 5 ms stops it.",
        "It polls every 500 ms.",
        "We sleep 10 ms between calls.",
        "Windows of 3 s with a hop of 500 ms.",
        "The 5 ms timeout setting.",
        "Uploads of up to 25 MB.",
        "A T4 has 16 GB of memory.",
        "Coverage is 97 %.",
        "Suppose it took 5 ms.",
        "Set `linger.ms` to 5 ms.",
    ],
)
def test_settings_and_machines_promise_nothing(sentence: str) -> None:
    assert claims(sentence) == ()


@pytest.mark.parametrize(
    "text",
    [
        "<div>\n<![foo[ x ]]>\n</div>\n\nP99: 5 ms.",
        "![x](https://[bad/badge/p99-4ms-x) P99: 5 ms.",
        "P99 is 1e400 ms, P50 5 ms.",
        "Latency of 4,48 ms, P99: 5 ms.",
        "\ufeffP99: 5 ms.",
        "P99:\r5 ms.",
    ],
)
def test_odd_texts_hide_nothing_and_invent_nothing(text: str) -> None:
    assert [claim.text for claim in claims(text)] == ["5 ms"]


@pytest.mark.parametrize("text", ["1/" * 20_000 + " ms", "5 ms P99 " * 2_000, "*" * 3_000 + "_`[" * 1_000])
def test_long_texts_take_no_longer_than_they_are_long(text: str) -> None:
    assert all(claim.low in (1, 5) for claim in claims(text))


MARKUP = st.text(alphabet=st.sampled_from("# |-\n`*[]()<>!&;~.,:0159 msPGBxk%\u00b5\r\t\\\"'/"), max_size=120)


@given(st.one_of(st.text(max_size=200), MARKUP))
def test_no_text_breaks_the_parser_and_every_place_is_in_it(text: str) -> None:
    for claim in claims(text):
        assert 0 <= claim.start < claim.end <= len(text)
        assert claim.line >= 1
        assert claim.column >= 1
        assert claim.low == claim.low


@given(MARKUP)
def test_a_claim_is_found_whatever_stands_before_it(before: str) -> None:
    text = f"{before}\n\nMeasured P99 latency is 4.48 ms.\n"
    hidden = any(mark in before for mark in ("`", "<", "---", "~", "\t", "    ", "[", "#", "|"))
    found = [claim for claim in claims(text) if claim.text == "4.48 ms"]
    assert hidden or len(found) == 1
