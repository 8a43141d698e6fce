"""``voiceflow evaluate``: DER of a diarizer on recordings with references."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.diarize import (
    Correct,
    EncoderOption,
    Latency,
    Model,
    Settings,
    Streamed,
    Streaming,
    Threads,
    opened,
)
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.files import write_text_atomic

if TYPE_CHECKING:
    from voiceflow_ml.diarization.scoring import Errors


def evaluate_command(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of audio with an .rttm of the same name beside each, such audio files, "
            'or .json lists of {"audio": ..., "rttm": ...}.'
        ),
    ],
    collar: Annotated[float, typer.Option(help="Seconds left out around each edge, half on either side.")] = 0.0,
    skip_overlap: Annotated[bool, typer.Option("--skip-overlap", help="Leave overlapped speech out.")] = False,
    true_count: Annotated[bool, typer.Option("--true-count", help="Tell how many speakers there are.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="File for the scores and what they rest on.")] = None,
    streaming: Streaming = False,
    latency: Latency = 2.0,
    correct: Correct = 300.0,
    encoder: EncoderOption = Encoder.OWN,
    model: Model = None,
    threads: Threads = 1,
    settings: Settings = None,
) -> None:
    """Score who-speaks-when of whole recordings: DER with its parts, for each file and in total."""
    with needs_extra("evaluate"):
        importlib.import_module("pyannote.metrics.diarization")
    diarizer = opened(model, encoder, threads, settings, Streamed(latency, correct) if streaming else None)
    from voiceflow_ml.diarization.evaluation import Evaluation, evaluate, find_pairs  # noqa: PLC0415
    from voiceflow_ml.diarization.scoring import Rules  # noqa: PLC0415

    rules = Rules(collar, skip_overlap)
    pairs = find_pairs(recordings)
    width = max(len("total"), *(len(pair.name) for pair in pairs))
    typer.echo(f"DER in % of the reference speech, {rules}{', number of speakers given' if true_count else ''}")
    files = []
    for file in evaluate(pairs, diarizer, rules, true_count=true_count):
        files.append(file)
        typer.echo(f"{file.name:<{width}}  {_line(file.errors)}  {file.found} of {file.speakers} speakers")
    result = Evaluation(tuple(files), rules)
    typer.echo(f"{'total':<{width}}  {_line(result.total)}  RTF {result.rtf:.3f}")
    if out is not None:
        how = {"encoder": str(encoder), "threads": threads, "true_count": true_count, "streaming": streaming}
        basis = {"model": diarizer.model_facts, **how, "config": asdict(diarizer.config)}
        write_text_atomic(out, json.dumps({**result.to_dict(), **basis}, indent=1) + "\n")


def _line(errors: Errors) -> str:
    if errors.reference_s <= 0.0:
        return f"no speech in the reference, {errors.false_alarm_s:.1f} s of false alarm"
    parts = (errors.missed_s, errors.false_alarm_s, errors.confused_s)
    missed, false_alarm, confused = (100.0 * part / errors.reference_s for part in parts)
    total = missed + false_alarm + confused
    return f"DER {total:6.2f} = missed {missed:6.2f} + false alarm {false_alarm:6.2f} + confused {confused:6.2f}"
