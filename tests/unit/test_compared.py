from __future__ import annotations

import numpy as np
import pytest

from tests.unit.result_set import ON_CPU, against, run_of
from voiceflow_ml.errors import SampleError
from voiceflow_ml.latency import Change
from voiceflow_ml.results.compared import compared, pair_plan


@pytest.mark.parametrize(
    ("quantiles", "samples"), [((0.5,), 400), ((0.99,), 2_000), ((0.5, 0.95, 0.99), 2_000), ((0.999, 0.5), 20_000)]
)
def test_the_most_demanding_quantile_says_how_many_samples(quantiles: tuple[float, ...], samples: int) -> None:
    plan = pair_plan(quantiles, span_ns=7, time_budget_ns=9)
    assert (plan.looks, plan.aimed_samples) == ((samples,), samples), "a comparison is looked at once"
    assert (plan.span_ns, plan.time_budget_ns) == (7, 9)
    assert plan.can_take_turns


def test_a_plan_without_a_span_is_back_to_back() -> None:
    assert pair_plan((0.5,), span_ns=0, time_budget_ns=9).is_contiguous


def test_each_quantile_has_its_own_tolerance() -> None:
    found = against((0.5, 0.9, 0.99), 1.0)
    assert [(entry.quantile, entry.tolerance) for entry in found.comparisons] == [(0.5, 0.05), (0.9, 0.1), (0.99, 0.1)]
    assert [entry.outcome for entry in found.comparisons] == [Change.NOT_SLOWER] * 3
    assert found.findings == (ON_CPU,)


def test_a_tolerance_may_be_given() -> None:
    steady = run_of(np.tile(np.arange(1_000_000, 1_000_010), 40))
    slower = run_of(np.tile(np.arange(1_200_000, 1_200_010), 40))
    outcomes = [
        compared(
            steady,
            slower,
            quantiles=(0.5,),
            confidence=0.9,
            baseline="old.onnx",
            sha256="",
            findings=(),
            tolerance=tolerance,
        )
        for tolerance in (0.0, 0.5)
    ]
    assert [entry.comparisons[0].outcome for entry in outcomes] == [Change.SLOWER, Change.NOT_SLOWER]
    assert {entry.comparisons[0].confidence for entry in outcomes} == {0.9}


def test_the_samples_of_both_are_kept_apart_and_in_order() -> None:
    baseline, candidate = np.arange(1, 401), np.arange(401, 801)
    found = compared(
        run_of(baseline), run_of(candidate), quantiles=(0.5,), confidence=0.99, baseline="b", sha256="s", findings=()
    )
    assert found.baseline_ns == tuple(range(1, 401))
    assert found.candidate_ns == tuple(range(401, 801))
    assert (found.baseline, found.sha256) == ("b", "s")
    assert found.comparisons[0].candidate_ns > found.comparisons[0].baseline_ns


def test_runs_that_time_cut_short_are_open_and_say_so() -> None:
    short = run_of(np.full(10, 1_000))
    found = compared(short, short, quantiles=(0.99,), confidence=0.99, baseline="b", sha256="", findings=())
    assert found.comparisons[0].outcome is Change.INCONCLUSIVE
    assert "it takes 2 000 samples of each arm, got 10 " in found.comparisons[0].sentence


def test_a_clock_too_coarse_for_a_ratio_is_refused() -> None:
    nothing = run_of(np.zeros(400, dtype=np.int64))
    with pytest.raises(SampleError, match="the clock is too coarse"):
        compared(nothing, nothing, quantiles=(0.5,), confidence=0.99, baseline="b", sha256="", findings=())
