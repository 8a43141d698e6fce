"""What the capacity model predicts beside what the server does, at 30, 60 and 80 % of its capacity.

Each round measures the server with more than it can serve and with requests that hardly ever meet another, from which
the model is made, and then the three loads in random order, as Poisson arrivals; rounds are pooled::

    python -m benchmarks.capacity --json benchmarks/capacity/results.json

Exit code 1 when a predicted P99 is off by more than 25 %. Needs the ``serve`` and ``client`` extras.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.capacity.fit import Fitted, fit, measured_ns
from benchmarks.service.trials import ours, trial
from voiceflow_ml.capacity import forecast
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.latency.quantiles import nearest_rank
from voiceflow_ml.load import Kind, Trial
from voiceflow_ml.load.server_process import ServerProcess

LOADS = (0.3, 0.6, 0.8)
QUANTILES = (0.5, 0.99, 0.999)
TOLERANCE = 0.25
_QUEUE = 64
_CALLERS_PER_WORKER = 4
_LONE_LOAD = 0.05
"""A caller who asks again at once finds caches and cores warm, as an arrival by chance does not."""


def main() -> None:
    """Measure, predict, compare."""
    options = _parser().parse_args()
    lone: list[Trial] = []
    busy: list[Trial] = []
    loaded: dict[float, list[Trial]] = {load: [] for load in LOADS}
    draws = random.Random(1)  # noqa: S311 - an order, not a secret
    with ServerProcess(["--threads", str(options.threads), "--set", f"queue_length={_QUEUE}"]) as server:
        for number in range(options.rounds):
            busy.append(
                trial(server.url, ours(), Kind.CLOSED_LOOP, _CALLERS_PER_WORKER * options.threads, options.seconds)
            )
            # Of this round: what the machine can do may have changed since the last.
            capacity_per_s = busy[-1].rate_per_s
            alone_per_s = _LONE_LOAD * capacity_per_s
            lone.append(trial(server.url, ours(), Kind.OPEN_LOOP, alone_per_s, options.seconds, seed=number))
            for load in draws.sample(LOADS, len(LOADS)):
                one = trial(server.url, ours(), Kind.OPEN_LOOP, load * capacity_per_s, options.seconds, seed=number)
                loaded[load].append(one)
                print(f"round {number + 1}, {load:.0%} of {capacity_per_s:.0f}/s: {one.statuses}", flush=True)
    fitted = fit(lone, busy, workers=options.threads, cores=len(os.sched_getaffinity(0)), queue=_QUEUE)
    rows = [_row(load, trials, fitted) for load, trials in loaded.items()]
    _print(fitted, rows)
    if options.json is not None:
        content = {
            "machine": probe_machine(),
            "load_average": os.getloadavg()[0],
            "threads": options.threads,
            "capacity_per_s": fitted.capacity_per_s,
            "cost_ns": fitted.cost_ns,
            "way_ns": fitted.way_ns,
            "inference_mean_ns": {"alone": float(fitted.lone_ns.mean()), "busy": float(fitted.busy_ns.mean())},
            "tolerance": TOLERANCE,
            "rows": rows,
        }
        write_text_atomic(options.json, json.dumps(content, indent=1) + "\n")
    raise SystemExit(0 if all(row["within"] for row in rows) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # One core is left to the server loop and to the callers, who are on the same machine.
    parser.add_argument("--threads", type=int, default=max(1, len(os.sched_getaffinity(0)) - 1))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each trial")
    parser.add_argument("--json", type=Path)
    return parser


def _row(load: float, trials: list[Trial], fitted: Fitted) -> dict[str, Any]:
    """One load: the rate that was sent, predicted and measured percentiles."""
    seen_ns = measured_ns(trials)
    rate_per_s = sum(len(one.shots) for one in trials) / sum(one.plan.duration_ns / 1e9 for one in trials)
    predicted = forecast(fitted.machine(rate_per_s / fitted.capacity_per_s), rate_per_s, QUANTILES)
    percentiles = {
        f"P{quantile * 100:g}": {
            "predicted_ns": _finite(predicted.percentiles_ns[quantile].value + fitted.way_ns),
            "measured_ns": _finite(_percentile(seen_ns, quantile)),
        }
        for quantile in QUANTILES
    }
    p99 = percentiles["P99"]
    ratio = None
    if p99["predicted_ns"] is not None and p99["measured_ns"]:
        ratio = p99["predicted_ns"] / p99["measured_ns"]
    return {
        "load": load,
        "rate_per_s": rate_per_s,
        "requests": int(seen_ns.size),
        "refused": float(np.isinf(seen_ns).mean()),
        "predicted_refused": predicted.refused,
        "percentiles": percentiles,
        "p99_ratio": ratio,
        "within": ratio is not None and abs(ratio - 1) <= TOLERANCE,
        "problems": [problem for one in trials for problem in one.problems],
    }


def _percentile(sorted_ns: NDArray[np.float64], quantile: float) -> float:
    return float(sorted_ns[nearest_rank(sorted_ns.size, quantile) - 1])


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value


def _print(fitted: Fitted, rows: list[dict[str, Any]]) -> None:
    print(
        f"{fitted.workers} thread(s), at most {fitted.capacity_per_s:.1f} answers/s; inference alone "
        f"{fitted.lone_ns.mean() / 1e6:.2f} ms, busy {fitted.busy_ns.mean() / 1e6:.2f} ms; the server's work "
        f"{fitted.cost_ns / 1e6:.2f} ms, the way {fitted.way_ns / 1e6:.2f} ms"
    )
    print("load   requests/s  P50 predicted/measured   P99 predicted/measured   P99.9 predicted/measured   P99 ratio")
    for row in rows:
        cells = [f"{_ms(one['predicted_ns'])}/{_ms(one['measured_ns'])} ms" for one in row["percentiles"].values()]
        ratio = "unknown" if row["p99_ratio"] is None else f"{row['p99_ratio']:.2f}"
        kept = "within" if row["within"] else "beyond"
        print(f"{row['load']:.0%}  {row['rate_per_s']:>10.1f}  {'   '.join(cells)}   {ratio} {kept} {TOLERANCE:.0%}")
        for problem in dict.fromkeys(row["problems"]):
            print(f"      INVALID load: {problem}")


def _ms(value_ns: float | None) -> str:
    return "refused" if value_ns is None else f"{value_ns / 1e6:.1f}"


if __name__ == "__main__":
    main()
