"""What a change of sla.toml makes easier to keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceflow_ml.sla.changes import loosened
from voiceflow_ml.sla.load import parse_sla
from voiceflow_ml.sla.objectives import Sla

BASE = """\
version = 1

[models.m]
file = "m.onnx"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
inputs = { x = { shape = [1, 48000] } }

[models.other]
file = "other.onnx"

[[objective]]
model = "m"
target = "cpu"
p50 = "5ms"
p99 = "10ms"
mode = "paced"
interval = "100ms"

[[objective]]
model = "other"
target = "cpu"
p99 = "10ms"
clock = "wall"
"""
M, OTHER = "m · model-inference · cpu", "other · model-inference · cpu"
WAIVER = """
[[waiver]]
model = "m"
target = "cpu"
statistic = "p99"
owner = "ann"
reason = "why"
expires = 2026-12-31
"""


def sla(text: str) -> Sla:
    return parse_sla(text, Path("sla.toml"))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ('p99 = "10ms"\nmode', 'p99 = "25ms"\nmode', [f"loosened: {M}: P99 raised from 10 ms to 25 ms (2.5x)"]),
        ('p50 = "5ms"\n', "", [f"deleted: {M}: P50 <= 5 ms"]),
        ('target = "cpu"\np50', 'target = "cuda-t4"\np50', [f"deleted: {M}: P50 <= 5 ms, P99 <= 10 ms"]),
        (
            'clock = "wall"',
            'clock = "adjusted"',
            [f"loosened: {OTHER}: judged on the adjusted clock, no longer on what a caller waits"],
        ),
        ('clock = "wall"', 'mode = "back-to-back"', [f"measured otherwise: {OTHER}: mode steady became back-to-back"]),
        ('"100ms"', '"20ms"', [f"measured otherwise: {M}: interval 100 ms became 20 ms"]),
        ('sha256 = "0123456789abcdef', '# "', ["loosened: model m: sha256 is no longer given, so any file will do"]),
        ("48000", "16000", ["measured otherwise: model m: its inputs changed"]),
        ('file = "m.onnx"', 'file = "m.onnx"\nthreads = 8', ["measured otherwise: model m: threads 1 became 8"]),
        (
            'file = "m.onnx"',
            'file = "m.onnx"\nspinning = true',
            ["measured otherwise: model m: its provider, options, boundary or spinning changed"],
        ),
        (
            'interval = "100ms"\n',
            f'interval = "100ms"\n{WAIVER}',
            [f"waiver added: {M}: P99, by ann until 2026-12-31: why"],
        ),
    ],
)
def test_what_loosens_is_one_line(old: str, new: str, lines: list[str]) -> None:
    assert BASE.count(old) == 1
    assert list(loosened([sla(BASE)], [sla(BASE.replace(old, new))])) == lines


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('p99 = "10ms"\nmode', 'p99 = "9ms"\nmode'),
        ('p50 = "5ms"\n', 'p50 = "5ms"\np90 = "8ms"\n'),
        ('file = "other.onnx"', 'file = "other.onnx"\n# a comment'),
    ],
)
def test_what_does_not_loosen_needs_nobody(old: str, new: str) -> None:
    assert loosened([sla(BASE)], [sla(BASE)]) == ()
    assert loosened([sla(BASE)], [sla(BASE.replace(old, new))]) == ()
    assert loosened([], [sla(BASE)]) == ()


def test_back_to_the_wall_clock_is_stricter() -> None:
    assert loosened([sla(BASE.replace('"wall"', '"adjusted"'))], [sla(BASE)]) == ()


def test_only_a_later_end_prolongs_a_waiver() -> None:
    before, later = sla(BASE + WAIVER), sla(BASE + WAIVER.replace("2026", "2027"))
    assert loosened([before], [later]) == (
        f"waiver prolonged: {M}: P99, from 2026-12-31, by ann until 2027-12-31: why",
    )
    assert loosened([later], [before]) == ()
    assert loosened([before], [before]) == ()
    assert loosened([before], [sla(BASE)]) == ()


def test_all_that_is_deleted_comes_first() -> None:
    emptied = sla('version = 1\n[models.m]\nfile = "m.onnx"\n')
    lines = loosened([sla(BASE)], [emptied])
    assert [line.partition(":")[0] for line in lines] == [
        "deleted",
        "deleted",
        "deleted",
        "loosened",
        "measured otherwise",
    ]
    assert lines[:3] == (
        "deleted: model other",
        f"deleted: {M}: P50 <= 5 ms, P99 <= 10 ms",
        f"deleted: {OTHER}: P99 <= 10 ms",
    )


def test_several_files_count_as_one() -> None:
    head, _, tail = BASE.partition("[models.other]")
    only_m = head + tail[tail.index("[[objective]]") : tail.rindex("[[objective]]")]
    only_other = (
        "version = 1\n[models.other]\n" + tail[: tail.index("[[objective]]")] + tail[tail.rindex("[[objective]]") :]
    )
    assert loosened([sla(BASE)], [sla(only_m), sla(only_other)]) == ()


def test_declared_stages_that_became_quicker_are_told() -> None:
    end_to_end = BASE + '\n[[objective]]\nmodel = "m"\nstage = "end-to-end"\ntarget = "cpu"\np99 = "100ms"\n'
    declared = '\n[stages.network]\nlow = "10ms"\nhigh = "40ms"\n'
    before = sla(end_to_end + declared)
    for change in (("10ms", "5ms"), ("40ms", "20ms")):
        became = declared.replace(*change)
        low, high = (end.replace("ms", " ms") for end in became.split('"')[1::2])
        (line,) = loosened([before], [sla(end_to_end + became)])
        assert line.startswith("declared otherwise: m · end-to-end · cpu: network 10 ms to 40 ms became ")
        assert line.endswith(f" became {low} to {high}; nothing was measured")
    for kept in (declared, declared.replace("40ms", "50ms"), ""):
        assert list(loosened([before], [sla(end_to_end + kept)])) == []
