from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_sla_load import DURATION, MODEL, OBJECTIVE, complaint, write
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.plan import Mode, SamplingPlan
from voiceflow_ml.latency.verdict import ClockChannel
from voiceflow_ml.sla.load import load_sla
from voiceflow_ml.sla.measuring import find_clock, find_mode, read_interval_ns
from voiceflow_ml.sla.objectives import Measuring

WALL, ADJUSTED = ClockChannel.WALL, ClockChannel.ADJUSTED
CLOCKS = "wall, adjusted"
MODES = "steady, back-to-back, paced, open-loop"
SCHEDULED = 'take it out, or write mode = "paced" or mode = "open-loop"'
OPEN_LOOP = (
    '"open-loop" does not go with clock = "adjusted": its latency counts from the intended send time, and waiting '
    'behind an earlier request is not the scheduler\'s doing; write clock = "wall"'
)
NO_INTERVAL = 'sends requests on a schedule; add interval = "100ms" or so'

DECLARED: list[tuple[str, Measuring]] = [
    ("", Measuring(WALL, Mode.STEADY, 0)),
    ('clock = "wall"', Measuring()),
    ('clock = "adjusted"', Measuring(clock=ADJUSTED)),
    ('mode = "steady"', Measuring()),
    ('mode = "back-to-back"', Measuring(mode=Mode.BACK_TO_BACK)),
    ('mode = "back-to-back"\nclock = "adjusted"', Measuring(ADJUSTED, Mode.BACK_TO_BACK)),
    ('mode = "paced"\ninterval = "100ms"', Measuring(WALL, Mode.PACED, 100_000_000)),
    ('interval = "1.5s"\nmode = "paced"\nclock = "adjusted"', Measuring(ADJUSTED, Mode.PACED, 1_500_000_000)),
    ('mode = "open-loop"\ninterval = "7 us"', Measuring(WALL, Mode.OPEN_LOOP, 7_000)),
]


@pytest.mark.parametrize(("keys", "expected"), DECLARED)
def test_a_promise_says_how_it_is_measured(tmp_path: Path, keys: str, expected: Measuring) -> None:
    (promise,) = load_sla(write(tmp_path, f"{MODEL}{OBJECTIVE}{keys}\n")).promises
    assert promise.measuring == expected
    assert (type(promise.measuring.clock), type(promise.measuring.mode)) == (ClockChannel, Mode)


@pytest.mark.parametrize("expected", [expected for _, expected in DECLARED])
def test_whatever_can_be_declared_can_be_planned(expected: Measuring) -> None:
    plan = SamplingPlan(looks=(500,), aimed_samples=500, mode=expected.mode, interval_ns=expected.interval_ns)
    assert (plan.mode, plan.interval_ns) == (expected.mode, expected.interval_ns)


# The keys stand on line 8 and after; the table begins at line 4.
COMPLAINTS: list[tuple[str, str]] = [
    ('clock = "cpu"', f"sla.toml:8: objective[1].clock: unknown clock 'cpu'; the clocks are: {CLOCKS}"),
    ('clock = "Wall"', f"sla.toml:8: objective[1].clock: unknown clock 'Wall'; the clocks are: {CLOCKS}"),
    ('clock = ""', f"sla.toml:8: objective[1].clock: unknown clock ''; the clocks are: {CLOCKS}"),
    (
        "clock = true",
        ('sla.toml:8: objective[1].clock: must be text in quotes, got True; write, for example, clock = "adjusted"'),
    ),
    ('mode = "burst"', f"sla.toml:8: objective[1].mode: unknown mode 'burst'; the modes are: {MODES}"),
    ('mode = "open_loop"', f"sla.toml:8: objective[1].mode: unknown mode 'open_loop'; the modes are: {MODES}"),
    (
        'mode = ["paced"]',
        (
            "sla.toml:8: objective[1].mode: must be text in quotes, got ['paced']; "
            'write, for example, mode = "back-to-back"'
        ),
    ),
    ('mode = "paced"', f'sla.toml:4: objective[1].interval: is missing: mode = "paced" {NO_INTERVAL}'),
    ('mode = "open-loop"', f'sla.toml:4: objective[1].interval: is missing: mode = "open-loop" {NO_INTERVAL}'),
    ('interval = "1s"', f"sla.toml:8: objective[1].interval: '1s' means nothing to mode = \"steady\": {SCHEDULED}"),
    (
        'mode = "back-to-back"\ninterval = "1s"',
        f"sla.toml:9: objective[1].interval: '1s' means nothing to mode = \"back-to-back\": {SCHEDULED}",
    ),
    ('mode = "paced"\ninterval = 100', f"sla.toml:9: objective[1].interval: 100 is not a duration: {DURATION}"),
    ('mode = "paced"\ninterval = "100"', f"sla.toml:9: objective[1].interval: '100' has no unit: {DURATION}"),
    (
        'interval = "0ms"\nmode = "open-loop"',
        (f"sla.toml:8: objective[1].interval: '0ms' is less than 1 ns: a duration must be at least 1ns; {DURATION}"),
    ),
    ('clock = "adjusted"\nmode = "open-loop"\ninterval = "1s"', f"sla.toml:9: objective[1].mode: {OPEN_LOOP}"),
    ('interval = "1s"\nmode = "open-loop"\nclock = "adjusted"', f"sla.toml:9: objective[1].mode: {OPEN_LOOP}"),
    (
        "pace = 1",
        (
            "sla.toml:8: objective[1].pace: unknown key; valid here: model, stage, target, p50, p90, p95, p99, p999, "
            "clock, mode, interval"
        ),
    ),
]


