"""``voiceflow train``: one loop for every network, and a picture of what it learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from voiceflow_ml.commands.data import DEFAULT_DATA_DIR
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.architectures import ARCHITECTURES

if TYPE_CHECKING:
    import torch

    from voiceflow_ml.training.config import TrainConfig
    from voiceflow_ml.training.simulate.bank import SpeechBank

PLOT_NAME = "learning-curve.svg"

app = typer.Typer(help="Train a model on simulated conversations of real voices.", no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="Run folder; a run that was stopped continues there.")]
Data = Annotated[Path, typer.Option(help="Folder that `voiceflow data prepare` filled.")]
PresetName = Annotated[
    Literal["small", "full"], typer.Option("--preset", help="small: minutes on a CPU; full: hours, or a GPU.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimizer steps (default: the preset's).")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights and conversations.")]
Minutes = Annotated[float | None, typer.Option(help="Stop and save after this much time; the next call goes on.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto takes a GPU if there is one.")
]
PrecisionName = Annotated[
    Literal["fp32", "bf16", "fp16"] | None,
    typer.Option("--precision", help="fp16 is for GPUs without bf16, such as a T4 (default: the preset's)."),
]
ValidateEvery = Annotated[
    int | None, typer.Option(min=0, help="Steps between two scorings on the dev speakers; 0 for none.")
]
Patience = Annotated[
    int | None, typer.Option(min=0, help="Scorings without a better one that end the run; 0 to never end it early.")
]

Start = Annotated[Path, typer.Argument(help="checkpoint.pt of a Fast CNN's run, or an exported .onnx with its record.")]
ShortWindows = Annotated[
    bool, typer.Option("--short-windows", help="Windows of 1.2 to 3 s, as short as the diarizer's (default: 3 s up).")
]


def _plain_command(architecture: str) -> Callable[..., None]:
    """The command of a network that has no options of its own."""

    def train_it(
        out: Out = Path("runs") / architecture,
        data: Data = DEFAULT_DATA_DIR,
        preset_name: PresetName = "full",
        steps: Steps = None,
        seed: Seed = 0,
        minutes: Minutes = None,
        device: Device = "auto",
        precision: PrecisionName = None,
        validate_every: ValidateEvery = None,
        patience: Patience = None,
    ) -> None:
        with needs_extra("train"):
            from voiceflow_ml.training.presets import plain_run  # noqa: PLC0415
        given = {"steps": steps, "precision": precision, "validate_every": validate_every, "patience": patience}
        _train(_changed(plain_run(architecture, preset_name), seed, given), out, data, minutes=minutes, device=device)

    return train_it


for _name, _architecture in ARCHITECTURES.items():
    if _architecture.about:
        app.command(_name, help=_architecture.about)(_plain_command(_name))


@app.command("transformer")
def train_transformer(
    out: Out = Path("runs/transformer"),
    data: Data = DEFAULT_DATA_DIR,
    preset_name: PresetName = "full",
    pretrained: Annotated[
        str, typer.Option(help="Pretrained wav2vec2 encoder: a name on the model hub or a folder (default: random).")
    ] = "",
    head: Annotated[Literal["lstm", "linear"], typer.Option(help="What follows the encoder.")] = "lstm",
    steps: Steps = None,
    seed: Seed = 0,
    minutes: Minutes = None,
    device: Device = "auto",
    precision: PrecisionName = None,
    validate_every: ValidateEvery = None,
    patience: Patience = None,
) -> None:
    """Train the sophisticated model: a wav2vec2 encoder with a recurrent or linear head."""
    with needs_extra("train"):
        from voiceflow_ml.models.transformer import pretrained_shape  # noqa: PLC0415
        from voiceflow_ml.training.presets import transformer_run  # noqa: PLC0415
    shape = pretrained_shape(pretrained) if pretrained else None
    config = transformer_run(preset_name, head=head, pretrained=pretrained, shape=shape)
    given = {"steps": steps, "precision": precision, "validate_every": validate_every, "patience": patience}
    _train(_changed(config, seed, given), out, data, minutes=minutes, device=device)


@app.command("voices")
def train_voices(
    start: Start,
    out: Out = Path("runs/fast-cnn-voices"),
    data: Data = DEFAULT_DATA_DIR,
    steps: Steps = None,
    seed: Seed = 0,
    minutes: Minutes = None,
    device: Device = "auto",
    precision: PrecisionName = None,
    short_windows: ShortWindows = False,
) -> None:
    """Go on with the voice branch of a Fast CNN alone, clip by clip as the teacher hears; needs `data teach`."""
    with needs_extra("train"):
        from voiceflow_ml.training.presets import short_voices_run, voices_run  # noqa: PLC0415
    given = {"steps": steps, "precision": precision}
    build = short_voices_run if short_windows else voices_run
    _go_on(build, start, out, data, given, seed=seed, minutes=minutes, device=device)


@app.command("segmentation")
def train_segmentation(
    start: Start,
    out: Out = Path("runs/fast-cnn-segmentation"),
    data: Data = DEFAULT_DATA_DIR,
    steps: Steps = None,
    seed: Seed = 0,
    minutes: Minutes = None,
    device: Device = "auto",
    precision: PrecisionName = None,
    short_windows: ShortWindows = False,
) -> None:
    """Go on with the segmentation of a Fast CNN alone, on more crowded conversations."""
    with needs_extra("train"):
        from voiceflow_ml.training.presets import segmentation_run, short_segmentation_run  # noqa: PLC0415
    given = {"steps": steps, "precision": precision}
    build = short_segmentation_run if short_windows else segmentation_run
    _go_on(build, start, out, data, given, seed=seed, minutes=minutes, device=device)


@app.command("plot")
def plot_command(
    run: Annotated[Path, typer.Argument(help="Run folder of a training.")],
    out: Annotated[Path | None, typer.Option(help=f"The SVG file (default: {PLOT_NAME} in the run folder).")] = None,
) -> None:
    """Draw the learning curve of a run."""
    drawn = _plot(run, out or run / PLOT_NAME)
    if drawn is None:
        raise ConfigError(f"{run}: no learning curve here; voiceflow train writes it into its run folder")
    typer.echo(str(drawn))


def _go_on(
    build: Callable[[TrainConfig, str], TrainConfig],
    start: Path,
    out: Path,
    data: Path,
    given: Mapping[str, int | str | None],
    *,
    seed: int,
    minutes: float | None,
    device: str,
) -> None:
    """A run that begins with another's weights, and trains one branch of them."""
    with needs_extra("train"):
        from voiceflow_ml.files import hash_file  # noqa: PLC0415
        from voiceflow_ml.training.checkpoint import load_checkpoint  # noqa: PLC0415
        from voiceflow_ml.training.exported import exported_config, read_exported  # noqa: PLC0415
        from voiceflow_ml.training.simulate.bank import load_bank  # noqa: PLC0415
        from voiceflow_ml.training.train import begin  # noqa: PLC0415
    checkpoint = None if start.suffix == ".onnx" else load_checkpoint(start)
    earlier = exported_config(start) if checkpoint is None else checkpoint.config
    if earlier.architecture != "fast-cnn":
        raise ConfigError(f"{start}: a {earlier.architecture} has one branch; only a fast-cnn has two")
    config = _changed(build(earlier, hash_file(start)), seed, given)
    bank = load_bank(data, "train")
    begin(config, bank, out, lambda: checkpoint or read_exported(start, bank))
    _train(config, out, data, bank=bank, minutes=minutes, device=device)


