"""``voiceflow data``: fetch and label real speech, simulate conversations, build the shipped sample."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.errors import ConfigError

DEFAULT_DATA_DIR = Path("data/speech")

app = typer.Typer(help="Real human speech from Debian packages.", no_args_is_help=True)


@app.command("prepare")
def prepare_command(
    out: Annotated[Path, typer.Option(help="Folder for the data; a second run continues there.")] = DEFAULT_DATA_DIR,
    package: Annotated[list[str] | None, typer.Option(help="Only this package; may repeat.")] = None,
) -> None:
    """Fetch, decode, label and split the listed packages and the real meetings, and write a manifest."""
    with needs_extra("train"):
        from voiceflow_ml.training.data.meetings import prepare_meetings  # noqa: PLC0415
        from voiceflow_ml.training.data.prepare import prepare  # noqa: PLC0415
        from voiceflow_ml.training.data.sources import select_sources  # noqa: PLC0415
    manifest = prepare(out, select_sources(tuple(package or ())), typer.echo)
    if not package:
        prepare_meetings(out, typer.echo)
    typer.echo(f"manifest: {manifest}")


@app.command("teach")
def teach_command(
    data: Annotated[Path, typer.Option(help="Folder that `voiceflow data prepare` filled.")] = DEFAULT_DATA_DIR,
) -> None:
    """Let the pretrained encoder CAM++ check the speaker labels and place every training voice.

    Training imitates what is written here; without it, voices are learnt from the labels alone.
    """
    with needs_extra("train"):
        from voiceflow_ml.diarization.campplus import CampPlusEmbedder  # noqa: PLC0415
        from voiceflow_ml.training.data.teach import teach  # noqa: PLC0415
        from voiceflow_ml.training.simulate.conversation import SimulationConfig  # noqa: PLC0415
    path = teach(data, CampPlusEmbedder().whole, "campplus", SimulationConfig().speeds, typer.echo)
    typer.echo(f"teaching: {path}")


@app.command("simulate")
def simulate_command(
    out: Annotated[Path, typer.Option(help="Folder for the files; a run that was stopped continues there.")],
    data: Annotated[Path, typer.Option(help="Folder that `voiceflow data prepare` filled.")] = DEFAULT_DATA_DIR,
    split: Annotated[Literal["train", "dev", "test"], typer.Option(help="Whose voices.")] = "dev",
    count: Annotated[int, typer.Option(min=1, help="How many conversations.")] = 20,
    seconds: Annotated[float, typer.Option(help="Length of each.")] = 60.0,
    speakers: Annotated[str, typer.Option(help="How many speakers, e.g. 3 or 2..4.")] = "2..4",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")] = 0,
) -> None:
    """Simulate conversations of real voices with overlap, rooms and noise: WAV and exact RTTM."""
    wanted = _parse_range(speakers)
    with needs_extra("train"):
        from voiceflow_ml.training.simulate.bank import load_bank  # noqa: PLC0415
        from voiceflow_ml.training.simulate.conversation import SimulationConfig  # noqa: PLC0415
        from voiceflow_ml.training.simulate.corpus import CorpusConfig, write_corpus  # noqa: PLC0415
    config = CorpusConfig(split, count, seed, wanted, SimulationConfig(seconds=seconds))
    with ProgressLine(sys.stderr, "simulate") as line:

        def progress(done: int, total: int) -> None:
            # A twentieth at a time where every line stays.
            if sys.stderr.isatty() or done == total or done % max(1, total // 20) == 0:
                line.say(f"{done}/{total} conversations")

        manifest = write_corpus(load_bank(data, split), config, out, progress)
    typer.echo(f"manifest: {manifest}")


def _parse_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    if match is None:
        raise ConfigError(f"--speakers {text!r}: give a number such as 3, or a range such as 2..4")
    return int(match[1]), int(match[2] or match[1])


@app.command("sample")
def sample_command(
    out: Annotated[Path, typer.Option(help="Folder for speech.wav and speech.rttm.")],
    data: Annotated[Path, typer.Option(help="Folder that `voiceflow data prepare` filled.")] = DEFAULT_DATA_DIR,
) -> None:
    """Build the two-speaker exchange that ships in the package."""
    with needs_extra("train"):
        from voiceflow_ml.training.data.sample import write_sample  # noqa: PLC0415
    for path in write_sample(data, out):
        typer.echo(str(path))
