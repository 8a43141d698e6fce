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
from enum import StrEnum
from typing import Any

from voiceflow_ml.errors import ResultError
from voiceflow_ml.latency import Outcome
from voiceflow_ml.results.measurement import Measurement, measurement_from_dict, measurement_to_dict

SCHEMA_VERSION = 2


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
            return cls(
                planned=Planned(**content["planned"]),
                state=State(content["state"]),
                reason=content["reason"],
                started_at=content["started_at"],
                measurement=measurement_from_dict(content["measurement"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultError(f"{source} is not a result of version {SCHEMA_VERSION}: {error!r}") from None


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
            return cls(**content, planned=planned, declared=declared, integrity=integrity)
        except (KeyError, TypeError, AttributeError) as error:
            raise ResultError(f"{source} is not a session of version {SCHEMA_VERSION}: {error!r}") from None


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(text)
        version = content.pop("schema_version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ResultError(f"{source} is not a voiceflow-ml result file") from None
    if version != SCHEMA_VERSION:
        raise ResultError(f"{source} has schema version {version}, this release reads {SCHEMA_VERSION}")
    return content
