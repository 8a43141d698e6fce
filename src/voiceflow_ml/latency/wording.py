"""Verdicts in words: one sentence each, the number of samples on the wrong side always in it."""

from __future__ import annotations

from voiceflow_ml.latency.plan import fewest_for_breached, fewest_for_met
from voiceflow_ml.latency.verdict import Bound, Outcome, Verdict, statistic_name
from voiceflow_ml.units import format_count, format_ns

_NOTEWORTHY_EFFECT = 1.5
"""From this design effect on a reader is told that the samples hang together."""


def sentence_of(verdict: Verdict, bound: Bound = Bound.UPPER) -> str:
    """The sentence of a verdict on one channel."""
    name, limit = statistic_name(verdict.quantile), format_ns(verdict.limit_ns)
    sure = f"{verdict.confidence * 100:g} % confidence"
    counted = _counted(verdict, bound)
    if verdict.outcome is Outcome.MET:
        side = "within" if bound is Bound.UPPER else "at least"
        return f"{name} is {side} {limit} with {sure}: {counted}"
    if verdict.outcome is Outcome.BREACHED:
        side = "over" if bound is Bound.UPPER else "under"
        return f"{name} is {side} {limit} with {sure}: {counted}"
    return f"{name} against {limit} is open at {sure}: {counted}; {needed_text(verdict)}"


def sentence_of_both(joined: Verdict, wall: Verdict, adjusted: Verdict) -> str:
    """The sentence of a verdict on two channels, of which ``joined.outcome`` is the outcome."""
    name = statistic_name(wall.quantile)
    without = f"without the time spent waiting for a CPU it is {format_ns(adjusted.measured_ns)}"
    if joined.outcome is Outcome.MET:
        return wall.sentence
    if joined.outcome is Outcome.BREACHED:
        return f"{adjusted.sentence}, the time spent waiting for a CPU already taken off"
    if wall.outcome is not Outcome.BREACHED:
        return f"{wall.sentence}; {without}, {_in_words(adjusted.outcome)}"
    return (
        f"{name} is over {format_ns(wall.limit_ns)} on the wall clock: {_counted(wall, Bound.UPPER)}; {without}, "
        f'{_in_words(adjusted.outcome)}; a quieter machine would decide, or clock = "adjusted", which leaves it out'
    )


def needed_text(verdict: Verdict) -> str:
    """What an open verdict still needs, in a phrase."""
    fewest = min(fewest_for_breached(verdict.quantile), fewest_for_met(verdict.quantile))
    if verdict.samples < fewest:
        return f"a {statistic_name(verdict.quantile)} is never judged from fewer than {format_count(fewest)} samples"
    if verdict.samples_needed is None:
        return "the percentile is too close to the limit for any practical number of samples"
    more = max(1, verdict.samples_needed - verdict.samples)
    return f"about {format_count(more)} more samples would decide at this rate"


def _counted(verdict: Verdict, bound: Bound) -> str:
    side = "took longer" if bound is Bound.UPPER else "were lower"
    name = statistic_name(verdict.quantile)
    text = (
        f"{format_count(verdict.exceedances)} of {format_count(verdict.samples)} samples {side} "
        f"(a {name} exactly on the limit gives {_average(verdict.expected_exceedances)} on average)"
    )
    effect = _effect(verdict)
    if effect < _NOTEWORTHY_EFFECT:
        return text
    return (
        f"{text}; they come in clusters and count as {format_count(round(verdict.samples / effect))} independent ones"
    )


def _effect(verdict: Verdict) -> float:
    """The design effect on what the verdict rests on."""
    effects = {Outcome.MET: verdict.design_effect_met, Outcome.BREACHED: verdict.design_effect_breached}
    return effects.get(verdict.outcome, max(effects.values()))


def _in_words(outcome: Outcome) -> str:
    # BREACHED without the wait is the verdict itself, so it needs no words beside another.
    return "which is within it" if outcome is Outcome.MET else "which is open"


def _average(count: float) -> str:
    return format_count(round(count)) if count >= 10 else f"{count:.2g}"
