"""The record of one test and of one session, as written to disk.

History of the format:

* version 1: first.
* version 2: the run as a whole, with the scheduler's counts, blocks, cold starts and warm-up; verdicts by e-values,
  with the adjusted clock beside the wall clock; comparison with a baseline. Later, and empty when a file of version 2
  lacks them: ``waivers``, ``where`` and ``stages`` of a planned test, ``integrity`` of a session, ``roofline`` of a
  measurement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from voiceflow_ml.errors import ResultError, quoted
from voiceflow_ml.latency import Outcome
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.records import checked
from voiceflow_ml.results.measurement import Measurement, measurement_from_dict, measurement_to_dict
from voiceflow_ml.results.runs import check_sizes
from voiceflow_ml.sla.objectives import STATISTICS

SCHEMA_VERSION = 2
_STATISTICS = frozenset(map(statistic_name, STATISTICS.values()))


class State(StrEnum):
    """What became of a planned test."""

    MEASURED = "measured"
    SKIPPED = "skipped"
    ERROR = "error"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Planned:
    """A test that this session set out to measure.

    Attributes:
        node_id: pytest's id of the test.
        model: name of the model.
        stage: what is timed.
        target: where it must run.
        limits_ns: statistic name (``"P99"``) -> limit in nanoseconds.
        waivers: statistic name -> ``owner``, ``reason`` and ``expires`` (ISO 8601) of its waiver, expired or not.
        where: ``"sla.toml:11"``, where the limits stand, from the root folder; of a test that has them in its marker,
            the line of the test. Empty where nobody knows.
        stages: of an end-to-end promise, stage -> ``low_ns`` and ``high_ns`` that its file declares: not measured.
    """

    node_id: str
    model: str
    stage: str
    target: str
    limits_ns: Mapping[str, int]
    waivers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    where: str = ""
    stages: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``"fast-cnn · model-inference · cpu"``."""
        return f"{self.model} · {self.stage} · {self.target}"


def plan_to_json(planned: Sequence[Planned], declared: Sequence[Planned], integrity: Sequence[str] = ()) -> str:
    """A session's plan as one line of JSON: the tests it will run, all declared promises, and what was loosened."""
    entries = {"planned": [asdict(entry) for entry in planned], "declared": [asdict(entry) for entry in declared]}
    return json.dumps({**entries, "integrity": list(integrity)})


def plan_from_json(text: str) -> tuple[tuple[Planned, ...], tuple[Planned, ...], tuple[str, ...]]:
    """What :func:`plan_to_json` wrote: planned, declared, integrity."""
    content = json.loads(text)
    planned, declared = (tuple(Planned(**entry) for entry in content[key]) for key in ("planned", "declared"))
    return planned, declared, tuple(content["integrity"])


@dataclass(frozen=True)
class Result:
    """One finished test.

    Attributes:
        planned: what it set out to measure.
        state: what became of it.
        reason: why it was skipped or failed; empty for a measured test.
        started_at: ISO 8601, UTC.
        measurement: None unless ``state`` is MEASURED.
    """

    planned: Planned
    state: State
    reason: str
    started_at: str
    measurement: Measurement | None = None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The verdict of each objective; empty when nothing was measured."""
        return tuple(verdict.outcome for verdict in self.measurement.verdicts) if self.measurement else ()

    def to_json(self) -> str:
        """This result as one line of JSON."""
        content = asdict(replace(self, measurement=None))
        if self.measurement is not None:
            content["measurement"] = measurement_to_dict(self.measurement)
        return json.dumps({"schema_version": SCHEMA_VERSION, **content}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, source: str = "result") -> Result:
        """Read a result back.

        Args:
            text: what :meth:`to_json` wrote.
            source: where the text comes from, for messages.

        Raises:
            ResultError: not JSON, another version, or a field that is missing.
        """
        content = _load(text, source)
        try:
            result = cls(
                planned=Planned(**content["planned"]),
                state=State(content["state"]),
                reason=content["reason"],
                started_at=content["started_at"],
                measurement=measurement_from_dict(content["measurement"]),
            )
            _check_whole(checked(result))
            return result
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            reason = quoted(repr(error))
            raise ResultError(f"{source} is not a result of version {SCHEMA_VERSION}: {reason}") from None


def _check_planned(planned: Planned) -> None:
    """Refuse what no session plans: a statistic that nobody promises, a waiver or a stage that lacks a part of it."""
    unknown = [name for name in planned.limits_ns if name not in _STATISTICS]
    if unknown:
        raise ValueError(f"it has a limit for {unknown[0]!r}; known: {', '.join(sorted(_STATISTICS))}")
    for waiver in planned.waivers.values():
        if set(waiver) != {"owner", "reason", "expires"}:
            raise ValueError(f"a waiver has owner, reason and expires, got {', '.join(waiver)}")
        date.fromisoformat(waiver["expires"])
    for stage in planned.stages.values():
        if set(stage) != {"low_ns", "high_ns"} or not 0 <= stage["low_ns"] <= stage["high_ns"]:
            raise ValueError(f"a stage has low_ns and high_ns, the second no less than the first, got {dict(stage)}")


def _check_whole(result: Result) -> None:
    """Refuse a record whose parts do not belong together: something of it was lost, or written by another hand."""
    _check_planned(result.planned)
    measurement = result.measurement
    if (measurement is not None) != (result.state is State.MEASURED):
        raise ValueError(f"it is {result.state}, and has {'a' if measurement else 'no'} measurement")
    if measurement is not None:
        check_sizes(measurement.run)
    if measurement is not None and len(measurement.verdicts) != len(result.planned.limits_ns):
        raise ValueError(f"it has {len(measurement.verdicts)} verdicts for {len(result.planned.limits_ns)} limits")


@dataclass(frozen=True)
class Session:
    """One pytest run: what it planned, where, and how it was started.

    Attributes:
        started_at: ISO 8601, UTC.
        command: the command line that reproduces it.
        policy: ``"strict"``, ``"lenient"`` or ``"report-only"``.
        confidence: confidence asked of every verdict.
        environment: facts about the machine and the code.
        planned: the tests of this run, in order.
        declared: promises of the sla.toml files in play, whether or not a test covers them.
        finished: false until the run ended by itself; a killed run leaves it so.
        integrity: how the promises were loosened since the base, one line each.
    """

    started_at: str
    command: str
    policy: str
    confidence: float
    environment: Mapping[str, str]
    planned: tuple[Planned, ...] = ()
    declared: tuple[Planned, ...] = ()
    finished: bool = False
    integrity: tuple[str, ...] = ()

    def to_json(self) -> str:
        """This session as JSON."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str, source: str = "session") -> Session:
        """Read a session back; arguments and errors as in :meth:`Result.from_json`."""
        content = _load(text, source)
        try:
            planned, declared = (
                tuple(Planned(**entry) for entry in content.pop(field)) for field in ("planned", "declared")
            )
            integrity = tuple(content.pop("integrity", ()))
            session = checked(cls(**content, planned=planned, declared=declared, integrity=integrity))
            for entry in (*session.planned, *session.declared):
                _check_planned(entry)
            return session
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            reason = quoted(repr(error))
            raise ResultError(f"{source} is not a session of version {SCHEMA_VERSION}: {reason}") from None


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
        version = content.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ResultError(f"{source} is not a voiceflow-ml result file") from None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ResultError(f"{source} has schema version {quoted(version, 40)}, this release reads {SCHEMA_VERSION}")
    return content
