"""``voiceflow plan-capacity``: how many machines a rate of requests takes, by simulation from measured latencies."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.errors import ConfigError, ResultError
from voiceflow_ml.units import format_ns, parse_duration_ns

if TYPE_CHECKING:
    from voiceflow_ml.capacity import Durations, Forecast, Machine, Plan
    from voiceflow_ml.capacity.plan import Row

LOADS = (0.3, 0.6, 0.8)
"""Shares of one machine's capacity that are shown before the plan."""
_HEAD = ("machines", "requests/s each", "load", "busy", "P50", "P99", "P99.9", "refused", "")
NO_PLAN_EXIT_CODE = 1


def plan_capacity_command(
    rate: Annotated[float, typer.Option(help="Requests in a second, altogether.")],
    workers: Annotated[int, typer.Option(help="Inferences at the same time on one machine: threads, or GPUs.")],
    cores: Annotated[
        int | None, typer.Option(help="Cores of one machine, which threads and the server loop share; none for GPUs.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder of a session whose model-inference samples are used.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which model of the session; needed where it has several.")] = None,
    target: Annotated[
        str | None, typer.Option(help="Which target of the session; needed where it has several.")
    ] = None,
    inference_p50: Annotated[str | None, typer.Option(help="In place of results: the median, such as 3.6ms.")] = None,
    inference_p99: Annotated[str | None, typer.Option(help="With --inference-p50: the P99.")] = None,
    overhead: Annotated[str, typer.Option(help="CPU time of the server for one request, measured.")] = "0ms",
    queue: Annotated[int, typer.Option(help="Requests that may wait on one machine; one more is refused.")] = 64,
    limit: Annotated[str, typer.Option(help="What the P99 must stay below, from arrival to answer.")] = "100ms",
    seed: Annotated[int, typer.Option(help="Of the simulation.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the plan to this file.")] = None,
) -> None:
    """Say how many machines keep P99 below a limit; exit code 1 when no number does."""
    from voiceflow_ml.capacity import Machine, forecast, plan_machines  # noqa: PLC0415

    inference = _durations(results, (model, target), inference_p50, inference_p99)
    machine = Machine(workers, inference, parse_duration_ns(overhead, allow_zero=True), queue, cores)
    limit_ns = parse_duration_ns(limit)
    plan = plan_machines(machine, rate, limit_ns, seed=seed)
    shown = [forecast(machine, machine.capacity_per_s * load, seed=seed) for load in LOADS]
    for line in plan_lines(machine, plan, shown, rate, limit_ns):
        typer.echo(line)
    if json_file is not None:
        _write(json_file, machine, plan, rate, limit_ns)
    raise typer.Exit(0 if plan.machines is not None else NO_PLAN_EXIT_CODE)


def _durations(
    results: Path | None, which: tuple[str | None, str | None], p50: str | None, p99: str | None
) -> Durations:
    """The inference's durations, from one of the two places where they may be.

    Raises:
        ConfigError: from neither, or from both.
        ResultError: the session has none, or several and nothing says which.
    """
    from voiceflow_ml.capacity import declared_durations  # noqa: PLC0415

    if (results is None) == (p50 is None):
        raise ConfigError("give either --results, a session's folder, or --inference-p50 (and --inference-p99)")
    if results is not None:
        return session_durations(results, *which)
    return declared_durations(parse_duration_ns(p50 or ""), None if p99 is None else parse_duration_ns(p99))


