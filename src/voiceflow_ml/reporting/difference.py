"""What changed between two sessions, as text for a terminal and as Markdown for a review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.latency import Change
from voiceflow_ml.reporting.render import escape_markdown
from voiceflow_ml.reporting.rows import CHANGE_WORDS, ERROR, NOT_RUN
from voiceflow_ml.reporting.text import interval_text, objective_text, one_line
from voiceflow_ml.results.diff import Changed, Difference, Pair
from voiceflow_ml.results.entries import Entry, Word
from voiceflow_ml.results.record import State
from voiceflow_ml.results.sources import Source
from voiceflow_ml.units import format_count, format_ns

NOT_JUDGED = (
    "Shown, not judged: numbers of different sessions are not comparable. To compare two models, measure them in turns "
    "(voiceflow compare, or pytest --sla-baseline)."
)
_NONE = "not recorded"


@dataclass(frozen=True)
class Section:
    """One part of a comparison: its title, a sentence to read before it, and its lines."""

    title: str
    note: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceView:
    """A comparison of two sessions as finished text."""

    headline: str
    sessions: tuple[str, ...]
    sections: tuple[Section, ...]


def word_text(word: Word) -> str:
    """A verdict as reports say it; ``"NOT RUN"`` or ``"ERROR"`` where there is none."""
    if isinstance(word, State):
        return ERROR if word is State.ERROR else NOT_RUN
    return CHANGE_WORDS[word] if isinstance(word, Change) else str(word)


def entry_text(entry: Entry) -> str:
    """``"fast-cnn · model-inference · cpu, P99 <= 10 ms"``."""
    label = one_line(entry.label)
    if entry.limit_ns is None:
        return f"{label}, {entry.statistic}"
    return f"{label}, {objective_text(entry.statistic, entry.limit_ns)}"


def build_difference(old: Source, new: Source, difference: Difference) -> DifferenceView:
    """Word what changed.

    Args:
        old: the session of before.
        new: the session of now.
        difference: what :func:`voiceflow_ml.results.diff.diff` made of the two.
    """
    loosened = [_promise_line(pair) for pair in difference.promises if pair.loosened]
    other = [_promise_line(pair) for pair in difference.promises if not pair.loosened]
    removed = [f"removed: {entry_text(entry)} (was {word_text(entry.word)})" for entry in difference.removed]
    added = [f"added: {entry_text(entry)} ({word_text(entry.word)})" for entry in difference.added]
    settings = sorted(difference.settings, key=lambda change: not change.loosened)
    loosened += [f"loosened: {_changed_text(change)}" for change in settings if change.loosened]
    sections = (
        Section("Loosened or removed", "", (*loosened, *removed)),
        Section("Verdicts", "", tuple(map(_verdict_line, difference.verdicts))),
        Section("Promises added or changed", "", (*other, *added)),
        Section(
            "Percentiles whose intervals do not overlap", NOT_JUDGED, tuple(map(_shift_line, difference.percentiles))
        ),
        Section("Run", "", tuple(_changed_text(change) for change in settings if not change.loosened)),
        Section("Environment", "", tuple(map(_changed_text, difference.environment))),
        Section("How it was measured", "", tuple(map(_changed_text, difference.methods))),
    )
    return DifferenceView(
        headline=_headline(difference),
        sessions=(f"old: {_session_text(old)}", f"new: {_session_text(new)}"),
        sections=tuple(section for section in sections if section.lines),
    )


def difference_lines(view: DifferenceView) -> list[str]:
    """The comparison as lines of plain text."""
    lines = [view.headline, *view.sessions]
    for section in view.sections:
        lines += [
            "",
            section.title,
            *([section.note] if section.note else []),
            *(f"  {line}" for line in section.lines),
        ]
    return lines


def difference_markdown(view: DifferenceView) -> str:
    """The comparison as a Markdown document."""
    lines = ["# What changed", "", f"**{view.headline}**", "", *_bullets(view.sessions)]
    for section in view.sections:
        note = [escape_markdown(section.note), ""] if section.note else []
        lines += ["", f"## {section.title}", "", *note, *_bullets(section.lines)]
    return "\n".join(lines) + "\n"


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {escape_markdown(line)}" for line in lines]


def _headline(difference: Difference) -> str:
    objectives = f"{format_count(difference.objectives)} objective{'s' * (difference.objectives != 1)} in common"
    if not difference.any:
        return f"Nothing changed ({objectives})"
    worse = difference.worse
    verb = "changes are" if worse != 1 else "change is"
    return (
        f"{format_count(worse)} {verb} for the worse ({objectives})" if worse else f"Nothing got worse ({objectives})"
    )


def _session_text(source: Source) -> str:
    state = "" if source.session.finished else ", NOT FINISHED: still going on, or ended from outside"
    return one_line(f"{source.name}, started {source.session.started_at}{state}")


def _promise_line(pair: Pair) -> str:
    old, new = pair.old, pair.new
    parts = []
    if old.limit_ns is not None and new.limit_ns is not None and old.limit_ns != new.limit_ns:
        limits = f"{format_ns(old.limit_ns, digits=6)} -> {format_ns(new.limit_ns, digits=6)}"
        parts.append(f"limit {limits} ({new.limit_ns / old.limit_ns:.3g}x)")
    if old.tolerance is not None and new.tolerance is not None and old.tolerance != new.tolerance:
        parts.append(f"tolerance {old.tolerance * 100:.4g} % -> {new.tolerance * 100:.4g} %")
    if pair.clock_changed:
        parts.append(f"judged on the {new.clock} clock, before on the {old.clock} clock")
    if old.waiver != new.waiver:
        parts.append(_waiver_text(new))
    kind = "loosened" if pair.loosened else "changed" if pair.clock_changed else "tightened"
    return f"{kind}: {one_line(new.label)}, {new.statistic}: {', '.join(parts)}"


def _waiver_text(entry: Entry) -> str:
    waiver = entry.waiver
    if waiver is None:
        return "waived no more"
    return one_line(f"waived until {waiver['expires']} by {waiver['owner']}: {waiver['reason']}")


def _verdict_line(pair: Pair) -> str:
    kind = "worse" if pair.worsened else "changed"
    sentence = one_line(pair.new.sentence).rstrip(".")
    change = f"{word_text(pair.old.word)} -> {word_text(pair.new.word)}"
    return f"{kind}: {entry_text(pair.new)}: {change}{': ' * bool(sentence)}{sentence}"


def _shift_line(pair: Pair) -> str:
    machines = "" if pair.old.machine == pair.new.machine else " (on different machines)"
    name = f"{one_line(pair.new.label)}, {pair.new.statistic}"
    return f"{name}: {_measured_text(pair.old)} -> {_measured_text(pair.new)}{machines}"


def _measured_text(entry: Entry) -> str:
    if entry.measured_ns is None or entry.interval is None:
        return _NONE
    return f"{format_ns(entry.measured_ns)} {interval_text(entry.interval)}"


def _changed_text(change: Changed) -> str:
    old, new = (_NONE if value is None else one_line(value) or "empty" for value in (change.old, change.new))
    return f"{one_line(change.name)}: {old} -> {new}"