def _changed(config: TrainConfig, seed: int, given: Mapping[str, int | str | None]) -> TrainConfig:
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(config, seed=seed, **changes)  # type: ignore[arg-type]


def _train(
    config: TrainConfig, out: Path, data: Path, *, minutes: float | None, device: str, bank: SpeechBank | None = None
) -> None:
    with needs_extra("train"):
        from voiceflow_ml.training.simulate.bank import load_bank  # noqa: PLC0415
        from voiceflow_ml.training.train import train  # noqa: PLC0415
    max_seconds = math.inf if minutes is None else 60.0 * minutes
    checkpoint = train(
        config,
        bank or load_bank(data, "train"),
        out,
        progress=typer.echo,
        dev=load_bank(data, "dev") if config.validate_every else None,
        device=_device(device),
        max_seconds=max_seconds,
    )
    drawn = _plot(out, out / PLOT_NAME)
    if drawn is not None:
        typer.echo(f"learning curve: {drawn}")
    typer.echo(f"checkpoint: {checkpoint}")


def _device(name: str) -> torch.device:
    import torch  # noqa: PLC0415

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: PyTorch finds no GPU here; use --device cpu, or install a build with CUDA")
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def _plot(run: Path, out: Path) -> Path | None:
    """Draw a run's curve; ``None`` when it has no line yet."""
    with needs_extra("train"):
        from voiceflow_ml.commands.learning_curve import draw_curves  # noqa: PLC0415
        from voiceflow_ml.training.curve import (  # noqa: PLC0415
            CURVE_NAME,
            DEV_CURVE_NAME,
            CurvePoint,
            DevPoint,
            read_curve,
        )
    curve = read_curve(run / CURVE_NAME, CurvePoint)
    if not curve:
        return None
    drawing = draw_curves(curve, read_curve(run / DEV_CURVE_NAME, DevPoint))
    write_text_atomic(out, drawing.standalone())
    return out
