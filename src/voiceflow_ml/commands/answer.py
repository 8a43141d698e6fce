"""What ``voiceflow compare`` answers, as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.latency.compare import Change, Comparison
from voiceflow_ml.latency.verdict import Outcome, statistic_name
from voiceflow_ml.reporting.rows import CHANGE_WORDS
from voiceflow_ml.reporting.text import ratio_interval_text, ratio_text
from voiceflow_ml.results.measurement import Against
from voiceflow_ml.units import format_count, format_ns

SCHEMA_VERSION = 1
INVALID = str(Outcome.INVALID)
EXIT_CODES = {
    CHANGE_WORDS[Change.NOT_SLOWER]: 0,
    CHANGE_WORDS[Change.SLOWER]: 1,
    CHANGE_WORDS[Change.INCONCLUSIVE]: 3,
    INVALID: 4,
}
_WORST_FIRST = (Change.SLOWER, Change.INCONCLUSIVE, Change.NOT_SLOWER)


@dataclass(frozen=True)
class Answer:
    """A comparison and what it rests on.

    Attributes:
        against: the comparison; without any quantile when nothing was worth measuring.
        candidate: the model that is asked about, for people.
        target: where both had to run.
        inputs: what both were fed.
        span_ns: the pairs were spread over this long; 0 when none was taken.
    """

    against: Against
    candidate: str
    target: str
    inputs: str
    span_ns: int

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the answer does not count; empty when it does."""
        return self.against.invalid_reasons

    @property
    def outcome(self) -> str:
        """The worst of the answers: INVALID, SLOWER, INCONCLUSIVE, or NOT SLOWER."""
        changes = {comparison.outcome for comparison in self.against.comparisons}
        if self.problems:
            return INVALID
        return CHANGE_WORDS[next(change for change in _WORST_FIRST if change in changes)]


def answer_lines(answer: Answer) -> list[str]:
    """One line for each quantile, what each open one still needs, cautions, and one sentence."""
    comparisons = answer.against.comparisons
    words = [INVALID if answer.problems else CHANGE_WORDS[one.outcome] for one in comparisons]
    names = [statistic_name(one.quantile) for one in comparisons]
    word_width, name_width = (max(map(len, texts), default=0) for texts in (words, names))
    lines = []
    for word, name, one in zip(words, names, comparisons, strict=True):
        lines.append(f"{word:<{word_width}}   {name:<{name_width}}  {_numbers(one)}")
        if word == CHANGE_WORDS[Change.INCONCLUSIVE]:
            lines.append(f"  {one.sentence}")
    findings = answer.against.findings
    lines += [f"caution: {finding.sentence}" for finding in findings if finding.severity is Severity.CAUTION]
    return [*lines, f"{_conclusion(answer)}."]


def _numbers(one: Comparison) -> str:
    ratio = f"{ratio_text(one.ratio)} {ratio_interval_text(one)}" if one.ratio is not None else "no ratio"
    return (
        f"{ratio}  {one.confidence * 100:.10g} % conf, tolerance {one.tolerance * 100:.10g} %, "
        f"n = {format_count(one.candidate_samples)} each  "
        f"({format_ns(one.baseline_ns)} -> {format_ns(one.candidate_ns)})"
    )


def _conclusion(answer: Answer) -> str:
    pair = f"{answer.candidate} is slower than {answer.against.baseline}"
    if answer.problems:
        return f"Whether {pair} is not answered: {'; '.join(answer.problems)}"
    how = (
        f"both were measured now, in turns over {format_ns(answer.span_ns)}, because numbers of other sessions are "
        "not comparable"
    )
    slower, still_open, _ = (
        _joined(statistic_name(one.quantile) for one in answer.against.comparisons if one.outcome is change)
        for change in _WORST_FIRST
    )
    if slower:
        return f"{pair} at {slower} by more than the tolerance: {how}"
    if still_open:
        return f"Whether {pair} at {still_open} by more than the tolerance is open: {how}"
    everywhere = _joined(statistic_name(one.quantile) for one in answer.against.comparisons)
    return (
        f"{answer.candidate} is not slower than {answer.against.baseline} at {everywhere} beyond the tolerance: {how}"
    )


def answer_to_dict(answer: Answer, **facts: Any) -> dict[str, Any]:
    """An answer as JSON values, raw samples included.

    Args:
        answer: the answer.
        facts: what a reader needs to reproduce it, each under its name.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": answer.outcome,
        "candidate": answer.candidate,
        "target": answer.target,
        "inputs": answer.inputs,
        "span_ns": answer.span_ns,
        **facts,
        "against": asdict(answer.against),
    }


def _joined(names: Iterable[str]) -> str:
    """``"P50, P90 and P99"``."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last
