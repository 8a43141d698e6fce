"""The latency budget of each end-to-end promise, on paper: which stages are measured, which only declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from voiceflow_ml.latency import Outcome, Run, percentile
from voiceflow_ml.latency.budget import DRAWS, Budget, DeclaredStage, MeasuredStage, add_up
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.text import objective_text, one_line
from voiceflow_ml.results.record import Planned, Result, Session
from voiceflow_ml.sla.objectives import STATISTICS, Stage
from voiceflow_ml.units import format_count, format_ns

ADDED_STAGES = (Stage.NETWORK, Stage.SERVER_PROCESSING, Stage.MODEL_INFERENCE)
"""In the order in which a request meets them; together they are end-to-end."""
DECLARED = "declared, not measured"
_NO_NUMBERS: tuple[tuple[str, str], ...] = ()
_QUANTILES = {statistic_name(quantile): quantile for quantile in STATISTICS.values()}


@dataclass(frozen=True)
class Source:
    """Where the numbers of one stage are from: a run, a declared range, or nothing.

    Attributes:
        stage: which of the stages.
        run: its samples; None when it was not measured.
        range_ns: what is declared of a stage that was not; None when nothing is.
        note: why a measurement of it does not count; empty when there is none, or it counts.
    """

    stage: Stage
    run: Run | None
    range_ns: tuple[int, int] | None
    note: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is any number to add."""
        return self.run is not None or self.range_ns is not None


@dataclass(frozen=True)
class PaperBudget:
    """One end-to-end objective and what its stages add up to.

    Attributes:
        planned: the promise.
        statistic: ``"P99"``.
        limit_ns: of the whole, nanoseconds.
        sources: one for each stage.
        budget: None when nothing is known of a stage.
        measured_ns: the same statistic measured end to end; None where nobody did.
    """

    planned: Planned
    statistic: str
    limit_ns: int
    sources: tuple[Source, ...]
    budget: Budget | None
    measured_ns: int | None

    @property
    def key(self) -> str:
        """Tells it from the other budgets of a report."""
        return f"{self.planned.label} · {self.statistic}"


@dataclass(frozen=True)
class BudgetSection:
    """A budget as finished text.

    Attributes:
        key: of its :class:`PaperBudget`.
        title: which objective.
        heads: of the table's columns of numbers.
        rows: stage, where its numbers are from, and those numbers with their heads; the last row is the whole.
        sentences: what it comes to.
    """

    key: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    sentences: tuple[str, ...]


def paper_budgets(session: Session, results: Sequence[Result]) -> tuple[PaperBudget, ...]:
    """A budget for each end-to-end objective, measured end to end or not; those with the least room first.

    Args:
        session: the session's record.
        results: its finished tests.
    """
    promises = {planned.label: planned for planned in (*session.declared, *session.planned)}
    found = [
        _paper_budget(planned, statistic, limit_ns, results)
        for planned in promises.values()
        if planned.stage == Stage.END_TO_END
        for statistic, limit_ns in planned.limits_ns.items()
    ]
    return tuple(
        sorted(found, key=lambda paper: -paper.budget.independent_ns / paper.limit_ns if paper.budget else 0.0)
    )


def _paper_budget(planned: Planned, statistic: str, limit_ns: int, results: Sequence[Result]) -> PaperBudget:
    quantile = _QUANTILES[statistic]
    sources = tuple(_source(planned, stage, quantile, results) for stage in ADDED_STAGES)
    whole = _slowest(_runs_of(planned, Stage.END_TO_END, results), quantile)
    return PaperBudget(
        planned=planned,
        statistic=statistic,
        limit_ns=limit_ns,
        sources=sources,
        budget=_added(sources, quantile) if all(source.is_known for source in sources) else None,
        measured_ns=None if whole is None else percentile(whole.samples_ns, quantile),
    )


# A report is written after every test, and a run that was measured does not change any more.
@lru_cache(maxsize=1_024)
def _added(sources: tuple[Source, ...], quantile: float) -> Budget:
    stages: list[MeasuredStage | DeclaredStage] = []
    for source in sources:
        low_ns, high_ns = source.range_ns or (0, 0)
        if source.run is not None:
            stages.append(MeasuredStage(source.stage, source.run.samples_ns))
        else:
            stages.append(DeclaredStage(source.stage, low_ns, high_ns))
    return add_up(stages, quantile)


def _source(planned: Planned, stage: Stage, quantile: float, results: Sequence[Result]) -> Source:
    run = _slowest(_runs_of(planned, stage, results), quantile)
    declared = planned.stages.get(stage)
    range_ns = None if run is not None or declared is None else (declared["low_ns"], declared["high_ns"])
    invalid = run is None and any(_same(planned, stage, result.planned) and result.measurement for result in results)
    return Source(stage, run, range_ns, "its measurement is INVALID" if invalid else "")


