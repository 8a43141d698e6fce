"""The whole run: both tables, printed and written as JSON."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness.loop_cost import (
    Cost,
    between_costs,
    judging_costs,
    paired_effects,
    timed_region_costs,
)
from benchmarks.harness.loop_memory import allocation_cost, kept_blocks_cost, memory_costs
from benchmarks.harness.peers import HARNESSES
from benchmarks.harness.reading import Harness, Reading, Request, Row, Span, row_of
from benchmarks.harness.small_model import Subject, open_subject, write_models
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.hardware.scheduler import SchedulerCounters


def installed(harnesses: Sequence[Harness]) -> list[Harness]:
    """Those that can be imported here; of the others, says what to install."""
    found = []
    for harness in harnesses:
        try:
            # Before the first round, which would be charged with it otherwise.
            if harness.module:
                import_module(harness.module)
        except ImportError:
            print(
                f'{harness.name} is left out: pip install {harness.package}, or pip install "voiceflow-ml[benchmark]"'
            )
            continue
        found.append(harness)
    return found


def side_by_side(
    subject: Subject, harnesses: Sequence[Harness], *, rounds: int, samples: int, scratch: Path
) -> list[Row]:
    """Let every harness measure one model, in rounds of random order.

    Args:
        subject: the model.
        harnesses: the bare clock pair first.
        rounds: how often each measures.
        samples: how many values each is asked for, where it can be told.
        scratch: a folder for what they write.
    """
    order = random.Random(0)  # noqa: S311 - the order needs to be irregular, not secret
    readings: dict[str, list[Reading]] = {harness.name: [] for harness in harnesses}
    seconds: dict[str, list[float]] = {harness.name: [] for harness in harnesses}
    for _ in range(rounds):
        for harness in order.sample(harnesses, len(harnesses)):
            start_s = time.perf_counter()
            readings[harness.name].append(harness.take(Request(subject, samples, scratch)))
            seconds[harness.name].append(time.perf_counter() - start_s)
    bare = readings[harnesses[0].name]
    return [row_of(subject.name, name, readings[name], seconds[name], bare) for name in readings]


def costs_of_loop(subject: Subject, rounds: int) -> list[Cost]:
    """The second table."""
    with SchedulerCounters() as counters:
        return [
            *timed_region_costs(2 * rounds, counters),
            *between_costs(rounds, counters),
            allocation_cost(),
            kept_blocks_cost(counters),
            *memory_costs(counters),
            *judging_costs(5 * rounds),
            *paired_effects(subject.name, subject.call, max(2_000, 400 * rounds), counters),
        ]


def table_of_rows(rows: Sequence[Row]) -> str:
    """The first table as text, in microseconds: the median of the rounds, least and most beside it."""
    heads = ("calls", "P50 reported", "P99 reported", "P50 of its values", "P99 of its values")
    widths = (7, 26, 26, 26, 26)
    lines = [f"{rows[0].model}, us: median of the rounds (least-most)"]
    named = "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    lines.append(f"{'':28}{named}{'P50 over bare':>23}{'seconds':>9}")
    for row in rows:
        spans = (row.reported_p50, row.reported_p99, row.raw_p50, row.raw_p99)
        cells = "".join(f"{_micro(span):>26}" for span in spans)
        ratio = f"{row.over_bare.middle:.3f} ({row.over_bare.least:.3f}-{row.over_bare.most:.3f})"
        lines.append(f"{row.harness:28}{row.calls:7}{cells}{ratio:>23}{row.wall_s.middle:9.2f}")
    lines += [
        f"  {row.harness} also says: {name} {note_ns / 1e3:.2f}" for row in rows for name, note_ns in row.notes.items()
    ]
    return "\n".join(lines)


def table_of_costs(costs: Sequence[Cost]) -> str:
    """The second table as text: each cost, its bar, and whether it holds."""
    lines = []
    for cost in costs:
        bar = "" if cost.bar is None else f"<= {cost.bar:g} {cost.unit}"
        answer = {None: "", True: "yes", False: "NO"}[cost.held]
        value = "unknown" if cost.value is None else f"{cost.value:.4g} {cost.unit}"
        lines.append(f"{cost.what:58}{value:>13}{bar:>14} {answer:4}{cost.detail}")
    return "\n".join(lines)


def machine(harnesses: Sequence[Harness]) -> dict[str, str]:
    """What was measured on, and with which versions."""
    packages = {"numpy", "onnxruntime", *(harness.package for harness in harnesses if harness.package)}
    return {
        **probe_machine(),
        "load average before": f"{os.getloadavg()[0]:.2f}",
        **{name: version(name) for name in sorted(packages)},
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each harness measures each model")
    parser.add_argument("--samples", type=int, default=1_000, help="values of each harness in a round")
    parser.add_argument("--json", type=Path, help="also write everything here")
    options = parser.parse_args(arguments)
    harnesses = installed(HARNESSES)
    facts = machine(harnesses)
    print(", ".join(f"{name} {value}" for name, value in facts.items()), end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        subjects = [open_subject(path) for path in write_models(scratch)]
        rows = []
        for subject in subjects:
            taken = side_by_side(subject, harnesses, rounds=options.rounds, samples=options.samples, scratch=scratch)
            print(table_of_rows(taken), end="\n\n")
            rows += taken
        print("\n".join(f"{harness.name}: {harness.meaning}" for harness in harnesses), end="\n\n")
        costs = costs_of_loop(subjects[0], options.rounds)
    print(table_of_costs(costs))
    if options.json:
        content = {
            "machine": facts,
            "harnesses": [asdict(row) for row in rows],
            "meanings": {harness.name: harness.meaning for harness in harnesses},
            "loop": [{**asdict(cost), "held": cost.held} for cost in costs],
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _micro(span: Span | None) -> str:
    return "-" if span is None else f"{span.middle / 1e3:.2f} ({span.least / 1e3:.1f}-{span.most / 1e3:.1f})"