@pytest.mark.parametrize(("keys", "expected"), COMPLAINTS)
def test_a_wrong_way_of_measuring_is_one_sentence(tmp_path: Path, keys: str, expected: str) -> None:
    assert complaint(tmp_path, f"{MODEL}{OBJECTIVE}{keys}\n") == expected


def test_a_wrong_clock_and_a_wrong_mode_are_told_once_each(tmp_path: Path) -> None:
    keys = 'clock = "cpu"\nmode = "open"\ninterval = "1s"\n'
    assert complaint(tmp_path, MODEL + OBJECTIVE + keys).split("\n") == [
        f"sla.toml:8: objective[1].clock: unknown clock 'cpu'; the clocks are: {CLOCKS}",
        f"sla.toml:9: objective[1].mode: unknown mode 'open'; the modes are: {MODES}",
    ]


def test_a_wrong_clock_does_not_hide_a_missing_interval(tmp_path: Path) -> None:
    places = complaint(tmp_path, MODEL + OBJECTIVE + 'clock = "cpu"\nmode = "open-loop"\n').split("\n")
    assert [line.split(": ")[1] for line in places] == ["objective[1].clock", "objective[1].interval"]


def test_one_model_in_two_ways_needs_two_names(tmp_path: Path) -> None:
    paced = OBJECTIVE + 'mode = "paced"\ninterval = "1s"\n'
    assert complaint(tmp_path, MODEL + OBJECTIVE + paced) == (
        "sla.toml:8: m · model-inference · cpu is already promised at sla.toml:4; "
        "to measure it in two ways, declare the same file as a second model, under a name of its own"
    )
    names = MODEL + '[models.n]\nfile = "m.onnx"\n' + OBJECTIVE + paced.replace('"m"', '"n"')
    assert [p.measuring.mode for p in load_sla(write(tmp_path, names)).promises] == [Mode.STEADY, Mode.PACED]


@pytest.mark.parametrize("clock", list(ClockChannel))
@pytest.mark.parametrize("mode", list(Mode))
def test_clocks_and_modes_are_found_by_name(clock: ClockChannel, mode: Mode) -> None:
    assert find_clock(str(clock)) is clock
    if (clock, mode) == (ADJUSTED, Mode.OPEN_LOOP):
        with pytest.raises(ConfigError) as caught:
            find_mode(str(mode), clock)
        assert str(caught.value) == OPEN_LOOP
    else:
        assert find_mode(str(mode), clock) is mode


@pytest.mark.parametrize("name", [None, 3, [], ("wall",)])
def test_a_name_that_is_no_text_is_unknown(name: Any) -> None:
    with pytest.raises(ConfigError, match=r"unknown clock .*; the clocks are: wall, adjusted"):
        find_clock(name)
    with pytest.raises(ConfigError, match=r"unknown mode .*; the modes are: steady, back-to-back"):
        find_mode(name, WALL)


@given(st.integers(min_value=1, max_value=2**63 - 1), st.sampled_from(Mode))
def test_an_interval_is_read_by_the_modes_that_have_one(interval_ns: int, mode: Mode) -> None:
    if mode in (Mode.PACED, Mode.OPEN_LOOP):
        assert read_interval_ns(f"{interval_ns}ns", mode) == interval_ns
    else:
        assert read_interval_ns(None, mode) == 0
        with pytest.raises(ConfigError, match="means nothing to mode"):
            read_interval_ns(f"{interval_ns}ns", mode)
