"""The words of ``voiceflow compare``: its answer, and its progress while it measures."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.result_set import ON_CPU, against
from voiceflow_ml.commands.answer import EXIT_CODES, Answer, answer_lines, answer_to_dict
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import Change, Channels, Progress
from voiceflow_ml.units import NS_PER_S

HOW = "both were measured now, in turns over 41 s, because numbers of other sessions are not comparable."


def answer(*changes: Change, findings: tuple[Finding, ...] = (ON_CPU,)) -> Answer:
    """An answer at P50, P90, P99, with these changes."""
    found = against((0.5, 0.9, 0.99)[: len(changes)], 1.0)
    comparisons = (replace(one, outcome=change) for one, change in zip(found.comparisons, changes, strict=True))
    found = replace(found, baseline="old.onnx", comparisons=tuple(comparisons), findings=findings)
    return Answer(found, "new.onnx", "cpu", "x: zeros", 41 * NS_PER_S)


@pytest.mark.parametrize("changes", list(itertools.product(Change, repeat=2)))
def test_the_worst_of_the_answers_is_the_exit_status(changes: tuple[Change, Change]) -> None:
    expected = 1 if Change.SLOWER in changes else 3 if Change.INCONCLUSIVE in changes else 0
    assert EXIT_CODES[answer(*changes).outcome] == expected


def test_the_conclusion_names_the_quantiles_that_decided_it() -> None:
    slower, fine, open_ = Change.SLOWER, Change.NOT_SLOWER, Change.INCONCLUSIVE
    said = [answer_lines(answer(*changes))[-1] for changes in ((slower, open_, slower), (fine, open_), (fine,) * 3)]
    assert said == [
        f"new.onnx is slower than old.onnx at P50 and P99 by more than the tolerance: {HOW}",
        f"Whether new.onnx is slower than old.onnx at P90 by more than the tolerance is open: {HOW}",
        f"new.onnx is not slower than old.onnx at P50, P90 and P99 beyond the tolerance: {HOW}",
    ]


def test_lines_are_aligned_and_what_is_open_says_what_it_needs() -> None:
    lines = answer_lines(answer(Change.NOT_SLOWER, Change.INCONCLUSIVE))
    assert lines[0].startswith("NOT SLOWER     P50  ")
    assert lines[1].startswith("INCONCLUSIVE   P90  ")
    assert lines[2].startswith("  P90 is ")
    assert len(lines) == 4


def test_an_invalid_answer_says_nothing_else() -> None:
    elsewhere = Finding(Severity.INVALID, "candidate: 1 of 2 nodes ran on the CPU", "export it again")
    late = Finding(Severity.CAUTION, "candidate: no steady state")
    invalid = answer(Change.SLOWER, findings=(ON_CPU, elsewhere, late))
    row, caution, sentence = answer_lines(invalid)
    assert (invalid.outcome, EXIT_CODES[invalid.outcome]) == ("INVALID", 4)
    assert row.startswith("INVALID   P50  ")
    assert caution == "caution: candidate: no steady state"
    assert sentence == f"Whether new.onnx is slower than old.onnx is not answered: {elsewhere.sentence}."


def test_an_answer_as_json_keeps_the_samples_and_the_facts() -> None:
    slower = answer(Change.SLOWER)
    content = json.loads(json.dumps(answer_to_dict(slower, machine={"CPU": "x"})))
    assert (content["outcome"], content["machine"], content["span_ns"]) == ("SLOWER", {"CPU": "x"}, 41 * NS_PER_S)
    assert content["against"]["comparisons"][0]["outcome"] == "SLOWER"
    assert content["against"]["candidate_ns"] == list(slower.against.candidate_ns)


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and has no size to ask for."""

    def isatty(self) -> bool:
        return True


def progress(samples: int, elapsed_s: float) -> Progress:
    nothing = Channels(np.zeros(0, dtype=np.int64), None, "")
    return Progress(samples, 2_000, 2_000, round(elapsed_s * NS_PER_S), 180 * NS_PER_S, lambda: nothing)


def test_a_log_gets_a_plain_line_every_ten_seconds() -> None:
    log = io.StringIO()
    with ProgressLine(log, "new against old") as line:
        for samples in range(0, 2_000, 10):
            line.watch(progress(samples, samples / 100))
    assert log.getvalue().splitlines() == [
        "new against old: 0/2 000 samples of each, at most 180 s left",
        "new against old: 1 000/2 000 samples of each, at most 170 s left",
    ]


def test_a_terminal_gets_one_line_that_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    with ProgressLine(screen, "new against old") as line:
        line.watch(progress(10, 0.0))
        line.watch(progress(20, 0.1))
        line.watch(progress(30, 0.2))
        line.say("x" * 200)
    written = screen.getvalue().split("\r\x1b[2K")
    assert [text.partition("/")[0] for text in written] == [
        *("", "new against old: 10", "new against old: 30"),
        *(f"new against old: {'x' * 62}", ""),
    ]
    assert "\n" not in screen.getvalue()


def test_a_dumb_terminal_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Terminal()
    with ProgressLine(screen, "a") as line:
        line.say("b")
    assert screen.getvalue() == "a: b\n"
