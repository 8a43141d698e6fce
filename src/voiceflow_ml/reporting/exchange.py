"""Measured numbers for programs that keep a history: github-action-benchmark and Bencher.

Only what has evidence is a number here. An objective that is INVALID, NOT RUN or ERROR is left out, and so is the end
of an interval that is not bounded: a history must not take them for fast, slow or zero.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.latency import Outcome, Verdict
from voiceflow_ml.reporting.text import interval_text, objective_text, one_line
from voiceflow_ml.results.record import Planned, Result
from voiceflow_ml.units import NS_PER_MS, format_count

# Bencher takes 1 024 characters; the tail keeps two long names apart.
_LONGEST_NAME = 1_000
# The action writes names into Markdown tables without escaping them.
_PLAIN = str.maketrans({"|": "\u00a6", "`": "'", "<": "\u2039", ">": "\u203a"})


@dataclass(frozen=True)
class Point:
    """One objective that has a number.

    Attributes:
        name: stable from run to run, and unique within one.
        planned: what the test set out to measure.
        statistic: ``"P99"``.
        verdict: its number, interval and limit, in nanoseconds.
    """

    name: str
    planned: Planned
    statistic: str
    verdict: Verdict


def build_points(results: Sequence[Result]) -> tuple[Point, ...]:
    """Every objective that has a number, in the order of the plan."""
    found = [
        (result.planned, statistic, verdict)
        for result in results
        if result.measurement is not None
        for statistic, verdict in zip(result.planned.limits_ns, result.measurement.verdicts, strict=True)
        if verdict.outcome is not Outcome.INVALID
    ]
    names = unique_names([(planned, statistic) for planned, statistic, _ in found])
    return tuple(Point(name, *entry) for name, entry in zip(names, found, strict=True))


def benchmark_action_json(points: Sequence[Point]) -> str:
    """The list that github-action-benchmark reads as ``customSmallerIsBetter``, in milliseconds.

    The action refuses an empty list, which is right for a run without any number.
    """
    return _dump([_benchmark_action_entry(point) for point in points])


def bencher_json(points: Sequence[Point]) -> str:
    """Bencher Metric Format: the measure ``latency``, which Bencher keeps in nanoseconds."""
    return _dump({point.name: {"latency": _bencher_metric(point.verdict)} for point in points})


def _benchmark_action_entry(point: Point) -> dict[str, str | float]:
    verdict = point.verdict
    entry: dict[str, str | float] = {
        "name": point.name,
        "unit": "ms",
        "value": verdict.measured_ns / NS_PER_MS,
        "extra": "\n".join(
            (
                f"{verdict.outcome}: {objective_text(point.statistic, verdict.limit_ns)}",
                f"{verdict.confidence * 100:g} % confidence, n = {format_count(verdict.samples)}",
                f"{verdict.clock} clock",
            )
        ),
    }
    if verdict.interval.low_ns is not None or verdict.interval.high_ns is not None:
        entry["range"] = interval_text(verdict.interval)
    return entry


def _bencher_metric(verdict: Verdict) -> dict[str, float]:
    ends = {"lower_value": verdict.interval.low_ns, "upper_value": verdict.interval.high_ns}
    return {"value": verdict.measured_ns, **{name: end for name, end in ends.items() if end is not None}}


def unique_names(found: Sequence[tuple[Planned, str]]) -> list[str]:
    """Names that stay the same from run to run: label and statistic.

    Where two tests share them the test is named as well, and where even that is shared, they are numbered.
    """
    short = [_plain(f"{planned.label} \u00b7 {statistic}") for planned, statistic in found]
    shared = Counter(short)
    long = [
        name if shared[name] == 1 else f"{name} \u00b7 {_plain(planned.node_id)}"
        for name, (planned, _) in zip(short, found, strict=True)
    ]
    seen: Counter[str] = Counter()
    names = []
    for name in map(_cut, long):
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _plain(text: str) -> str:
    return one_line(text).translate(_PLAIN)


def _cut(name: str) -> str:
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]} {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _dump(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
