"""The same model and limits beside no neighbour, a busy one and a bursty one: what each verdict says, and why.

    python -m benchmarks.neighbours --json results.json

pytest and the neighbour are kept to one CPU, as in a container that has one, so they compete for it for real.
The model is measured twice in turns, once judged on the wall clock and once on the adjusted one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.results.record import Result
from voiceflow_ml.results.store import read_session
from voiceflow_ml.units import format_ns

# What each neighbour runs: (seconds of work, seconds of sleep), over and over.
NEIGHBOURS: dict[str, tuple[float, float] | None] = {"quiet": None, "busy": (1.0, 0.0), "bursty": (0.3, 0.7)}

WORK = """
import sys, time
work_s, rest_s = float(sys.argv[1]), float(sys.argv[2])
while True:
    until = time.monotonic() + work_s
    while time.monotonic() < until:
        pass
    time.sleep(rest_s)
"""

SLA = """\
version = 1

[models.wall]
file = "builtin:fast-cnn"
inputs.audio = "builtin:speech"

[models.adjusted]
file = "builtin:fast-cnn"
inputs.audio = "builtin:speech"

[[objective]]
model = "wall"
target = "cpu"
p50 = "{p50}"
p99 = "{p99}"

[[objective]]
model = "adjusted"
target = "cpu"
p50 = "{p50}"
p99 = "{p99}"
clock = "adjusted"
"""


def main() -> int:
    """Measure beside each neighbour, print what was said, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--p50", default="3ms", help="limit of the median (default: %(default)s)")
    parser.add_argument("--p99", default="5ms", help="limit of the P99 (default: %(default)s)")
    parser.add_argument("--time-budget", default="90s", help="of each measurement (default: %(default)s)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="the CPU that all share")
    parser.add_argument("--json", type=Path, help="write everything that was said to this file")
    arguments = parser.parse_args()
    # Whatever is started from here on stays on this CPU too.
    os.sched_setaffinity(0, {arguments.cpu})
    said = {}
    for name, rhythm in NEIGHBOURS.items():
        print(f"{name}: measuring ...", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, neighbour(rhythm):
            results = measure(Path(folder), arguments)
        said[name] = [describe(result) for result in results]
        for line in said[name]:
            print_lines(name, line)
    if arguments.json:
        content = {"machine": probe_machine(), "p50": arguments.p50, "p99": arguments.p99, "runs": said}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


@contextmanager
def neighbour(rhythm: tuple[float, float] | None) -> Iterator[None]:
    """A process beside us; none for no rhythm."""
    if rhythm is None:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", WORK, *map(str, rhythm)]) as process:
        try:
            yield
        finally:
            process.kill()


def measure(folder: Path, arguments: argparse.Namespace) -> tuple[Result, ...]:
    """One pytest run."""
    sla = folder / "sla.toml"
    sla.write_text(SLA.format(p50=arguments.p50, p99=arguments.p99), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "sla.toml", "--sla-policy=report-only", "-p", "no:cacheprovider"]
    command.append(f"--sla-time-budget={arguments.time_budget}")
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (session_folder,) = (folder / "reports" / "results").iterdir()
    return read_session(session_folder)[1]


def describe(result: Result) -> dict[str, Any]:
    """What a result says, as plain values."""
    measurement = result.measurement
    if measurement is None:
        raise SystemExit(f"{result.planned.label} was not measured: {result.reason}")
    return {
        "clock": result.planned.model,
        "wall_ns": dict(measurement.percentiles_ns),
        "adjusted_ns": dict(measurement.adjusted_percentiles_ns),
        "samples": len(measurement.samples_ns),
        "span_ns": measurement.run.span_ns,
        "verdicts": [
            {
                "statistic": statistic,
                "limit_ns": verdict.limit_ns,
                "outcome": str(verdict.outcome),
                "exceedances": verdict.exceedances,
                "design_effect_met": round(verdict.design_effect_met, 2),
                "sentence": verdict.sentence,
            }
            for statistic, verdict in zip(result.planned.limits_ns, measurement.verdicts, strict=True)
        ],
        "findings": [finding.sentence for finding in measurement.findings],
    }


def print_lines(name: str, said: dict[str, Any]) -> None:
    """One line for each verdict, its sentence below."""
    for verdict in said["verdicts"]:
        statistic = verdict["statistic"]
        numbers = f"wall {format_ns(said['wall_ns'][statistic])}"
        if said["adjusted_ns"]:
            numbers += f", adjusted {format_ns(said['adjusted_ns'][statistic])}"
        limit = format_ns(verdict["limit_ns"])
        print(f"{name:<7} {said['clock']:<9} {verdict['outcome']:<13} {statistic:<4} <= {limit:<6} {numbers}")
        print(f"        {verdict['sentence']}")


if __name__ == "__main__":
    sys.exit(main())
