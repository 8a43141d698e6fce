"""Pieces of SVG and axes: exact text, and names that try to break out."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.reporting.axes import Scale, latency_scale
from voiceflow_ml.reporting.svg import Drawing, bars, dots, line, number, steps, text
from voiceflow_ml.reporting.text import one_line

SVG = "{http://www.w3.org/2000/svg}"


def test_a_drawing_is_a_well_formed_file_with_its_own_style() -> None:
    drawing = Drawing("A title", "what it is", 40, (line(0, 0, 1, 1, "grid"),))
    root = ElementTree.fromstring(drawing.standalone())
    assert root.attrib["aria-label"] == "A title. what it is"
    assert (root.attrib["role"], root.attrib["viewBox"]) == ("img", "0 0 480 40")
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme:dark" in str(style.text)
    assert "<style" not in drawing.inline()
    ElementTree.fromstring(drawing.inline())


@given(st.text())
def test_any_text_is_shown_as_it_is_or_cut(content: str) -> None:
    drawing = Drawing(content, content, 40, (text(1, 2, content),))
    root = ElementTree.fromstring(drawing.standalone())
    line_ = one_line(content)
    shown = line_ if len(line_) <= 64 else f"{line_[:63]}…"
    assert [element.text or "" for element in root.iter(f"{SVG}text")] == [shown, shown]
    assert [element.tag for element in root] == [f"{SVG}{tag}" for tag in ("style", "rect", "text", "text")]


def test_numbers_are_short_and_never_minus_nothing() -> None:
    assert [number(value) for value in (1.0, 1.26, -0.01, 0.04, 100)] == ["1", "1.3", "0", "0", "100"]


def test_steps_go_along_then_down_and_leave_out_what_does_not_move() -> None:
    path = steps(np.array([0.0, 5.0, 5.01, 9.0]), np.array([1.0, 2.0, 2.0, 2.5]), "a")
    assert path == '<path class="a" d="M0 1H5V2H9V2.5"/>'


def test_points_on_one_place_are_drawn_once() -> None:
    path = dots(np.array([1.0, 1.01, 2.0]), np.array([3.0, 3.0, 3.0]), "a")
    assert path == '<path class="dots a" d="M1 3h0M2 3h0"/>'


def test_bars_without_height_are_left_out() -> None:
    path = bars(np.array([10.0, 20.0]), np.array([50.0, 30.0]), 50.0, 2.0, "bar")
    assert path == '<path class="bar" d="M19 50V30h2V50z"/>'


def test_a_scale_places_and_clips() -> None:
    assert Scale(0, 10, 100, 200).at([-5, 0, 5, 10, 99]).tolist() == [100, 100, 150, 200, 200]
    down = Scale(0.001, 1, 300, 0, logarithmic=True)
    assert down.at([1, 0.1, 0.01, 0.001, 0]).round(6).tolist() == [0, 100, 200, 300, 300]


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 10, 0, 1), (0, 2, 4, 6, 8, 10)),
        (Scale(4_000_100, 4_000_900, 0, 1), (4_000_200, 4_000_400, 4_000_600, 4_000_800)),
        (Scale(9.0, 2_100, 0, 1, logarithmic=True), (10, 100, 1_000)),
        (Scale(1.9, 11, 0, 1, logarithmic=True), (2, 3, 5, 10)),
        (Scale(0.75, 1.32, 0, 1, logarithmic=True), (0.8, 0.9, 1, 1.1, 1.2, 1.3)),
    ],
)
def test_ticks_are_round(scale: Scale, ticks: tuple[float, ...]) -> None:
    assert scale.ticks() == ticks


@given(st.integers(0, 10**12), st.integers(0, 10**15))
def test_any_latencies_have_an_axis_with_ticks_on_it(low: int, more: int) -> None:
    scale = latency_scale(low, low + more, 0, 100)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 8
    assert sorted(set(ticks)) == list(ticks)
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    left, right = scale.at([low, low + more])
    assert 0 <= left <= right <= 100
