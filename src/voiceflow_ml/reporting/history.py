"""Sessions over time, one small table for each objective: as text for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voiceflow_ml.latency import Outcome
from voiceflow_ml.reporting.difference import word_text
from voiceflow_ml.reporting.render import escape_markdown
from voiceflow_ml.reporting.rows import ERROR, NOT_RUN
from voiceflow_ml.reporting.text import interval_text, one_line
from voiceflow_ml.results.entries import Entry, by_promise, read_entries
from voiceflow_ml.results.sources import Source
from voiceflow_ml.units import format_count, format_ns

# Worst first.
_LETTERS = {
    str(Outcome.BREACHED): "B",
    str(Outcome.INVALID): "X",
    ERROR: "E",
    str(Outcome.INCONCLUSIVE): "?",
    NOT_RUN: "-",
    str(Outcome.MET): "M",
}
LEGEND = (
    "Verdicts, oldest first: M met, B breached, ? inconclusive, X invalid, E error, - not run. "
    "Bars reach from 0 to the largest value of their row; after | follow those of another machine or clock, and bars "
    "on its two sides do not compare. "
    "Shown, not judged: numbers of different sessions are not closely comparable, not even on one machine."
)
_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = "-"


@dataclass(frozen=True)
class Point:
    """One session's line in the table of one objective, every cell as text."""

    started_at: str
    verdict: str
    measured: str
    interval: str
    limit: str
    machine: str


@dataclass(frozen=True)
class Series:
    """One objective over time, oldest first."""

    name: str
    verdicts: str
    bars: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class HistoryView:
    """Several sessions over time as finished text."""

    headline: str
    warnings: tuple[str, ...]
    series: tuple[Series, ...]
    machines: tuple[tuple[str, str], ...]


def build_history(sources: Sequence[Source], unread: Sequence[str] = (), *, last: int) -> HistoryView:
    """Word sessions over time. Comparisons with a baseline are not in it: each is about a baseline of its own.

    Args:
        sources: the sessions, in any order.
        unread: why other folders are not among them.
        last: only this many of the latest lines are shown of each objective.
    """
    by_objective = _by_objective(sources)
    machines: dict[str, str] = {}
    for entry in sorted((e for entries in by_objective.values() for e in entries), key=lambda e: e.started_at):
        if entry.measured_ns is not None:
            machines.setdefault(entry.machine, f"machine {len(machines) + 1}")
    ordered = sorted(by_objective.items(), key=lambda item: (_rank(item[1][-1]), item[0]))
    many = f"{format_count(len(sources))} session{'s' * (len(sources) != 1)}"
    objectives = f"{format_count(len(ordered))} objective{'s' * (len(ordered) != 1)}"
    return HistoryView(
        headline=f"{objectives} over {many}, worst now first",
        warnings=(*_warnings(sources, machines), *unread),
        series=tuple(_series(name, entries[-last:], machines) for name, entries in ordered),
        machines=tuple((number, one_line(machine)) for machine, number in machines.items()),
    )


def history_lines(view: HistoryView) -> list[str]:
    """The history as lines of plain text."""
    lines = [view.headline, LEGEND, *(f"warning: {warning}" for warning in view.warnings)]
    for series in view.series:
        lines += ["", f"{series.name}  {series.verdicts}  {series.bars}".rstrip()]
        lines += [
            (
                f"  {point.started_at}  {point.verdict:<12}  {point.measured:>9}  {point.interval}  "
                f"limit {point.limit}  {point.machine}"
            )
            for point in series.points
        ]
    return [*lines, "", *(f"{number}: {machine}" for number, machine in view.machines)]


