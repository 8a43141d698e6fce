"""How one test was measured, as finished text for a report."""

from __future__ import annotations

from dataclasses import dataclass

from voiceflow_ml.latency import ClockChannel, Mode, Run
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.record import Result
from voiceflow_ml.units import format_count, format_ns

_STOPPED_BY = {
    "decided": "every objective was decided",
    "samples": "the sample budget was spent",
    "time": "the time budget was spent",
}


@dataclass(frozen=True)
class Detail:
    """How one test was measured, as name-value pairs of text, and what was found.

    Attributes:
        label: model, stage and target.
        node_id: pytest's id of the test.
        method: how it was measured.
        statistics: heads of the table of percentiles.
        percentiles: its rows: which clock, and the value of each statistic.
        findings: severity and sentence of each.
    """

    label: str
    node_id: str
    method: tuple[tuple[str, str], ...]
    statistics: tuple[str, ...]
    percentiles: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """Tells it from the other parts of a report."""
        return self.node_id


def build_detail(result: Result, measurement: Measurement) -> Detail:
    """Word how a test was measured."""
    run, against = measurement.run, measurement.against
    rows = [("wall clock", measurement.percentiles_ns), ("adjusted clock", measurement.adjusted_percentiles_ns)]
    findings = [(str(finding.severity), finding.sentence) for finding in measurement.findings]
    if against is not None:
        findings += [(str(finding.severity), f"baseline: {finding.sentence}") for finding in against.findings]
    return Detail(
        label=result.planned.label,
        node_id=result.planned.node_id,
        method=(
            ("timed", measurement.boundary),
            ("inputs", measurement.inputs),
            ("calls", _mode_text(run)),
            ("kept samples", f"{format_count(run.samples_ns.size)} in {_blocks_text(run)}"),
            ("span", format_ns(run.span_ns)),
            ("stopped because", _STOPPED_BY.get(run.stopped_by, run.stopped_by)),
            *_cold_starts(run),
            ("discarded", _discarded_text(run)),
            ("clock", _clock_text(measurement)),
            *_machine(run),
            ("garbage collector", "off inside blocks, on between them"),
            ("seed of the gaps", str(run.seed)),
            *([("baseline", f"{against.baseline}, SHA-256 {against.sha256}")] if against else []),
            *measurement.facts.items(),
        ),
        statistics=tuple(measurement.percentiles_ns),
        percentiles=tuple((name, tuple(map(format_ns, values.values()))) for name, values in rows if values),
        findings=tuple(findings),
    )


def _mode_text(run: Run) -> str:
    interval = format_ns(run.interval_ns)
    # A span of nothing leaves no gaps, so no call has cold caches to settle.
    gaps = "short blocks with random gaps" if run.settling_calls else "without gaps, as its span of nothing asks for"
    return {
        Mode.STEADY: f"steady: {gaps}",
        Mode.BACK_TO_BACK: "back-to-back: one after the other, without gaps",
        Mode.PACED: f"paced: one every {interval}; {format_count(run.late_calls)} began late",
        Mode.OPEN_LOOP: (
            f"open-loop: Poisson arrivals, one every {interval} on average, latency from the intended send time; "
            f"{format_count(run.late_calls)} waited for the one before"
        ),
    }[run.mode]


def _blocks_text(run: Run) -> str:
    blocks = run.block_starts_ns.size
    return "1 block" if blocks == 1 else f"{format_count(blocks)} blocks"


def _cold_starts(run: Run) -> list[tuple[str, str]]:
    return [
        (f"cold start, {cold.inputs} (first call, not judged)", format_ns(cold.duration_ns)) for cold in run.cold_starts
    ]


def _discarded_text(run: Run) -> str:
    warmup = run.warmup
    state = f"steady from the {_ordinal(warmup.first_steady + 1)} on" if warmup.steady else "no steady state seen"
    pilot = f"{format_count(len(warmup.pilot_ns))} warm-up calls ({state})"
    return f"{pilot}, {format_count(run.settling_calls)} at block starts"


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{format_count(number)}{suffix}"


def _clock_text(measurement: Measurement) -> str:
    judged = measurement.verdicts[0].clock if measurement.verdicts else ClockChannel.WALL
    scheduler = measurement.run.scheduler
    if measurement.adjusted_problem or scheduler is None:
        return f"wall; the adjusted clock does not count: {measurement.adjusted_problem}"
    source = f"time waiting for a CPU by {scheduler.source}"
    if judged is ClockChannel.ADJUSTED:
        return f"adjusted, as the promise declares: wall less {source}"
    return f"wall for MET, adjusted (wall less {source}) for BREACHED"


def _machine(run: Run) -> list[tuple[str, str]]:
    if run.control_ns is None:
        return []
    ordered = sorted(run.control_ns.tolist())
    text = f"median {format_ns(ordered[len(ordered) // 2])}, slowest {format_ns(ordered[-1])}, once per block"
    return [("control workload (fixed matrix products)", text)]
