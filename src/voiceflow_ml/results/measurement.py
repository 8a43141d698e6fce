"""What one test measured, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from voiceflow_ml.hardware.evidence import Finding, Severity, invalid_reasons
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.latency import Change, ClockChannel, Comparison, Interval, Outcome, Run, Verdict, percentile
from voiceflow_ml.results.runs import run_from_dict, run_to_dict


@dataclass(frozen=True)
class Against:
    """The comparison of a model with its baseline, measured interleaved in the same session.

    Attributes:
        baseline: what it was compared with: a file, or a file of a git ref.
        sha256: the baseline's model file.
        comparisons: one for each quantile that is promised.
        findings: what is known about where the baseline ran.
        baseline_ns: samples of the baseline, in arrival order.
        candidate_ns: samples of the model itself taken in turns with them; not those that its verdicts rest on.
    """

    baseline: str
    sha256: str
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]
    baseline_ns: tuple[int, ...]
    candidate_ns: tuple[int, ...]

    @property
    def invalid_reasons(self) -> tuple[str, ...]:
        """Why the comparison is not about what was declared; nothing when it is."""
        return invalid_reasons(self.findings)


@dataclass(frozen=True)
class Measurement:
    """What was measured: raw samples, verdicts and the evidence that they rest on.

    Attributes:
        run: the raw record.
        percentiles_ns: statistic name -> nearest-rank percentile on the wall clock.
        adjusted_percentiles_ns: the same on the adjusted clock; empty where that does not count.
        adjusted_problem: why the adjusted clock does not count; empty when it does.
        boundary: what lies between the two clock reads.
        inputs: what the model was fed.
        verdicts: one for each objective.
        findings: what is known about where and how it ran.
        facts: what a reader needs to reproduce it.
        against: the comparison with a baseline; None when none was asked for.
        roofline: what the hardware allows at best, and the share of it that was reached; None where it is not known.
    """

    run: Run
    percentiles_ns: Mapping[str, int]
    adjusted_percentiles_ns: Mapping[str, int]
    adjusted_problem: str
    boundary: str
    inputs: str
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    facts: Mapping[str, str]
    against: Against | None = None
    roofline: Roofline | None = None

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """Latencies on the wall clock in nanoseconds, in arrival order."""
        return tuple(self.run.samples_ns.tolist())


def measurement_to_dict(measurement: Measurement) -> dict[str, Any]:
    """A measurement as JSON values."""
    # Apart from the run, whose arrays asdict would copy one by one.
    content = {name: value for name, value in vars(measurement).items() if name != "run"}
    for name in ("verdicts", "findings"):
        content[name] = [asdict(entry) for entry in content[name]]
    for name in ("against", "roofline"):
        content[name] = asdict(content[name]) if content[name] is not None else None
    return {**content, "run": run_to_dict(measurement.run)}


def measurement_from_dict(content: dict[str, Any] | None) -> Measurement | None:
    """What :func:`measurement_to_dict` wrote; nothing for nothing.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, unknown or of another kind.
    """
    if content is None:
        return None
    run = run_from_dict(content["run"])
    _check_calls(run)
    _check_percentiles(run, content["percentiles_ns"])
    return Measurement(
        **{
            **content,
            "run": run,
            "verdicts": tuple(_verdict(entry) for entry in content["verdicts"]),
            "findings": _findings(content["findings"]),
            "against": _against(content["against"]),
            # Files of the first releases lack it.
            "roofline": Roofline(**found) if (found := content.get("roofline")) else None,
        }
    )


def _check_calls(run: Run) -> None:
    """Refuse samples that are not one for each call that was timed."""
    samples, calls = len(run.samples_ns), len(run.block_starts_ns) * run.block_calls
    if samples != calls:
        raise ValueError(f"it has {samples} samples of {calls} calls: some are missing, or stand for several")


def _check_percentiles(run: Run, percentiles_ns: Mapping[str, int]) -> None:
    """Refuse percentiles that are not those of the samples beside them: somebody computed them from something else."""
    for name, value_ns in percentiles_ns.items():
        of_samples_ns = int(run.samples_ns.max())
        if name != "max":
            of_samples_ns = percentile(run.samples_ns, round(float(name.removeprefix("P")) / 100, 6))
        if value_ns != of_samples_ns:
            raise ValueError(f"its {name} is {value_ns} ns, its samples say {of_samples_ns} ns")


def _findings(entries: list[dict[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(Severity(entry["severity"]), entry["fact"], entry["remedy"]) for entry in entries)


def _verdict(entry: dict[str, Any]) -> Verdict:
    adjusted = entry["adjusted"]
    return Verdict(
        **{
            **entry,
            "outcome": Outcome(entry["outcome"]),
            "interval": Interval(**entry["interval"]),
            "clock": ClockChannel(entry["clock"]),
            "adjusted": None if adjusted is None else _verdict(adjusted),
        }
    )


def _against(content: dict[str, Any] | None) -> Against | None:
    if content is None:
        return None
    comparisons = (Comparison(**{**entry, "outcome": Change(entry["outcome"])}) for entry in content["comparisons"])
    return Against(
        **{
            **content,
            "comparisons": tuple(comparisons),
            "findings": _findings(content["findings"]),
            "baseline_ns": tuple(content["baseline_ns"]),
            "candidate_ns": tuple(content["candidate_ns"]),
        }
    )
