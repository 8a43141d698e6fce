"""``voiceflow compare``: is one model slower than another, measured side by side now?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voiceflow_ml.commands.inputs import FORMS, make_inputs, parse_inputs, shared_inputs
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.commands.question import Question, read_question
from voiceflow_ml.errors import TargetError
from voiceflow_ml.units import format_ns

if TYPE_CHECKING:
    from voiceflow_ml.commands.answer import Answer
    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.inference.ort import OnnxModel
    from voiceflow_ml.latency import Run

# One line to a paragraph: the terminal wraps it. \b keeps the lines of the examples as they are.
_HELP = """\
Is CANDIDATE slower than BASELINE? Both are measured now, in turns, in this one process.

Numbers of other sessions are not comparable: on shared machines two sessions of the same model differ by more than \
most changes do. That is why both models are measured now, in pairs of blocks of ten calls in random order.

\b
Examples:
  voiceflow compare old.onnx new.onnx --input audio=builtin:speech
  voiceflow compare git:main model.onnx --quantile p99 --tolerance 5%

With git:REF the baseline is CANDIDATE's own file as it was at that ref. A WAV gives its first 3 s, or all if shorter.

\b
Exit status:
  0  NOT SLOWER at every quantile
  1  SLOWER at one or more, by more than the tolerance
  2  wrong usage, or a file that cannot be used
  3  INCONCLUSIVE at one or more, SLOWER at none
  4  INVALID: a model did not run on the target, or is too fast for the clock
