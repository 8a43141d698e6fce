"""What results say: for each model, stage and target its latest measurement, with an interval for every percentile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.errors import ResultError
from voiceflow_ml.latency import Interval, Outcome
from voiceflow_ml.latency.quantiles import percentile, percentile_interval
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.results.sources import find_sessions, machine_of
from voiceflow_ml.results.store import read_session

_SHA256 = "model SHA-256"


@dataclass(frozen=True)
class Evidence:
    """One measurement of a promise.

    Attributes:
        model, stage, target: what was measured.
        started_at: when, ISO 8601.
        machine: the hardware, in words.
        folder: its session.
        measurement: the measurement.
    """

    model: str
    stage: str
    target: str
    started_at: str
    machine: str
    folder: str
    measurement: Measurement

    @property
    def label(self) -> str:
        """``"fast-cnn · model-inference · cpu"``."""
        return f"{self.model} · {self.stage} · {self.target}"

    @property
    def sha256(self) -> str:
        """Hash of the model file that was measured; empty where the result does not say."""
        return self.measurement.facts.get(_SHA256, "")

    def interval(self, statistic: str) -> tuple[int, Interval] | None:
        """The measured percentile in nanoseconds and where it lies: the verdict's own interval where one was judged.

        Args:
            statistic: ``"P99"`` and the like.

        Returns:
            None for what is no percentile.
        """
        for verdict in self.measurement.verdicts:
            if statistic_name(verdict.quantile) == statistic:
                return verdict.measured_ns, verdict.interval
        try:
            quantile = round(float(statistic.removeprefix("P")) / 100, 6)
        except ValueError:
            return None
        if not 0 < quantile < 1:
            return None
        samples_ns = self.measurement.run.samples_ns
        return percentile(samples_ns, quantile), percentile_interval(samples_ns, quantile)

    @property
    def is_invalid(self) -> bool:
        """Whether its samples are not about what was declared."""
        return any(verdict.outcome is Outcome.INVALID for verdict in self.measurement.verdicts)


def read_evidence(folders: Iterable[Path]) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """The latest valid measurement of each model, stage and target in some folders.

    Args:
        folders: of sessions, at any depth; one that is not there holds none.

    Returns:
        The measurements, and one sentence for each session that cannot be read.
    """
    latest: dict[str, Evidence] = {}
    problems: list[str] = []
    for folder in folders:
        for session in _sessions(folder):
            try:
                found = _of_session(session)
            except ResultError as error:
                problems.append(f"left out: {error}")
                continue
            for evidence in found:
                before = latest.get(evidence.label)
                if not evidence.is_invalid and (before is None or before.started_at <= evidence.started_at):
                    latest[evidence.label] = evidence
    return tuple(latest[label] for label in sorted(latest)), tuple(problems)


def _sessions(folder: Path) -> Sequence[Path]:
    try:
        return find_sessions(folder)
    except ResultError:
        return ()


def _of_session(folder: Path) -> list[Evidence]:
    session, results = read_session(folder)
    return [
        Evidence(
            model=result.planned.model,
            stage=result.planned.stage,
            target=result.planned.target,
            started_at=result.started_at,
            machine=machine_of(session, result),
            folder=str(folder),
            measurement=result.measurement,
        )
        for result in results
        if result.measurement is not None
    ]
