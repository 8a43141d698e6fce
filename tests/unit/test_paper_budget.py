"""The budget of an end-to-end promise as reports show it: never a declared number as a measured one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.result_set import (
    DECLARED_STAGES,
    ELSEWHERE,
    MET,
    NASTY,
    ON_CPU,
    RESULTS,
    SESSION,
    UNCOVERED,
    measured,
    samples,
)
from voiceflow_ml.reporting.budget import BudgetSection, PaperBudget, budget_section, paper_budgets
from voiceflow_ml.reporting.charts import charts_of_budget
from voiceflow_ml.reporting.html import render_page
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.results.record import Planned, Result

SVG = "{http://www.w3.org/2000/svg}"
QUICK_NS = samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0)


def of_stage(stage: str, quick_ns: int = 4_000_000, name: str = "one") -> Result:
    """A measured stage of the model that the end-to-end promise is about."""
    plan = Planned(f"t.py::{stage}-{name}", "fast-cnn", stage, "cpu", {"P99": 10**9})
    return measured(plan, samples(2_000, over=0, quick_ns=quick_ns, slow_ns=0), ON_CPU)


def paper(*results: Result, promise: Planned = UNCOVERED) -> PaperBudget:
    (found,) = paper_budgets(replace(SESSION, planned=(), declared=(promise,)), results)
    return found


def section(*results: Result, promise: Planned = UNCOVERED) -> BudgetSection:
    return budget_section(paper(*results, promise=promise))


def sources(found: BudgetSection) -> list[str]:
    return [source for _, source, _ in found.rows]


def texts(found: PaperBudget) -> list[str]:
    (chart,) = charts_of_budget(found)
    return [element.text or "" for element in ElementTree.fromstring(chart.draw().standalone()).iter(f"{SVG}text")]


def said(found: BudgetSection, begin: str) -> str:
    (sentence,) = [one for one in found.sentences if one.startswith(begin)]
    return sentence


def test_a_declared_stage_is_called_declared_wherever_its_numbers_stand() -> None:
    found = section(of_stage("model-inference"))
    assert sources(found) == [
        "declared, not measured: 10 ms to 40 ms",
        "declared, not measured: 5 ms to 10 ms",
        "measured: 2 000 samples",
        "added up on paper",
    ]
    assert said(found, "network takes the most").endswith(" %), declared, not measured")
    legend = [text for text in texts(paper(of_stage("model-inference"))) if text[0] in "123"]
    assert [text for text in legend if "," in text] == [
        "1 network, declared, not measured: 10 ms to 40 ms",
        "2 server-processing, declared, not measured: 5 ms to 10 ms",
        "3 model-inference, measured: 2 000 samples",
    ]


def test_a_measured_stage_takes_the_place_of_a_declared_one() -> None:
    found = paper(of_stage("model-inference"), of_stage("network", 12_000_000))
    assert [(source.run is not None, source.range_ns) for source in found.sources] == [
        (True, None),
        (False, (5_000_000, 10_000_000)),
        (True, None),
    ]
    assert sources(budget_section(found))[0] == "measured: 2 000 samples"
    assert said(budget_section(found), "network takes the most").endswith(" %), measured")


def test_what_is_declared_is_hatched_and_what_is_measured_is_filled() -> None:
    (chart,) = charts_of_budget(paper(of_stage("model-inference")))
    kinds = re.findall(r'<path class="([^"]*)"', chart.draw().inline())
    # Two bars and the legend.
    assert [kinds.count(kind) for kind in ("a solid", "b solid", "fill c solid")] == [3, 3, 3]
    assert "P99 <= 100 ms" in texts(paper(of_stage("model-inference")))


def test_the_whole_adds_up_and_says_what_is_left() -> None:
    found = section(of_stage("model-inference"))
    assert said(found, "if the stages are independent: P99 52.3 ms, 47.7 ms of 100 ms left (")
    assert said(found, "under any dependence: P99 at most 54.2 ms, 45.8 ms of 100 ms left; ")
    whole = found.rows[-1]
    assert (whole[0], [number for _, number in whole[2]]) == ("end-to-end", ["-", "52.3 ms", "54.2 ms"])
    tight = replace(UNCOVERED, limits_ns={"P99": 50_000_000})
    assert "52.3 ms, 2.34 ms over 50 ms" in said(section(of_stage("model-inference"), promise=tight), "if the")


def test_of_several_tests_of_a_stage_the_slowest_counts() -> None:
    results = (of_stage("model-inference"), of_stage("model-inference", 9_000_000, "two"))
    for order in (results, results[::-1]):
        assert section(*order).rows[2][2][0] == section(results[1]).rows[2][2][0]


def test_an_invalid_measurement_is_no_number_and_is_said() -> None:
    plan = of_stage("model-inference").planned
    invalid = measured(plan, QUICK_NS, ELSEWHERE)
    found = section(invalid)
    assert sources(found)[2] == "unknown: neither measured nor declared (its measurement is INVALID)"
    assert found.heads == ()
    declared = {**DECLARED_STAGES, "model-inference": {"low_ns": 1_000_000, "high_ns": 2_000_000}}
    with_range = section(invalid, promise=replace(UNCOVERED, stages=declared))
    assert sources(with_range)[2] == "declared, not measured: 1 ms to 2 ms (its measurement is INVALID)"


@pytest.mark.parametrize("target", ["cuda-t4", "cpu"])
def test_a_stage_of_another_target_or_model_is_not_taken(target: str) -> None:
    plan = replace(MET, target=target, model="fast-cnn" if target != "cpu" else "other")
    found = section(measured(plan, QUICK_NS, ON_CPU))
    assert sources(found)[2] == "unknown: neither measured nor declared"


def test_a_stage_that_nothing_is_known_of_is_named_with_its_remedy() -> None:
    found = section(promise=replace(UNCOVERED, stages={}))
    (sentence,) = found.sentences
    assert sentence == (
        "not added up: nothing is known of network, server-processing, model-inference; measure it, or declare its "
        "range in sla.toml: [stages.network], [stages.server-processing], [stages.model-inference]"
    )
    assert charts_of_budget(paper(promise=replace(UNCOVERED, stages={}))) == ()


def test_what_was_measured_end_to_end_stands_beside() -> None:
    found = section(of_stage("model-inference"), of_stage("end-to-end", 60_000_000))
    assert said(found, "measured end to end: P99 60.2 ms; the verdict is about that number")


def test_too_few_samples_leave_no_ceiling() -> None:
    few = measured(of_stage("model-inference").planned, QUICK_NS[:90], ON_CPU)
    found = section(few)
    assert said(found, "under any dependence: no ceiling")
    assert found.rows[-1][2][2][1] == "-"
    assert not any(text.startswith("any dependence") for text in texts(paper(few)))


def test_only_end_to_end_promises_have_a_budget_and_each_statistic_has_its_own() -> None:
    both = replace(UNCOVERED, limits_ns={"P50": 50_000_000, "P99.9": 100_000_000})
    found = paper_budgets(replace(SESSION, planned=(MET,), declared=(both,)), RESULTS)
    assert [one.key for one in found] == ["fast-cnn · end-to-end · cpu · P50", "fast-cnn · end-to-end · cpu · P99.9"]


def test_no_name_breaks_a_budget(tmp_path: Path) -> None:
    promise = replace(UNCOVERED, model=NASTY, target=NASTY)
    inference = replace(of_stage("model-inference").planned, model=NASTY, target=NASTY)
    results: Sequence[Result] = (measured(inference, QUICK_NS, ON_CPU),)
    session = replace(SESSION, planned=(inference,), declared=(promise,))
    (chart,) = charts_of_budget(paper_budgets(session, results)[0])
    assert re.fullmatch(r"charts/[A-Za-z0-9-]+-budget\.svg", chart.link)
    ElementTree.fromstring(chart.draw().standalone())
    assert f"]({chart.link})" in render_report(session, results, tmp_path)
    assert render_page(session, results, tmp_path).count("<svg ") == 3
