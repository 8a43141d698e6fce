"""The physical floor as reports show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.result_set import FLOOR, MET, NASTY, ON_CPU, SESSION, measured, samples
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.reporting.charts import charts_of
from voiceflow_ml.reporting.floor import IN_CACHE, floor_section, floors
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.reporting.text import more_text
from voiceflow_ml.results.record import Result

SVG = "{http://www.w3.org/2000/svg}"
QUICK_NS = samples(2_000, over=0, quick_ns=4_000_000, slow_ns=0)


def with_floor(roofline: Roofline = FLOOR, limit_ns: int = 10_000_000) -> Result:
    return measured(replace(MET, limits_ns={"P99": limit_ns}), QUICK_NS, ON_CPU, roofline=roofline)


def texts(result: Result) -> list[str]:
    drawing = charts_of(result)[-1].draw()
    return [element.text or "" for element in ElementTree.fromstring(drawing.standalone()).iter(f"{SVG}text")]


def test_a_floor_is_told_with_what_it_rests_on() -> None:
    (floor,) = floors((with_floor(),))
    assert (floor.work, floor.arithmetic, floor.memory) == ("0.43 GFLOP, 9.3 MB", "1 ms", "250 us")
    assert (floor.floor, floor.median, floor.share) == ("1 ms (compute bound)", "4.1 ms", "24.4 %")
    assert floor.peaks == "measured on this machine, 1 thread"


def test_what_is_not_known_is_not_a_number() -> None:
    (cached,) = floors((with_floor(replace(FLOOR, memory_ns=0)),))
    assert cached.memory == IN_CACHE
    (blind,) = floors((with_floor(replace(FLOOR, memory_ns=0, bytes_per_s=0, compute_ns=0, left_out=3)),))
    assert blind.memory == "unknown: no bandwidth is known"
    assert blind.arithmetic == "unknown: no peak is known"
    assert blind.work.endswith("MB, 3 nodes of unknown work left out")
    (unmeasured,) = floors((with_floor(replace(FLOOR, share=None)),))
    assert unmeasured.share == "-"


def test_the_least_share_comes_first_and_what_has_no_floor_is_left_out() -> None:
    results = (with_floor(), measured(MET, QUICK_NS, ON_CPU), with_floor(replace(FLOOR, share=0.1)))
    assert [floor.share for floor in floors(results)] == ["10 %", "24.4 %"]


def test_the_section_has_a_text_for_each_head_and_is_left_out_without_a_floor() -> None:
    section = floor_section((with_floor(), with_floor(replace(FLOOR, share=0.1))))
    assert section is not None
    (first, *_), (last, *_) = section.cells
    assert first == ("Model · stage · target", False, MET.label)
    assert ("Reached", True) in section.columns
    assert [text for _, _, text in next(section.cells)][6] == "10 %"
    assert last[2] == MET.label
    assert (len(section.cut(1, "the page").rows), section.cut(1, "the page").more) == (1, more_text(1, "the page"))
    assert floor_section((measured(MET, QUICK_NS, ON_CPU),)) is None


def test_the_picture_has_the_floor_what_was_measured_and_what_is_promised() -> None:
    said = texts(with_floor())
    assert "floor 1 ms; the median reaches 24.4 % of what is possible" in said
    assert {"1 ms", "250 us", "4.1 ms", "4.2 ms", "P99 <= 10 ms"} <= set(said)


@pytest.mark.parametrize(("limit_ns", "edge"), [(10**12, "P99 <= 1000 s →"), (1, "← P99 <= 1 ns")])
def test_a_limit_far_from_the_floor_is_named_at_the_edge(limit_ns: int, edge: str) -> None:
    assert edge in texts(with_floor(limit_ns=limit_ns))


def test_traffic_that_takes_no_time_says_why() -> None:
    assert IN_CACHE in texts(with_floor(replace(FLOOR, memory_ns=0)))


def test_no_name_breaks_a_floor(tmp_path: Path) -> None:
    result = with_floor(replace(FLOOR, source=NASTY))
    result = replace(result, planned=replace(result.planned, model=NASTY))
    ElementTree.fromstring(charts_of(result)[-1].draw().standalone())
    report = render_report(replace(SESSION, planned=(result.planned,), declared=()), (result,), tmp_path)
    (row,) = [line for line in report.partition("## Physical floor")[2].splitlines() if "GFLOP" in line]
    assert row.replace("\\|", "").count("|") == 9
