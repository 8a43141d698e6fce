"""``voiceflow contract``: does a model, its successor or a server keep what callers rely on?"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.units import parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.contract.server import Check

TOKEN_VARIABLE = "VOICEFLOW_ADMIN_TOKEN"  # noqa: S105 - the name of a variable # nosec B105

_DIFF_HELP = """\
Say what changed from OLD to NEW for a caller, and how large a version step it asks for: none, patch, minor or major.

OLD and NEW are contract.json files, folders that hold one, or .onnx files.

\b
Exit status:
  0  always, without --at-most
  1  with --at-most LEVEL: the difference is graver
  2  wrong usage, or a file that cannot be used
"""
_SERVER_HELP = f"""\
Hold a running server, in whatever language, to a contract, from outside, by the Open Inference Protocol v2 over HTTP.

Asked are: health, readiness, metadata, every golden pair with raw and with JSON tensors, six wrong requests, and the \
golden pairs once more; with --reload also a reload (the token is taken from {TOKEN_VARIABLE}); with --limit the P99 \
of whole requests.

\b
Examples:
  voiceflow contract verify-server http://127.0.0.1:8000 --contract out
  voiceflow contract verify-server http://127.0.0.1:8000 --contract out --reload --limit 100ms

\b
Exit status:
  0  the server keeps the contract
  1  it breaks it
  2  wrong usage, or no server there
"""

app = typer.Typer(
    help="What callers of a model may rely on: check it, compare it, test a server.", no_args_is_help=True
)

_Contract = Annotated[Path, typer.Option("--contract", help="contract.json, or the folder of an export.")]


@app.command("check")
def check_command(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    contract: Annotated[
        Path | None, typer.Option(help="contract.json or its folder (default: the model's own, or the one beside it).")
    ] = None,
) -> None:
    """Check a model's file, inputs, outputs and golden pairs against its contract."""
    with needs_extra("export"):
        from voiceflow_ml.contract.check import check_model  # noqa: PLC0415

        kept = check_model(model, contract_path=contract)
    pairs = f"{len(kept.golden)} golden pairs reproduced" if kept.golden else "it has no golden pairs to reproduce"
    typer.echo(f"{model} keeps the contract of {kept.model}: {pairs}")


@app.command("diff", help=_DIFF_HELP)
def diff_command(
    old: Annotated[Path, typer.Argument(help="What callers know.")],
    new: Annotated[Path, typer.Argument(help="What is to take its place.")],
    at_most: Annotated[str | None, typer.Option(help="Fail above this: none, patch, minor or major.")] = None,
) -> None:
    """Compare two contracts; the help text is ``_DIFF_HELP``."""
    from voiceflow_ml.contract.diff import diff, parse_level  # noqa: PLC0415

    highest = None if at_most is None else parse_level(at_most)
    with needs_extra("export"):
        from voiceflow_ml.contract.from_model import contract_of  # noqa: PLC0415

        found = diff(contract_of(old), contract_of(new))
    typer.echo(str(found.level))
    for change in found.changes:
        typer.echo(f"  {change.level}: {change.reason}")
    raise typer.Exit(int(highest is not None and found.level > highest))


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of contract.json."""
    from voiceflow_ml.contract.document import json_schema  # noqa: PLC0415

    typer.echo(json.dumps(json_schema(), indent=1))


@app.command("verify-server", help=_SERVER_HELP)
def verify_server_command(
    url: Annotated[str, typer.Argument(help="Address of the server.")],
    contract: _Contract,
    reload: Annotated[bool, typer.Option("--reload", help="Also have it load the model again.")] = False,
    limit: Annotated[str | None, typer.Option(help="What the P99 of a whole request must stay within.")] = None,
    time_budget: Annotated[str, typer.Option(help="Longest time that the measurement may take.")] = "120s",
) -> None:
    """Test a server; the help text is ``_SERVER_HELP``."""
    from voiceflow_ml.contract.document import read_contract  # noqa: PLC0415
    from voiceflow_ml.contract.protocol import Server  # noqa: PLC0415
    from voiceflow_ml.contract.server import verify_server  # noqa: PLC0415
    from voiceflow_ml.contract.server_latency import server_latency  # noqa: PLC0415

    limit_ns, budget_ns = (None if limit is None else parse_duration_ns(limit)), parse_duration_ns(time_budget)
    wanted = read_contract(contract)
    folder = contract if contract.is_dir() else contract.parent
    server = Server(url, token=os.environ.get(TOKEN_VARIABLE, ""))
    checks = [*verify_server(server, wanted, folder, reload=reload)]
    if limit_ns is not None:
        with ProgressLine(sys.stderr, url) as line:
            checks.append(
                server_latency(server, wanted, folder, limit_ns=limit_ns, time_budget_ns=budget_ns, watch=line.watch)
            )
    show_checks(checks)


def show_checks(checks: Sequence[Check]) -> NoReturn:
    """Print each check and how many passed, and exit with 1 when one did not."""
    broken = [check for check in checks if check.problem]
    for check in checks:
        typer.echo(
            f"{'no ' if check.problem else 'ok '} {check.name}" + (f": {check.problem}" if check.problem else "")
        )
    typer.echo(f"{len(checks) - len(broken)} of {len(checks)} checks passed")
    raise typer.Exit(int(bool(broken)))
