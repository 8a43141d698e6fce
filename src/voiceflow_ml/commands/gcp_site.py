"""Parts of ``voiceflow gcp``: where its files are, what it works with, how it asks and how it is interrupted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from voiceflow_ml.commands.extras import needs_extra

if TYPE_CHECKING:
    from voiceflow_ml.contract.server import Check
    from voiceflow_ml.gcp.deploy import Site
    from voiceflow_ml.gcp.plan import Plan


def plan_path(folder: Path, plan: Path | None) -> Path:
    """Where the plan of a deployment is: named, or beside its folder."""
    return plan or folder.parent / f"{folder.name}.plan.json"


def show_and_write(plan: Plan, path: Path) -> None:
    """Print a plan, and write it with its start-up script beside it."""
    from voiceflow_ml.files import write_text_atomic  # noqa: PLC0415
    from voiceflow_ml.gcp.plan import write_plan  # noqa: PLC0415
    from voiceflow_ml.gcp.startup import render_startup  # noqa: PLC0415

    with needs_extra("gcp"):
        from voiceflow_ml.gcp.describe import plan_lines  # noqa: PLC0415
    for line in plan_lines(plan):
        typer.echo(line)
    write_text_atomic(path.parent / f"{plan.machine}.startup.sh", render_startup(plan))
    write_plan(plan, path)


def open_site(project: str, store: str) -> Site:
    """Compute Engine and the store, for real."""
    from voiceflow_ml.gcp.api import Compute  # noqa: PLC0415
    from voiceflow_ml.gcp.deploy import Site  # noqa: PLC0415
    from voiceflow_ml.latency.clock import SystemClock  # noqa: PLC0415
    from voiceflow_ml.registry.store import Store  # noqa: PLC0415

    clock = SystemClock()
    return Site(Compute(project, clock), Store(store or "."), clock, typer.echo)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something costs or goes away, unless it was said already."""
    if not yes:
        typer.confirm(question, abort=True)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have a closed terminal and a polite kill clean up as Ctrl-C does."""

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tunnel(plan: Plan, path: Path) -> str:
    """How to reach the server of a deployment."""
    from voiceflow_ml.gcp.state import read_state, state_path  # noqa: PLC0415

    zone = read_state(plan, state_path(path)).zone
    return (
        f"reach it by: gcloud compute ssh {plan.machine} --project={plan.project} --zone={zone} --tunnel-through-iap "
        "-- -N -L 8000:127.0.0.1:8000"
    )


def unasked(plan: Plan, path: Path) -> Check:
    """A server that nobody asked is no server that was verified."""
    from voiceflow_ml.contract.server import Check  # noqa: PLC0415

    return Check("health and contract", f"not asked: give --url and --contract; {tunnel(plan, path)}")


def merge_with(folders: list[Path], out: Path) -> None:
    """One report of several machines."""
    from voiceflow_ml.commands.report import merge_command  # noqa: PLC0415

    merge_command(folders, out / "joint")
