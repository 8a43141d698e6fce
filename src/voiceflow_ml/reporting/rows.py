"""The rows of every table: one for each objective, whatever became of it, every cell as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from voiceflow_ml.latency import Change, ClockChannel, Comparison, Outcome, Verdict
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.integrity import session_day, waived_words
from voiceflow_ml.reporting.text import interval_text, objective_text, one_line, ratio_interval_text, ratio_text
from voiceflow_ml.results.measurement import Against, Measurement
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.units import format_count, format_ns

HORIZON_SHARE = 8
"""A MET covers interference that comes back at least every span / 8."""
NOT_RUN = "NOT RUN"
ERROR = "ERROR"
_NOTHING = "-"
SLOWER = "SLOWER"
NOT_SLOWER = "NOT SLOWER"
CHANGE_WORDS = {
    Change.SLOWER: SLOWER,
    Change.NOT_SLOWER: NOT_SLOWER,
    Change.INCONCLUSIVE: str(Outcome.INCONCLUSIVE),
}
# What is good keeps its place from run to run.
_BY_EXCESS = (Outcome.BREACHED, Outcome.INCONCLUSIVE)
WORST_FIRST = (
    Outcome.INVALID,
    Outcome.BREACHED,
    SLOWER,
    ERROR,
    Outcome.INCONCLUSIVE,
    NOT_RUN,
    NOT_SLOWER,
    Outcome.MET,
)


@dataclass(frozen=True)
class Row:
    """One objective of the report's table, every cell as text.

    ``excess`` is for sorting alone: how many times its limit was measured, 0 for all that is good or has no number.
    """

    verdict: str
    label: str
    objective: str
    measured: str
    interval: str
    margin: str
    samples: str
    span: str
    horizon: str
    sentence: str
    waived: str = ""
    where: str = ""
    excess: float = 0.0


def build_rows(session: Session, results: Sequence[Result]) -> tuple[Row, ...]:
    """One row for each objective of the plan, then one for each declared objective that no test covers."""
    by_node = {result.planned.node_id: result for result in results}
    rows: list[Row] = []
    today = session_day(session)
    for planned in session.planned:
        rows += _planned_rows(planned, by_node.get(planned.node_id), finished=session.finished, today=today)
    covered = {planned.label for planned in session.planned}
    for declared in session.declared:
        if declared.label not in covered:
            rows += _empty_rows(declared, NOT_RUN, "no test of this run measures it")
    return tuple(rows)


def headline(rows: Sequence[Row]) -> str:
    """``"1 BREACHED, 2 MET"``, worst first; ``"nothing was measured"`` without rows."""
    found = [(kind, [row for row in rows if row.verdict == kind]) for kind in WORST_FIRST]
    return ", ".join(f"{len(of)} {kind}{_how_many_waived(of)}" for kind, of in found if of) or "nothing was measured"


def _how_many_waived(rows: Sequence[Row]) -> str:
    waived = sum(bool(row.waived) for row in rows)
    return f" ({waived} waived)" if waived else ""


def _planned_rows(planned: Planned, result: Result | None, *, finished: bool, today: date) -> list[Row]:
    if result is None:
        reason = "not reached" if finished else "the run has not got to it, or ended before it did"
        return _empty_rows(planned, NOT_RUN, reason)
    if result.measurement is None:
        return _empty_rows(planned, NOT_RUN if result.state is State.SKIPPED else ERROR, result.reason)
    rows = [
        _measured_row(planned, statistic, verdict, result.measurement, today)
        for statistic, verdict in zip(planned.limits_ns, result.measurement.verdicts, strict=True)
    ]
    against = result.measurement.against
    if against is not None:
        rows += [_compared_row(planned, comparison, against) for comparison in against.comparisons]
    return rows


def _empty_rows(planned: Planned, verdict: str, reason: str) -> list[Row]:
    return [
        Row(
            verdict=verdict,
            label=one_line(planned.label),
            objective=objective_text(statistic, limit_ns),
            measured=_NOTHING,
            interval=_NOTHING,
            margin=_NOTHING,
            samples=_NOTHING,
            span=_NOTHING,
            horizon=_NOTHING,
            sentence=one_line(reason).rstrip(".") or "no reason was given",
            where=one_line(planned.where),
        )
        for statistic, limit_ns in planned.limits_ns.items()
    ]


def _measured_row(planned: Planned, statistic: str, verdict: Verdict, measurement: Measurement, today: date) -> Row:
    span_ns = measurement.run.span_ns
    return Row(
        verdict=str(verdict.outcome),
        label=one_line(planned.label),
        objective=objective_text(statistic, verdict.limit_ns),
        measured=_measured_text(statistic, verdict, measurement),
        interval=interval_text(verdict.interval),
        margin=_margin(verdict),
        samples=format_count(verdict.samples),
        span=format_ns(span_ns),
        horizon=format_ns(span_ns / HORIZON_SHARE) if verdict.outcome is Outcome.MET else _NOTHING,
        sentence=one_line(verdict.sentence),
        waived=one_line(waived_words(planned, statistic, verdict, today)),
        where=one_line(planned.where),
        excess=verdict.measured_ns / verdict.limit_ns if verdict.outcome in _BY_EXCESS else 0.0,
    )


def _measured_text(statistic: str, verdict: Verdict, measurement: Measurement) -> str:
    """The percentile; on the adjusted clock with what the wall clock says, which is what a caller waits."""
    measured = format_ns(verdict.measured_ns)
    if verdict.clock is ClockChannel.WALL:
        return measured
    return f"{measured} adjusted ({format_ns(measurement.percentiles_ns[statistic])} wall)"


def _compared_row(planned: Planned, comparison: Comparison, against: Against) -> Row:
    """A comparison as a row beside the objectives: its objective is the tolerance."""
    name = statistic_name(comparison.quantile)
    invalid = against.invalid_reasons
    return Row(
        verdict=str(Outcome.INVALID) if invalid else CHANGE_WORDS[comparison.outcome],
        label=one_line(planned.label),
        objective=f"{name} <= {1 + comparison.tolerance:.4g}x {one_line(against.baseline)}",
        measured=ratio_text(comparison.ratio) or _NOTHING,
        interval=ratio_interval_text(comparison),
        margin=_NOTHING,
        samples=f"{format_count(comparison.candidate_samples)} each",
        span=_NOTHING,
        horizon=_NOTHING,
        sentence=one_line(f"baseline: {'; '.join(invalid)}" if invalid else comparison.sentence),
        where=one_line(planned.where),
    )


def _margin(verdict: Verdict) -> str:
    """Distance to the limit as a share of it; a number that is not about the promise has none."""
    if verdict.outcome is Outcome.INVALID:
        return _NOTHING
    return f"{round(100 * (1 - verdict.measured_ns / verdict.limit_ns)):+d} %"
