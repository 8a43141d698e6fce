"""The results of a soak as Markdown, for the terminal and for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.marked import fill_page, table
from benchmarks.soak.judging import BY_RULE, TURNED_AWAY, Trouble
from benchmarks.soak.run_state import FINISHED
from benchmarks.soak.sampling import TIMED
from benchmarks.soak.verdict import Results, goals
from voiceflow_ml.units import format_count, format_ns

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BLOCK = "soak"
_WORDS = {True: "reached", False: "**missed**", None: "undecided"}
_GROUPS = {
    "infer": "inferences, tensors as raw bytes and as JSON",
    "diarize": "recordings",
    "stream": "live streams, from start to end",
    "GET": "looks at health, metrics and pages",
}
_NAMES = {"infer": "inference", "diarize": "diarization", "chunk": "chunk of a stream"}


def write_page(results: Results) -> None:
    """Fill the page."""
    fill_page(PAGE, BLOCK, render(results))


def render(results: Results) -> str:
    """What was done, each goal and whether it was reached, and what became of whom."""
    parts = [_head(results), _goals(results), _done(results), _faults(results), _latency(results), _trouble(results)]
    return "\n\n".join(part for part in parts if part)


def _head(results: Results) -> str:
    plan, samples = results["plan"], results["samples"]
    loads = samples["load_average"]
    ended = "" if results["state"] == FINISHED else f" **Not the whole soak: {results['state']}.**"
    return (
        f"Measured {results['measured_at'][:10]} on {results['machine'].get('CPU', 'an unknown CPU')}, "
        f"{results['cores']} cores: {plan['duration_s'] / 60:g} min of {plan['rate_per_s']:g} requests/s and "
        f"{plan['streams']} live streams; load average of the machine {min(loads):.1f} to {max(loads):.1f}, since "
        f"others used it, too. Server and clients share the cores, both at nice {results['nice']}.{ended}"
    )


def _goals(results: Results) -> str:
    rows = [[goal.name, goal.measured, goal.goal, _WORDS[goal.reached]] for goal in goals(results)]
    return table(["", "measured", "goal", ""], rows)


def _done(results: Results) -> str:
    """What there was of right answers and of changes of the version."""
    groups: Counter[str] = Counter()
    for asked, count in results["right"].items():
        groups[_GROUPS["GET" if asked.startswith("GET") else asked.split(",")[0].split(" ")[0]]] += count
    rows = [[name, format_count(groups[name])] for name in _GROUPS.values() if groups[name]]
    rows += [[name, format_count(count)] for name, count in results["changes"].items()]
    rows += [[name, format_count(results["counts"].get(name, 0))] for name in (TURNED_AWAY, BY_RULE)]
    return table(["answered rightly, and done to the versions", "times"], rows)


def _faults(results: Results) -> str:
    """Every fault, and how the server ended it."""
    rows = [[name, results["fault_ends"][name], format_count(count)] for name, count in results["faults"].items()]
    return table(["who", "the server's end of it", "times"], rows)


def _latency(results: Results) -> str:
    windows = results["windows"]
    if not windows:
        return ""
    rows = []
    for kind in TIMED:
        p50s, p99s = (_known(windows[f"{kind}_{name}"]) for name in ("p50_ns", "p99_ns"))
        if p99s:
            rows.append([_NAMES[kind], _range(p50s), _range(p99s)])
    late_ns = results["lateness"]["p99_ns"]
    late = f" P99 of the generator's own lateness: {format_ns(late_ns)}." if late_ns is not None else ""
    note = (
        f"From the intended sending to the whole answer, in windows of {results['plan']['window_s']:g} s; "
        f"reported, not judged: the stops of the process and what else the machine does are in it.{late}"
    )
    return f"{table(['latency', 'P50 of a window', 'P99 of a window'], rows)}\n\n{note}"


def _known(values: Sequence[Any]) -> list[int]:
    return [value for value in values if value is not None]


def _range(values_ns: Sequence[int]) -> str:
    ordered = sorted(values_ns)
    low, middle, high = ordered[0], ordered[len(ordered) // 2], ordered[-1]
    return f"{format_ns(low)} to {format_ns(high)}, half of them up to {format_ns(middle)}"


def _trouble(results: Mapping[str, Any]) -> str:
    """The first example of everything that must not happen."""
    lines = [f"- {trouble}: {results['examples'][trouble]}" for trouble in Trouble if trouble in results["examples"]]
    return "\n".join(["The first of each:", "", *lines]) if lines else ""
