from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.messages import exactly
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.compare import (
    BLOCK_SAMPLES,
    Change,
    Comparison,
    _samples_needed,
    compare,
    default_tolerance,
    samples_per_arm,
)
from voiceflow_ml.latency.quantiles import percentile

Arms = tuple[NDArray[np.int64], NDArray[np.int64]]
BASE_NS = 4_000_000


def interleaved(relative: NDArray[np.float64], generator: np.random.Generator, slowdown: float = 0.0) -> Arms:
    """Deal one timeline of relative latencies out to two arms: pairs of blocks of ten, in random order."""
    pairs = relative.reshape(-1, 2, 10)
    first = generator.integers(0, 2, len(pairs))
    rows = np.arange(len(pairs))
    baseline, candidate = pairs[rows, first].ravel(), pairs[rows, 1 - first].ravel()
    return tuple(np.rint(BASE_NS * arm).astype(np.int64) for arm in (baseline, candidate * (1 + slowdown)))  # type: ignore[return-value]


def smooth(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return np.exp(0.1 * generator.standard_normal(n))


def heavy_tail(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(generator.random(n) ** (-1 / 3))


def bursts(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Neighbours that double the latency of about 50 consecutive samples, 5 % of the time."""
    relative = smooth(n, generator)
    for start in np.flatnonzero(generator.random(n) < 0.001):
        relative[start : start + round(generator.exponential(50))] *= 2
    return relative


def drift(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return smooth(n, generator) * np.linspace(1, 1.5, n)


def two_clocks(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """A processor that switches between two clock rates every 200 samples or so."""
    switches = np.cumsum(generator.random(n) < 1 / 200) + generator.integers(0, 2)
    return smooth(n, generator) * np.where(switches % 2, 1.3, 1.0)


def pauses(n: int, generator: np.random.Generator) -> NDArray[np.float64]:
    return smooth(n, generator) * np.where((np.arange(n) + generator.integers(0, 101)) % 101 == 0, 2.0, 1.0)


NOISES = [smooth, heavy_tail, bursts, drift, two_clocks, pauses]


def arms(n: int = 400, *, seed: int = 0, slowdown: float = 0.0) -> Arms:
    generator = np.random.default_rng(seed)
    return interleaved(smooth(2 * n, generator), generator, slowdown)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("quantile", "n"), [(0.5, 400), (0.99, 2_000)])
def test_equal_versions_rarely_raise_an_alarm_whatever_the_noise(noise: Any, quantile: float, n: int) -> None:
    generator = np.random.default_rng(11)
    runs = 300
    alarms = 0
    for _ in range(runs):
        comparison = compare(*interleaved(noise(2 * n, generator), generator), quantile=quantile, tolerance=0)
        alarms += comparison.outcome is Change.SLOWER
    # 1 % nominal; three standard deviations of sampling noise on top.
    assert alarms / runs <= 0.01 + 3 * math.sqrt(0.0099 / runs)


@pytest.mark.parametrize("noise", [smooth, bursts, drift, two_clocks])
@pytest.mark.parametrize(("quantile", "n", "power"), [(0.5, 400, 0.98), (0.99, 2_000, 0.85)])
def test_ten_percent_slower_is_found(noise: Any, quantile: float, n: int, power: float) -> None:
    generator = np.random.default_rng(12)
    found = 0
    for _ in range(100):
        slowed = interleaved(noise(2 * n, generator), generator, slowdown=0.1)
        found += compare(*slowed, quantile=quantile, tolerance=0).outcome is Change.SLOWER
    assert found / 100 >= power


@pytest.mark.parametrize(
    ("slowdown", "tolerance", "outcome"),
    [
        (0.3, 0.1, Change.SLOWER),
        (0.0, 0.1, Change.NOT_SLOWER),
        (-0.3, 0.0, Change.NOT_SLOWER),
        (0.1, 0.1, Change.INCONCLUSIVE),
        (0.3, 0.3, Change.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, 0.95])
def test_the_three_outcomes(slowdown: float, tolerance: float, outcome: Change, quantile: float) -> None:
    comparison = compare(*arms(seed=3, slowdown=slowdown), quantile=quantile, tolerance=tolerance)
    assert comparison.outcome is outcome
    assert comparison.ratio is not None
    assert comparison.ratio_low is not None
    assert comparison.ratio_high is not None
    assert comparison.ratio_low < 1 + slowdown < comparison.ratio_high
    assert comparison.ratio_low < comparison.ratio < comparison.ratio_high


def test_it_says_what_it_compared() -> None:
    baseline_ns, candidate_ns = arms(450, seed=4)
    comparison = compare(baseline_ns, candidate_ns[:420], quantile=0.9, confidence=0.95, tolerance=0.2)
    assert (comparison.baseline_samples, comparison.candidate_samples) == (450, 420)
    assert comparison.baseline_ns == percentile(baseline_ns, 0.9)
    assert comparison.candidate_ns == percentile(candidate_ns[:420], 0.9)
    assert (comparison.quantile, comparison.confidence, comparison.tolerance) == (0.9, 0.95, 0.2)
    assert comparison.batches == 42


@pytest.mark.parametrize(
    ("quantile", "n", "batches"),
    [
        (0.5, 400, 40),
        (0.5, 799, 79),
        (0.5, 800, 40),
        (0.95, 400, 20),
        (0.99, 2_000, 20),
        (0.99, 4_000, 40),
        (0.99, 10_000, 50),
        (0.03, 800, 20),
    ],
)
def test_batches_are_whole_blocks_that_hold_the_tail(quantile: float, n: int, batches: int) -> None:
    baseline_ns, candidate_ns = (arm[:n] for arm in arms(10_000))
    assert compare(baseline_ns, candidate_ns, quantile=quantile, tolerance=0).batches == batches


def test_samples_that_fill_no_batch_or_have_no_counterpart_are_left_out() -> None:
    baseline_ns, candidate_ns = arms(400)
    whole = compare(baseline_ns, candidate_ns, quantile=0.5, tolerance=0.05)
    longer = compare(
        np.append(baseline_ns, [10**12] * 9), np.append(candidate_ns, [1] * 500), quantile=0.5, tolerance=0.05
    )
    assert (longer.ratio_low, longer.ratio, longer.ratio_high) == (whole.ratio_low, whole.ratio, whole.ratio_high)


@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.5, 0.9, 0.95]))
def test_swapping_the_arms_inverts_the_ratio(seed: int, quantile: float) -> None:
    baseline_ns, candidate_ns = arms(seed=seed, slowdown=0.07)
    there = compare(baseline_ns, candidate_ns, quantile=quantile, tolerance=0)
    back = compare(candidate_ns, baseline_ns, quantile=quantile, tolerance=0)
    assert None not in (there.ratio, there.ratio_low, there.ratio_high, back.ratio, back.ratio_low, back.ratio_high)
    assert there.ratio == pytest.approx(1 / (back.ratio or 0))
    assert there.ratio_low == pytest.approx(1 / (back.ratio_high or 0))
    assert there.ratio_high == pytest.approx(1 / (back.ratio_low or 0))
    mirrored = {Change.SLOWER: Change.NOT_SLOWER, Change.NOT_SLOWER: Change.SLOWER}
    assert back.outcome is mirrored.get(there.outcome, there.outcome)


@given(st.integers(0, 2**32), st.integers(2, 1_000))
def test_scaling_both_arms_changes_nothing(seed: int, factor: int) -> None:
    baseline_ns, candidate_ns = arms(seed=seed)
    plain = compare(baseline_ns, candidate_ns, quantile=0.9, tolerance=0.02)
    scaled = compare(factor * baseline_ns, factor * candidate_ns, quantile=0.9, tolerance=0.02)
    assert scaled.outcome is plain.outcome
    assert scaled.samples_needed == plain.samples_needed
    assert (scaled.ratio, scaled.ratio_low, scaled.ratio_high) == pytest.approx(
        (plain.ratio, plain.ratio_low, plain.ratio_high)
    )


@given(st.integers(0, 2**32))
def test_more_confidence_widens_the_interval_and_the_order_within_a_batch_does_not_matter(seed: int) -> None:
    baseline_ns, candidate_ns = arms(seed=seed)
    narrow = compare(baseline_ns, candidate_ns, quantile=0.5, confidence=0.9, tolerance=0)
    wide = compare(baseline_ns, candidate_ns, quantile=0.5, confidence=0.999, tolerance=0)
    assert (wide.ratio_low or 0) <= (narrow.ratio_low or 0) <= (narrow.ratio or 0)
    assert (narrow.ratio or 0) <= (narrow.ratio_high or 0) <= (wide.ratio_high or 0)
    kept = baseline_ns.copy()
    shuffled = np.random.default_rng(seed).permuted(baseline_ns.reshape(40, 10), axis=1).ravel()
    assert compare(shuffled, candidate_ns, quantile=0.5, confidence=0.9, tolerance=0) == narrow
    assert (baseline_ns == kept).all()


def test_constant_latencies_have_an_exact_ratio() -> None:
    slower = compare([100] * 400, [120] * 400, quantile=0.5, tolerance=0.1)
    assert slower.outcome is Change.SLOWER
    assert slower.ratio_low == slower.ratio == slower.ratio_high == pytest.approx(1.2)
    assert compare([100] * 400, [100] * 400, quantile=0.5, tolerance=0.05).outcome is Change.NOT_SLOWER
    assert compare([10**18] * 400, [9 * 10**17] * 400, quantile=0.5, tolerance=0).outcome is Change.NOT_SLOWER


@pytest.mark.parametrize(("candidate", "tolerance"), [(100, 0.0), (105, 0.05), (110, 0.1), (130, 0.3), (170, 0.7)])
def test_a_ratio_exactly_on_the_tolerance_is_never_decided(candidate: int, tolerance: float) -> None:
    comparison = compare([100] * 400, [candidate] * 400, quantile=0.5, tolerance=tolerance)
    assert comparison.outcome is Change.INCONCLUSIVE
    assert comparison.samples_needed is None
    assert comparison.sentence.endswith("too close to the tolerance for any practical number of samples")


@pytest.mark.parametrize(
    ("quantile", "n", "size", "first", "last"),
    # Nearest rank, and as far to both sides as one binomial standard deviation reaches within the batch.
    [(0.5, 400, 10, 3, 7), (0.9, 400, 10, 8, 10), (0.95, 400, 20, 18, 20), (0.99, 2_000, 100, 98, 100)],
)
def test_a_batch_counts_by_the_ranks_around_its_quantile(
    quantile: float, n: int, size: int, first: int, last: int
) -> None:
    ranks = np.random.default_rng(8).permuted(np.tile(np.arange(1, size + 1), (n // size, 1)), axis=1)
    comparison = compare([1_000] * n, 1_000 * ranks.ravel(), quantile=quantile, tolerance=0)
    assert comparison.ratio == pytest.approx(math.exp(np.log(np.arange(first, last + 1)).mean()))


def test_one_wild_batch_does_not_hide_a_slowdown() -> None:
    baseline_ns, candidate_ns = arms(2_000, slowdown=0.1)
    candidate_ns[300:400] //= 20
    comparison = compare(baseline_ns, candidate_ns, quantile=0.99, tolerance=0)
    assert comparison.outcome is Change.SLOWER
    assert comparison.ratio == pytest.approx(1.1, abs=0.05)


@pytest.mark.parametrize(
    ("quantile", "fewest"), [(0.5, 400), (0.9, 400), (0.95, 400), (0.99, 2_000), (0.999, 20_000), (0.01, 2_000)]
)
def test_fewer_samples_than_the_tail_needs_never_decide(quantile: float, fewest: int) -> None:
    assert samples_per_arm(quantile) == fewest
    full, short = [1_000] * fewest, [9_000] * (fewest - 1)
    comparison = compare(full, short, quantile=quantile, tolerance=0)
    assert comparison.outcome is Change.INCONCLUSIVE
    assert (comparison.ratio, comparison.ratio_low, comparison.ratio_high) == (None, None, None)
    assert (comparison.batches, comparison.samples_needed) == (0, fewest)
    assert compare(full, [9_000] * fewest, quantile=quantile, tolerance=0).outcome is Change.SLOWER


def test_more_confidence_than_the_batches_can_give_is_said() -> None:
    comparison = compare([1_000] * 400, [9_000] * 400, quantile=0.95, confidence=1 - 1e-7, tolerance=0)
    assert comparison.outcome is Change.INCONCLUSIVE
    assert comparison.ratio == pytest.approx(9)
    assert (comparison.ratio_low, comparison.ratio_high) == (None, None)
    assert comparison.sentence == (
        "whether P95 is slower is open (9 us against 1 us): 20 batches cannot show anything with 99.99999 % "
        "confidence; take more samples of each arm or ask for less confidence"
    )


# The first two intervals reach further down, the others further up: it can be seen which end is looked at.
@pytest.mark.parametrize(("seed", "slowdown"), [(1, 0.03), (1, 0.05), (7, 0.03), (7, 0.05)])
def test_the_forecast_looks_at_the_end_of_the_interval_towards_the_tolerance(seed: int, slowdown: float) -> None:
    comparison = compare(*arms(seed=seed, slowdown=slowdown), quantile=0.5, tolerance=0.04)
    ends = comparison.ratio_low, comparison.ratio, comparison.ratio_high
    low, middle, high = (math.log(end or 0) for end in ends)
    assert comparison.outcome is Change.INCONCLUSIVE
    gap = middle - math.log(1.04)
    needed = 400 * ((middle - low if gap > 0 else high - middle) / gap) ** 2
    assert comparison.samples_needed == pytest.approx(needed, abs=1)


def test_the_forecast_is_about_right() -> None:
    open_runs: list[Comparison] = []
    decided = 0
    for seed in range(60):
        comparison = compare(*arms(seed=seed, slowdown=0.02), quantile=0.5, tolerance=0)
        if comparison.outcome is Change.INCONCLUSIVE and comparison.samples_needed is not None:
            open_runs.append(comparison)
            needed = math.ceil(comparison.samples_needed / 10) * 10
            longer = compare(*arms(needed, seed=1_000 + seed, slowdown=0.02), quantile=0.5, tolerance=0)
            decided += longer.outcome is not Change.INCONCLUSIVE
    assert len(open_runs) > 20
    assert all((run.samples_needed or 0) > 400 for run in open_runs)
    assert decided / len(open_runs) > 0.4


@pytest.mark.parametrize(
    ("baseline", "candidate", "tolerance", "sentence"),
    [
        (1_000_000, 1_200_000, 0.1, "P50 is more than 10 % slower with 99 % confidence: 1.2 ms against 1 ms, +20.0 %"),
        (1_000_000, 1_200_000, 0.0, "P50 is slower with 99 % confidence: 1.2 ms against 1 ms, +20.0 %"),
        (
            1_000_000,
            990_000,
            0.05,
            "P50 is not more than 5 % slower with 99 % confidence: 990 us against 1 ms, -1.0 %",
        ),
        (1_000_000, 990_000, 0.0, "P50 is not slower with 99 % confidence: 990 us against 1 ms, -1.0 %"),
        (1_000_000, 1_000_000, 0.0, "whether P50 is slower is open at 99 % confidence: 1 ms against 1 ms, +0.0 %"),
    ],
)
def test_sentences(baseline: int, candidate: int, tolerance: float, sentence: str) -> None:
    ratio = sentence.rpartition(", ")[2]
    hopeless = "; the change is too close to the tolerance for any practical number of samples"
    end = f" [{ratio}, {ratio}]{hopeless if 'open' in sentence else ''}"
    found = compare([baseline] * 400, [candidate] * 400, quantile=0.5, tolerance=tolerance).sentence
    assert found == sentence + end


def test_sentences_of_open_comparisons() -> None:
    few = compare([1_000_000] * 500, [2_000_000] * 1_999, quantile=0.99, tolerance=0.1)
    assert few.sentence == (
        "P99 is not compared (2 ms against 1 ms): it takes 2 000 samples of each arm, got 500 of the baseline and "
        "1 999 of the candidate"
    )
    near = compare(*arms(seed=1, slowdown=0.05), quantile=0.5, tolerance=0.04)
    assert near.samples_needed is not None
    assert near.sentence.startswith("whether P50 is more than 4 % slower is open at 99 % confidence: ")
    needed = f"{near.samples_needed:,}".replace(",", " ")
    assert near.sentence.endswith(f"; about {needed} samples of each arm would decide at this spread")


@pytest.mark.parametrize(("quantile", "tolerance"), [(0.5, 0.05), (0.89, 0.05), (0.9, 0.1), (0.99, 0.1)])
def test_the_tail_is_given_more_tolerance(quantile: float, tolerance: float) -> None:
    assert default_tolerance(quantile) == tolerance


@pytest.mark.parametrize("tolerance", [-0.01, math.nan, math.inf])
def test_a_tolerance_is_finite_and_not_negative(tolerance: float) -> None:
    message = f"tolerance must be a finite fraction of at least 0 (0.1 is 10 %), got {tolerance!r}"
    with pytest.raises(SampleError, match=exactly(message)):
        compare([1] * 400, [1] * 400, quantile=0.5, tolerance=tolerance)


@pytest.mark.parametrize("fraction", [0, 1, -1, math.nan])
def test_fractions_lie_strictly_between_0_and_1(fraction: float) -> None:
    with pytest.raises(SampleError, match=exactly(f"quantile must lie strictly between 0 and 1, got {fraction!r}")):
        compare([1] * 400, [1] * 400, quantile=fraction, tolerance=0)
    with pytest.raises(SampleError, match=exactly(f"confidence must lie strictly between 0 and 1, got {fraction!r}")):
        compare([1] * 400, [1] * 400, quantile=0.5, confidence=fraction, tolerance=0)
    for of_quantile in (default_tolerance, samples_per_arm):
        with pytest.raises(SampleError, match=exactly(f"quantile must lie strictly between 0 and 1, got {fraction!r}")):
            of_quantile(fraction)


@pytest.mark.parametrize("zero_arm", [0, 1])
def test_a_quantile_of_nothing_has_no_ratio(zero_arm: int) -> None:
    both = [[1_000] * 400, [1_000] * 400]
    both[zero_arm][40:60] = [0] * 20
    message = (
        "the P50 of a batch is 0 ns, so there is no ratio: the clock is too coarse for this call; time several calls "
        "as one sample"
    )
    with pytest.raises(SampleError, match=exactly(message)):
        compare(*both, quantile=0.5, tolerance=0)
    # A zero far from the quantile is no harm.
    both[zero_arm][40:60] = [0] + [1_000] * 19
    assert compare(*both, quantile=0.5, tolerance=0.05).outcome is Change.NOT_SLOWER


@pytest.mark.parametrize(
    ("samples_ns", "message"),
    [([], "there are no samples"), ([1, -2], "cannot be negative, got -2 ns"), ([0.5], "whole nanoseconds")],
)
def test_unfit_samples_are_refused_in_either_arm(samples_ns: Any, message: str) -> None:
    for pair in ((samples_ns, [1] * 400), ([1] * 400, samples_ns)):
        with pytest.raises(SampleError, match=message):
            compare(*pair, quantile=0.5, tolerance=0)


def test_a_comparison_is_plain_data() -> None:
    fields = asdict(compare(*arms(), quantile=0.5, tolerance=0.05))
    assert fields.pop("outcome") == "NOT_SLOWER"
    assert fields.pop("samples_needed") is None
    assert {type(value) for value in fields.values()} == {int, float, str}


def test_an_interval_shrinks_with_the_root_of_its_samples() -> None:
    # Twice as wide as the gap: four times the samples; on whichever side the gap is.
    assert _samples_needed(1_000, 0.05, 0.1) == _samples_needed(1_000, -0.05, 0.1) == 4_000
    assert _samples_needed(1_000, 0.03, 0.1) == 11_112
    # At least one block more, and never said where a million would not do.
    assert _samples_needed(1_000, 0.2, 0.1) == 1_000 + BLOCK_SAMPLES
    assert _samples_needed(1_000, 0.003, 0.1) is None
    # A gap no wider than what the rounding of logarithms makes is none.
    assert _samples_needed(1_000, 1e-12, 0.0) is None
