"""What a report says of the promises themselves: loosened, waived, never meant, or too modest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from voiceflow_ml.latency import Outcome, Verdict
from voiceflow_ml.results.record import Planned, Result, Session
from voiceflow_ml.sla.waivers import is_expired, waiver_words
from voiceflow_ml.units import format_count, format_ns

PLACEHOLDER_TIMES = 10
"""A limit beyond this many times the measured percentile promises nothing."""
MODEST_TIMES = 2
"""A promise that is surely kept this many times better could be made stricter."""
_MOST_LINES = 40
_WAIVABLE = (Outcome.BREACHED, Outcome.INCONCLUSIVE)


def integrity_lines(session: Session, results: Sequence[Result]) -> tuple[str, ...]:
    """What a reviewer has to see before any verdict: loosened promises and every waiver, one line each.

    Waivers are judged by the day on which the session started, so that a report rendered again says the same.

    Args:
        session: the session's record.
        results: its finished tests.
    """
    today = session_day(session)
    by_node = {result.planned.node_id: result for result in results}
    lines = list(session.integrity)
    for planned in _with_waivers(session):
        found = verdicts_by_statistic(planned, by_node.get(planned.node_id))
        lines += [_waiver_line(planned, name, found.get(name), today) for name in planned.waivers]
    return _capped(lines)


def advice_lines(results: Sequence[Result]) -> tuple[str, ...]:
    """Which limits are placeholders, and which promises could be stricter, one line each."""
    placeholders: list[str] = []
    modest: list[str] = []
    for result in results:
        for name, verdict in verdicts_by_statistic(result.planned, result).items():
            called = f"{result.planned.label}: {name} <= {format_ns(verdict.limit_ns, digits=6)}"
            if _is_placeholder(verdict):
                placeholders.append(f"placeholder: {called} is {_times(verdict)} the measured {_measured(verdict)}")
            elif _is_modest(verdict):
                modest.append(
                    f"promise too modest: {called}, surely at most {_upper(verdict)}, measured {_measured(verdict)}"
                )
    return _capped([*placeholders, *modest])


def waived_words(planned: Planned, statistic: str, verdict: Verdict, today: date) -> str:
    """Who lets this verdict pass and until when; empty when nobody does, any more or at all."""
    waiver = planned.waivers.get(statistic)
    if waiver is None or verdict.outcome not in _WAIVABLE:
        return ""
    expires = date.fromisoformat(waiver["expires"])
    if is_expired(expires, today):
        return ""
    return waiver_words(waiver["owner"], waiver["reason"], expires, today)


def session_day(session: Session) -> date:
    """The day on which a session started."""
    return datetime.fromisoformat(session.started_at).date()


def verdicts_by_statistic(planned: Planned, result: Result | None) -> dict[str, Verdict]:
    """Statistic name -> verdict; empty when nothing was measured."""
    if result is None or result.measurement is None:
        return {}
    return dict(zip(planned.limits_ns, result.measurement.verdicts, strict=True))


def _with_waivers(session: Session) -> Iterator[Planned]:
    """Planned tests, and declared promises that no test covers, that somebody waived."""
    covered = {planned.label for planned in session.planned}
    uncovered = (declared for declared in session.declared if declared.label not in covered)
    return (planned for planned in (*session.planned, *uncovered) if planned.waivers)


def _waiver_line(planned: Planned, statistic: str, verdict: Verdict | None, today: date) -> str:
    waiver = planned.waivers[statistic]
    expires = date.fromisoformat(waiver["expires"])
    said = waiver_words(waiver["owner"], waiver["reason"], expires, today)
    state = "not measured" if verdict is None else str(verdict.outcome)
    if verdict is not None and verdict.outcome is Outcome.MET:
        return f"waiver not needed: {planned.label}: {statistic} is MET, so take it out; {said}"
    kind = "waiver expired" if is_expired(expires, today) else "waiver"
    return f"{kind}: {planned.label}: {statistic} is {state}; {said}"


def _is_placeholder(verdict: Verdict) -> bool:
    counts = verdict.outcome in (Outcome.MET, Outcome.INCONCLUSIVE)
    return counts and verdict.limit_ns > PLACEHOLDER_TIMES * verdict.measured_ns


def _is_modest(verdict: Verdict) -> bool:
    high_ns = verdict.interval.high_ns
    return verdict.outcome is Outcome.MET and high_ns is not None and MODEST_TIMES * high_ns < verdict.limit_ns


def _times(verdict: Verdict) -> str:
    times = verdict.limit_ns / max(1, verdict.measured_ns)
    return f"{format_count(round(times))}x"


def _measured(verdict: Verdict) -> str:
    return format_ns(verdict.measured_ns)


def _upper(verdict: Verdict) -> str:
    return "-" if verdict.interval.high_ns is None else format_ns(verdict.interval.high_ns)


def _capped(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    left = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], *([f"and {left} more"] if left > 0 else []))
