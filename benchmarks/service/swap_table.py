"""The results of ``benchmarks.service.swaps`` as Markdown, for the terminal and for docs/hot-reload.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.marked import fill_page
from voiceflow_ml.units import format_count, format_ns

RESULTS = Path(__file__).with_name("swaps.json")
PAGE = Path(__file__).parents[2] / "docs" / "hot-reload.md"
BLOCK = "swap-benchmark"
MOST_GROWTH = 0.1
_MIB = 1 << 20
Results = Mapping[str, Any]


def render(results: Results) -> str:
    """What was measured, each with its goal and whether it was reached."""
    reloads = [(reload["ended_ns"] - reload["begun_ns"]) for reload in results["reloads"]]
    overlapping, steady = results["overlapping"], results["steady"]
    growth = results["memory"]["growth"]
    ratio = results["ratio"]
    counted = results["failed"], results["wrong"]
    rows = [
        ("failed requests", _failed(results), "0", counted[0] == 0),
        ("answers of the wrong version", str(counted[1]), "0", counted[1] == 0),
        (
            "P99 overlapping a swap, over P99 of the others",
            f"{ratio:.2f}x ({_side(overlapping)}; {_side(steady)})",
            f"at most {results['most_times']:g}x",
            _latency(results),
        ),
        (
            "resident memory afterwards",
            f"{growth:+.1%} ({results['memory']['before'] / _MIB:.0f} MiB before)",
            f"at most {MOST_GROWTH:+.0%}",
            growth <= MOST_GROWTH,
        ),
    ]
    lines = ["| | measured | goal | |", "|---|---|---|---|"]
    lines += [f"| {name} | {found} | {goal} | {_word(reached)} |" for name, found, goal, reached in rows]
    return "\n\n".join([_head(results, len(reloads)), "\n".join(lines), _tail(results, reloads)])


def _head(results: Results, reloads: int) -> str:
    machine = results["machine"]
    return (
        f"{reloads} swaps in {format_ns(results['duration_ns'])} at {results['rate_per_s']:g} requests/s, half of the "
        f"{results['capacity_per_s']:.1f} that were measured just before; {machine['CPU']}, {machine['logical cores']} "
        f"cores, load average of the machine {results['load_average_at_the_end'][1]:g}."
    )


def _tail(results: Results, reloads: list[int]) -> str:
    invalid = f" The trial is INVALID: {'; '.join(results['problems'])}." if results["problems"] else ""
    verdict = f" {results['verdict']}." if results["verdict"] else ""
    return f"A swap took {format_ns(statistics.median(reloads))} (median).{verdict}{invalid}"


def _failed(results: Results) -> str:
    statuses = {status: count for status, count in results["load"]["statuses"].items() if status != "200"}
    listed = ", ".join(f"{count} x {status}" for status, count in statuses.items())
    of_all = f"{results['failed']} of {format_count(results['load']['requests'])}"
    return f"{of_all} ({listed})" if listed else of_all


def _side(side: Results) -> str:
    return f"{format_ns(side['P99'])} of {format_count(side['requests'])}"


def _latency(results: Results) -> bool | None:
    """Proven or not; None where the trial decides nothing."""
    return {"MET": True, "BREACHED": False}.get(results["latency"]) if not results["problems"] else None


def _word(reached: bool | None) -> str:
    return "undecided" if reached is None else "reached" if reached else "**missed**"


def write_page(results: Results) -> None:
    """Fill the page."""
    fill_page(PAGE, BLOCK, render(results))
