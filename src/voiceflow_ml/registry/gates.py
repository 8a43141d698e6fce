"""What a version must show before it is published: a large enough step, verdicts, and no worse error rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voiceflow_ml.contract.diff import ContractDiff
from voiceflow_ml.contract.schema import Contract, Promise
from voiceflow_ml.errors import RegistryError
from voiceflow_ml.files import hash_file
from voiceflow_ml.latency import Outcome
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.registry.manifest import Manifest
from voiceflow_ml.registry.release import Release
from voiceflow_ml.registry.versions import smallest_step, step
from voiceflow_ml.results.record import Result

PROVEN_STAGE = "model-inference"
"""The stage that a model file alone decides; the others need a server, which no release carries."""
DER_GATE = "der"


@dataclass(frozen=True)
class Tolerances:
    """How much worse than the channel's a score may be.

    Attributes:
        der_points: percentage points of an error rate.
    """

    der_points: float = 0.5


def check_step(base: str, version: str, found: ContractDiff) -> None:
    """Refuse a step that is smaller than what changed.

    Raises:
        RegistryError: it is; the message names the gravest changes and the smallest version that would do.
    """
    if step(base, version) < found.level:
        reasons = "; ".join(change.reason for change in found.changes if change.level is found.level)
        smallest = smallest_step(base, found.level)
        raise RegistryError(
            f"{version} is too small a step from {base}: the change is {found.level} ({reasons}); "
            f"publish it as {smallest} or higher"
        )


def check_verdicts(release: Release, results: Sequence[Result], waived: Mapping[str, str]) -> tuple[str, ...]:
    """Refuse a release whose promises are not shown to be met by its own file.

    Args:
        release: the release.
        results: what was measured.
        waived: gate -> reason; a gate here is ``sla:`` and a target.

    Returns:
        One line for each promise.

    Raises:
        RegistryError: a target without a verdict for this file, or with another verdict than MET.
    """
    sha256 = hash_file(release.primary)
    about_it = [result for result in results if _sha256(result) == sha256]
    lines = []
    for promise in release.contract.sla:
        if promise.stage != PROVEN_STAGE:
            continue
        label = f"{promise.target} · {promise.statistic} <= {promise.limit_ns} ns"
        outcome, line = _verdict(promise, about_it)
        gate = f"sla:{promise.target}"
        if outcome is Outcome.MET:
            lines.append(f"{label}: {line}")
        elif gate in waived:
            lines.append(f"{label}: {line or 'not measured'} (waived: {waived[gate]})")
        else:
            raise RegistryError(_refusal(release.contract, promise, outcome, line, gate))
    return tuple(lines)


def _refusal(contract: Contract, promise: Promise, outcome: Outcome | None, line: str, gate: str) -> str:
    if outcome is None:
        what = (
            f"no verdict for {promise.target}: {contract.model} promises {promise.statistic} <= "
            f"{promise.limit_ns} ns there, and no result given is about this file"
        )
    else:
        what = f"the verdict for {promise.target} is not MET but {line}"
    return f"{what}; measure it and name the results (--results), or publish without (--waive {gate}=REASON)"


def _verdict(promise: Promise, results: Sequence[Result]) -> tuple[Outcome | None, str]:
    """The worst verdict about a promise, with its sentence; None when there is none."""
    found = [
        verdict
        for result in results
        if result.planned.target == promise.target and result.planned.stage == promise.stage and result.measurement
        for verdict in result.measurement.verdicts
        # A verdict about a looser limit says nothing about this one.
        if statistic_name(verdict.quantile) == promise.statistic and verdict.limit_ns <= promise.limit_ns
    ]
    if not found:
        return None, ""
    not_met = [verdict for verdict in found if verdict.outcome is not Outcome.MET]
    shown = (not_met or found)[0]
    return shown.outcome, f"{shown.outcome}, {shown.sentence}"


def _sha256(result: Result) -> str:
    return result.measurement.facts.get("model SHA-256", "") if result.measurement else ""


def check_scores(
    release: Release, in_use: Manifest | None, channel: str, tolerances: Tolerances, waived: Mapping[str, str]
) -> None:
    """Refuse a release that makes more errors than the version that a channel has in use.

    Raises:
        RegistryError: a score is worse by more than its tolerance, is missing, or is about other data.
    """
    if in_use is None or not in_use.scores or DER_GATE in waived:
        return
    hint = f"(--waive {DER_GATE}=REASON publishes it nevertheless)"
    if release.scored_on != in_use.scored_on:
        raise RegistryError(
            f"the scores are about {release.scored_on or 'nothing'!r}, those of {in_use.version} in {channel} about "
            f"{in_use.scored_on!r}, so they do not compare; score the release on the same data {hint}"
        )
    for name, before in in_use.scores.items():
        after = release.scores.get(name)
        # Written so that a NaN is refused, too.
        if after is None or not after <= before + tolerances.der_points:
            raise RegistryError(
                f"{name} is {'missing' if after is None else f'{after:g} %'}, {in_use.version} in {channel} has "
                f"{before:g} %; at most {tolerances.der_points:g} points more are let pass {hint}"
            )


def check_waivers(waived: Mapping[str, str], contract: Contract) -> None:
    """Refuse a waiver of a gate that there is not, or one without a reason.

    Raises:
        RegistryError: either.
    """
    gates = {DER_GATE, *(f"sla:{promise.target}" for promise in contract.sla if promise.stage == PROVEN_STAGE)}
    for gate, reason in waived.items():
        if gate not in gates:
            raise RegistryError(f"there is no gate {gate!r} to waive; this release has {', '.join(sorted(gates))}")
        if not reason.strip():
            raise RegistryError(f"waiving {gate} needs a reason: --waive {gate}=REASON")
