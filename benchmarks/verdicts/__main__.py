"""How often verdicts are wrong, on noise whose true quantiles are known.

    python -m benchmarks.verdicts                                  the table, in minutes
    python -m benchmarks.verdicts --runs 2000 --json results.json  the same, sharper
    python -m benchmarks.verdicts --record trace.csv --seconds 120
    python -m benchmarks.verdicts --replay trace.csv               the rules on this machine's own noise

Exit status: 1 when --check finds a bar clearly broken, 2 for a trace that cannot be used, else 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.verdicts import bars, traces
from benchmarks.verdicts.cells import Cell, Question, Study, simulate
from benchmarks.verdicts.families import FAMILIES, Family
from benchmarks.verdicts.pairs import PairCell, simulate_pairs
from benchmarks.verdicts.rules import RULES, ours
from voiceflow_ml import __version__
from voiceflow_ml.latency import Bound

QUANTILES = (0.5, 0.9, 0.95, 0.99)
LOWER_QUANTILES = (0.01, 0.05)
PAIR_QUANTILES = (0.5, 0.9, 0.99)


def main() -> int:
    """Simulate or replay, print tables, write JSON."""
    arguments = _parse()
    study = Study(arguments.runs, arguments.seed, _tell)
    if arguments.record:
        print(f"{traces.record(arguments.record, arguments.seconds)} calls recorded in {arguments.record}")
        return 0
    cells: list[Cell] = []
    often: list[Cell] = []
    pairs: list[PairCell] = []
    if arguments.replay:
        try:
            cells = [cell for path in arguments.replay for cell in traces.replay(path, RULES, 0.99, study)]
        except traces.TraceError as error:
            print(error, file=sys.stderr)
            return 2
    else:
        families = _chosen(arguments.families)
        cells = _simulate_all(families, study)
        independent = [family for family in families if family.scale_s == 0][:2]
        # Looking after every block is some sixty times the work.
        often_study = Study(max(200, study.runs // 2), study.seed, _tell)
        often = simulate(independent, {"every block": ours(every=10)}, Question(distances=(1.0,)), often_study)
        pairs = [cell for quantile in PAIR_QUANTILES for cell in simulate_pairs(families, quantile, study)]
    _print_cells(cells)
    _print_pairs(pairs)
    checked = bars.check(cells if not arguments.replay else [], often, pairs)
    for line in bars.summary(checked):
        print(line)
    if arguments.json:
        _write(arguments.json, cells, often, pairs, checked)
    return int(arguments.check and any(bar.clearly_broken for bar in checked))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=300, help="runs of each family (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--families", nargs="+", metavar="NAME", help="only these; any part of a name will do")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is clearly broken")
    parser.add_argument(
        "--replay", type=Path, nargs="+", metavar="TRACE", help="judge parts of recorded traces instead"
    )
    parser.add_argument("--record", type=Path, metavar="TRACE", help="record a trace on this machine instead")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of the recording (default: %(default)s)")
    return parser.parse_args()


def _chosen(names: Sequence[str] | None) -> list[Family]:
    if names is None:
        return list(FAMILIES)
    chosen = [family for family in FAMILIES if any(name in family.name for name in names)]
    if not chosen:
        known = ", ".join(family.name for family in FAMILIES)
        raise SystemExit(f"no family is called like {' or '.join(names)}; there are: {known}")
    return chosen


def _simulate_all(families: Sequence[Family], study: Study) -> list[Cell]:
    cells = simulate(families, RULES, Question(), study)
    cells += simulate(families, RULES, Question(contiguous=True, distances=(0.95, 1.05)), study)
    for quantile in QUANTILES[:-1]:
        cells += simulate(families, {"ours": ours()}, Question(quantile, distances=(0.9, 0.95, 1.05)), study)
    lower = {"ours": ours(Bound.LOWER)}
    for quantile in LOWER_QUANTILES:
        cells += simulate(families, lower, Question(quantile, "lower", (0.95, 1.05)), study)
    return cells


def _print_cells(cells: Sequence[Cell]) -> None:
    """Blocks of one question each: families down, rules and distances across."""
    for key in dict.fromkeys((cell.quantile, cell.bound, cell.sampling) for cell in cells):
        block = [cell for cell in cells if (cell.quantile, cell.bound, cell.sampling) == key]
        print(
            f"\nP{key[0] * 100:g}, {key[1]} bound, {key[2]}: % MET / % BREACHED (mean samples) at true quantile / limit"
        )
        distances = list(dict.fromkeys(cell.distance for cell in block))
        print(f"{'':<20} {'':<24}" + "".join(f"{distance:>20}" for distance in distances))
        for family in dict.fromkeys(cell.family for cell in block):
            for rule in dict.fromkeys(cell.rule for cell in block):
                row = [cell for cell in block if (cell.family, cell.rule) == (family, rule)]
                mark = "" if row[0].covered else " *"
                print(f"{family + mark:<20} {rule:<24}" + "".join(_cell_text(cell) for cell in row))
    if any(not cell.covered for cell in cells):
        print("* its time scale is a fifth of the span or more: not covered")


def _cell_text(cell: Cell) -> str:
    met, breached = 100 * cell.met / cell.runs, 100 * cell.breached / cell.runs
    return f"{f'{met:.1f} / {breached:.1f} ({cell.mean_samples:.0f})':>20}"


def _print_pairs(pairs: Sequence[PairCell]) -> None:
    if not pairs:
        return
    print("\nCandidate against baseline: % SLOWER when equal, and when 10 % slower")
    ways = list(dict.fromkeys(cell.way for cell in pairs))
    print(f"{'':<25}" + "".join(f"{way:>33}" for way in ways))
    for quantile, family in dict.fromkeys((cell.quantile, cell.family) for cell in pairs):
        row = [cell for cell in pairs if (cell.quantile, cell.family) == (quantile, family)]
        texts = []
        for way in ways:
            rates = [100 * cell.slower / cell.runs for cell in row if cell.way == way]
            texts.append(" / ".join(f"{rate:.1f}" for rate in rates))
        print(f"{f'P{quantile * 100:g} {family}':<25}" + "".join(f"{text:>33}" for text in texts))


def _write(
    path: Path, cells: Sequence[Cell], often: Sequence[Cell], pairs: Sequence[PairCell], checked: Sequence[bars.Bar]
) -> None:
    content: dict[str, list[dict[str, object]]] = {
        "versions": [{"voiceflow-ml": __version__, "numpy": np.__version__, "Python": platform.python_version()}],
        "cells": [asdict(cell) for cell in (*cells, *often)],
        "pairs": [asdict(pair) for pair in pairs],
        "bars": [asdict(bar) for bar in checked],
    }
    # One line for each cell: a thousand of them, which a reader wants to search.
    lines = [f"{json.dumps(name)}: [\n{_lines(values)}\n]" for name, values in content.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _lines(values: Sequence[dict[str, object]]) -> str:
    return ",\n".join(json.dumps(value) for value in values)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
