"""``voiceflow report``: reports from result files, without measuring again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voiceflow_ml.results.sources import Source

# One line to a paragraph: the terminal wraps it. \b keeps the lines of the examples as they are.
_MERGE_HELP = """\
Join sessions of several machines, such as a CPU runner and a T4 runner, into one session and one report.

The report says which promises have a verdict in none of the sessions, and keeps the environment of each machine, \
under the name of its folder. Hardware is never mixed inside one objective: where two folders hold the same model, \
stage and target from machines of another CPU, core count or GPU, nothing is merged.

\b
Examples:
  voiceflow report merge cpu-runner t4-runner
  voiceflow report merge monday tuesday --latest --out joint

A folder is one session, or an unpacked artifact with one session somewhere below it. The joint session is written \
to OUT/results, its report to OUT/PERFORMANCE_ANALYSIS.md, and beside it the page, the comment and the numbers for \
other programs. The exit status is 0 whatever the verdicts are: the runs themselves have passed or failed; 2 when \
nothing was merged.
"""
_DIFF_HELP = """\
Say what changed from session OLD to session NEW, and nothing else.

What makes a gate easier to pass comes first: limits that were loosened, objectives that were removed. Then verdicts \
that changed, worse first; objectives that were added; percentiles whose intervals do not overlap; and what is \
different about the machine, the versions and the model files. Percentiles are shown, not judged: numbers of \
different sessions are not comparable (voiceflow compare measures two models in turns).

\b
Examples:
  voiceflow report diff main-runner pull-request --md difference.md
  voiceflow report diff reports/results/20260101T120000Z-7 reports/results/20260102T120000Z-9 --exit-code

\b
Exit status:
  0  always, without --exit-code
  1  with --exit-code: a verdict got worse or was lost, a promise was loosened or removed
  2  wrong usage, or a folder that cannot be read
"""
_HISTORY_HELP = """\
Show each objective over all sessions in FOLDER, oldest first: its verdicts as letters, its percentile as bars.

Numbers of different machines do not compare: a bar divides them, and a warning says how many machines there are. \
A folder that cannot be read is named and left out. Comparisons with a baseline are not shown: each has a baseline \
of its own.

\b
Examples:
  voiceflow report history reports/results
  voiceflow report history artifacts --last 10 --md history.md
