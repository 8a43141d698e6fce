"""``voiceflow report``: reports from result files, without measuring again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Reports from result files.", no_args_is_help=True)


@app.callback()
def _report() -> None:
    """Keep ``render`` a sub-command although it is the only one."""


@app.command("render")
def render_command(
    results: Annotated[Path, typer.Argument(help="Folder of one session, such as reports/results/20260101T120000Z-7.")],
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("reports/PERFORMANCE_ANALYSIS.md"),
    templates: Annotated[Path, typer.Option(help="Templates here replace the packaged ones.")] = Path(
        "reports/templates"
    ),
) -> None:
    """Render the report of a session again, also of one that was killed half-way."""
    from voiceflow_ml.reporting.render import render_report  # noqa: PLC0415
    from voiceflow_ml.results.store import read_session, write_atomically  # noqa: PLC0415

    session, finished = read_session(results)
    write_atomically(out, render_report(session, finished, templates))
    typer.echo(str(out))
