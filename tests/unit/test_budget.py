"""The budget algebra: against closed forms, against brute force, and under the dependence that is worst for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.messages import exactly
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency.budget import DRAWS, Budget, DeclaredStage, MeasuredStage, Stage, add_up
from voiceflow_ml.latency.quantiles import Samples, percentile

MS = 1_000_000


def even(count: int, low_ns: int, high_ns: int, name: str = "m") -> MeasuredStage:
    """Samples spread evenly over a range."""
    return MeasuredStage(name, np.linspace(low_ns, high_ns, count).astype(np.int64))


def test_a_stage_alone_is_its_own_quantile() -> None:
    samples_ns = np.random.default_rng(1).lognormal(15, 0.5, 5_000).astype(np.int64)
    budget = add_up([MeasuredStage("m", samples_ns)], 0.99)
    assert budget.ceiling_ns == percentile(samples_ns, 0.99)
    assert budget.independent_ns == pytest.approx(percentile(samples_ns, 0.99), rel=0.03)
    (part,) = budget.parts
    assert (part.independent_ns, part.ceiling_ns) == (budget.independent_ns, budget.ceiling_ns)
    assert part.alone_ns == budget.independent_ns


def test_a_sample_is_drawn_as_often_as_any_other() -> None:
    drawn_ns = MeasuredStage("m", [3, 5, 7]).draw_ns(np.random.default_rng(1), 30_000)
    values, counts = np.unique(drawn_ns, return_counts=True)
    assert values.tolist() == [3, 5, 7]
    assert counts.tolist() == pytest.approx([10_000] * 3, rel=0.03)


def test_two_even_stages_add_up_to_the_triangle() -> None:
    # P(X + Y > 2 - d) = d^2 / 2 for two of U(0, 1): the P99 is 2 - sqrt(0.02).
    stages = [DeclaredStage("a", 0, 100 * MS), DeclaredStage("b", 0, 100 * MS)]
    assert add_up(stages, 0.99).independent_ns == pytest.approx((2 - 0.02**0.5) * 100 * MS, rel=0.002)
    assert add_up(stages, 0.5).independent_ns == pytest.approx(100 * MS, rel=0.01)
    # Of a declared range nothing is known but its end.
    assert add_up(stages, 0.99).ceiling_ns == 200 * MS


def test_the_product_figures_add_up() -> None:
    stages: list[Stage] = [
        DeclaredStage("network", 10 * MS, 40 * MS),
        DeclaredStage("server", 5 * MS, 10 * MS),
        even(2_000, 2 * MS, 3 * MS),
    ]
    budget = add_up(stages, 0.99)
    assert budget.ceiling_ns == pytest.approx(52.99 * MS, rel=0.001), "40 + 10 and the P99 of the model"
    assert 45 * MS < budget.independent_ns < (budget.ceiling_ns or 0)
    assert (budget.quantile, budget.largest.name) == (0.99, "network")
    assert [part.name for part in budget.parts] == ["network", "server", "m"]
    assert sum(part.independent_ns for part in budget.parts) == budget.independent_ns
    assert sum(part.ceiling_ns or 0 for part in budget.parts) == budget.ceiling_ns
    assert [part.ceiling_ns for part in budget.parts[:2]] == [40 * MS, 10 * MS]
    assert {type(part.independent_ns) for part in budget.parts} == {int}, "whole nanoseconds, in a record too"


def test_the_split_is_the_best_that_brute_force_finds() -> None:
    generator = np.random.default_rng(2)
    values = [np.sort(generator.lognormal(mean, 1, 400).astype(np.int64)) for mean in (12, 13, 14)]
    pieces = [
        (a, b, 8 - a - b) for a, b in itertools.product(range(1, 8), repeat=2) if a + b < 8
    ]  # of 400 samples, 2 % are 8
    best = min(sum(int(v[-1 - t]) for v, t in zip(values, split, strict=True)) for split in pieces)
    stages = [MeasuredStage(str(place), v) for place, v in enumerate(values)]
    assert add_up(stages, 0.98).ceiling_ns == best


def worst_sum_ns(first: Samples, second: Samples, shift: int) -> Samples:
    """Sums of two samples whose tails meet crosswise: the slowest of one with the least slow of the other."""
    one, other = np.sort(first), np.sort(second)
    other[-shift:] = other[-shift:][::-1]
    sums: Samples = one + other
    return sums


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.sampled_from([0.9, 0.95, 0.99]))
def test_no_dependence_breaks_the_ceiling(seed: int, shift: int, quantile: float) -> None:
    generator = np.random.default_rng(seed)
    first, second = (generator.lognormal(15, sigma, 1_000).astype(np.int64) for sigma in (0.3, 1.0))
    ceiling_ns = add_up([MeasuredStage("a", first), MeasuredStage("b", second)], quantile).ceiling_ns
    assert ceiling_ns is not None
    orders = (generator.permutation(second), np.sort(second), np.sort(second)[::-1])
    for sums_ns in (*(np.sort(first) + order for order in orders), worst_sum_ns(first, second, shift)):
        assert percentile(sums_ns, quantile) <= ceiling_ns


def test_for_two_stages_some_dependence_reaches_the_ceiling() -> None:
    # Makarov: the slowest t of one meet the next-slow of the other, so that every one of them is over.
    values = np.arange(1_000, dtype=np.int64)
    ceiling_ns = add_up([MeasuredStage("a", values), MeasuredStage("b", values)], 0.99).ceiling_ns
    assert ceiling_ns == pytest.approx(percentile(worst_sum_ns(values, values, 11), 0.99), abs=2)


def test_too_few_samples_bound_nothing() -> None:
    few = even(99, 1, 99)
    assert add_up([few], 0.99).ceiling_ns is None
    assert add_up([few], 0.99).parts[0].ceiling_ns is None
    hundred, other = even(100, 1, 100), even(100, 1, 100, "o")
    assert add_up([hundred], 0.99).ceiling_ns == 99, "one of a hundred is over it"
    # One in a hundred for each of two is two in a hundred.
    assert add_up([hundred, other], 0.99).ceiling_ns is None
    assert add_up([hundred, other], 0.98).ceiling_ns == 198
    assert add_up([hundred, DeclaredStage("d", 1, 5)], 0.99).ceiling_ns == 104, "a declared range needs no tail"


def test_a_tail_goes_whole_to_the_stage_that_needs_it() -> None:
    declared, hundred = DeclaredStage("d", 1, 5), even(100, 1, 100)
    assert add_up([declared, hundred], 0.99).ceiling_ns == 104
    # The first has samples enough for any share of the tail, but none for no share at all.
    steady, steep = MeasuredStage("s", [5] * 40_000), MeasuredStage("t", np.arange(40_000) ** 2)
    budget = add_up([steady, steep], 0.99)
    # One piece of 200, two samples of 40 000, stays with the first.
    assert [part.ceiling_ns for part in budget.parts] == [5, (40_000 - 399) ** 2]


@dataclass(frozen=True)
class Written:
    """A stage of which every simulated duration is given."""

    name: str
    durations_ns: NDArray[np.float64]

    def draw_ns(self, generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        del generator
        return self.durations_ns[:count]

    def ceiling_ns(self, tails: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(tails.shape, np.inf)


@pytest.mark.parametrize(
    ("quantile", "first", "last"),
    # A fifth of the way to the nearer end, on both sides of the nearest rank.
    [
        (0.5, 39_999, 59_999),
        (0.99, 98_799, 99_199),
        (0.01, 799, 1_199),
        (0.999_99, 99_997, 99_999),
        (0.000_02, 0, 2),
    ],
)
def test_a_share_is_a_mean_over_the_sums_around_the_quantile(quantile: float, first: int, last: int) -> None:
    sums_ns = np.arange(1.0, DRAWS + 1) * 1_000
    # All sums but those in reach are the second stage's alone, and then only the outermost in reach.
    outermost = (first + last + 2) / (last - first + 1) * 1_000
    for kept, share in ((slice(first, last + 1), 0), ([first, last], outermost)):
        second_ns = sums_ns.copy() if share == 0 else np.zeros(DRAWS)
        second_ns[kept] = 0 if share == 0 else sums_ns[kept]
        budget = add_up([Written("a", sums_ns - second_ns), Written("b", second_ns)], quantile)
        assert budget.parts[1].independent_ns == pytest.approx(share, abs=1)


def test_alone_a_stage_takes_its_nearest_rank() -> None:
    durations_ns = np.random.default_rng(1).permutation(np.arange(1.0, DRAWS + 1))
    for quantile, rank in ((0.5, 50_000), (0.99, 99_000), (0.000_01, 1)):
        assert add_up([Written("a", durations_ns)], quantile).parts[0].alone_ns == rank


def test_the_same_seed_gives_the_same_budget_and_another_hardly_another() -> None:
    stages: list[Stage] = [DeclaredStage("d", MS, 2 * MS), even(2_000, MS, 9 * MS)]
    first, again, other = add_up(stages, 0.99), add_up(stages, 0.99), add_up(stages, 0.99, seed=1)
    assert first == again
    assert first != other
    assert first.independent_ns == pytest.approx(other.independent_ns, rel=0.003)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.999])
def test_the_independent_sum_is_between_the_parts_and_the_ceiling(quantile: float) -> None:
    budget = add_up([even(5_000, MS, 2 * MS, "a"), even(5_000, MS, 4 * MS, "b")], quantile)
    assert max(part.alone_ns for part in budget.parts) < budget.independent_ns
    assert budget.ceiling_ns is not None
    assert budget.independent_ns <= budget.ceiling_ns * 1.001


def test_stages_that_take_no_time_take_no_part() -> None:
    budget: Budget = add_up([DeclaredStage("a", 0, 0), DeclaredStage("b", 0, 0)], 0.99)
    assert (budget.independent_ns, budget.ceiling_ns) == (0, 0)
    assert [part.independent_ns for part in budget.parts] == [0, 0]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(SampleError, match=exactly("a budget of no stages does not exist; name at least one")):
        add_up([], 0.99)
    with pytest.raises(SampleError, match=exactly("quantile must lie strictly between 0 and 1, got 1.0")):
        add_up([DeclaredStage("a", 0, 1)], 1.0)
    with pytest.raises(SampleError, match="no samples"):
        add_up([MeasuredStage("a", [])], 0.99)
    for low, high in ((5, 1), (-1, 1)):
        with pytest.raises(SampleError, match=exactly(f"a cannot take from {low} ns to {high} ns: low comes first")):
            DeclaredStage("a", low, high)
