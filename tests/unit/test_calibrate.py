"""Limits proposed from measurements."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.unit.result_set import (
    ELSEWHERE,
    INVALID,
    MET,
    NASTY,
    ON_CPU,
    RESULTS,
    SESSION,
    SKIPPED,
    measured,
    planned,
    run_of,
    scheduled,
)
from voiceflow_ml.cli import app
from voiceflow_ml.commands.calibrate import calibration_lines, proposed_limit_ns, read_headroom
from voiceflow_ml.errors import ConfigError, ResultError
from voiceflow_ml.latency import ClockChannel, Mode
from voiceflow_ml.results.record import Planned, Result
from voiceflow_ml.results.store import ResultStore
from voiceflow_ml.sla.load import parse_sla

HEADROOM = Decimal("1.3")


def lines(*results: Result, plan: tuple[Planned, ...] | None = None) -> list[str]:
    order = plan or tuple(result.planned for result in results)
    return list(calibration_lines(replace(SESSION, planned=order), results, HEADROOM))


@given(st.integers(1, 2**60), st.decimals("1", "10", places=2))
def test_a_limit_is_the_least_of_two_digits_with_that_headroom(high_ns: int, headroom: Decimal) -> None:
    limit_ns = proposed_limit_ns(high_ns, headroom)
    assert limit_ns >= high_ns * headroom
    assert len(str(limit_ns).rstrip("0")) <= 2
    step = max(1, 10 ** (len(str(limit_ns)) - 2) // 10)
    assert limit_ns - 10 * step < high_ns * headroom


@pytest.mark.parametrize("text", ["0.9", "11", "much", "nan", "-1", ""])
def test_a_wrong_headroom_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_headroom(text)
    assert str(caught.value) == f"--headroom {text!r}: write a number from 1 to 10, such as 1.3"


def spread(count: int, low_ns: int, high_ns: int) -> NDArray[np.int64]:
    """Latencies in no order, so that their interval is as narrow as their number allows."""
    return np.random.default_rng(0).integers(low_ns, high_ns, size=count)


STEADY = measured(MET, spread(2_000, 4_000_000, 4_100_000), ON_CPU)


def test_every_limit_comes_with_its_evidence() -> None:
    assert lines(STEADY) == [
        (
            "# Proposed by voiceflow calibrate from the session of 2026-01-02T03:04:05+00:00 "
            "(commit 0123abc+changes, Intel(R) Xeon(R) Processor):"
        ),
        "# the upper end of each interval x 1.3, rounded up to two digits.",
        "",
        "[[objective]]",
        'model = "fast-cnn"',
        'stage = "model-inference"',
        'target = "cpu"',
        "# P50 4.05 ms [4.05 ms, 4.06 ms] at 99 % confidence, 2 000 samples over 16 s; MET at 5 ms",
        'p50 = "5.3ms"',
        "# P99 4.1 ms [4.1 ms, 4.1 ms] at 99 % confidence, 2 000 samples over 16 s; MET at 10 ms",
        'p99 = "5.4ms"',
    ]


def test_the_whole_set_says_why_something_is_left_out() -> None:
    said = lines(*RESULTS, plan=SESSION.planned)
    found = {entry["model"]: entry for entry in tomllib.loads("\n".join(said))["objective"]}
    assert INVALID.model not in found
    assert f"# no limit for {INVALID.label}: P99: INVALID: {ELSEWHERE.sentence}" in said
    assert f"# no limit for {SKIPPED.label}: not measured: cuda-a100 was not asked for: add --gpu=a100" in said
    assert "# no limit for last-cnn · model-inference · cpu: not measured: the run did not get to it" in said
    # Their samples rise from the first to the last: only the verdict bounds them.
    assert (
        f"# no limit for {MET.label}: P99: 2 000 samples speak for none below the present 10 ms; "
        "write a limit near the measured 4.2 ms and measure again, which takes more samples"
    ) in said


def test_how_it_was_measured_is_proposed_with_the_limit() -> None:
    plan, taken = planned("t", "m", P99=9_000_000), spread(2_000, 4_000_000, 4_100_000)
    run = run_of(taken, scheduler=scheduled(taken, waited_over_ns=4_050_000), mode=Mode.PACED, interval_ns=12_500_000)
    (found,) = tomllib.loads("\n".join(lines(measured(plan, run, ON_CPU, clock=ClockChannel.ADJUSTED))))["objective"]
    assert (found["clock"], found["mode"], found["interval"]) == ("adjusted", "paced", "12.5ms")


def test_what_is_printed_can_be_pasted() -> None:
    text = "\n".join(lines(STEADY))
    sla = parse_sla(f'version = 1\n[models.fast-cnn]\nfile = "m.onnx"\n{text}', Path("sla.toml"))
    assert [objective.limit_ns for objective in sla.promises[0].objectives] == [5_300_000, 5_400_000]


def test_a_promise_that_two_tests_measured_gets_the_larger_limit() -> None:
    slow, fast = (
        measured(planned(name, "m", P99=50_000_000), spread(2_000, low_ns, low_ns + 100_000), ON_CPU)
        for name, low_ns in (("test_slow", 8_000_000), ("test_fast", 4_000_000))
    )
    assert lines(slow, fast) == lines(fast, slow) == lines(slow)


def test_too_few_samples_and_nothing_at_all_are_refused() -> None:
    few = measured(planned("test_few", "m", P99=50_000_000), spread(100, 4_000_000, 4_100_000), ON_CPU)
    with pytest.raises(
        ResultError, match=r"no limit can be proposed: m · .*: 100 samples give its interval no upper end"
    ):
        lines(few)
    with pytest.raises(ResultError, match="no limit can be proposed: the session planned no test"):
        lines(plan=())


@given(st.text())
def test_no_name_breaks_the_toml(name: str) -> None:
    renamed = replace(STEADY, planned=replace(MET, model=name + NASTY))
    (found,) = tomllib.loads("\n".join(lines(renamed)))["objective"]
    assert (found["model"], found["p99"]) == (name + NASTY, "5.4ms")


def test_the_command(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.write_session(replace(SESSION, planned=(MET,)))
    store.write_result(STEADY, 0)
    done = CliRunner().invoke(app, ["calibrate", str(tmp_path), "--headroom", "2"])
    assert done.exit_code == 0
    assert tomllib.loads(done.output)["objective"] == [
        {"model": "fast-cnn", "stage": "model-inference", "target": "cpu", "p50": "8.2ms", "p99": "8.2ms"}
    ]