def history_markdown(view: HistoryView) -> str:
    """The history as a Markdown document: a table of small multiples first, then a table for each objective."""
    lines = ["# History", "", f"**{view.headline}**", "", escape_markdown(LEGEND)]
    lines += [f"\n> **Warning:** {escape_markdown(warning)}" for warning in view.warnings]
    lines += ["", "| Objective | Verdicts | Measured | Now |", "|---|---|---|--:|"]
    for series in view.series:
        cells = (
            escape_markdown(series.name),
            f"`{series.verdicts}`",
            series.bars or _NOTHING,
            series.points[-1].measured,
        )
        # A code span cannot hold a bare pipe inside a table, so the bars stand outside of one, escaped.
        lines.append(f"| {cells[0]} | {cells[1]} | {cells[2].replace('|', chr(92) + '|')} | {cells[3]} |")
    for series in view.series:
        lines += ["", f"## {escape_markdown(series.name)}", ""]
        lines += ["| Measured at | Verdict | Measured | Interval | Limit | Machine |", "|---|---|--:|---|--:|---|"]
        lines += [
            f"| {escape_markdown(p.started_at)} | **{p.verdict}** | {p.measured} | {escape_markdown(p.interval)} "
            f"| {p.limit} | {p.machine} |"
            for p in series.points
        ]
    if view.machines:
        lines += ["", "## Machines", ""]
        lines += [f"- {number}: {escape_markdown(machine)}" for number, machine in view.machines]
    return "\n".join(lines) + "\n"


def sparkline(groups: Iterable[Sequence[int]]) -> str:
    """Bars from 0 to the largest value of all; groups are divided by ``|``.

    Args:
        groups: values in nanoseconds, at least 0.
    """
    values = [list(group) for group in groups]
    most = max((value for group in values for value in group), default=0) or 1
    top = len(_BARS) - 1
    return "|".join("".join(_BARS[round(top * value / most)] for value in group) for group in values)


def _by_objective(sources: Sequence[Source]) -> dict[str, list[Entry]]:
    """Name of an objective -> its entries by time. What a merge repeats of another session is counted once."""
    ordered = sorted(sources, key=lambda source: (source.session.started_at, source.name))
    found: dict[str, list[Entry]] = {}
    seen: set[tuple[str, ...]] = set()
    for keyed in by_promise([read_entries(source.session, source.results) for source in ordered]):
        for (label, statistic, node_id), entry in keyed.items():
            machine = entry.machine if entry.measured_ns is not None else ""
            known = (label, statistic, entry.planned.node_id, entry.started_at, machine)
            if entry.limit_ns is None or known in seen:
                continue
            seen.add(known)
            name = one_line(f"{label}, {statistic}{f' ({node_id})' * bool(node_id)}")
            found.setdefault(name, []).append(entry)
    return {name: sorted(entries, key=lambda entry: entry.started_at) for name, entries in found.items()}


def _series(name: str, entries: Sequence[Entry], machines: dict[str, str]) -> Series:
    return Series(
        name=name,
        verdicts="".join(_LETTERS[word_text(entry.word)] for entry in entries),
        bars=sparkline(_groups(entries)),
        points=tuple(_point(entry, machines) for entry in entries),
    )


def _groups(entries: Iterable[Entry]) -> list[list[int]]:
    """Measured values in runs of one machine and one clock."""
    groups: list[list[int]] = []
    before = None
    for entry in entries:
        if entry.measured_ns is None:
            continue
        now = (entry.machine, entry.clock)
        if now != before:
            groups.append([])
        groups[-1].append(entry.measured_ns)
        before = now
    return groups


def _point(entry: Entry, machines: dict[str, str]) -> Point:
    measured = entry.measured_ns is not None
    return Point(
        started_at=one_line(entry.started_at),
        verdict=word_text(entry.word),
        measured=format_ns(entry.measured_ns) if entry.measured_ns is not None else _NOTHING,
        interval=interval_text(entry.interval) if entry.interval is not None else _NOTHING,
        limit=format_ns(entry.limit_ns, digits=6) if entry.limit_ns is not None else _NOTHING,
        machine=machines[entry.machine] if measured else _NOTHING,
    )


def _rank(entry: Entry) -> int:
    return list(_LETTERS).index(word_text(entry.word))


def _warnings(sources: Sequence[Source], machines: dict[str, str]) -> list[str]:
    warnings = []
    if len(machines) > 1:
        warnings.append(
            f"{len(machines)} machines measured these sessions; numbers of different machines do not compare"
        )
    unfinished = sorted(source.name for source in sources if not source.session.finished)
    if unfinished:
        shown = ", ".join(unfinished[:5]) + (f" and {len(unfinished) - 5} more" if len(unfinished) > 5 else "")
        warnings.append(f"not finished, still going on or ended from outside: {shown}")
    return warnings
