"""``voiceflow claims``: the numbers in documents against what was measured."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.extras import needs_extra

if TYPE_CHECKING:
    from voiceflow_ml.claims.settings import ClaimsSettings

_CHECK_HELP = """\
Find every latency, throughput, size, RTF and DER claim in Markdown, and judge it by what was measured.

CONFIRMED and REFUTED are by the interval of the results, for the hardware that the text names; STALE is a result that \
is too old or of another model file; UNVERIFIED has no result; TOO MODEST is much worse than what was measured. \
Words are audited, too: a number called P99 or latency without its stage.

\b
Examples:
  voiceflow claims check README.md docs
  voiceflow claims check --strict --results artifacts

\b
Exit status:
  0  nothing is refuted or stale
  1  something is; with --strict, also when something is unverified or a word is unclear
  2  wrong usage, or a file that cannot be read
"""

app = typer.Typer(help="Numbers in documents against what was measured.", no_args_is_help=True)

_Paths = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[PATH...]", help="Markdown files and folders. Default: paths of [tool.voiceflow.claims]."),
]
_Root = Annotated[
    Path, typer.Option(help="Folder of pyproject.toml, where relative paths in it and in comments begin.")
]
_Results = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of sessions, in place of those of [tool.voiceflow.claims]; may repeat."),
]


@app.command("check", help=_CHECK_HELP)
def check_command(
    paths: _Paths = None,
    results: _Results = None,
    strict: Annotated[bool, typer.Option("--strict", help="UNVERIFIED and unclear words fail, too.")] = False,
    max_age_days: Annotated[int | None, typer.Option(min=1, help="Older results make a claim STALE.")] = None,
    ledger: Annotated[Path | None, typer.Option(help="Where to write what was found, as JSON.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show the confirmed ones, too.")] = False,
    root: _Root = Path(),
) -> None:
    """Check documents; the help text is ``_CHECK_HELP``."""
    with needs_extra("claims"):
        from voiceflow_ml.claims.audit import Auditor  # noqa: PLC0415
        from voiceflow_ml.claims.ledger import audit_annotations, audit_lines, write_ledger  # noqa: PLC0415

    settings = _settings(root, results)
    settings = replace(
        settings,
        strict=strict or settings.strict,
        max_age_days=max_age_days or settings.max_age_days,
        ledger=ledger or settings.root / settings.ledger,
    )
    now = datetime.now(UTC)
    audit = Auditor(settings, now).audit(_asked(paths, settings))
    write_ledger(audit, settings.ledger, now)
    typer.echo("\n".join(audit_lines(audit, everything=everything)))
    if os.environ.get("GITHUB_ACTIONS", "").lower() in {"1", "true"}:
        typer.echo("\n".join(audit_annotations(audit, _folder_in_repository(settings.root))))
    if audit.failed:
        raise typer.Exit(1)


@app.command("list")
def list_command(paths: _Paths = None, results: _Results = None, root: _Root = Path()) -> None:
    """List every claim with its place, what it says, and what it is bound to."""
    with needs_extra("claims"):
        from voiceflow_ml.claims.audit import Auditor  # noqa: PLC0415
        from voiceflow_ml.claims.ledger import headline, table_lines  # noqa: PLC0415

    settings = _settings(root, results)
    audit = Auditor(settings, datetime.now(UTC)).audit(_asked(paths, settings))
    typer.echo("\n".join([*table_lines(audit.judgements), headline(audit)]))


@app.command("write")
def write_command(
    paths: _Paths = None,
    results: _Results = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 where something would change.")
    ] = False,
    root: _Root = Path(),
) -> None:
    """Fill the marked blocks of documents from results; what is as it should be stays untouched."""
    with needs_extra("claims"):
        from voiceflow_ml.claims.audit import Auditor, documents_in, read_text  # noqa: PLC0415
    from voiceflow_ml.results.store import write_atomically  # noqa: PLC0415

    settings = _settings(root, results)
    writer = Auditor(settings, datetime.now(UTC)).blocks
    changed = []
    for path in documents_in(_asked(paths, settings), settings):
        text = read_text(path)
        filled = writer.filled(text, str(path))
        if filled != text:
            changed.append(path)
            if not check:
                write_atomically(path, filled)
    for path in changed:
        typer.echo(f"{'would change' if check else 'wrote'} {path}")
    if not changed:
        typer.echo("all blocks are as their results say")
    if check and changed:
        raise typer.Exit(1)


def _folder_in_repository(root: Path) -> str:
    """Where the project is in the checkout, from where GitHub looks for files."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE") or root).resolve()
    inside = root.resolve().is_relative_to(workspace)
    return root.resolve().relative_to(workspace).as_posix() if inside else ""


def _settings(root: Path, results: list[Path] | None) -> ClaimsSettings:
    from voiceflow_ml.claims.settings import read_settings  # noqa: PLC0415

    settings = read_settings(root)
    return replace(settings, results=tuple(str(path.absolute()) for path in results)) if results else settings


def _asked(paths: list[Path] | None, settings: ClaimsSettings) -> list[Path]:
    return paths or [settings.root / path for path in settings.paths]
