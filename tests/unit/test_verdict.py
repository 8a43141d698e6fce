from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.messages import exactly
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import Bound, ClockChannel, Outcome, Verdict, judge
from voiceflow_ml.latency.evalue import log_e_few, log_e_many
from voiceflow_ml.latency.verdict import statistic_name

LIMIT_NS = 10_000_000
MET, BREACHED, INCONCLUSIVE = Outcome.MET, Outcome.BREACHED, Outcome.INCONCLUSIVE


def spread_out(samples: int, over: int, *, below: bool = False) -> NDArray[np.int64]:
    """Samples of which exactly ``over`` are on the wrong side of the limit, evenly spread; one sits exactly on it."""
    values = np.full(samples, 2 * LIMIT_NS if below else LIMIT_NS // 2, dtype=np.int64)
    wrong = ((np.arange(over) + 0.5) * samples / max(1, over)).astype(int)
    values[wrong] = LIMIT_NS - 1 if below else LIMIT_NS + 1
    if over < samples:
        values[np.setdiff1d(np.arange(samples), wrong)[0]] = LIMIT_NS
    return values


def p99(samples: int, over: int, **options: Any) -> Verdict:
    return judge(spread_out(samples, over), limit_ns=LIMIT_NS, quantile=0.99, **options)


@pytest.mark.parametrize(
    ("samples", "met_up_to", "breached_from"), [(500, None, 15), (2_000, 7, 38), (5_000, 27, 79), (10_000, 64, 139)]
)
def test_p99_verdicts_change_at_the_published_counts(samples: int, met_up_to: int | None, breached_from: int) -> None:
    assert p99(samples, breached_from).outcome is BREACHED
    assert p99(samples, breached_from - 1).outcome is INCONCLUSIVE
    if met_up_to is None:
        assert p99(samples, 0).outcome is INCONCLUSIVE
    else:
        assert p99(samples, met_up_to).outcome is MET
        assert p99(samples, met_up_to + 1).outcome is INCONCLUSIVE


@pytest.mark.parametrize(("samples", "over"), [(200, 0), (200, 200), (499, 499), (1_999, 0)])
def test_the_fewest_samples_are_a_sharp_edge(samples: int, over: int) -> None:
    assert p99(samples, over, confidence=0.5).outcome is INCONCLUSIVE
    assert (p99(500, 500).outcome, p99(2_000, 0).outcome) == (BREACHED, MET)


@pytest.mark.parametrize(("quantile", "fewest"), [(0.5, 300), (0.9, 300), (0.95, 400), (0.999, 20_000)])
def test_other_percentiles_have_their_own_fewest_samples(quantile: float, fewest: int) -> None:
    few, enough = ([1] * count for count in (fewest - 1, fewest))
    assert judge(few, limit_ns=2, quantile=quantile).outcome is INCONCLUSIVE
    assert judge(enough, limit_ns=2, quantile=quantile).outcome is MET
    assert judge(few, limit_ns=1, quantile=1 - quantile, bound="lower").outcome is INCONCLUSIVE
    assert judge(enough, limit_ns=1, quantile=1 - quantile, bound="lower").outcome is MET


@pytest.mark.parametrize("bound", Bound)
def test_a_sample_on_the_limit_is_on_the_right_side(bound: Bound) -> None:
    quantile = 0.99 if bound is Bound.UPPER else 0.01
    wrong = LIMIT_NS + 1 if bound is Bound.UPPER else LIMIT_NS - 1
    for value, outcome, exceedances in [(LIMIT_NS, MET, 0), (wrong, BREACHED, 2_000)]:
        verdict = judge([value] * 2_000, limit_ns=LIMIT_NS, quantile=quantile, bound=bound)
        assert (verdict.outcome, verdict.exceedances) == (outcome, exceedances)


def test_a_verdict_carries_the_numbers_that_it_rests_on() -> None:
    verdict = p99(2_000, 4, confidence=0.95)
    assert verdict.log_e_met == pytest.approx(log_e_few(4, 2_000, 0.01, 1.0), rel=1e-9)
    assert verdict.log_e_breached == pytest.approx(log_e_many(4, 2_000, 0.01, 1.0), rel=1e-9)
    assert verdict.expected_exceedances == pytest.approx(20)
    assert (verdict.outcome, verdict.samples, verdict.exceedances) == (MET, 2_000, 4)
    assert (verdict.quantile, verdict.limit_ns, verdict.confidence) == (0.99, LIMIT_NS, 0.95)
    assert (verdict.design_effect_met, verdict.design_effect_breached) == (1.0, 1.0)
    assert (verdict.measured_ns, verdict.interval.confidence) == (LIMIT_NS // 2, 0.95)
    assert (verdict.samples_needed, verdict.clock, verdict.adjusted) == (None, ClockChannel.WALL, None)


def test_clustered_samples_tell_less_and_the_sentence_says_so() -> None:
    values = np.sort(spread_out(2_000, 200))
    verdict = judge(values, limit_ns=LIMIT_NS, quantile=0.99)
    assert verdict.outcome is INCONCLUSIVE
    # Two of 20 batches of 100 hold all: variance 200^2 / 20 * (1/2 - 1/20) * 20 / 19, over 100 * 0.09 if independent.
    assert verdict.design_effect_met == pytest.approx(18_000 / 19 / 9)
    assert verdict.design_effect_breached == pytest.approx(18_000 / 19 / (100 * math.sqrt(0.09 * 0.0099)))
    independent = round(2_000 / verdict.design_effect_breached)
    assert f"they come in clusters and count as {independent} independent ones" in verdict.sentence
    assert p99(2_000, 200).outcome is BREACHED


@pytest.mark.parametrize(
    ("samples", "over", "sentence"),
    [
        (2_000, 4, "P99 is within 10 ms with 99 % confidence: 4 of 2 000 samples took longer {average}"),
        (2_000, 80, "P99 is over 10 ms with 99 % confidence: 80 of 2 000 samples took longer {average}"),
        (2_000, 20, "{open}: 20 of 2 000 samples took longer {average}; {hopeless}"),
        (50, 0, "{open}: 0 of 50 samples took longer (a P99 exactly on the limit gives 0.5 on average); {fewest}"),
    ],
)
def test_a_verdict_in_one_sentence(samples: int, over: int, sentence: str) -> None:
    assert p99(samples, over).sentence == sentence.format(
        average="(a P99 exactly on the limit gives 20 on average)",
        open="P99 against 10 ms is open at 99 % confidence",
        hopeless="the percentile is too close to the limit for any practical number of samples",
        fewest="a P99 is never judged from fewer than 500 samples",
    )


@pytest.mark.parametrize(
    ("over", "text"), [(2, "P5 is at least 10 ms"), (200, "P5 is under 10 ms"), (39, "P5 against 10 ms is open")]
)
def test_a_lower_bound_in_words(over: int, text: str) -> None:
    verdict = judge(spread_out(800, over, below=True), limit_ns=LIMIT_NS, quantile=0.05, bound="lower")
    assert verdict.sentence.startswith(text)
    assert f"{over} of 800 samples were lower" in verdict.sentence


@pytest.mark.parametrize(("period", "outcome"), [(200, MET), (150, MET), (60, BREACHED), (75, BREACHED)])
def test_samples_that_go_on_in_the_same_way_are_decided_when_forecast(period: int, outcome: Outcome) -> None:
    def pattern(samples: int) -> NDArray[np.int64]:
        late = period - 1 if outcome is MET else 0
        return np.where(np.arange(samples) % period == late, LIMIT_NS + 1, LIMIT_NS)

    now = judge(pattern(1_200), limit_ns=LIMIT_NS, quantile=0.99)
    assert now.outcome is INCONCLUSIVE
    assert now.samples_needed is not None
    assert f"about {now.samples_needed - now.samples:,}".replace(",", " ") + " more samples" in now.sentence
    assert judge(pattern(now.samples_needed), limit_ns=LIMIT_NS, quantile=0.99).outcome is outcome
    before = judge(pattern(round(0.9 * now.samples_needed)), limit_ns=LIMIT_NS, quantile=0.99)
    assert before.outcome is INCONCLUSIVE


def drawn(seed: int, samples: int, block: int) -> NDArray[np.int64]:
    generator = np.random.default_rng(seed)
    return np.repeat(generator.integers(0, 1_000, -(-samples // block)), block)[:samples]


series = st.builds(drawn, st.integers(0, 2**32), st.integers(1, 900), st.sampled_from([1, 1, 7]))
quantiles = st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.99])


@given(series, st.integers(1, 1_000), quantiles, st.sampled_from(Bound))
def test_the_interval_never_contradicts_the_verdict(
    values: NDArray[np.int64], limit_ns: int, quantile: float, bound: Bound
) -> None:
    verdict = judge(values, limit_ns=limit_ns, quantile=quantile, bound=bound)
    low_ns, high_ns = verdict.interval.low_ns, verdict.interval.high_ns
    low, high = (-1 if low_ns is None else low_ns), (math.inf if high_ns is None else high_ns)
    assert low <= verdict.measured_ns <= high
    is_upper = bound is Bound.UPPER
    if verdict.outcome is INCONCLUSIVE:
        assert low <= limit_ns < high if is_upper else low < limit_ns <= high
    elif (verdict.outcome is MET) == is_upper:
        assert high <= limit_ns
    else:
        assert low >= limit_ns


def evenly_mixed(samples: int) -> NDArray[np.int64]:
    """1 to ``samples``, each once; large and small ones come evenly."""
    return np.arange(samples, dtype=np.int64) * 7_919 % samples + 1


def test_an_open_interval_ends_at_the_limits_that_would_just_be_decided() -> None:
    # Of 10 000 samples up to 64 may be over a P99 that is met, and 139 are enough for one that is breached.
    values = evenly_mixed(10_000)
    upper = judge(values, limit_ns=9_900, quantile=0.99)
    assert (upper.outcome, upper.measured_ns) == (INCONCLUSIVE, 9_900)
    assert (upper.interval.low_ns, upper.interval.high_ns) == (10_000 - 139 + 1, 10_000 - 64)
    lower = judge(values, limit_ns=101, quantile=0.01, bound="lower")
    assert (lower.outcome, lower.measured_ns) == (INCONCLUSIVE, 100)
    assert (lower.interval.low_ns, lower.interval.high_ns) == (64 + 1, 139)


@pytest.mark.parametrize(("quantile", "limit_ns", "outcome"), [(0.9, 20_000, MET), (0.1, 1, BREACHED)])
def test_dependence_that_a_limit_far_off_cannot_show_is_seen_at_the_percentile(
    quantile: float, limit_ns: int, outcome: Outcome
) -> None:
    mixed = evenly_mixed(2_000) + 1
    independent, clustered = (judge(one, limit_ns=limit_ns, quantile=quantile) for one in (mixed, np.sort(mixed)))
    for verdict in (independent, clustered):
        # All samples are on one side of the limit, so that they say nothing of clusters.
        assert (verdict.outcome, verdict.design_effect_met, verdict.design_effect_breached) == (outcome, 1.0, 1.0)
    low_ns, high_ns = independent.interval.low_ns, independent.interval.high_ns
    assert low_ns is not None
    assert high_ns is not None
    assert independent.measured_ns - 60 < low_ns < independent.measured_ns < high_ns < independent.measured_ns + 60
    # In order, no sample bounds the percentile on the side of the limit: the limit does.
    assert (clustered.interval.high_ns if outcome is MET else clustered.interval.low_ns) == limit_ns


def test_samples_at_the_percentile_itself_are_not_beyond_it() -> None:
    # A half of ones, then a half of twos; one of each 20 is slower and different from all others.
    halves = np.repeat([1, 2], 1_000)
    halves[::20] = np.arange(100) + 3
    mixed = np.tile([1, 2], 1_000)
    mixed[::20] = np.arange(100) + 3
    for limit_ns in (2, 50):
        assert judge(halves, limit_ns=limit_ns, quantile=0.9) == judge(mixed, limit_ns=limit_ns, quantile=0.9)


@given(series, st.integers(1, 998), quantiles)
def test_counted_from_the_other_end_the_verdict_is_the_same(
    values: NDArray[np.int64], limit_ns: int, quantile: float
) -> None:
    one = judge(values, limit_ns=limit_ns, quantile=quantile)
    other = judge(999 - values, limit_ns=999 - limit_ns, quantile=1 - quantile, bound="lower")
    assert (one.outcome, one.exceedances) == (other.outcome, other.exceedances)
    assert one.samples_needed == other.samples_needed
    assert (one.log_e_met, one.log_e_breached) == pytest.approx((other.log_e_met, other.log_e_breached))
    # Where n * quantile is whole, two samples have equal claim to be the percentile; the nearest rank takes the lower.
    if other.measured_ns == 999 - one.measured_ns:
        ends = [None if end is None else 999 - end for end in (one.interval.low_ns, one.interval.high_ns)]
        assert [other.interval.high_ns, other.interval.low_ns] == ends
    else:
        assert values.size * quantile == pytest.approx(round(values.size * quantile), abs=1e-6)


@given(series, st.integers(1, 1_000), quantiles, st.sampled_from([3, 10**6]))
def test_the_unit_of_time_does_not_matter(
    values: NDArray[np.int64], limit_ns: int, quantile: float, scale: int
) -> None:
    small = judge(values, limit_ns=limit_ns, quantile=quantile)
    large = judge(values * scale, limit_ns=limit_ns * scale, quantile=quantile)
    assert (small.outcome, small.exceedances, small.log_e_met) == (large.outcome, large.exceedances, large.log_e_met)
    assert large.measured_ns == small.measured_ns * scale


@given(series, st.integers(1, 1_000), st.integers(1, 1_000), quantiles)
def test_a_looser_limit_is_never_judged_the_other_way_round(
    values: NDArray[np.int64], one: int, other: int, quantile: float
) -> None:
    tight, loose = (judge(values, limit_ns=limit, quantile=quantile).outcome for limit in sorted((one, other)))
    assert (tight, loose) != (MET, BREACHED)


def test_lists_and_read_only_arrays_are_judged_alike_and_left_as_they_are() -> None:
    values = drawn(3, 900, 1)
    before = values.copy()
    values.setflags(write=False)
    verdict = judge(values, limit_ns=700, quantile=0.9, adjusted_ns=values)
    assert verdict == judge(values.tolist(), limit_ns=700, quantile=0.9, adjusted_ns=tuple(values.tolist()))
    assert verdict == judge(values.astype(np.uint16), limit_ns=np.int64(700), quantile=0.9, adjusted_ns=values)  # type: ignore[arg-type]
    assert values.tolist() == before.tolist()


def test_growing_prefixes_are_decided_once_and_for_all() -> None:
    values = spread_out(6_000, 20)
    found = [judge(values[:n], limit_ns=LIMIT_NS, quantile=0.99).outcome for n in range(100, 6_001, 100)]
    assert found == [INCONCLUSIVE] * 19 + [MET] * 41


@pytest.mark.parametrize(
    ("samples_ns", "options", "message"),
    [
        ([], {}, "there are no samples: a statistic of nothing does not exist"),
        ([1, -1], {}, "a latency cannot be negative, got -1 ns: the clock went backwards"),
        ([1.0], {}, "samples must be whole nanoseconds, got float64; round them first"),
        ([math.nan], {}, "samples must be whole nanoseconds, got float64; round them first"),
        ([[1]], {}, "samples must be one-dimensional, got shape [1, 1]"),
        ([1], {"limit_ns": 0}, "limit_ns must be a whole number of at least 1, got 0"),
        ([1], {"limit_ns": -5}, "limit_ns must be a whole number of at least 1, got -5"),
        ([1], {"limit_ns": math.nan}, "limit_ns must be a whole number of at least 1, got nan"),
        ([1], {"limit_ns": 1.5}, "limit_ns must be a whole number of at least 1, got 1.5"),
        ([1], {"limit_ns": True}, "limit_ns must be a whole number of at least 1, got True"),
        ([1], {"quantile": 0}, "quantile must lie strictly between 0 and 1, got 0"),
        ([1], {"quantile": 1}, "quantile must lie strictly between 0 and 1, got 1"),
        ([1], {"quantile": 99}, "quantile must lie strictly between 0 and 1, got 99"),
        ([1], {"quantile": math.nan}, "quantile must lie strictly between 0 and 1, got nan"),
        ([1], {"confidence": 1.0}, "confidence must lie strictly between 0 and 1, got 1.0"),
        ([1], {"bound": "above"}, 'bound must be "upper" or "lower", got \'above\''),
        ([1], {"adjusted_ns": []}, "there are no samples: a statistic of nothing does not exist"),
        ([1], {"adjusted_ns": [1.0]}, "samples must be whole nanoseconds, got float64; round them first"),
        (
            [1],
            {"adjusted_ns": [1], "bound": "lower"},
            "adjusted_ns goes with an upper bound: taking time off makes samples smaller, never larger",
        ),
        ([1, 2], {"adjusted_ns": [1]}, "the two channels must be as long as each other, got 2 and 1"),
        (
            [5, 6, 7],
            {"adjusted_ns": [5, 7, 8]},
            "adjusted_ns can take time off a sample, not add any: sample 1 is 7 ns, 6 ns on the wall clock",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(samples_ns: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SampleError, match=exactly(message)):
        judge(samples_ns, **{"limit_ns": LIMIT_NS, "quantile": 0.99, **options})


@pytest.mark.parametrize(
    ("quantile", "name"), [(0.5, "P50"), (0.99, "P99"), (0.999, "P99.9"), (0.95, "P95"), (0.29, "P29")]
)
def test_percentiles_are_named_as_people_name_them(quantile: float, name: str) -> None:
    assert statistic_name(quantile) == name
