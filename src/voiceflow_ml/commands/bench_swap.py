"""``voiceflow bench-swap``: what callers see of a server's reloads, for this server and for any with Triton's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.inputs import FORMS
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.latency.verdict import Outcome
from voiceflow_ml.models.shipped import MODEL_NAME
from voiceflow_ml.units import NS_PER_S, format_count, format_ns, parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.load.reloading import Api
    from voiceflow_ml.load.reloads import ReloadTrial

EXIT_CODES = {Outcome.MET: 0, Outcome.BREACHED: 1, Outcome.INCONCLUSIVE: 3, Outcome.INVALID: 4}
_SHOWN_WRONG = 3

HELP = """\
Reload the model of the server at URL again and again under load, and say what its callers saw of it.

The P99 of the requests that overlap a reload is judged against a multiple of the P99 of all others; a failed request \
or an answer of the wrong version breaches it whatever the latency. Answers are told apart by their outputs, so give \
at least two sources that answer differently. The server is left with one of the sources.

\b
Examples:
  voiceflow bench-swap http://127.0.0.1:8000 --rate 40 --source 1.4.0 --source 1.4.1
  voiceflow bench-swap http://127.0.0.1:8000 --rate 40 --api triton --model my-model
  voiceflow bench-swap http://127.0.0.1:8000 --rate 40 --api triton --source '{"version_policy": ...}'

\b
Exit status:
  0  MET: nothing failed, nothing was wrong, and the P99 is proven to be within the multiple
  1  BREACHED
  2  wrong usage, or a server that cannot be reached or refuses a source
  3  INCONCLUSIVE: too few requests overlapped a reload to say
  4  INVALID: the generator was late, or a reload was refused
"""


def bench_swap_command(  # without a token there is none # nosec B107
    url: Annotated[str, typer.Argument(help="Address of the server.")],
    rate: Annotated[float, typer.Option(min=0.01, help="Requests in a second, on average; about half of what it can.")],
    source: Annotated[
        list[str] | None,
        typer.Option(help="What to load in turns: version, channel or folder; Triton: a configuration as JSON."),
    ] = None,
    api: Annotated[str, typer.Option(help="voiceflow, or triton for any server with Triton's repository API.")] = (
        "voiceflow"
    ),
    model: Annotated[str, typer.Option(help="Which model.")] = MODEL_NAME,
    reloads: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    duration: Annotated[str, typer.Option(help="How long requests are counted; reloads are spread over it.")] = "30s",
    warmup: Annotated[str, typer.Option(help="How long before that they are sent and not counted.")] = "2s",
    most_times: Annotated[float, typer.Option(min=1.0, help="The multiple of the steady P99.")] = 2.0,
    inputs: Annotated[list[str] | None, typer.Option("--input", help=f"{FORMS}; may repeat.")] = None,
    token: Annotated[str, typer.Option(envvar="VOICEFLOW_ADMIN_TOKEN", help="Of the administrator.")] = "",
    seed: Annotated[int, typer.Option(help="Of the arrivals.")] = 0,
    timeout: Annotated[str, typer.Option(help="Longest wait for an answer.")] = "30s",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers into this file.")] = None,
) -> None:
    """Run one trial; the help text is ``HELP``."""
    from voiceflow_ml.commands.load import inference_of  # noqa: PLC0415
    from voiceflow_ml.load.generator import job_of  # noqa: PLC0415
    from voiceflow_ml.load.plan import Kind, LoadPlan  # noqa: PLC0415
    from voiceflow_ml.load.reloading import ReloadPlan, reload_apart  # noqa: PLC0415

    plan = LoadPlan(
        kind=Kind.OPEN_LOOP,
        rate_per_s=rate,
        duration_ns=parse_duration_ns(duration),
        warmup_ns=parse_duration_ns(warmup, allow_zero=True),
        seed=seed,
        timeout_s=parse_duration_ns(timeout) / NS_PER_S,
    )
    swaps = ReloadPlan(model, tuple(source or [""]), reloads, _api(api), token)
    _tell(reload_apart(job_of(url, plan, inference_of(url, model, inputs or [])), swaps), most_times, json_file)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("bench-swap", help=HELP)(bench_swap_command)


def _api(name: str) -> Api:
    from voiceflow_ml.load.reloading import Api  # noqa: PLC0415

    if name not in tuple(Api):
        raise ConfigError(f"--api {name!r} is not known; take {' or '.join(Api)}")
    return Api(name)


def _tell(trial: ReloadTrial, most_times: float, json_file: Path | None) -> None:
    from voiceflow_ml.load.reloads import reload_trial_to_dict  # noqa: PLC0415

    typer.echo("\n".join(reload_lines(trial, most_times)))
    if json_file is not None:
        write_text_atomic(json_file, json.dumps(reload_trial_to_dict(trial, most_times), indent=1) + "\n")
    raise typer.Exit(EXIT_CODES[trial.outcome(most_times)])


def reload_lines(trial: ReloadTrial, most_times: float) -> list[str]:
    """The outcome first, then what it rests on."""
    plan = trial.trial.plan
    done = [reload.ended_ns - reload.begun_ns for reload in trial.reloads if reload.is_done]
    verdict = trial.verdict(most_times)
    wrong = f"{len(trial.wrong)} answers of the wrong version"
    if not trial.tells_apart:
        wrong = "versions cannot be told apart: every source gives the same answer"
    lines = [
        f"{trial.outcome(most_times)}  {len(done)} reloads at {plan.size}, {format_ns(plan.duration_ns)}",
        *(f"         {problem}" for problem in trial.problems),
        f"  failed      {trial.failed} of {format_count(len(trial.trial.shots))} requests",
        f"  wrong       {wrong}",
        *(f"              {sentence}" for sentence in sorted(set(trial.wrong))[:_SHOWN_WRONG]),
        f"  overlapping {_side(trial, overlapping=True)}",
        f"  steady      {_side(trial, overlapping=False)}",
    ]
    if trial.ratio is not None and verdict is not None:
        lines.append(f"  ratio       {trial.ratio:.2f} (P99 over P99), at most {most_times:g}: {verdict.sentence}")
    if done:
        lines.append(
            f"  reload      {format_ns(sorted(done)[len(done) // 2])} (median), {format_ns(max(done))} (longest)"
        )
    return lines


def _side(trial: ReloadTrial, *, overlapping: bool) -> str:
    samples_ns = trial.latencies_ns(overlapping=overlapping)
    if not samples_ns.size:
        return "no request"
    p50, p99 = (trial.percentile_ns(quantile, overlapping=overlapping) for quantile in (0.5, 0.99))
    count = format_count(int(samples_ns.size))
    return (
        f"P50 {format_ns(p50 or 0)}, P99 {format_ns(p99 or 0)}, slowest {format_ns(int(samples_ns.max()))} of {count}"
    )
