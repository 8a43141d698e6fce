"""From a verdict to a test outcome, and from a test report to a result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.pytest_plugin.exit_status import Failed
from voiceflow_ml.pytest_plugin.options import Policy
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, FAILED, MEASUREMENT, SETTINGS, STARTED_AT, TODAY
from voiceflow_ml.units import format_ns

if TYPE_CHECKING:
    from voiceflow_ml.latency.verdict import Verdict
    from voiceflow_ml.results.measurement import Against
    from voiceflow_ml.results.record import Result
    from voiceflow_ml.sla.objectives import Promise


class _Weight(Enum):
    """What a problem does to its test."""

    WAIVED = "an expected failure, under every policy"
    OPEN = "as the policy has it"
    FAILS = "a failure, unless the run only reports"


_OPEN = (_Weight.OPEN, Failed.INCONCLUSIVE)
_SLOWER = (_Weight.FAILS, Failed.BREACHED)

_PROPERTY_PREFIX = "sla."


def forget(item: pytest.Item) -> None:
    """Drop what an earlier run of the same item left: plugins that run a test again reuse its item."""
    if MEASUREMENT in item.stash:
        del item.stash[MEASUREMENT]
    if FAILED in item.stash:
        del item.stash[FAILED]
    item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith(_PROPERTY_PREFIX)]


def enforce(item: pytest.Item) -> None:
    """Fail or xfail a finished test by its verdicts and the policy; return when all are MET."""
    assignment = item.stash.get(ASSIGNMENT, None)
    if assignment is None:
        return
    measurement = item.stash.get(MEASUREMENT, None)
    if measurement is None:
        pytest.fail("nothing was measured: the test never called latency(...)", pytrace=False)
    from voiceflow_ml.latency.verdict import Outcome  # noqa: PLC0415

    short = [verdict for verdict in measurement.verdicts if verdict.outcome is not Outcome.MET]
    today = item.config.stash[TODAY]
    problems = [_problem(assignment.promise, verdict, today) for verdict in short]
    problems += _problems_against(measurement.against)
    if not problems:
        return
    # An invalid run has the same reason for each of its objectives: once is enough.
    sentences = dict.fromkeys(problem.sentence for problem in problems)
    message = f"{'; '.join(sentences)} [{assignment.promise.label}]"
    policy = item.config.stash[SETTINGS].policy
    excused = {_Weight.WAIVED, *([_Weight.OPEN] if policy is Policy.LENIENT else [])}
    failing = [problem.failed for problem in problems if problem.weight not in excused]
    if policy is Policy.REPORT_ONLY or not failing:
        # Under --runxfail this returns, and an open verdict fails rather than passes.
        pytest.xfail(message)
    item.stash[FAILED] = min(failing, key=list(Failed).index, default=Failed.INCONCLUSIVE)
    pytest.fail(message, pytrace=False)


@dataclass(frozen=True)
class _Problem:
    """One thing that a measurement has against its test."""

    weight: _Weight
    failed: Failed
    sentence: str


def _problem(promise: Promise, verdict: Verdict, today: date) -> _Problem:
    """What a verdict other than MET has against its test, waivers counted."""
    from voiceflow_ml.latency.verdict import Outcome, statistic_name  # noqa: PLC0415
    from voiceflow_ml.sla.waivers import is_expired, waiver_words  # noqa: PLC0415

    waiver = promise.waiver_of(statistic_name(verdict.quantile))
    # INVALID is not about the promise at all, so that nobody can have waived it.
    if waiver is None or verdict.outcome is Outcome.INVALID:
        is_open = verdict.outcome is Outcome.INCONCLUSIVE
        return _Problem(_Weight.OPEN if is_open else _Weight.FAILS, Failed(verdict.outcome), _sentence(verdict))
    weight = _Weight.FAILS if is_expired(waiver.expires, today) else _Weight.WAIVED
    words = waiver_words(waiver.owner, waiver.reason, waiver.expires, today)
    return _Problem(weight, Failed(verdict.outcome), f"{_sentence(verdict)}; {words}")


def _problems_against(against: Against | None) -> list[_Problem]:
    """What a comparison with a baseline has against this test."""
    if against is None:
        return []
    from voiceflow_ml.latency import Change  # noqa: PLC0415

    invalid = against.invalid_reasons
    if invalid:
        sentence = f"INVALID: the baseline {against.baseline}: {'; '.join(invalid)}"
        return [_Problem(_Weight.FAILS, Failed.INVALID, sentence)]
    return [
        _Problem(
            *(_OPEN if comparison.outcome is Change.INCONCLUSIVE else _SLOWER),
            sentence=f"{comparison.outcome}: {comparison.sentence}",
        )
        for comparison in against.comparisons
        if comparison.outcome is not Change.NOT_SLOWER
    ]


def _sentence(verdict: Verdict) -> str:
    """The verdict and the number first: pytest's summary shows little more than the start of a line."""
    from voiceflow_ml.latency.verdict import Outcome, statistic_name  # noqa: PLC0415

    if verdict.outcome is Outcome.INVALID:
        return f"{verdict.outcome}: {verdict.sentence}"
    measured = f"{statistic_name(verdict.quantile)} {format_ns(verdict.measured_ns)}"
    return f"{verdict.outcome}, {measured}: {verdict.sentence}"