"""

app = typer.Typer(help="Reports from result files.", no_args_is_help=True)


@app.command("render")
def render_command(
    results: Annotated[Path, typer.Argument(help="Folder of one session, such as reports/results/20260101T120000Z-7.")],
    out: Annotated[Path, typer.Option(help="The report to write.")] = Path("reports/PERFORMANCE_ANALYSIS.md"),
    templates: Annotated[Path, typer.Option(help="Templates here replace the packaged ones.")] = Path(
        "reports/templates"
    ),
) -> None:
    """Render the report of a session again, also of one that was killed half-way, with the files beside it."""
    from voiceflow_ml.errors import ResultError  # noqa: PLC0415
    from voiceflow_ml.reporting.outputs import write_outputs  # noqa: PLC0415
    from voiceflow_ml.reporting.publish import Publisher  # noqa: PLC0415
    from voiceflow_ml.reporting.view import build_view  # noqa: PLC0415
    from voiceflow_ml.results.store import read_session  # noqa: PLC0415

    publisher = Publisher(out, templates)
    session, found = read_session(results)
    problem = publisher.publish(session, found)
    if publisher.report_written:
        typer.echo(str(out))
    if problem:
        raise ResultError(problem)
    write_outputs(session, build_view(session, found), found, (), out.parent)
    typer.echo(str(publisher.page_path))


@app.command("merge", help=_MERGE_HELP)
def merge_command(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER FOLDER...", help="Sessions to join, two or more.")],
    out: Annotated[Path, typer.Option(help="Folder of the joint report and of its results.")] = Path("reports"),
    latest: Annotated[
        bool,
        typer.Option(
            "--latest", help="Of a promise measured twice on the same hardware, keep the later; the report names both."
        ),
    ] = False,
    templates: Annotated[Path, typer.Option(help="Templates here replace the packaged ones.")] = Path(
        "reports/templates"
    ),
) -> None:
    """Join sessions; the help text is ``_MERGE_HELP``."""
    import shlex  # noqa: PLC0415

    from voiceflow_ml.reporting.text import one_line  # noqa: PLC0415
    from voiceflow_ml.reporting.view import build_view  # noqa: PLC0415
    from voiceflow_ml.results.merge import merge, write_merged  # noqa: PLC0415
    from voiceflow_ml.results.sources import read_sources  # noqa: PLC0415

    sources = read_sources(folders)
    words = ["voiceflow", "report", "merge", *map(str, folders), *["--latest"] * latest, "--out", str(out)]
    session, results = merge(sources, command=shlex.join(words), latest=latest)
    # The stamp of a run's own folder: "2026-01-02T03:04:05+00:00" -> "20260102T030405Z".
    stamp = "".join(c for c in session.started_at.partition("+")[0] if c.isalnum())
    folder = out / "results" / f"{stamp}Z-merged"
    write_merged(session, results, folder)
    for source in sources:
        state = "" if source.session.finished else ", NOT FINISHED"
        typer.echo(one_line(f"{source.name}: {source.machine}{state}"))
    view = build_view(session, results)
    typer.echo(view.headline)
    typer.echo(view.coverage)
    typer.echo(str(folder))
    render_command(folder, out / "PERFORMANCE_ANALYSIS.md", templates)


@app.command("diff", help=_DIFF_HELP)
def diff_command(
    old: Annotated[Path, typer.Argument(help="Folder of the session of before.")],
    new: Annotated[Path, typer.Argument(help="Folder of the session of now.")],
    md: Annotated[Path | None, typer.Option("--md", help="Write it as Markdown to this file, too.")] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 when something got worse, for a gate.")
    ] = False,
) -> None:
    """Compare two sessions; the help text is ``_DIFF_HELP``."""
    from voiceflow_ml.reporting.difference import (  # noqa: PLC0415
        build_difference,
        difference_lines,
        difference_markdown,
    )
    from voiceflow_ml.results.diff import diff  # noqa: PLC0415
    from voiceflow_ml.results.sources import read_source  # noqa: PLC0415
    from voiceflow_ml.results.store import write_atomically  # noqa: PLC0415

    before, now = read_source(old), read_source(new)
    difference = diff(before, now)
    view = build_difference(before, now, difference)
    typer.echo("\n".join(difference_lines(view)))
    if md is not None:
        write_atomically(md, difference_markdown(view))
    if exit_code and difference.worse:
        raise typer.Exit(1)


@app.command("history", help=_HISTORY_HELP)
def history_command(
    folder: Annotated[Path, typer.Argument(help="A folder of sessions, such as reports/results.")],
    md: Annotated[Path | None, typer.Option("--md", help="Write it as Markdown to this file, too.")] = None,
    last: Annotated[
        int, typer.Option(min=1, help="Show only this many of the latest sessions of each objective.")
    ] = 30,
) -> None:
    """Show sessions over time; the help text is ``_HISTORY_HELP``."""
    from voiceflow_ml.reporting.history import build_history, history_lines, history_markdown  # noqa: PLC0415
    from voiceflow_ml.results.store import write_atomically  # noqa: PLC0415

    sources, unread = _read_all(folder)
    view = build_history(sources, unread, last=last)
    typer.echo("\n".join(history_lines(view)))
    if md is not None:
        write_atomically(md, history_markdown(view))


def _read_all(folder: Path) -> tuple[list[Source], list[str]]:
    """The sessions of a folder that can be read, and why the others cannot."""
    from voiceflow_ml.errors import ResultError  # noqa: PLC0415
    from voiceflow_ml.results.sources import find_sessions, read_source  # noqa: PLC0415

    sources: list[Source] = []
    unread: list[str] = []
    for path in find_sessions(folder):
        try:
            sources.append(read_source(path))
        except ResultError as error:
            unread.append(f"left out: {error}")
    if not sources:
        raise ResultError(f"{folder} holds no session that can be read; {unread[0]}")
    return sources, unread
