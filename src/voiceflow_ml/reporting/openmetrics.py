"""Measured numbers as OpenMetrics text, for whatever collects from files.

Durations are seconds, each family says its type and unit, and the text ends in EOF, as the standard asks:
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from voiceflow_ml.latency import Comparison, Outcome
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.exchange import Point, build_points, unique_names
from voiceflow_ml.reporting.rows import ERROR, NOT_RUN, NOT_SLOWER, SLOWER, build_rows
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.results.record import Planned, Result, Session
from voiceflow_ml.units import NS_PER_S

_VERDICTS = (*map(str, Outcome), SLOWER, NOT_SLOWER, NOT_RUN, ERROR)

_Labels = Mapping[str, str]


def openmetrics_text(session: Session, results: Sequence[Result]) -> str:
    """One series for each objective that has a number; how many have which verdict; and what run it was.

    Args:
        session: the session's record.
        results: its finished tests, in the order of the plan.
    """
    run = {
        "started_at": session.started_at,
        "policy": session.policy,
        "finished": str(session.finished).lower(),
        "confidence": f"{session.confidence:g}",
        "commit": session.environment.get("commit", ""),
    }
    # What has no evidence has no number; that there are such objectives is seen here.
    counts = {**dict.fromkeys(_VERDICTS, 0), **Counter(row.verdict for row in build_rows(session, results))}
    lines = [
        "# TYPE voiceflow_run info",
        "# HELP voiceflow_run The run that the rest is about.",
        _sample("voiceflow_run_info", run, "1"),
        *_gauge(
            "voiceflow_objectives",
            "Objectives and comparisons with this verdict.",
            [({"verdict": verdict}, str(count)) for verdict, count in counts.items()],
        ),
        *_latencies(build_points(results)),
        *_ratios(results),
        "# EOF",
    ]
    return "\n".join(lines) + "\n"


def _latencies(points: Sequence[Point]) -> list[str]:
    judged = [
        ({**_labels(point.name, point.planned, point.statistic), "clock": str(point.verdict.clock)}, point.verdict)
        for point in points
    ]
    return [
        *_gauge(
            "voiceflow_latency_seconds",
            "The measured percentile.",
            [(labels, _seconds(verdict.measured_ns)) for labels, verdict in judged],
        ),
        *_gauge(
            "voiceflow_latency_low_seconds",
            "Lower end of its interval; absent where not bounded.",
            [(labels, _seconds(v.interval.low_ns)) for labels, v in judged if v.interval.low_ns is not None],
        ),
        *_gauge(
            "voiceflow_latency_high_seconds",
            "Upper end of its interval; absent where not bounded.",
            [(labels, _seconds(v.interval.high_ns)) for labels, v in judged if v.interval.high_ns is not None],
        ),
        *_gauge(
            "voiceflow_latency_limit_seconds",
            "The limit that was promised.",
            [(labels, _seconds(verdict.limit_ns)) for labels, verdict in judged],
        ),
        *_gauge(
            "voiceflow_latency_samples",
            "Samples that were judged.",
            [(labels, str(verdict.samples)) for labels, verdict in judged],
        ),
    ]


def _ratios(results: Sequence[Result]) -> list[str]:
    found = [
        (result.planned, statistic_name(comparison.quantile), against.baseline, comparison)
        for result in results
        if result.measurement is not None and (against := result.measurement.against) is not None
        if not against.invalid_reasons
        for comparison in against.comparisons
    ]
    names = unique_names([(planned, statistic) for planned, statistic, _, _ in found])
    compared: list[tuple[_Labels, Comparison]] = [
        ({**_labels(name, planned, statistic), "baseline": baseline}, comparison)
        for name, (planned, statistic, baseline, comparison) in zip(names, found, strict=True)
    ]
    return [
        *_gauge(
            "voiceflow_slowdown_ratio",
            "Latency over that of the baseline.",
            [(labels, repr(c.ratio)) for labels, c in compared if c.ratio is not None],
        ),
        *_gauge(
            "voiceflow_slowdown_low_ratio",
            "Lower end of its interval; absent where not bounded.",
            [(labels, repr(c.ratio_low)) for labels, c in compared if c.ratio_low is not None],
        ),
        *_gauge(
            "voiceflow_slowdown_high_ratio",
            "Upper end of its interval; absent where not bounded.",
            [(labels, repr(c.ratio_high)) for labels, c in compared if c.ratio_high is not None],
        ),
    ]


def _labels(name: str, planned: Planned, statistic: str) -> dict[str, str]:
    return {
        "name": name,
        "model": planned.model,
        "stage": planned.stage,
        "target": planned.target,
        "statistic": statistic,
    }


def _gauge(name: str, meaning: str, series: Iterable[tuple[_Labels, str]]) -> list[str]:
    unit = name.rpartition("_")[2]
    return [
        f"# TYPE {name} gauge",
        *([f"# UNIT {name} {unit}"] if unit in ("seconds", "ratio") else []),
        f"# HELP {name} {meaning}",
        *(_sample(name, labels, value) for labels, value in series),
    ]


def _sample(name: str, labels: _Labels, value: str) -> str:
    written = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{written}}} {value}"


def _escape(text: str) -> str:
    return one_line(text).replace("\\", r"\\").replace('"', r"\"")


def _seconds(duration_ns: int) -> str:
    """Exact, which a float of many seconds is not."""
    return f"{duration_ns // NS_PER_S}.{duration_ns % NS_PER_S:09d}"
