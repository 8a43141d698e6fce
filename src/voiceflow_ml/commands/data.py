"""``voiceflow data``: fetch and label real speech, build the shipped sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voiceflow_ml.commands.extras import needs_extra

DEFAULT_DATA_DIR = Path("data/speech")

app = typer.Typer(help="Real human speech from Debian packages.", no_args_is_help=True)


@app.command("prepare")
def prepare_command(
    out: Annotated[Path, typer.Option(help="Folder for the data; a second run continues there.")] = DEFAULT_DATA_DIR,
    package: Annotated[list[str] | None, typer.Option(help="Only this package; may repeat.")] = None,
) -> None:
    """Fetch, decode, label and split the listed packages, and write a manifest."""
    with needs_extra("train"):
        from voiceflow_ml.training.data.prepare import prepare  # noqa: PLC0415
        from voiceflow_ml.training.data.sources import select_sources  # noqa: PLC0415
    manifest = prepare(out, select_sources(tuple(package or ())), typer.echo)
    typer.echo(f"manifest: {manifest}")


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
