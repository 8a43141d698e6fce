from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.verdicts import bars, rules, traces
from benchmarks.verdicts.cells import Question, Study, simulate
from benchmarks.verdicts.families import FAMILIES, Family
from benchmarks.verdicts.pairs import simulate_pairs
from benchmarks.verdicts.sampling import contiguous_times_s, pair_order, pair_times_s, product_plan, spread_times_s

from voiceflow_ml.latency import Bound, Outcome, percentile

BY_NAME = {family.name: family for family in FAMILIES}
FAST = [BY_NAME["lognormal .1"], BY_NAME["bursts .1 s"]]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_known_quantile_is_that_of_the_process_in_time(family: Family, quantile: float) -> None:
    rng = np.random.default_rng(5)
    # Half a time scale apart, over very many of them: a long run of the process as a verdict would see it.
    times_s = np.cumsum(rng.uniform(0.25, 0.75, 60_000)) * max(family.scale_s, 0.01)
    over = float(np.mean(family.latencies(rng, times_s) > family.quantile(quantile)))
    # Dependence leaves at least every tenth of them to count.
    tolerance = 5 * np.sqrt(quantile * (1 - quantile) / (times_s.size / 10))
    assert over == pytest.approx(1 - quantile, abs=tolerance)


def test_rate_over_is_the_complement_of_the_quantile() -> None:
    family = BY_NAME["gamma"]
    assert family.rate_over(family.quantile(0.95)) == pytest.approx(0.05, abs=1e-6)
    assert not family.has_flat_tail(0.99)
    assert BY_NAME["heavy: Pareto"].has_flat_tail(0.99)


def test_a_tenth_of_the_families_would_not_do() -> None:
    assert len(FAMILIES) >= 10
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_spread_calls_lie_in_blocks_with_gaps_over_the_planned_span() -> None:
    plan = product_plan(0.99)
    times_s = spread_times_s(np.random.default_rng(1), plan.aimed_samples, plan)
    blocks = times_s.reshape(-1, plan.block_calls)
    assert np.allclose(np.diff(blocks, axis=1), 0.002)
    gaps_s = blocks[1:, 0] - blocks[:-1, -1]
    assert gaps_s.min() > 0.2
    assert gaps_s.std() > 0.01
    assert times_s[-1] == pytest.approx(96, rel=0.1)
    assert contiguous_times_s(500)[-1] == pytest.approx(0.998)


def test_pairs_hold_each_call_once_with_both_orders() -> None:
    baseline, candidate = pair_order(np.random.default_rng(2), 200)
    assert sorted([*baseline, *candidate]) == list(range(400))
    firsts = baseline.reshape(-1, 10)[:, 0] < candidate.reshape(-1, 10)[:, 0]
    assert 0 < np.count_nonzero(firsts) < firsts.size


def test_the_blocks_of_a_pair_follow_each_other_and_pairs_lie_apart() -> None:
    plan = product_plan(0.99)
    starts_s = pair_times_s(np.random.default_rng(1), 200, plan).reshape(-1, plan.block_calls)[:, 0]
    steps_s = np.diff(starts_s)
    assert np.allclose(steps_s[::2], 0.024)
    assert steps_s[1::2].min() > 0.2


def test_the_same_seed_gives_the_same_table_whichever_families_are_asked_for() -> None:
    question, study = Question(distances=(1.05,)), Study(runs=2, seed=3)
    both = simulate(FAST, {"ours": rules.ours()}, question, study)
    alone = simulate(FAST[1:], {"ours": rules.ours()}, question, study)
    assert both[1:] == alone
    assert simulate_pairs(FAST[:1], 0.5, study) == simulate_pairs(FAST[:1], 0.5, study)


def test_clear_cases_are_decided_and_borderline_ones_are_not() -> None:
    cells = simulate(FAST[:1], rules.RULES, Question(distances=(0.75, 1.0, 1.25)), Study(runs=5, seed=4))
    ours = {cell.distance: cell for cell in cells if cell.rule == "ours"}
    assert (ours[0.75].met, ours[1.0].met + ours[1.0].breached, ours[1.25].breached) == (5, 0, 5)
    naive = next(cell for cell in cells if cell.rule == "naive n=200" and cell.distance == 1.0)
    assert naive.met + naive.breached == 5


