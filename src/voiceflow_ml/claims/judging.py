"""A claim against what was measured.

A number is confirmed when the interval holds it, as exactly as it is written, and a bound when all of the interval is
within it; both are refuted when none of the interval is. What lies between is UNVERIFIED: the evidence leaves it open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.quantities import Comparator, Quantity

_APPROXIMATE_SHARE = 0.1
_MODEST_FACTOR = 2.0


class Status(StrEnum):
    """What becomes of a claim."""

    CONFIRMED = "CONFIRMED"
    REFUTED = "REFUTED"
    STALE = "STALE"
    UNVERIFIED = "UNVERIFIED"
    TOO_MODEST = "TOO MODEST"
    NO_PROMISE = "NO PROMISE"
    """A comment says, with its reason, that the number promises nothing."""


@dataclass(frozen=True)
class Measured:
    """What a claim is held against, in the claim's unit.

    Attributes:
        low: lower end; minus infinity where the samples do not bound it.
        high: upper end; infinity where they do not.
    """

    low: float
    high: float


def judge(claim: Claim, measured: Measured, *, to_the_digit: bool = False) -> Status:
    """CONFIRMED, REFUTED, TOO MODEST or UNVERIFIED.

    Args:
        claim: the claim.
        measured: the interval of what it is about, or a single value as both ends.
        to_the_digit: the number was copied from this very value, so that a better one refutes it, too.
    """
    if math.isnan(measured.low) or math.isnan(measured.high):
        return Status.UNVERIFIED
    less_is_better = claim.quantity not in (Quantity.THROUGHPUT, Quantity.RATIO)
    if claim.comparator is Comparator.AT_MOST:
        much_better = less_is_better and measured.high * _MODEST_FACTOR < claim.low
        return _bound(measured.low > claim.low, measured.high > claim.low, much_better=much_better)
    if claim.comparator is Comparator.AT_LEAST:
        much_better = not less_is_better and measured.low > claim.low * _MODEST_FACTOR
        return _bound(measured.high < claim.low, measured.low < claim.low, much_better=much_better)
    low, high = _widened(claim)
    worse, better = measured.low > high, measured.high < low
    if not less_is_better:
        worse, better = better, worse
    if worse or (better and to_the_digit):
        return Status.REFUTED
    if better:
        return Status.TOO_MODEST
    inside = low <= measured.low and measured.high <= high
    return Status.CONFIRMED if claim.high is None or inside else Status.UNVERIFIED


def _bound(all_beyond: bool, some_beyond: bool, *, much_better: bool) -> Status:
    if all_beyond:
        return Status.REFUTED
    if some_beyond:
        return Status.UNVERIFIED
    return Status.TOO_MODEST if much_better else Status.CONFIRMED


def _widened(claim: Claim) -> tuple[float, float]:
    """A number or a range, as exactly as it is written."""
    slack = claim.half_step
    if claim.comparator is Comparator.APPROXIMATE:
        slack = max(slack, _APPROXIMATE_SHARE * abs(claim.low))
    # A value that is exactly half a digit away rounds to what is written.
    slack += 1e-9 * max(1.0, abs(claim.low))
    return claim.low - slack, (claim.low if claim.high is None else claim.high) + slack
