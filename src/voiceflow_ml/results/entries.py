"""One objective of one session, whatever became of it: what sessions are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from voiceflow_ml.latency import Change, ClockChannel, Comparison, Interval, Outcome
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.results.measurement import Against
from voiceflow_ml.results.record import Planned, Result, Session, State
from voiceflow_ml.results.sources import machine_of

Word = Outcome | Change | State


@dataclass(frozen=True)
class Entry:
    """One objective, or one comparison with a baseline, of one session.

    Attributes:
        planned: the test or the declaration that it is of.
        statistic: ``"P99"``; ``"P99 against the baseline"``.
        word: its verdict; NOT_RUN or ERROR where there is none.
        started_at: when it was measured, or its session began; ISO 8601, UTC.
        machine: the hardware, in words.
        limit_ns: the limit in nanoseconds; None for a comparison.
        tolerance: slowdown that a comparison lets pass, as a fraction; None for an objective.
        sentence: the verdict, or the reason why there is none.
        measured_ns: nearest-rank percentile on the judged clock in nanoseconds; None where nothing was measured.
        interval: where that percentile lies.
        clock: which reading was judged; None where nothing was measured.
    """

    planned: Planned
    statistic: str
    word: Word
    started_at: str
    machine: str
    limit_ns: int | None
    tolerance: float | None = None
    sentence: str = ""
    measured_ns: int | None = None
    interval: Interval | None = None
    clock: ClockChannel | None = None

    @property
    def label(self) -> str:
        """Model, stage and target."""
        return self.planned.label

    @property
    def waiver(self) -> Mapping[str, str] | None:
        """``owner``, ``reason`` and ``expires`` of its waiver, expired or not; None without one."""
        return self.planned.waivers.get(self.statistic)


def read_entries(session: Session, results: Sequence[Result]) -> tuple[Entry, ...]:
    """One entry for each objective of the plan, then for each declared one that no test covers.

    Args:
        session: the session's record.
        results: its finished tests.
    """
    by_node = {result.planned.node_id: result for result in results}
    covered = {planned.label for planned in session.planned}
    entries: list[Entry] = []
    for planned in session.planned:
        entries += _of_test(session, planned, by_node.get(planned.node_id))
    for declared in session.declared:
        if declared.label not in covered:
            entries += _without_number(session, declared, State.NOT_RUN, "no test of this run measures it")
    return tuple(entries)


def by_promise(sessions: Sequence[Iterable[Entry]]) -> list[dict[tuple[str, str, str], Entry]]:
    """The entries of each session by promise and statistic; by test, too, where several tests measure one promise.

    So a test that was renamed or moved still measures the same promise, which is what sessions are compared by.

    Args:
        sessions: the entries of each.
    """
    listed = [tuple(entries) for entries in sessions]
    shared: set[str] = set()
    for entries in listed:
        tests: dict[str, set[str]] = {}
        for entry in entries:
            tests.setdefault(entry.label, set()).add(entry.planned.node_id)
        shared.update(label for label, nodes in tests.items() if len(nodes) > 1)
    return [
        {(e.label, e.statistic, e.planned.node_id if e.label in shared else ""): e for e in entries}
        for entries in listed
    ]


def _of_test(session: Session, planned: Planned, result: Result | None) -> list[Entry]:
    if result is None:
        return _without_number(session, planned, State.NOT_RUN, "not reached")
    if result.measurement is None:
        state = State.NOT_RUN if result.state is State.SKIPPED else State.ERROR
        return _without_number(session, planned, state, result.reason)
    machine = machine_of(session, result)
    entries = [
        Entry(
            planned=planned,
            statistic=statistic_name(verdict.quantile),
            word=verdict.outcome,
            started_at=result.started_at,
            machine=machine,
            limit_ns=verdict.limit_ns,
            sentence=verdict.sentence,
            measured_ns=verdict.measured_ns,
            interval=verdict.interval,
            clock=verdict.clock,
        )
        for verdict in result.measurement.verdicts
    ]
    against = result.measurement.against
    if against is not None:
        entries += [_compared(planned, one, against, result.started_at, machine) for one in against.comparisons]
    return entries


def _compared(planned: Planned, comparison: Comparison, against: Against, started_at: str, machine: str) -> Entry:
    invalid = against.invalid_reasons
    return Entry(
        planned=planned,
        statistic=f"{statistic_name(comparison.quantile)} against the baseline",
        word=Outcome.INVALID if invalid else comparison.outcome,
        started_at=started_at,
        machine=machine,
        limit_ns=None,
        tolerance=comparison.tolerance,
        sentence="; ".join(invalid) or comparison.sentence,
    )


def _without_number(session: Session, planned: Planned, state: State, reason: str) -> list[Entry]:
    return [
        Entry(planned, statistic, state, session.started_at, machine_of(session), limit_ns, sentence=reason)
        for statistic, limit_ns in planned.limits_ns.items()
    ]
