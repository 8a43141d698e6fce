"""The charts: what they keep, what they name, and that size and names cannot break them."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.result_set import (
    BREACHED,
    COMPARED,
    ELSEWHERE,
    MET,
    NASTY,
    ON_CPU,
    RESULTS,
    against,
    measured,
    planned,
    run_of,
    samples,
    scheduled,
)
from voiceflow_ml.latency.run import Run
from voiceflow_ml.reporting.chart_shift import shift_chart
from voiceflow_ml.reporting.chart_tail import tail_chart, tail_points
from voiceflow_ml.reporting.chart_time import kept_samples, sample_times_ns, time_chart
from voiceflow_ml.reporting.charts import ChartCache, charts_of
from voiceflow_ml.reporting.svg import Drawing
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.record import Result

SVG = "{http://www.w3.org/2000/svg}"
MANY_NS = np.random.default_rng(0).lognormal(15, 0.4, 100_000).astype(np.int64)


def of(result: Result) -> Measurement:
    assert result.measurement is not None
    return result.measurement


def texts(drawing: Drawing) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing.standalone()).iter(f"{SVG}text")]


def kinds(drawing: Drawing) -> list[str]:
    return re.findall(r'<(?:path|line) class="([^"]*)"', drawing.inline())


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=60))
def test_the_tail_of_few_samples_is_every_one_of_them(values: list[int]) -> None:
    slowest_ns, shares = tail_points(np.array(values))
    assert slowest_ns.tolist() == [min(values), *sorted(values)]
    assert shares.tolist() == [1.0, *((len(values) - rank) / len(values) for rank in range(1, len(values) + 1))]


def test_the_tail_of_many_samples_is_thinned_but_for_the_slowest() -> None:
    slowest_ns, shares = tail_points(MANY_NS)
    ordered = np.sort(MANY_NS)
    assert slowest_ns.size <= 522
    assert slowest_ns[-200:].tolist() == ordered[-200:].tolist()
    above = np.rint(shares[1:] * MANY_NS.size).astype(int)
    assert slowest_ns[1:].tolist() == ordered[MANY_NS.size - 1 - above].tolist(), "each corner is a sample at its rank"
    assert np.diff(shares).max() < 0, "each corner is lower than the one before"
    assert np.diff(shares).min() > -0.02


def test_the_samples_over_time_keep_the_slowest_and_all_of_few() -> None:
    assert kept_samples(MANY_NS[:1_200]).tolist() == list(range(1_200))
    kept = kept_samples(MANY_NS)
    assert kept.size <= 1_200
    assert set(np.argsort(MANY_NS)[-300:].tolist()) <= set(kept.tolist())
    assert np.diff(np.setdiff1d(kept, np.argsort(MANY_NS)[-300:])).max() < 500, "the others are spread evenly"


def test_a_sample_is_placed_in_its_block() -> None:
    run = run_of(samples(25, over=0, quick_ns=1_000, slow_ns=0), block_calls=10)
    assert sample_times_ns(run)[[0, 1, 9, 10, 15]].tolist() == [0, 5_000_000, 45_000_000, 80_000_000, 96_666_666]


def test_samples_without_blocks_follow_each_other() -> None:
    run = run_of(np.array([5, 7, 9], dtype=np.int64))
    assert run.block_starts_ns.size == 0
    assert sample_times_ns(run).tolist() == [0, 5, 12]


def test_the_tail_names_every_limit_and_every_reading() -> None:
    values_ns = samples(2_000, over=4, quick_ns=4_000_000, slow_ns=12_000_000)
    run = run_of(values_ns, scheduler=scheduled(values_ns, waited_over_ns=8_000_000))
    drawing = tail_chart("label", of(measured(COMPARED, run, ON_CPU, against=against((0.5,), 1.0))))
    assert {"P50 <= 5 ms", "P99 <= 10 ms", "wall clock", "adjusted clock", "baseline"} <= set(texts(drawing))
    assert {"100 %", "50 %", "10 %", "1 %", "0.1 %"} <= set(texts(drawing))
    assert [kinds(drawing).count(kind) for kind in ("a", "b", "c")] == [2, 2, 2], "each curve and its legend"
    alone = tail_chart("label", of(measured(COMPARED, values_ns, ON_CPU)))
    assert [kinds(alone).count(kind) for kind in ("a", "b", "c")] == [2, 0, 0]


def test_a_limit_far_from_the_samples_is_named_at_the_edge() -> None:
    values_ns = samples(500, over=0, quick_ns=4_000_000, slow_ns=0)
    drawing = tail_chart("x", of(measured(planned("t", "m", P50=1_000, P99=10_000_000_000), values_ns, ON_CPU)))
    assert {"← P50 <= 1 us", "P99 <= 10 s →"} <= set(texts(drawing))
    assert "limit" not in kinds(drawing)
    over_time = time_chart("x", of(measured(planned("t", "m", P50=1_000, P99=10_000_000_000), values_ns, ON_CPU)))
    assert {"P50 <= 1 us ↓", "P99 <= 10 s ↑"} <= set(texts(over_time))


def test_the_waits_are_drawn_where_they_were_counted() -> None:
    values_ns = samples(500, over=10, quick_ns=4_000_000, slow_ns=9_000_000)
    record = scheduled(values_ns, waited_over_ns=5_000_000)

    def drawn(run: Run) -> Drawing:
        return time_chart("x", of(measured(BREACHED, run, ON_CPU)))

    both = drawn(run_of(values_ns, scheduler=record))
    assert {"the measuring thread", "any task of the machine", "4 ms"} <= set(texts(both))
    own = drawn(run_of(values_ns, scheduler=replace(record, cpu_wait_ns=None)))
    assert "any task of the machine" not in texts(own)
    assert "bar" in kinds(own)
    for run in (run_of(values_ns), run_of(values_ns, scheduler=replace(record, source="none"))):
        assert "not counted in this run" in texts(drawn(run))
        assert "bar" not in kinds(drawn(run))


def test_the_shift_says_the_ratio_its_interval_and_the_tolerance() -> None:
    said = texts(shift_chart("x", against((0.5, 0.99), 1.2)))
    assert {"P50", "P99", "allowed 1.05x", "allowed 1.1x"} <= set(said)
    assert len([line for line in said if re.fullmatch(r"SLOWER: 1\.\d{3}x \[1\.\d{3}x, 1\.\d{3}x\]", line)]) == 2
    invalid = texts(shift_chart("x", against((0.5,), 1.2, findings=(ELSEWHERE,))))
    assert [line for line in invalid if line.startswith("INVALID: 1.")]


def test_a_shift_with_open_sides_or_without_a_ratio_is_said() -> None:
    whole = against((0.5,), 1.0)
    (comparison,) = whole.comparisons
    open_ = replace(comparison, ratio_low=None, ratio_high=None)
    assert any("no lower bound" in line for line in texts(shift_chart("x", replace(whole, comparisons=(open_,)))))
    none = replace(open_, ratio=None)
    said = texts(shift_chart("x", replace(whole, comparisons=(none,))))
    assert "NOT SLOWER: too few samples to compare" in said


def test_the_same_results_give_the_same_bytes_in_any_process_state() -> None:
    for result in RESULTS:
        first = [chart.draw().standalone() for chart in charts_of(result)]
        again = [chart.draw().standalone() for chart in charts_of(Result.from_json(result.to_json()))]
        assert first == again


def test_however_many_samples_a_chart_stays_small() -> None:
    blocks = MANY_NS.size // 10
    run = run_of(
        MANY_NS,
        scheduler=scheduled(MANY_NS, waited_over_ns=2_000_000),
        block_starts_ns=np.arange(blocks) * 80_000_000,
        span_ns=blocks * 80_000_000,
    )
    result = measured(MET, run, ON_CPU, against=against((0.5, 0.99), 1.1))
    sizes = {chart.title: len(chart.draw().standalone()) for chart in charts_of(result)}
    assert len(sizes) == 3
    assert max(sizes.values()) <= 40_000


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=50),
    st.sampled_from([1, 5_000_000, 2**45]),
    st.sampled_from([1, 7, 10]),
)
def test_any_samples_can_be_drawn(values: list[int], limit_ns: int, block_calls: int) -> None:
    values_ns = np.array(values, dtype=np.int64)
    run = run_of(values_ns, block_calls=block_calls, scheduler=scheduled(values_ns, waited_over_ns=1_000))
    for chart in charts_of(measured(planned("t", "m", P99=limit_ns), run, ON_CPU)):
        ElementTree.fromstring(chart.draw().standalone())


def test_no_name_breaks_a_picture_or_its_file_name() -> None:
    plan = planned(f"test[{NASTY}]", NASTY, P99=5_000_000)
    values_ns = samples(400, over=0, quick_ns=4_000_000, slow_ns=0)
    whole = replace(against((0.5,), 1.0), baseline='"><script>alert(1)</script>')
    for chart in charts_of(measured(plan, values_ns, ON_CPU, against=whole)):
        assert re.fullmatch(r"charts/[A-Za-z0-9-]+\.svg", chart.link)
        root = ElementTree.fromstring(chart.draw().standalone())
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "style", "rect", "text", "line", "path",
        }  # fmt: skip


def test_tests_with_like_names_have_their_own_files() -> None:
    values_ns = samples(400, over=0, quick_ns=4_000_000, slow_ns=0)
    names = ["a-b", "a_b", "é", "è", "x" * 90 + "1", "y" * 90 + "1", "\udcff"]
    links = [chart.link for name in names for chart in charts_of(measured(planned(name, "m", P99=1), values_ns))]
    assert len(set(links)) == 2 * len(names)
    assert max(map(len, links)) < 100


@pytest.mark.parametrize(
    ("result", "kinds_"),
    [(RESULTS[0], ["tail", "time", "floor"]), (RESULTS[5], ["tail", "time", "shift"]), (RESULTS[6], [])],
)
def test_which_charts_a_test_has(result: Result, kinds_: list[str]) -> None:
    assert [chart.link.removesuffix(".svg").rpartition("-")[2] for chart in charts_of(result)] == kinds_


def test_a_result_is_drawn_once_and_again_when_it_is_another() -> None:
    cache = ChartCache()
    first = cache.drawings(RESULTS[0])
    assert list(first) == [chart.link for chart in charts_of(RESULTS[0])]
    assert cache.drawings(RESULTS[0]) is first
    assert cache.drawings(replace(RESULTS[0])) is not first
