"""``voiceflow``: comparisons, reports, speech data, training, export and evaluation from the command line.

Heavy imports happen inside the commands, so ``voiceflow --help`` needs only typer.
"""

from __future__ import annotations

import sys

import typer

from voiceflow_ml.commands import (
    bench_swap,
    calibrate,
    claims,
    compare,
    contract,
    data,
    diarize,
    doctor,
    evaluate,
    export,
    gcp,
    init,
    load,
    model,
    pipeline,
    plan_capacity,
    registry,
    report,
    serve,
    train,
)
from voiceflow_ml.errors import VoiceflowError

USAGE_EXIT_CODE = 2

app = typer.Typer(
    name="voiceflow",
    help="Latency promises you can trust, and the speech models they are made for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.add_typer(report.app, name="report")
app.add_typer(contract.app, name="contract")
app.add_typer(gcp.app, name="gcp")
app.add_typer(pipeline.app, name="pipeline")
bench_swap.register(app)
app.add_typer(claims.app, name="claims")
compare.register(app)
registry.register(app)
export.register(app)
serve.register(app)
app.command("targets")(doctor.targets_command)
app.command("doctor")(doctor.doctor_command)
app.command("init")(init.init_command)
app.command("calibrate")(calibrate.calibrate_command)
app.command("plan-capacity")(plan_capacity.plan_capacity_command)
app.command("diarize")(diarize.diarize_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("load", help=load.HELP)(load.load_command)
app.command("evaluate-segmentation")(model.evaluate_command)


def main() -> None:
    """Run the command line; an error of this package becomes one line on stderr and exit code 2."""
    try:
        app()
    except VoiceflowError as error:
        print(f"voiceflow: {error}", file=sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE) from error


if __name__ == "__main__":
    main()