def result_of(item: pytest.Item, report: pytest.TestReport) -> Result | None:
    """The result that this report completes, or None: the call's report, or that of a setup that ended it."""
    assignment = item.stash.get(ASSIGNMENT, None)
    ends_here = report.when == "call" or (report.when == "setup" and not report.passed)
    if assignment is None or not ends_here:
        return None
    from voiceflow_ml.results.record import Result, State  # noqa: PLC0415

    measurement = item.stash.get(MEASUREMENT, None)
    without_measurement = State.SKIPPED if report.skipped else State.ERROR
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(
        planned=assignment.planned(item),
        state=State.MEASURED if measurement is not None else without_measurement,
        reason=_reason(report),
        started_at=item.stash.get(STARTED_AT, now),
        measurement=measurement,
    )


def _reason(report: pytest.TestReport) -> str:
    """Why a test did not pass, in one line; empty when it did."""
    if report.passed:
        return ""
    xfailed = getattr(report, "wasxfail", "")
    if xfailed:
        return str(xfailed).removeprefix("reason: ")
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    return text.strip().partition("\n")[0].removeprefix("Failed: ") if text.strip() else "failed"


def flat_properties(result: Result) -> list[tuple[str, object]]:
    """The numbers of a result as name-value pairs, for JUnit's ``<properties>``."""
    properties: list[tuple[str, object]] = [
        (f"{_PROPERTY_PREFIX}model", result.planned.model),
        (f"{_PROPERTY_PREFIX}stage", result.planned.stage),
        (f"{_PROPERTY_PREFIX}target", result.planned.target),
        (f"{_PROPERTY_PREFIX}state", str(result.state)),
    ]
    if result.measurement is None:
        return properties
    properties.append((f"{_PROPERTY_PREFIX}span_ns", result.measurement.run.span_ns))
    for statistic, verdict in zip(result.planned.limits_ns, result.measurement.verdicts, strict=True):
        prefix = f"{_PROPERTY_PREFIX}{statistic.lower()}"
        properties += [
            (f"{prefix}.verdict", str(verdict.outcome)),
            (f"{prefix}.limit_ns", verdict.limit_ns),
            (f"{prefix}.measured_ns", verdict.measured_ns),
            (f"{prefix}.low_ns", verdict.interval.low_ns),
            (f"{prefix}.high_ns", verdict.interval.high_ns),
            (f"{prefix}.confidence", verdict.confidence),
            (f"{prefix}.samples", verdict.samples),
            (f"{prefix}.exceedances", verdict.exceedances),
            (f"{prefix}.clock", str(verdict.clock)),
            (f"{prefix}.log_e_met", round(verdict.log_e_met, 3)),
            (f"{prefix}.log_e_breached", round(verdict.log_e_breached, 3)),
        ]
    properties += _comparison_properties(result.measurement.against)
    return [(name, value) for name, value in properties if value is not None]


def _comparison_properties(against: Against | None) -> list[tuple[str, object]]:
    if against is None:
        return []
    from voiceflow_ml.latency.verdict import statistic_name  # noqa: PLC0415

    properties: list[tuple[str, object]] = [(f"{_PROPERTY_PREFIX}baseline", against.baseline)]
    for comparison in against.comparisons:
        prefix = f"{_PROPERTY_PREFIX}{statistic_name(comparison.quantile).lower()}.against"
        properties += [
            (prefix, str(comparison.outcome)),
            (f"{prefix}.ratio", comparison.ratio),
            (f"{prefix}.ratio_low", comparison.ratio_low),
            (f"{prefix}.ratio_high", comparison.ratio_high),
            (f"{prefix}.tolerance", comparison.tolerance),
        ]
    return properties