def test_a_lower_bound_is_broken_by_values_below_it() -> None:
    study = Study(runs=3, seed=4)
    lower = simulate(FAST[:1], {"ours": rules.ours(Bound.LOWER)}, Question(0.05, "lower", (0.8, 1.25)), study)
    assert [(cell.met, cell.breached) for cell in lower] == [(3, 0), (0, 3)]


def test_bootstrap_ranks_agree_with_resampling() -> None:
    low, high = rules._bootstrap_ranks(500, 0.9)
    rng = np.random.default_rng(6)
    drawn = np.sort(rng.integers(1, 501, (20_000, 500)), axis=1)[:, 449]
    # One resample in a hundred beyond either end, but for the error of 20 000 draws.
    assert np.mean(drawn < low) < 0.013
    assert np.mean(drawn <= low) > 0.007
    assert np.mean(drawn > high) < 0.013
    assert np.mean(drawn >= high) > 0.007


def test_peers_stop_as_documented() -> None:
    fast, slow = np.full(10_000, 5, dtype=np.int64), np.full(10_000, 20, dtype=np.int64)
    assert rules.loadgen_early_stopping(fast, 10, 0.99) == (Outcome.MET, 500)
    assert rules.loadgen_early_stopping(slow, 10, 0.99) == (Outcome.INCONCLUSIVE, 10_000)
    assert rules.exact_binomial_peeking(slow, 10, 0.99) == (Outcome.BREACHED, 500)
    assert rules.naive(200)(slow, 10, 0.99) == (Outcome.BREACHED, 200)


def test_clopper_pearson_against_published_values() -> None:
    assert bars.clopper_pearson(0, 100) == pytest.approx((0.0, 0.0362), abs=1e-4)
    assert bars.clopper_pearson(10, 100) == pytest.approx((0.0490, 0.1762), abs=1e-4)
    assert bars.clopper_pearson(100, 100) == pytest.approx((0.9638, 1.0), abs=1e-4)


def test_bars_tell_a_broken_one_from_simulation_error() -> None:
    (cell,) = simulate(FAST[:1], {"ours": rules.ours()}, Question(distances=(1.05,)), Study(runs=100, seed=1))
    assert all(bar.holds for bar in bars.check([cell], [], []))
    cell.met = 3
    (unclear,) = bars.check([cell], [], [])
    assert (unclear.holds, unclear.clearly_broken) == (False, False)
    cell.met = 30
    (broken,) = bars.check([cell], [], [])
    assert broken.clearly_broken
    assert any("broken: MET although" in line for line in bars.summary([broken]))


def test_a_recorded_trace_is_read_back_and_replayed(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    recorded = traces.record(path, 0.05)
    assert recorded == len(path.read_text(encoding="utf-8").splitlines()) - 1
    rng = np.random.default_rng(8)
    latencies_ns = np.round(np.exp(rng.normal(0, 0.1, 40_000)) * 1e6).astype(int)
    starts_ns = np.cumsum(latencies_ns)
    rows = "\n".join(f"{start},{latency}" for start, latency in zip(starts_ns, latencies_ns, strict=True))
    path.write_text(f"start_ns,latency_ns\n{rows}\n", encoding="utf-8")
    assert percentile(traces.read(path)[1], 0.99) == percentile(latencies_ns, 0.99)
    cells = traces.replay(path, {"ours": rules.ours()}, 0.99, Study(runs=3, seed=1))
    clear = {(cell.sampling, cell.distance): (cell.met, cell.breached) for cell in cells}
    assert clear[("spread", 0.75)] == (3, 0)
    assert clear[("spread", 1.25)] == (0, 3)
    assert clear[("contiguous", 0.75)] == (3, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a trace"),
        ("a,b\n1,2\n", "not a trace"),
        ("start_ns,latency_ns\n1,2\n", "too few"),
        ("start_ns,latency_ns\n1,x\n", "not two whole numbers"),
        ("start_ns,latency_ns\n" + "2,1\n1,1\n" * 20_000, "out of order"),
    ],
)
def test_a_trace_that_cannot_be_used_says_why(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(traces.TraceError, match=message):
        traces.read(path)
