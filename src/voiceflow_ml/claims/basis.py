"""What a claim is held against, and what comes of it: results of runs, values of JSON files, or a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.current import current_sha256
from voiceflow_ml.claims.directives import Bound, Directive
from voiceflow_ml.claims.evidence import Evidence
from voiceflow_ml.claims.judging import Measured, Status, judge
from voiceflow_ml.claims.mentions import ANY_GPU
from voiceflow_ml.claims.pointers import Found, all_values, at_pointer, measured_on, read_values
from voiceflow_ml.claims.quantities import Comparator, Quantity
from voiceflow_ml.claims.settings import ClaimsSettings
from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.text import interval_text
from voiceflow_ml.sla.objectives import Sla
from voiceflow_ml.units import format_ns

_KINDS = {
    Quantity.LATENCY: "a latency",
    Quantity.THROUGHPUT: "a throughput",
    Quantity.SIZE: "a size",
    Quantity.RTF: "an RTF",
    Quantity.DER: "a DER",
    Quantity.RATIO: "a ratio",
}
_BOUNDS = (Comparator.AT_MOST, Comparator.AT_LEAST)


@dataclass(frozen=True)
class Judgement:
    """A claim and what became of it.

    Attributes:
        claim: the claim.
        status: what became of it.
        sentence: why, with both numbers.
        basis: the promise, the file or the block that it was held against; empty for none.
    """

    claim: Claim
    status: Status
    sentence: str
    basis: str = ""


@dataclass(frozen=True)
class Court:
    """Judges claims against one project's results.

    Attributes:
        settings: the audit's settings.
        evidence: the latest measurement of each promise.
        sla: the promises; None where there is no file of them.
        now: when the audit is made.
    """

    settings: ClaimsSettings
    evidence: tuple[Evidence, ...]
    sla: Sla | None
    now: datetime

    def judge(self, bound: Bound) -> Judgement:
        """Judge a claim by the comment that is about it, or by its context."""
        directive, claim = bound.directive, bound.claim
        if directive is None or directive.problem:
            return self._by_objective(claim, None)
        if directive.reason:
            return Judgement(claim, Status.NO_PROMISE, directive.reason)
        if directive.pointers:
            try:
                return self._by_results(bound, directive)
            except ResultError as error:
                return Judgement(claim, Status.UNVERIFIED, str(error), directive.pointers[0])
        return self._by_objective(claim, directive)

    def _by_results(self, bound: Bound, directive: Directive) -> Judgement:
        claim, pointers = bound.claim, directive.pointers
        if len(pointers) not in (1, bound.of):
            sentence = f"its comment names {len(pointers)} values for {bound.of} numbers: name one for each, in order"
            return Judgement(claim, Status.UNVERIFIED, sentence, pointers[0])
        basis = pointers[bound.position] if len(pointers) > 1 else pointers[0]
        place, _, unit = basis.partition(" in ")
        file, hash_sign, pointer = place.partition("#")
        content = read_values(self.settings.root / file)
        if hash_sign:
            status, sentence = _against_value(claim, at_pointer(content, pointer, unit))
        else:
            status, sentence = _among_values(claim, list(all_values(content, unit=unit)), file)
        stale = self._too_old(measured_on(content))
        if stale and status is not Status.UNVERIFIED:
            return Judgement(claim, Status.STALE, f"{stale}; {sentence}", basis)
        return Judgement(claim, status, sentence, basis)

    def _too_old(self, measured: datetime | None) -> str:
        if measured is None:
            return ""
        days = (self.now - (measured if measured.tzinfo else measured.replace(tzinfo=UTC))).days
        most = self.settings.max_age_days
        return f"its results are {days} days old, {most} are allowed: measure again" if days > most else ""

    def _by_objective(self, claim: Claim, directive: Directive | None) -> Judgement:
        if claim.quantity is not Quantity.LATENCY:
            return Judgement(claim, Status.UNVERIFIED, f"no run measures {_KINDS[claim.quantity]}: {_HOW}")
        model = (directive.model if directive else "") or claim.model
        stage = (directive.stage if directive else "") or claim.stage
        target = (directive.target if directive else "") or claim.target
        said = (directive.statistic if directive else "") or claim.statistic
        if not (model or stage or said):
            return Judgement(claim, Status.UNVERIFIED, f"nothing says which promise it is about: {_HOW}")
        fitting = [
            entry
            for entry in self.evidence
            if model in ("", entry.model) and stage in ("", entry.stage) and _is_on(entry, target)
        ]
        asked = " · ".join(part or "any" for part in (model, stage, target))
        if not fitting:
            return Judgement(claim, Status.UNVERIFIED, f"no result measures {asked}{_known(self.evidence)}")
        if len(fitting) > 1:
            labels = ", ".join(entry.label for entry in fitting)
            return Judgement(
                claim, Status.UNVERIFIED, f"it may be about any of {labels}: name the one that it is about"
            )
        return self._against(claim, said, fitting[0])

    def _against(self, claim: Claim, said: str, entry: Evidence) -> Judgement:
        statistic = said or ("P99" if claim.comparator in _BOUNDS else "P50")
        assumed = "" if said else f" (no percentile is said; taken as {statistic})"
        found = entry.interval(statistic)
        if found is None:
            sentence = f"{statistic} has no interval, so nothing is judged: claim a percentile"
            return Judgement(claim, Status.UNVERIFIED, sentence, entry.label)
        measured_ns, interval = found
        low_ns = -math.inf if interval.low_ns is None else interval.low_ns
        high_ns = math.inf if interval.high_ns is None else interval.high_ns
        status = judge(claim, Measured(low_ns / claim.scale, high_ns / claim.scale))
        sentence = (
            f"the text says {statistic} {said_text(claim)}{assumed}, results say {format_ns(measured_ns)} "
            f"{interval_text(interval)} ({entry.started_at[:10]}, {entry.machine})"
        )
        stale = self._too_old(datetime.fromisoformat(entry.started_at)) or self._other_file(entry)
        if stale:
            return Judgement(claim, Status.STALE, f"{stale}; {sentence}", entry.label)
        return Judgement(claim, status, sentence, entry.label)

    def _other_file(self, entry: Evidence) -> str:
        now = current_sha256(self.sla, entry.model)
        if not now or not entry.sha256 or now == entry.sha256:
            return ""
        return f"the model file is {now[:12]} now, results are of {entry.sha256[:12]}: measure again"


_HOW = "bind it with <!-- claim: results FILE.json#/pointer -->, or say <!-- claim: none REASON -->"


def said_text(claim: Claim) -> str:
    """``"<= 10 ms"``, ``"~5 ms"``, ``"40 to 80 ms"``."""
    unit = f" {claim.unit}" if claim.unit else ""
    sign = {Comparator.AT_MOST: "<= ", Comparator.AT_LEAST: ">= ", Comparator.APPROXIMATE: "~"}.get(
        claim.comparator, ""
    )
    return f"{sign}{claim.low:.10g}{f' to {claim.high:.10g}' if claim.high is not None else ''}{unit}"


def _is_on(entry: Evidence, target: str) -> bool:
    return target in ("", entry.target) or (target == ANY_GPU and entry.target.startswith("cuda-"))


def _known(evidence: Sequence[Evidence]) -> str:
    if not evidence:
        return ": there are no results; run pytest -m hardware"
    return f"; results measure {', '.join(entry.label for entry in evidence)}"


def _against_value(claim: Claim, found: Found) -> tuple[Status, str]:
    ends = found.in_units(claim.quantity, claim.scale)
    if ends is None:
        return Status.UNVERIFIED, f"{found.pointer} is no {claim.quantity}, and the text says {said_text(claim)}"
    status = judge(claim, Measured(*ends), to_the_digit=True)
    value = f"{ends[0]:.6g}" if ends[0] == ends[1] else f"{ends[0]:.6g} to {ends[1]:.6g}"
    return (
        status,
        f"the text says {said_text(claim)}, {found.pointer} says {value}{f' {claim.unit}' if claim.unit else ''}",
    )


def _among_values(claim: Claim, values: Sequence[Found], file: str) -> tuple[Status, str]:
    """Whether every number of a claim stands somewhere in a file."""
    pointers = []
    for number in (claim.low, claim.high):
        if number is None:
            continue
        match = next((found for found in values if _is(number, claim, found)), None)
        if match is None:
            return (
                Status.REFUTED,
                f"the text says {said_text(claim)}, and no value of {file} is {number:.10g} {claim.unit}",
            )
        pointers.append(match.pointer)
    return Status.CONFIRMED, f"the text says {said_text(claim)}, as {' and '.join(pointers)}"


def _is(number: float, claim: Claim, found: Found) -> bool:
    ends = found.in_units(claim.quantity, claim.scale)
    return ends is not None and abs(ends[0] - number) <= claim.half_step + 1e-9 * max(1.0, abs(number))


def relative(path: Path, root: Path) -> str:
    """A path as people write it: from the root folder where it is inside."""
    resolved = path.resolve()
    return resolved.relative_to(root.resolve()).as_posix() if resolved.is_relative_to(root.resolve()) else str(path)