def _runs_of(planned: Planned, stage: Stage, results: Sequence[Result]) -> Iterator[Run]:
    """What was measured of one stage of the same model on the same target, and is about what it claims."""
    for result in results:
        counts = result.measurement is not None and Outcome.INVALID not in result.outcomes
        if counts and result.measurement is not None and _same(planned, stage, result.planned):
            yield result.measurement.run


def _same(planned: Planned, stage: Stage, other: Planned) -> bool:
    return (other.model, other.stage, other.target) == (planned.model, stage, planned.target)


def _slowest(runs: Iterator[Run], quantile: float) -> Run | None:
    """Of several tests of one stage the slowest counts: a budget must not pick its numbers."""
    return max(runs, key=lambda run: percentile(run.samples_ns, quantile), default=None)


def budget_section(paper: PaperBudget) -> BudgetSection:
    """Word a budget."""
    name, budget = paper.statistic, paper.budget
    title = f"{one_line(paper.planned.label)}, {objective_text(name, paper.limit_ns)}"
    if budget is None:
        known = tuple((str(source.stage), source_text(source), _NO_NUMBERS) for source in paper.sources)
        return BudgetSection(paper.key, title, (), known, (_unknown_text(paper), *_measured_text(paper)))
    heads = (f"{name} alone", f"its part of the {name}, independent", "its part of the ceiling, any dependence")

    def numbers(*durations_ns: int | None) -> tuple[tuple[str, str], ...]:
        return tuple(zip(heads, map(_duration, durations_ns), strict=True))

    rows = [
        (part.name, source_text(source), numbers(part.alone_ns, part.independent_ns, part.ceiling_ns))
        for source, part in zip(paper.sources, budget.parts, strict=True)
    ]
    whole = numbers(None, budget.independent_ns, budget.ceiling_ns)
    return BudgetSection(
        key=paper.key,
        title=title,
        heads=heads,
        rows=(*rows, (str(Stage.END_TO_END), "added up on paper", whole)),
        sentences=(*_sum_texts(paper, budget), *_measured_text(paper)),
    )


def source_text(source: Source) -> str:
    """``"measured: 2 000 samples"``; never a declared number without the word."""
    note = f" ({source.note})" if source.note else ""
    if source.run is not None:
        return f"measured: {format_count(source.run.samples_ns.size)} samples"
    if source.range_ns is None:
        return f"unknown: neither measured nor declared{note}"
    low, high = (format_ns(end_ns, digits=6) for end_ns in source.range_ns)
    return f"{DECLARED}: {low} to {high}{note}"


def _sum_texts(paper: PaperBudget, budget: Budget) -> tuple[str, ...]:
    name, largest = paper.statistic, budget.largest
    share = round(100 * largest.independent_ns / max(1, budget.independent_ns))
    drawn = f"{format_count(DRAWS)} simulated sums"
    if any(source.range_ns for source in paper.sources):
        drawn += ", declared ranges drawn evenly"
    ceiling = (
        "under any dependence: no ceiling, the measured stages have too few samples for a share of the tail each"
        if budget.ceiling_ns is None
        else f"under any dependence: {name} at most {_against_limit(budget.ceiling_ns, paper.limit_ns)}; "
        "a declared range counts with its upper end, measured stages share the tail"
    )
    most = f"{format_ns(largest.independent_ns)} of {format_ns(budget.independent_ns)} ({share} %)"
    return (
        f"if the stages are independent: {name} {_against_limit(budget.independent_ns, paper.limit_ns)} ({drawn})",
        ceiling,
        f"{largest.name} takes the most: {most}, {_source_word(paper, largest.name)}",
    )


def _source_word(paper: PaperBudget, stage: str) -> str:
    measured = next(source.run is not None for source in paper.sources if source.stage == stage)
    return "measured" if measured else DECLARED


def _against_limit(sum_ns: int, limit_ns: int) -> str:
    left_ns = limit_ns - sum_ns
    limit = format_ns(limit_ns, digits=6)
    room = f"{format_ns(left_ns)} of {limit} left" if left_ns >= 0 else f"{format_ns(-left_ns)} over {limit}"
    return f"{format_ns(sum_ns)}, {room}"


def _unknown_text(paper: PaperBudget) -> str:
    unknown = [str(source.stage) for source in paper.sources if not source.is_known]
    remedy = f"declare its range in sla.toml: {', '.join(f'[stages.{name}]' for name in unknown)}"
    return f"not added up: nothing is known of {', '.join(unknown)}; measure it, or {remedy}"


def _measured_text(paper: PaperBudget) -> tuple[str, ...]:
    if paper.measured_ns is None:
        return ()
    return (f"measured end to end: {paper.statistic} {format_ns(paper.measured_ns)}; the verdict is about that number",)


def _duration(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else format_ns(duration_ns)