def session_durations(folder: Path, model: str | None, target: str | None) -> Durations:
    """The model-inference samples of a session.

    Args:
        folder: of the session.
        model: which model; None where there is one.
        target: which target; None where there is one.

    Raises:
        ResultError: none that fits, several, or one that is INVALID: such samples are about something else.
    """
    from voiceflow_ml.capacity import sampled_durations  # noqa: PLC0415
    from voiceflow_ml.results.sources import machine_of, read_source  # noqa: PLC0415

    source = read_source(folder)
    fitting = {
        result.planned.label: result
        for result in source.results
        if result.measurement is not None
        and result.planned.stage == "model-inference"
        and model in (None, result.planned.model)
        and target in (None, result.planned.target)
    }
    if len(fitting) != 1:
        found = ", ".join(fitting) or "no model inference that fits"
        raise ResultError(f"{folder} has {found}; name one by --model and --target")
    ((label, result),) = fitting.items()
    measurement = result.measurement
    if measurement is None or any(outcome == "INVALID" for outcome in result.outcomes):
        raise ResultError(f"{folder}: {label} is INVALID: its samples are not about what was declared; measure again")
    where = f"{label}, {measurement.run.samples_ns.size} samples on {machine_of(source.session, result)}"
    return sampled_durations(measurement.run.samples_ns, where)


def plan_lines(machine: Machine, plan: Plan, shown: Sequence[Forecast], rate: float, limit_ns: float) -> Iterator[str]:
    """What is assumed, what one machine does at several loads, and what the rate takes.

    Args:
        machine: each of the machines.
        plan: for the rate.
        shown: forecasts of one machine.
        rate: requests in a second.
        limit_ns: what the P99 must stay below.
    """
    yield from assumptions(machine)
    yield ""
    rows = [_HEAD, *(_cells("1", seen, "") for seen in shown), *(_row(row) for row in plan.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    asked = f"{rate:g} requests/s with P99 below {format_ns(limit_ns)}"
    if plan.machines is None:
        yield f"No number of machines serves {asked}: an idle one takes longer; make the inference faster"
    else:
        yield f"{asked}: {plan.machines} machine{'' if plan.machines == 1 else 's'}"


def assumptions(machine: Machine) -> Iterator[str]:
    """What a reader has to believe, one line each."""
    inference = machine.inference
    yield f"inference: mean {format_ns(round(inference.mean_ns))}; {inference.source}"
    loop = "on the cores that infer" if machine.shares_cores else "on a core of its own"
    yield f"server: {format_ns(round(machine.overhead_ns))} of CPU for one request, {loop}"
    workers = f"{machine.workers} worker{'' if machine.workers == 1 else 's'}"
    yield f"machine: {workers}, a queue of {machine.queue}, at most {machine.capacity_per_s:.4g} requests/s"
    yield "assumed: Poisson arrivals, split among machines by chance; durations that do not depend on each other or on"
    yield "  the load; no time on the network; a refused request counts as one without end. Predicted, not measured."


def _row(row: Row) -> tuple[str, ...]:
    return _cells(str(row.machines), row.forecast, "keeps" if row.keeps else "misses")


def _cells(machines: str, seen: Forecast, word: str) -> tuple[str, ...]:
    percentiles = [_latency(seen.percentiles_ns[quantile].value) for quantile in (0.5, 0.99, 0.999)]
    return (
        machines,
        f"{seen.rate_per_s:.4g}",
        f"{seen.load:.0%}",
        f"{seen.busy:.0%}",
        *percentiles,
        f"{seen.refused:.2%}",
        word,
    )


def _latency(value_ns: float) -> str:
    return "refused" if math.isinf(value_ns) else format_ns(round(value_ns))


def _write(path: Path, machine: Machine, plan: Plan, rate: float, limit_ns: float) -> None:
    from voiceflow_ml.files import write_text_atomic  # noqa: PLC0415

    rows = [
        {
            "machines": row.machines,
            "keeps": row.keeps,
            "rate_per_s": row.forecast.rate_per_s,
            "load": row.forecast.load,
            "refused": row.forecast.refused,
            # JSON knows no infinity.
            "percentiles_ns": {
                str(quantile): None if math.isinf(estimate.value) else round(estimate.value)
                for quantile, estimate in row.forecast.percentiles_ns.items()
            },
        }
        for row in plan.rows
    ]
    content = {"rate_per_s": rate, "limit_ns": limit_ns, "machines": plan.machines, "rows": rows}
    write_text_atomic(path, json.dumps({**content, "assumptions": list(assumptions(machine))}, indent=1) + "\n")
