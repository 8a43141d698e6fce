"""What a verdict says, word for word: people act on these sentences, and scripts look for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.test_verdict import LIMIT_NS, p99, spread_out
from voiceflow_ml.latency import judge
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.latency.wording import needed_text, sentence_of

AVERAGE = "(a P99 exactly on the limit gives 20 on average)"


@pytest.mark.parametrize(
    ("quantile", "name"), [(0.5, "P50"), (0.99, "P99"), (0.999, "P99.9"), (0.123456789, "P12.3457"), (0.29, "P29")]
)
def test_a_quantile_is_called_by_its_percentage(quantile: float, name: str) -> None:
    assert statistic_name(quantile) == name


@pytest.mark.parametrize(("over", "side"), [(2, "at least"), (200, "under")])
def test_a_lower_bound_in_whole_sentences(over: int, side: str) -> None:
    verdict = judge(spread_out(800, over, below=True), limit_ns=LIMIT_NS, quantile=0.05, bound="lower")
    assert verdict.sentence == (
        f"P5 is {side} 10 ms with 99 % confidence: {over} of 800 samples were lower "
        "(a P5 exactly on the limit gives 40 on average)"
    )


@pytest.mark.parametrize(("missing", "told"), [(0, "1"), (1, "1"), (2, "2"), (1_500, "1 500")])
def test_how_many_more_samples_would_decide(missing: int, told: str) -> None:
    open_still = replace(p99(2_000, 20), samples_needed=2_000 + missing)
    assert needed_text(open_still) == f"about {told} more samples would decide at this rate"


def test_from_the_fewest_samples_on_it_is_no_longer_their_number() -> None:
    open_still = p99(2_000, 20)
    assert needed_text(replace(open_still, samples=499)) == "a P99 is never judged from fewer than 500 samples"
    assert needed_text(replace(open_still, samples=500)) == (
        "the percentile is too close to the limit for any practical number of samples"
    )


def test_clusters_are_told_from_one_and_a_half_on_and_only_where_the_verdict_rests_on_them() -> None:
    met, plain = p99(2_000, 4), f"P99 is within 10 ms with 99 % confidence: 4 of 2 000 samples took longer {AVERAGE}"
    told = f"{plain}; they come in clusters and count as 1 333 independent ones"
    assert sentence_of(replace(met, design_effect_met=1.49)) == plain
    assert sentence_of(replace(met, design_effect_met=1.5)) == told
    assert sentence_of(replace(met, design_effect_breached=1.5)) == plain
    breached = p99(2_000, 80)
    assert "clusters" not in sentence_of(replace(breached, design_effect_met=1.5))
    assert "count as 1 333 independent ones" in sentence_of(replace(breached, design_effect_breached=1.5))
    open_still = p99(2_000, 20)
    for either in (replace(open_still, design_effect_met=1.5), replace(open_still, design_effect_breached=1.5)):
        assert "count as 1 333 independent ones" in sentence_of(either)


@pytest.mark.parametrize(
    ("expected", "told"), [(0.25, "0.25"), (9.4, "9.4"), (9.96, "10"), (10.0, "10"), (10.6, "11"), (1_234.5, "1 234")]
)
def test_an_average_has_two_digits_or_is_whole(expected: float, told: str) -> None:
    assert f"gives {told} on average" in sentence_of(replace(p99(2_000, 4), expected_exceedances=expected))


def test_the_confidence_is_told_as_it_was_asked_for() -> None:
    assert " with 99.9 % confidence: " in sentence_of(replace(p99(2_000, 4), confidence=0.999))
