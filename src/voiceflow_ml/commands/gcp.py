"""``voiceflow gcp plan | up | verify | down | sweep``: measure on a T4 of Google Compute Engine, and leave nothing."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from voiceflow_ml.commands.contract import show_checks
from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.gcp_site import (
    confirm,
    ended_by_signals,
    merge_with,
    open_site,
    plan_path,
    show_and_write,
    tunnel,
    unasked,
)
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.units import NS_PER_S, parse_duration_ns

app = typer.Typer(help="Measure on a T4 of Google Compute Engine, and leave nothing behind.", no_args_is_help=True)

_PLAN_HELP = """\
Hash what FOLDER holds, and print every request that `up` sends; nothing is sent.

FOLDER holds sla.toml, the files that it names, and the wheel of voiceflow-ml. The plan is written beside it.

\b
Example:
  voiceflow gcp plan deployment --project my-project --store gs://my-bucket/voiceflow \\
    --service-account t4@my-project.iam.gserviceaccount.com
"""
_VERIFY_HELP = """\
Fetch what the machine measured, and check it: placement on CUDA, the files of the plan, every promise; with --url \
also the health and the contract of the server.

\b
Exit status:
  0  everything that was planned was checked, and is right
  1  something is wrong
  2  wrong usage, or nothing to check
"""
_UP_HELP = """\
Run a plan once: upload, create the machine, wait for its results, delete it (with --serve in the plan: leave it up).

