"""Limits in the markers of tests, compared by their sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.sla.marked import loosened_marks, marked_tests

BASE = """\
import pytest

tight = pytest.mark.sla(p99="2ms")

@pytest.mark.hardware(targets=["cpu", "cuda-t4"])
@pytest.mark.sla("m", p50="5ms", p99="10ms", mode="paced", interval="100ms")
def test_one(latency):
    latency(work)

class TestMany:
    @tight
    def test_two(self, latency): ...

def helper(): ...
"""
ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::TestMany.test_two"


def lines(old: str, new: str, path: str = "tests/test_a.py") -> list[str]:
    return list(loosened_marks(marked_tests(old, "tests/test_a.py"), marked_tests(new, path)))


def test_what_a_source_declares_is_read_without_running_it() -> None:
    one, two = marked_tests("raise SystemExit\n" + BASE, "tests/test_a.py")
    assert (one.name, two.name) == (ONE, TWO)
    assert one.limits == {"p50": "'5ms'", "p99": "'10ms'"}
    assert one.targets == ("cpu", "cuda-t4")
    assert (two.limits, two.targets) == ({"p99": "'2ms'"}, ())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"10ms"', '"25ms"', [f"loosened: {ONE}: P99 raised from 10 ms to 25 ms (2.5x)"]),
        ('"2ms"', '"3 ms"', [f"loosened: {TWO}: P99 raised from 2 ms to 3 ms (1.5x)"]),
        ('p50="5ms", ', "", [f"deleted: {ONE}: P50 <= 5 ms"]),
        ('"10ms"', "LIMIT", [f"changed: {ONE}: P99 from '10ms' to LIMIT, which this cannot compare"]),
        ("def test_one", "def other_one", [f"deleted: {ONE}: P50 <= 5 ms, P99 <= 10 ms"]),
        ("    @tight\n", "", [f"deleted: {TWO}: P99 <= 2 ms"]),
        ('["cpu", "cuda-t4"]', '["cpu"]', [f"deleted: {ONE}: its target cuda-t4"]),
        (
            ', mode="paced", interval="100ms"',
            ', clock="adjusted"',
            [
                f"loosened: {ONE}: judged on the adjusted clock, no longer on what a caller waits",
                f"measured otherwise: {ONE}: mode 'paced' became the default",
                f"measured otherwise: {ONE}: interval '100ms' became the default",
            ],
        ),
        (
            "@tight",
            '@pytest.mark.sla(p99="2ms", mode="paced")',
            [f"measured otherwise: {TWO}: mode by default became 'paced'"],
        ),
        (
            'sla("m", p50="5ms", p99="10ms", mode="paced", interval="100ms")',
            'sla("m")',
            [
                f"deleted: {ONE}: P50 <= 5 ms; its limits come from sla.toml now",
                f"deleted: {ONE}: P99 <= 10 ms; its limits come from sla.toml now",
            ],
        ),
    ],
)
def test_what_loosens_is_told(old: str, new: str, expected: list[str]) -> None:
    assert BASE.count(old) == 1
    assert lines(BASE, BASE.replace(old, new)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ('"10ms"', '"9ms"'),
        ('"10ms"', '"0.01s"'),
        ('p50="5ms"', 'p50="5ms", p90="7ms"'),
        ('["cpu", "cuda-t4"]', '["cuda-l4", "cpu", "cuda-t4"]'),
    ],
)
def test_what_is_stricter_new_or_the_same_is_not(old: str, new: str) -> None:
    assert lines(BASE, BASE.replace(old, new)) == []


def test_back_to_the_wall_clock_is_stricter() -> None:
    adjusted = BASE.replace('mode="paced"', 'clock="adjusted", mode="paced"')
    assert lines(adjusted, BASE) == lines(adjusted, adjusted.replace('"adjusted"', '"wall"')) == []


@pytest.mark.parametrize(
    ("targets", "named"), [('"cuda-t4"', ("cuda-t4",)), ('[GPU, "cpu", 4]', ("cpu",)), ("GPUS", ())]
)
def test_targets_are_those_that_are_written_out(targets: str, named: tuple[str, ...]) -> None:
    (one, _) = marked_tests(BASE.replace('["cpu", "cuda-t4"]', targets), "tests/test_a.py")
    assert one.targets == named


def test_a_test_that_moved_takes_its_limits_along() -> None:
    assert lines(BASE, BASE, "elsewhere/test_b.py") == []
    raised = lines(BASE, BASE.replace('"10ms"', '"20ms"'), "elsewhere/test_b.py")
    assert raised == ["loosened: elsewhere/test_b.py::test_one: P99 raised from 10 ms to 20 ms (2x)"]


def test_a_test_of_the_same_name_that_was_there_before_is_not_the_one_that_moved() -> None:
    here, there = marked_tests(BASE, "tests/test_a.py"), marked_tests(BASE.replace("2ms", "1ms"), "tests/test_b.py")
    assert list(loosened_marks((*here, *there), here)) == [
        "deleted: tests/test_b.py::test_one: P50 <= 5 ms, P99 <= 10 ms",
        "deleted: tests/test_b.py::TestMany.test_two: P99 <= 1 ms",
    ]


def test_the_marker_of_a_whole_file_or_class_counts_and_the_nearest_wins() -> None:
    whole = 'pytestmark = [pytest.mark.hardware, pytest.mark.sla(p99="1ms")]\ndef test_a(latency): ...\n'
    assert lines(whole, whole.replace("1ms", "2ms")) == [
        "loosened: tests/test_a.py::test_a: P99 raised from 1 ms to 2 ms (2x)"
    ]
    alone = whole.replace("[pytest.mark.hardware, ", "").replace(")]", ")")
    assert lines(alone, alone.replace("1ms", "2ms")) == lines(whole, whole.replace("1ms", "2ms"))
    nearer = whole.replace("def test_a", '@pytest.mark.sla(p99="5ms")\ndef test_a')
    assert lines(nearer, nearer.replace("1ms", "9ms")) == []


@given(st.text(max_size=80))
def test_any_text_is_read_or_has_none(text: str) -> None:
    assert marked_tests(text, "a.py") == () or "sla" in text


@pytest.mark.parametrize("source", ["def (", "\x00", "(" * 500, 'x = "pytest.mark.sla(p99=1)"'])
def test_what_is_not_a_test_has_none(source: str) -> None:
    assert marked_tests(source, "a.py") == ()
