"""``voiceflow calibrate``: limits proposed from what was measured, each with its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.errors import ConfigError, ResultError
from voiceflow_ml.units import NS_PER_MS, NS_PER_S, NS_PER_US, format_count, format_ns

if TYPE_CHECKING:
    from voiceflow_ml.latency import Verdict
    from voiceflow_ml.results.measurement import Measurement
    from voiceflow_ml.results.record import Planned, Result, Session

_MOST_HEADROOM = 10


@dataclass(frozen=True)
class Proposal:
    """One limit, and what speaks for it.

    Attributes:
        statistic: ``"P99"`` and the like.
        limit_ns: the proposed limit.
        evidence: what was measured, in one line.
    """

    statistic: str
    limit_ns: int
    evidence: str


def calibrate_command(
    results: Annotated[Path, typer.Argument(help="Folder of one session, such as reports/results/20260101T120000Z-7.")],
    headroom: Annotated[
        str, typer.Option(help="How many times the upper end of the interval a limit is, from 1 to 10.")
    ] = "1.3",
) -> None:
    """Propose limits from a session's measurements, as TOML to paste, each with its evidence."""
    from voiceflow_ml.results.store import read_session  # noqa: PLC0415

    session, finished = read_session(results)
    for line in calibration_lines(session, finished, read_headroom(headroom)):
        typer.echo(line)


def read_headroom(text: str) -> Decimal:
    """``"1.3"`` as an exact number.

    Raises:
        ConfigError: not a number from 1 to 10.
    """
    try:
        headroom = Decimal(text)
    except InvalidOperation:
        headroom = Decimal("NaN")
    if headroom.is_nan() or not 1 <= headroom <= _MOST_HEADROOM:
        raise ConfigError(f"--headroom {text!r}: write a number from 1 to {_MOST_HEADROOM}, such as 1.3")
    return headroom


