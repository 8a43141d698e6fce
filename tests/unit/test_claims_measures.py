"""The grammar of measures: every way to write a number with a unit, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.claims.measures import read_measures
from voiceflow_ml.claims.percentiles import percentiles_of
from voiceflow_ml.claims.tokens import Kind, tokenise

Reading = tuple[float, float | None, str, str]


def read(text: str) -> list[Reading]:
    return [(m.low, m.high, m.unit.name, str(m.comparator)) for m in read_measures(list(tokenise(text, 0)))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40-80 ms", (40, 80, "ms", "range")),
        ("40\u201380ms", (40, 80, "ms", "range")),
        ("40 to 80 ms", (40, 80, "ms", "range")),
        ("40 ms to 80 ms", (40, 80, "ms", "range")),
        ("900 us to 1.5 ms", (0.9, 1.5, "ms", "range")),
        ("between 40 and 80 ms", (40, 80, "ms", "range")),
        ("<100ms", (100, None, "ms", "at_most")),
        ("\u2264 150 ms", (150, None, "ms", "at_most")),
        ("~5 ms", (5, None, "ms", "approx")),
        ("4.48ms", (4.48, None, "ms", "eq")),
        ("4.48 milliseconds", (4.48, None, "ms", "eq")),
        ("14 \u00b5s", (14, None, "us", "eq")),
        ("14 \u03bcs", (14, None, "us", "eq")),
        ("sub-10ms", (10, None, "ms", "at_most")),
        ("under ten milliseconds", (10, None, "ms", "at_most")),
        ("no more than 2 ms", (2, None, "ms", "at_most")),
        ("at least 9 000 requests per second", (9000, None, "req/s", "at_least")),
        ("more than 350k ops/sec", (350_000, None, "ops/s", "at_least")),
        ("never above 2 ms", (2, None, "ms", "at_most")),
        ("297 req/s", (297, None, "req/s", "eq")),
        ("1,420 images/s", (1420, None, "images/s", "eq")),
        ("2.1 GB/s", (2.1, None, "GB/s", "eq")),
        ("1.2M ops/sec", (1_200_000, None, "ops/s", "eq")),
        ("55 million tokens per second", (55_000_000, None, "tokens/s", "eq")),
        ("840 rps", (840, None, "rps", "eq")),
        ("1.5x", (1.5, None, "x", "eq")),
        ("2.7-fold", (2.7, None, "x", "eq")),
        ("2-second", (2, None, "s", "eq")),
        ("9.1 MB", (9.1, None, "MB", "eq")),
        ("38 MiB", (38, None, "MiB", "eq")),
        ("20.9 %", (20.9, None, "%", "eq")),
    ],
)
def test_one_measure_is_read_in_each_of_its_spellings(text: str, expected: Reading) -> None:
    assert read(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "v8.1",
        "1.4.0 ms",
        "2026-11-25",
        "10:30 s",
        "ViT-S/16 ms",
        "gpt-4 ms",
        "$49 s",
        "#317 s",
        "224x224",
        "16 kHz",
        "H100 ms",
    ],
)
def test_names_versions_dates_and_prices_are_no_measures(text: str) -> None:
    assert read(text) == []


def test_a_change_is_two_numbers_and_no_range() -> None:
    assert read("from 480 ms to 95 ms") == [(480, None, "ms", "eq"), (95, None, "ms", "eq")]
    assert read("from 5 ms to 95 ms") == [(5, None, "ms", "eq"), (95, None, "ms", "eq")]


def test_a_product_is_no_multiple() -> None:
    assert read("2 x 30 s") == [(30, None, "s", "eq")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P50 3 ms, P95 5 ms, P99 9 ms", ["P50", "P95", "P99"]),
        ("p50 3ms p95 5ms p99.9 9ms", ["P50", "P95", "P99.9"]),
        ("4.48ms P99", ["P99"]),
        ("3 ms at the median and 18.5 ms at the 99th percentile", ["P50", "P99"]),
        ("14 us (median) and 95 us at the 99.9th percentile", ["P50", "P99.9"]),
        ("P50/P95/P99 were 4.2/5.0/5.7 ms", ["P50", "P95", "P99"]),
        ("a P99 that stays below 1 ms where the other climbs to 4.7 ms", ["P99", "P99"]),
        ("it takes 5 ms", [""]),
        ("on average 2 ms, 40 ms in the worst case", ["mean", "max"]),
    ],
)
def test_each_number_gets_its_percentile(text: str, expected: list[str]) -> None:
    tokens = list(tokenise(text, 0))
    assert percentiles_of(tokens, read_measures(tokens)) == expected


def test_stated_precision_is_half_a_unit_of_the_last_digit() -> None:
    steps = {text: read_measures(list(tokenise(text, 0)))[0].half_step for text in ("4.48 ms", "5 ms", "212k req/s")}
    assert steps == {"4.48 ms": pytest.approx(0.005), "5 ms": 0.5, "212k req/s": 500}


@given(st.text())
def test_every_token_stands_where_it_says(text: str) -> None:
    tokens = list(tokenise(text, 7))
    for token in tokens:
        assert text[token.start - 7 : token.end - 7] == token.text
        assert token.kind is not Kind.NUMBER or token.value >= 0


@given(st.text(alphabet="0123456789.,-/ <>~xkM%smugPGB\u2013ratonp()", max_size=60))
def test_no_soup_of_numbers_breaks_the_grammar(text: str) -> None:
    tokens = list(tokenise(text, 0))
    measures = read_measures(tokens)
    assert len(percentiles_of(tokens, measures)) == len(measures)
    assert all(measure.first <= measure.last < len(tokens) for measure in measures)