\b
Exit status: that of the measurement (0 MET, 1 BREACHED, 11 INCONCLUSIVE, 12 INVALID, 13 not run); 2 when it failed.
"""

_Folder = Annotated[Path, typer.Argument(help="Folder of the deployment.")]
_PlanFile = Annotated[Path | None, typer.Option("--plan", help="Its plan (default: FOLDER.plan.json beside it).")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("plan", help=_PLAN_HELP)
def plan_command(
    folder: _Folder,
    project: Annotated[str, typer.Option(help="Id of the Google Cloud project.")],
    store: Annotated[str, typer.Option(help="gs://bucket/folder for artefacts and results.")],
    service_account: Annotated[str, typer.Option(help="Address of the account that the machine has.")],
    zone: Annotated[list[str] | None, typer.Option(help="Zone to try; may repeat, in order.")] = None,
    network: Annotated[str, typer.Option(help="Network of the machine.")] = "global/networks/default",
    max_run: Annotated[str, typer.Option(help="After this Compute Engine deletes the machine.")] = "1h",
    disk_gb: Annotated[int, typer.Option(help="Size of the boot disk in GB.")] = 100,
    run_id: Annotated[str | None, typer.Option(help="Name of the run (default: time and random).")] = None,
    spot: Annotated[
        bool, typer.Option("--spot", help="Cheaper, may be taken back; not for published numbers.")
    ] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Serve after measuring, until down.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Install from FOLDER alone, no index.")] = False,
    plan: _PlanFile = None,
) -> None:
    """Plan a run; the help text is ``_PLAN_HELP``."""
    from voiceflow_ml.gcp.plan import ZONES, Plan, find_artefacts, new_run_id  # noqa: PLC0415

    made = Plan(
        project=project,
        run_id=run_id or new_run_id(),
        zones=tuple(zone or ZONES),
        store=store,
        artefacts=find_artefacts(folder),
        service_account=service_account,
        network=network,
        max_run_s=parse_duration_ns(max_run) // NS_PER_S,
        disk_gb=disk_gb,
        spot=spot,
        serve=serve,
        offline=offline,
    )
    path = plan_path(folder, plan)
    show_and_write(made, path)
    typer.echo(f"\nNothing was sent. The plan is {path}; run it: voiceflow gcp up {shlex.quote(str(folder))}")


@app.command("up", help=_UP_HELP)
def up_command(folder: _Folder, plan: _PlanFile = None, yes: _Yes = False) -> None:
    """Run a plan; the help text is ``_UP_HELP``."""
    from voiceflow_ml.gcp.plan import read_plan  # noqa: PLC0415
    from voiceflow_ml.gcp.state import state_path  # noqa: PLC0415

    path = plan_path(folder, plan)
    planned = read_plan(path)
    with needs_extra("gcp"):
        from voiceflow_ml.gcp.deploy import up  # noqa: PLC0415
        from voiceflow_ml.gcp.describe import summary_lines  # noqa: PLC0415
    for line in summary_lines(planned):
        typer.echo(line)
    confirm("Rent this machine?", yes=yes)
    with ended_by_signals():
        ending = up(planned, folder, open_site(planned.project, planned.store), state_path(path))
    typer.echo(f"{ending.sentence}; see: voiceflow gcp verify {shlex.quote(str(folder))}")
    if planned.serve:
        typer.echo(f"it serves; {tunnel(planned, path)}; end it with: voiceflow gcp down {shlex.quote(str(folder))}")
    raise typer.Exit(ending.pytest or 0)


@app.command("verify", help=_VERIFY_HELP)
def verify_command(
    folder: _Folder,
    plan: _PlanFile = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("reports/gcp"),
    beside: Annotated[
        list[Path] | None, typer.Option("--with", help="Session of another machine to join; may repeat.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the server at this end of the tunnel.")] = None,
    contract: Annotated[Path | None, typer.Option(help="Its contract.json, or the folder of the export.")] = None,
) -> None:
    """Verify a deployment; the help text is ``_VERIFY_HELP``."""
    from voiceflow_ml.gcp.plan import read_plan  # noqa: PLC0415

    path = plan_path(folder, plan)
    planned = read_plan(path)
    if (url is None) != (contract is None):
        raise ConfigError("--url and --contract go together: the contract is what the server is held to")
    with needs_extra("gcp"):
        from voiceflow_ml.gcp.verify import fetch_results, verify_results, verify_service  # noqa: PLC0415
        from voiceflow_ml.registry.store import Store  # noqa: PLC0415
    session = fetch_results(planned, Store(planned.store), out / planned.run_id)
    typer.echo(f"results of {planned.run_id}: {session}")
    checks = [*verify_results(planned, session)]
    if url is not None and contract is not None:
        checks += verify_service(url, contract)
    elif planned.serve:
        checks.append(unasked(planned, path))
    if beside:
        merge_with([session, *beside], out)
    show_checks(checks)


@app.command("down")
def down_command(folder: _Folder, plan: _PlanFile = None) -> None:
    """Delete the machine of a plan, in whatever zone it is."""
    from dataclasses import replace  # noqa: PLC0415

    from voiceflow_ml.gcp.plan import read_plan  # noqa: PLC0415
    from voiceflow_ml.gcp.state import read_state, state_path, write_state  # noqa: PLC0415

    path = plan_path(folder, plan)
    planned = read_plan(path)
    with needs_extra("gcp"):
        from voiceflow_ml.gcp.deploy import sweep  # noqa: PLC0415
    found = sweep(planned.project, open_site(planned.project, planned.store), planned.run_id)
    state = read_state(planned, state_path(path))
    write_state(replace(state, phase="ended", why=state.why or "taken down"), state_path(path))
    typer.echo(f"machines of run {planned.run_id} deleted: {len(found)}; none is left")


@app.command("sweep")
def sweep_command(
    project: Annotated[str, typer.Option(help="Id of the Google Cloud project.")],
    run_id: Annotated[str, typer.Option(help="Only this run (default: every run).")] = "",
    yes: _Yes = False,
) -> None:
    """Delete the machines that runs left in a project, found by their label: what a crash of ours could not."""
    with needs_extra("gcp"):
        from voiceflow_ml.gcp.deploy import sweep  # noqa: PLC0415
    site = open_site(project, "")
    for machine in site.compute.labelled(run_id):
        typer.echo(f"{machine.name} in {machine.zone}: {machine.status}, run {machine.run_id}")
    confirm("Delete all machines of these runs, those of others at work too?", yes=yes)
    found = sweep(project, site, run_id)
    typer.echo(f"machines deleted: {len(found)}; none is left")