def proposed_limit_ns(high_ns: int, headroom: Decimal) -> int:
    """The upper end of an interval times the headroom, in nanoseconds, rounded up to two significant digits."""
    scaled = high_ns * headroom
    limit_ns = int(scaled.to_integral_value(rounding="ROUND_CEILING"))
    step: int = 10 ** max(0, len(str(limit_ns)) - 2)
    return -(-limit_ns // step) * step


def calibration_lines(session: Session, results: Sequence[Result], headroom: Decimal) -> Iterator[str]:
    """A piece of sla.toml: one ``[[objective]]`` for each promise that was measured.

    What was measured by several tests gets the largest limit that any of them speaks for.

    Args:
        session: the session's record.
        results: its finished tests.
        headroom: see :func:`proposed_limit_ns`.

    Yields:
        Lines of valid TOML; what no limit is proposed for is a comment.

    Raises:
        ResultError: no limit can be proposed from any of the results; the message says why for each.
    """
    from voiceflow_ml.reporting.text import one_line  # noqa: PLC0415

    tables: dict[tuple[str, ...], dict[str, Proposal]] = {}
    refused: list[str] = []
    for planned, result in _by_plan(session, results):
        measurement = result.measurement if result else None
        if measurement is None:
            reason = result.reason if result else "the run did not get to it"
            refused.append(f"{planned.label}: not measured: {reason}")
            continue
        proposals, reasons = _proposals(planned, measurement, headroom)
        refused += [f"{planned.label}: {reason}" for reason in reasons]
        if proposals:
            _keep_largest(tables.setdefault(_head(planned, measurement), {}), proposals)
    if not tables:
        raise ResultError(f"no limit can be proposed: {one_line('; '.join(refused)) or 'the session planned no test'}")
    machine = session.environment.get("CPU", "an unknown CPU")
    yield one_line(
        f"# Proposed by voiceflow calibrate from the session of {session.started_at} (commit "
        f"{session.environment.get('commit', 'unknown')}, {machine}):"
    )
    yield f"# the upper end of each interval x {headroom}, rounded up to two digits."
    for head, kept in tables.items():
        yield ""
        yield from head
        for proposal in kept.values():
            yield one_line(f"# {proposal.evidence}")
            yield f"{_key(proposal.statistic)} = {json.dumps(_duration(proposal.limit_ns))}"
    if refused:
        yield ""
    for line in refused:
        yield one_line(f"# no limit for {line}")


def _keep_largest(kept: dict[str, Proposal], proposals: Sequence[Proposal]) -> None:
    for proposal in proposals:
        earlier = kept.get(proposal.statistic)
        if earlier is None or earlier.limit_ns < proposal.limit_ns:
            kept[proposal.statistic] = proposal


def _by_plan(session: Session, results: Sequence[Result]) -> Iterator[tuple[Planned, Result | None]]:
    by_node = {result.planned.node_id: result for result in results}
    return ((planned, by_node.get(planned.node_id)) for planned in session.planned)


def _proposals(planned: Planned, measurement: Measurement, headroom: Decimal) -> tuple[list[Proposal], list[str]]:
    """What can be proposed for one test, and why the rest cannot."""
    proposals, refused = [], []
    for statistic, verdict in zip(planned.limits_ns, measurement.verdicts, strict=True):
        reason = _refusal(verdict)
        if reason:
            refused.append(f"{statistic}: {reason}")
        else:
            high_ns = verdict.interval.high_ns or 0
            evidence = _evidence(statistic, verdict, measurement)
            proposals.append(Proposal(statistic, proposed_limit_ns(high_ns, headroom), evidence))
    return proposals, refused


def _refusal(verdict: Verdict) -> str:
    from voiceflow_ml.latency import Outcome  # noqa: PLC0415

    if verdict.outcome is Outcome.INVALID:
        return f"INVALID: {verdict.sentence}"
    samples, near = format_count(verdict.samples), format_ns(verdict.measured_ns)
    remedy = f"write a limit near the measured {near} and measure again, which takes more samples"
    if verdict.interval.high_ns is None:
        return f"{samples} samples give its interval no upper end; {remedy}"
    # A MET ends its interval at the limit where the samples alone do not: that says nothing new. Sampling stops
    # as soon as a verdict is sure, which is early for a limit that is far away.
    if verdict.outcome is Outcome.MET and verdict.interval.high_ns >= verdict.limit_ns:
        limit = format_ns(verdict.limit_ns, digits=6)
        return f"{samples} samples speak for none below the present {limit}; {remedy}"
    return ""


def _evidence(statistic: str, verdict: Verdict, measurement: Measurement) -> str:
    from voiceflow_ml.reporting.text import interval_text  # noqa: PLC0415

    return (
        f"{statistic} {format_ns(verdict.measured_ns)} {interval_text(verdict.interval)} at "
        f"{verdict.confidence * 100:g} % confidence, {format_count(verdict.samples)} samples over "
        f"{format_ns(measurement.run.span_ns)}; {verdict.outcome} at {format_ns(verdict.limit_ns, digits=6)}"
    )


def _head(planned: Planned, measurement: Measurement) -> tuple[str, ...]:
    """The keys that say what is promised, and how it was measured where that is not the default."""
    from voiceflow_ml.latency import ClockChannel, Mode  # noqa: PLC0415

    lines = [
        "[[objective]]",
        f"model = {_quoted(planned.model)}",
        f"stage = {_quoted(planned.stage)}",
        f"target = {_quoted(planned.target)}",
    ]
    if measurement.verdicts[0].clock is ClockChannel.ADJUSTED:
        lines.append(f"clock = {_quoted(ClockChannel.ADJUSTED)}")
    run = measurement.run
    if run.mode is not Mode.STEADY:
        lines.append(f"mode = {_quoted(run.mode)}")
    if run.interval_ns:
        lines.append(f"interval = {_quoted(_duration(run.interval_ns))}")
    return tuple(lines)


def _quoted(text: str) -> str:
    """Text as a TOML string; JSON's differ in one character only."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(statistic: str) -> str:
    """``"P99.9"`` -> ``"p999"``."""
    return statistic.lower().replace(".", "")


def _duration(duration_ns: int) -> str:
    """Exactly this duration, in the largest unit that keeps it at or above one."""
    for unit, ns_per_unit in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if duration_ns >= ns_per_unit:
            return f"{(Decimal(duration_ns) / ns_per_unit).normalize():f}{unit}"
    return f"{duration_ns}ns"
