"""``voiceflow pipeline run | sla``: a model update from a checkpoint to what users get, each step with its proof."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.extras import needs_extra
from voiceflow_ml.commands.registry import REGISTRY_VARIABLE, user_name, waivers
from voiceflow_ml.errors import PipelineError
from voiceflow_ml.files import hash_file

if TYPE_CHECKING:
    from voiceflow_ml.pipeline.plan import PipelinePlan

_RUN_HELP = """\
Update a model: train or take a checkpoint, export, compare contracts, choose a version, measure the SLA on every \
declared target, publish, try as a canary, promote; or roll back.

SOURCE is a checkpoint, or the folder of an export. Each step that was done with the same inputs is not done again: \
the same command goes on where it stopped. A step that refuses says why, and what users get stays as it was.

\b
Examples:
  voiceflow pipeline run runs/fast-cnn/checkpoint.pt --registry gs://bucket/models
  voiceflow pipeline run out --registry file:///srv/models --results reports/gcp/20260101-120000-abcd
  voiceflow pipeline run --train "fast-cnn --preset small --data data/speech" --registry file:///srv/models

\b
Exit status:
  0  promoted
  1  a step refuses
  2  wrong usage
"""

app = typer.Typer(help="Update a model from a checkpoint to what users get.", no_args_is_help=True)


_Url = Annotated[
    str, typer.Option("--registry", envvar=REGISTRY_VARIABLE, help="file:///folder, gs://bucket/folder or s3://...")
]
_Source = Annotated[Path | None, typer.Argument(help="A checkpoint, or the folder of an export.")]
_Data = Annotated[Path | None, typer.Option(help="Folder of speech data (default: the shipped speech).")]
_Version = Annotated[str, typer.Option(help="Version to publish (default: the smallest that will do).")]
_Gpus = Annotated[list[str] | None, typer.Option(help="GPU of this machine to measure on; may repeat.")]
_Results = Annotated[
    list[Path] | None, typer.Option(help="Session of another machine about the same file; may repeat.")
]
_Waivers = Annotated[list[str] | None, typer.Option(help="GATE=REASON: der, or sla:TARGET; may repeat.")]
_Measuring = Annotated[str, typer.Option(help="Further options of pytest, such as --sla-time-budget=60s.")]
_Who = Annotated[str | None, typer.Option(help="Who does it (default: the name of the user).")]


@app.command("run", help=_RUN_HELP)
def run_command(
    url: _Url,
    source: _Source = None,
    train: Annotated[str, typer.Option(help="Words of voiceflow train, to train first.")] = "",
    work: Annotated[Path, typer.Option(help="Folder of this update; the same one goes on.")] = Path("runs/update"),
    sla: Annotated[Path, typer.Option(help="The promises.")] = Path("sla.toml"),
    precision: Annotated[str, typer.Option(help="fp32, fp16, int8, joined by commas.")] = "fp32",
    data: _Data = None,
    version: _Version = "",
    gpu: _Gpus = None,
    results: _Results = None,
    waive: _Waivers = None,
    channel: Annotated[str, typer.Option(help="What users get.")] = "prod",
    canary: Annotated[str, typer.Option(help="Where it is tried before.")] = "canary",
    measuring: _Measuring = "",
    who: _Who = None,
) -> None:
    """Run a model update; the help text is ``_RUN_HELP``."""
    _check_extras()
    from voiceflow_ml.pipeline.plan import PipelinePlan  # noqa: PLC0415

    plan = PipelinePlan(
        work, url, sla, user_name(who), source, tuple(shlex.split(train)), precision, data, version,
        gpus=tuple(gpu or ()),
        results=tuple(results or ()),
        waived=waivers(waive or []),
        channel=channel,
        canary=canary,
        measuring=tuple(shlex.split(measuring)),
    )  # fmt: skip
    _run(plan)


def _check_extras() -> None:
    with needs_extra("export"):
        import onnx  # noqa: F401, PLC0415
    with needs_extra("registry"):
        import fsspec  # noqa: F401, PLC0415
        import semver  # noqa: F401, PLC0415
    with needs_extra("serve"):
        import uvicorn  # noqa: F401, PLC0415


def _run(plan: PipelinePlan) -> None:
    from voiceflow_ml.pipeline.run import run  # noqa: PLC0415

    try:
        promoted = run(plan, typer.echo)
    except PipelineError as error:
        typer.echo(f"refused: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{plan.channel} is {promoted} now")


@app.command("sla")
def sla_command(
    export: Annotated[Path, typer.Argument(help="Folder of an export.")],
    out: Annotated[Path, typer.Option(help="File to write, for pytest on another machine.")],
    sla: Annotated[Path, typer.Option(help="The promises.")] = Path("sla.toml"),
) -> None:
    """Write the promises about an exported file, held to its hash, for a machine that only measures."""
    from voiceflow_ml.pipeline.proof import write_sla  # noqa: PLC0415
    from voiceflow_ml.registry.release import read_release  # noqa: PLC0415

    release = read_release(export)
    write_sla(sla, release.contract.model, release.primary, out)
    typer.echo(f"{out}: {release.contract.model}, SHA-256 {hash_file(release.primary)}")
