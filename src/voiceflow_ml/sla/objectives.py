"""What a promise is, once read: frozen records that the rest of the package works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.runtime import RuntimeOptions
from voiceflow_ml.hardware.targets import TARGETS, Catalogue
from voiceflow_ml.latency.plan import Mode
from voiceflow_ml.latency.verdict import ClockChannel, statistic_name

STATISTICS: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""Keys of a limit in sla.toml and in the ``sla`` marker, and the quantile that each stands for.

``ObjectiveTable`` of :mod:`voiceflow_ml.sla.schema` has a field for each.
"""


class Stage(StrEnum):
    """What is timed. Exactly four; a number without one of these words beside it says nothing."""

    MODEL_INFERENCE = "model-inference"
    SERVER_PROCESSING = "server-processing"
    NETWORK = "network"
    END_TO_END = "end-to-end"


def find_stage(name: str) -> Stage:
    """Look up a stage by name.

    Raises:
        ConfigError: not one of the four; the message lists them.
    """
    try:
        return Stage(name)
    except ValueError:
        valid = ", ".join(Stage)
        raise ConfigError(f"unknown stage {name!r}; the stages are: {valid}") from None


@dataclass(frozen=True)
class Measuring:
    """How a promise is to be measured.

    Attributes:
        clock: which reading of a latency is judged.
        mode: when calls are made.
        interval_ns: nanoseconds from one request to the next: fixed for ``paced``, the mean of exponentially
            distributed ones for ``open-loop`` (Poisson arrivals), 0 for the other modes.
    """

    clock: ClockChannel = ClockChannel.WALL
    mode: Mode = Mode.STEADY
    interval_ns: int = 0


@dataclass(frozen=True)
class Objective:
    """One bound: model x stage x target x statistic x limit."""

    model: str
    stage: Stage
    target: str
    quantile: float
    limit_ns: int

    @property
    def statistic(self) -> str:
        """``"P99"`` and the like."""
        return statistic_name(self.quantile)

    @property
    def label(self) -> str:
        """``"fast-cnn · model-inference · cpu"``."""
        return f"{self.model} · {self.stage} · {self.target}"


@dataclass(frozen=True)
class InputSpec:
    """Where one model input comes from.

    Attributes:
        source: ``"builtin:speech"``, a path to a WAV or NPY file, or empty for seeded synthetic values.
        shape: shape of synthetic values; empty when there is a source.
        seconds: how much of a WAV file is used, from its start.
        cold_shapes: further shapes of synthetic values whose first inference is timed apart, never judged.
        cold_seconds: the same for a WAV file: further lengths, each from its start.
    """

    source: str = ""
    shape: tuple[int, ...] = ()
    seconds: float = 3.0
    cold_shapes: tuple[tuple[int, ...], ...] = ()
    cold_seconds: tuple[float, ...] = ()

    @property
    def cold_variants(self) -> int:
        """How many further shapes this input is to be tried with."""
        return len(self.cold_shapes) or len(self.cold_seconds)


def cold_variants(inputs: Mapping[str, InputSpec]) -> int:
    """How many times a model is tried with further shapes of its inputs.

    Args:
        inputs: model input name -> where its values come from.

    Raises:
        ConfigError: inputs with further shapes have them in different numbers, so that they form no pairs.
    """
    counts = {name: spec.cold_variants for name, spec in inputs.items() if spec.cold_variants}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ConfigError(
            f"cold_shapes and cold_seconds are tried together, the first of each input and so on, got {listed}; "
            "give equally many for each input that has any"
        )
    return max(counts.values(), default=0)


@dataclass(frozen=True)
class ModelSpec:
    """A model that promises are made for.

    Attributes:
        name: the name that objectives use.
        file: path of the ONNX file, or ``builtin:NAME`` for a model that this package carries.
        folder: relative paths are relative to this folder, the one of sla.toml.
        sha256: the only file that the promises are about; empty when any will do.
        threads: intra-op threads of a CPU session.
        inputs: model input name -> where its values come from.
        where: ``"sla.toml:4"``, for messages.
        runtime: provider, its options, boundary and spinning.
    """

    name: str
    file: str
    folder: Path
    sha256: str
    threads: int
    inputs: Mapping[str, InputSpec]
    where: str
    runtime: RuntimeOptions = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Waiver:
    """One ``[[waiver]]`` table: who lets a promise go unkept, why, and until when.

    Attributes:
        statistics: names of what it is about, such as ``"P99"``.
        owner: who answers for it.
        reason: why.
        expires: the last day on which it counts.
        where: ``"sla.toml:20"``, for messages.
    """

    statistics: tuple[str, ...]
    owner: str
    reason: str
    expires: date
    where: str


@dataclass(frozen=True)
class StageRange:
    """One ``[stages.NAME]`` table: how long a stage takes that nothing measures yet. Declared, never measured.

    Attributes:
        stage: any but end-to-end, which the others add up to.
        low_ns: at least this, nanoseconds.
        high_ns: at most this.
    """

    stage: Stage
    low_ns: int
    high_ns: int


@dataclass(frozen=True)
class Promise:
    """One ``[[objective]]`` table: the limits of one model, stage and target, measured together.

    ``stages`` are the ranges that the file declares, for the budget of an end-to-end promise; no other has any.
    """

    model: str
    stage: Stage
    target: str
    objectives: tuple[Objective, ...]
    where: str
    measuring: Measuring = Measuring()
    waivers: tuple[Waiver, ...] = ()
    stages: tuple[StageRange, ...] = ()

    @property
    def label(self) -> str:
        """``"fast-cnn · model-inference · cpu"``."""
        return f"{self.model} · {self.stage} · {self.target}"

    def waiver_of(self, statistic: str) -> Waiver | None:
        """The waiver of ``"P99"`` and the like, expired or not; None without one."""
        return next((waiver for waiver in self.waivers if statistic in waiver.statistics), None)


@dataclass(frozen=True)
class Sla:
    """All that one sla.toml declares."""

    path: Path
    models: Mapping[str, ModelSpec]
    promises: tuple[Promise, ...]
    catalogue: Catalogue = TARGETS

    def promise(self, model: str, stage: Stage, target: str) -> Promise | None:
        """The promise for this model, stage and target, or None."""
        for promise in self.promises:
            if (promise.model, promise.stage, promise.target) == (model, stage, target):
                return promise
        return None

    def targets(self, model: str, stage: Stage) -> tuple[str, ...]:
        """Targets that this model and stage are promised for, in the order of the file."""
        return tuple(p.target for p in self.promises if (p.model, p.stage) == (model, stage))