"""

_Quantiles = Annotated[
    list[str] | None,
    typer.Option("--quantile", help="A percentile, such as p95; may repeat (default: p50 and p99)."),
]
_Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", help=f"{FORMS}; may repeat (default: synthetic values where the shape is fixed)."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("compare", help=_HELP)(compare_command)


def compare_command(
    baseline: Annotated[str, typer.Argument(help="The model that is known: an .onnx file, or git:REF.")],
    candidate: Annotated[Path, typer.Argument(help="The model that is asked about: an .onnx file.")],
    quantiles: _Quantiles = None,
    confidence: Annotated[float, typer.Option(help="Confidence of each answer, from 0.5 to below 1.")] = 0.99,
    tolerance: Annotated[
        str | None, typer.Option(help="Slowdown that is let pass: 0.1 or 10% (default: 5% below p90, 10% from it on).")
    ] = None,
    target: Annotated[str, typer.Option(help="Where both must run: cpu, cuda-t4, ...")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Intra-op threads of a CPU session.")] = 1,
    inputs: _Inputs = None,
    span: Annotated[
        str | None, typer.Option(help="Time that the pairs are spread over; 0s for no gaps (default: 10s to 100s).")
    ] = None,
    time_budget: Annotated[str, typer.Option(help="Longest time that it may take.")] = "300s",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything to this file, raw samples too.")
    ] = None,
) -> None:
    """Compare two models; the help text is ``_HELP``."""
    from voiceflow_ml.commands.answer import EXIT_CODES, answer_lines  # noqa: PLC0415

    asked = read_question(
        baseline,
        candidate,
        quantiles=quantiles or ["p50", "p99"],
        confidence=confidence,
        tolerance=tolerance,
        target=target,
        span=span,
        time_budget=time_budget,
    )
    declared = parse_inputs(inputs or [])
    old, new = _open_both(asked, threads)
    answer = _answer(asked, old, new, *make_inputs(shared_inputs(old, new), declared))
    for line in answer_lines(answer):
        typer.echo(line)
    if json_file is not None:
        _write_json(json_file, answer, old, new)
    raise typer.Exit(EXIT_CODES[answer.outcome])


def _open_both(asked: Question, threads: int) -> tuple[OnnxModel, OnnxModel]:
    from voiceflow_ml.hardware.probe import probe_gpus  # noqa: PLC0415
    from voiceflow_ml.inference.baseline import open_baseline  # noqa: PLC0415
    from voiceflow_ml.inference.ort import open_onnx  # noqa: PLC0415

    if asked.target.is_cuda:
        found = probe_gpus()
        if not found.has(asked.target):
            raise TargetError(
                f"--target {asked.target.name} asks for {asked.target.device_name!r}, found: {found.describe()}; "
                "run on a machine that has one"
            )
    new = open_onnx(asked.candidate, asked.target, threads=threads)
    return open_baseline(asked.baseline, new, Path()), new


def _answer(asked: Question, old: OnnxModel, new: OnnxModel, arrays: dict[str, Any], inputs: str) -> Answer:
    from voiceflow_ml.commands.answer import Answer  # noqa: PLC0415
    from voiceflow_ml.results.compared import compared  # noqa: PLC0415
    from voiceflow_ml.results.measurement import Against  # noqa: PLC0415

    placed = [*_named("baseline", old.findings()), *_named("candidate", new.findings())]
    nothing = Against(asked.baseline, old.sha256, (), tuple(placed), (), ())
    answer = Answer(nothing, str(asked.candidate), asked.target.name, inputs, span_ns=0)
    if answer.problems:
        # Whatever was measured now would not count.
        return answer
    runs = _measure(asked, old, new, arrays)
    against = compared(
        *runs,
        quantiles=asked.quantiles,
        confidence=asked.confidence,
        baseline=asked.baseline,
        sha256=old.sha256,
        findings=[
            *placed,
            *_named("baseline", _of_run(runs[0])),
            *_named("candidate", _of_run(runs[1])),
            *_of_pair(runs[1], old, new),
        ],
        tolerance=asked.tolerance,
    )
    return replace(answer, against=against, span_ns=runs[1].span_ns)


def _measure(asked: Question, old: OnnxModel, new: OnnxModel, arrays: dict[str, Any]) -> tuple[Run, Run]:
    from voiceflow_ml.hardware.device_lock import device_lock  # noqa: PLC0415
    from voiceflow_ml.latency import measure_pair  # noqa: PLC0415
    from voiceflow_ml.results.compared import pair_plan  # noqa: PLC0415

    plan = pair_plan(asked.quantiles, span_ns=asked.span_ns, time_budget_ns=asked.time_budget_ns)
    known, asked_about = (model.bind(*(arrays[info.name] for info in model.inputs)) for model in (old, new))
    with (
        ProgressLine(sys.stderr, f"{asked.candidate.name} against {asked.baseline}") as line,
        device_lock("cuda" if asked.target.is_cuda else "cpu", line.say),
    ):
        line.say("warming up")
        return measure_pair(known, asked_about, plan, watch=line.watch)


def _named(whose: str, findings: Iterable[Finding | None]) -> list[Finding]:
    """Findings that say which of the two models they are about."""
    return [replace(finding, fact=f"{whose}: {finding.fact}") for finding in findings if finding is not None]


def _of_run(run: Run) -> list[Finding | None]:
    from voiceflow_ml.hardware.evidence import timer_finding, warmup_finding  # noqa: PLC0415
    from voiceflow_ml.hardware.probe import clock_step_ns  # noqa: PLC0415
    from voiceflow_ml.latency import percentile  # noqa: PLC0415

    return [
        timer_finding(clock_step_ns(), percentile(run.samples_ns, 0.5)),
        warmup_finding(run.warmup.steady, len(run.warmup.pilot_ns)),
    ]


def _of_pair(run: Run, old: OnnxModel, new: OnnxModel) -> list[Finding]:
    """What is known about the pair as a whole."""
    from voiceflow_ml.hardware.evidence import SHORT_SPAN_NS, Finding, Severity  # noqa: PLC0415

    found = []
    if run.span_ns < SHORT_SPAN_NS:
        fact = f"the pairs span only {format_ns(run.span_ns)}, which judges a moment of the machine"
        found.append(Finding(Severity.CAUTION, fact, "spread them over at least 10 s (--span 10s)"))
    if old.sha256 == new.sha256:
        found.append(Finding(Severity.CAUTION, "both models are the same file", "check which versions are meant"))
    return found


def _write_json(path: Path, answer: Answer, old: OnnxModel, new: OnnxModel) -> None:
    from voiceflow_ml.commands.answer import answer_to_dict  # noqa: PLC0415
    from voiceflow_ml.hardware.probe import probe_machine  # noqa: PLC0415
    from voiceflow_ml.results.store import write_atomically  # noqa: PLC0415

    content = answer_to_dict(answer, machine=probe_machine(), baseline_facts=old.facts(), candidate_facts=new.facts())
    write_atomically(path, json.dumps(content, indent=1) + "\n")
