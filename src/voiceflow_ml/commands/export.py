"""``voiceflow export`` and ``voiceflow export-triton``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.data import DEFAULT_DATA_DIR
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.files import write_text_atomic

if TYPE_CHECKING:
    from voiceflow_ml.export import ExportResult

_EXPORT_HELP = """\
Export a checkpoint: a portable fp32 file, the variants that are asked for, and proof of each on real speech.

Every variant is compared with the trained network over the whole evaluation set and scored there; int8 may cost one \
point of error rate. Rewritten graphs are kept only where --tune measured them to be faster on this machine, in turns. \
An export that was stopped goes on where it was; nothing in OUT changes before all is proven.

\b
Examples:
  voiceflow export runs/fast-cnn/checkpoint.pt --out out
  voiceflow export runs/fast-cnn/checkpoint.pt --out out --precision fp32,int8 --data data/speech --tune
  voiceflow export runs/fast-cnn-voices/checkpoint.pt --segmentation runs/fast-cnn-segmentation/checkpoint.pt --out out
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("export", help=_EXPORT_HELP)(export_command)
    app.command("export-triton")(export_triton_command)


def export_command(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt of a training run.")],
    out: Annotated[Path, typer.Option(help="Folder for the models, the contract and the record.")],
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8, joined by commas.")] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that `voiceflow data prepare` filled (default: data/speech where it is there)."),
    ] = None,
    conversations: Annotated[int, typer.Option(min=1, help="Simulated conversations of 30 s to score per split.")] = 60,
    recordings: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of whole recordings with an .rttm beside each, to score on; repeatable."),
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Try rewritten graphs, measured in turns.")] = False,
    sla: Annotated[Path | None, typer.Option(help="sla.toml whose promises the model is made for.")] = None,
    licence: Annotated[str, typer.Option(help="SPDX expression of the weights' licence.")] = "MIT",
    segmentation: Annotated[
        Path | None,
        typer.Option(help="checkpoint.pt of a second run, whose segmentation branch is taken (fast-cnn only)."),
    ] = None,
) -> None:
    """Export a checkpoint; the help text is ``_EXPORT_HELP``."""
    with needs_extra("export"):
        from voiceflow_ml.export import ExportOptions, export, load_source, load_speech  # noqa: PLC0415
        from voiceflow_ml.export.options import parse_precisions  # noqa: PLC0415
        from voiceflow_ml.export.promised import promises_for  # noqa: PLC0415
    precisions = parse_precisions(precision)
    source = load_source(checkpoint, segmentation)
    folder = _speech_folder(data)
    if recordings:
        with needs_extra("evaluate"):
            importlib.import_module("pyannote.metrics.diarization")
    speech = load_speech(folder, conversations=conversations, recordings=recordings or ())
    options = ExportOptions(precisions, tune, promises_for(sla, source.name) if sla else (), licence)
    result = export(source, out, speech, options, say=typer.echo)
    _write_card(result)
    for line in _lines(result):
        typer.echo(line)


def export_triton_command(
    model: Annotated[Path, typer.Argument(help="An .onnx file that carries its contract.")],
    repository: Annotated[Path, typer.Option(help="Folder of the Triton repository.")],
    version: Annotated[int, typer.Option(min=1, help="Number of the version in it.")] = 1,
    kind: Annotated[str, typer.Option(help="cpu or gpu.")] = "cpu",
    instances: Annotated[int, typer.Option(min=1, help="Copies of the model on each device.")] = 1,
    largest_batch: Annotated[int, typer.Option(min=0, help="Join requests up to this many rows; 0 for never.")] = 0,
) -> None:
    """Add a model to a Triton Inference Server repository."""
    with needs_extra("export"):
        from voiceflow_ml.export.triton import TritonOptions, export_triton  # noqa: PLC0415
    folder = export_triton(model, repository, TritonOptions(version, kind, instances, largest_batch))
    typer.echo(f"{folder}: config.pbtxt and {version}/model.onnx")


def _speech_folder(given: Path | None) -> Path | None:
    """The folder of prepared speech, where there is one; said to who waits."""
    folder = given or (DEFAULT_DATA_DIR if (DEFAULT_DATA_DIR / "manifest.json").is_file() else None)
    if folder is None:
        typer.echo(
            "no data folder: calibrated and compared on the speech that ships in the package, and not scored "
            "(voiceflow data prepare, then --data)"
        )
    else:
        typer.echo(f"speech: {folder}")
    return folder


def _write_card(result: ExportResult) -> None:
    from voiceflow_ml.registry.publish import CARD_FILE  # noqa: PLC0415
    from voiceflow_ml.reporting.model_card import TEMPLATES, render_card  # noqa: PLC0415

    write_text_atomic(result.folder / CARD_FILE, render_card(result.folder, TEMPLATES))


def _lines(result: ExportResult) -> list[str]:
    lines = []
    for precision, variant in result.variants.items():
        scores = [f"{split} local DER {counts['local_der_percent']} %" for split, counts in variant.scores.items()]
        scores += [f"{name} DER {counts.get('der_percent', '?')} %" for name, counts in variant.recordings.items()]
        errors = ", ".join(f"{name} {error:.2g}" for name, error in variant.parity.max_abs_error.items())
        lines.append(f"{precision}: {variant.path} ({variant.size_bytes / 1e6:.2f} MB) sha256 {variant.sha256}")
        lines.append(f"  largest difference to torch over {variant.parity.windows} windows: {errors}")
        lines.append(f"  {', '.join(scores) or 'not scored'}")
        lines += [f"  {note}" for note in variant.notes]
    return lines
