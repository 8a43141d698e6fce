"""The shape of sla.toml, for pydantic. Only :mod:`voiceflow_ml.sla.load` imports this."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.runtime import PROVIDERS, Boundary, RuntimeOptions
from voiceflow_ml.hardware.targets import Catalogue
from voiceflow_ml.latency.plan import Mode
from voiceflow_ml.latency.verdict import ClockChannel
from voiceflow_ml.sla.measuring import find_clock, find_mode, read_interval_ns
from voiceflow_ml.sla.objectives import (
    STATISTICS,
    InputSpec,
    Measuring,
    cold_variants,
    find_stage,
)
from voiceflow_ml.sla.stage_tables import StagesTable
from voiceflow_ml.sla.target_tables import TargetTable, option_text
from voiceflow_ml.units import parse_duration_ns

Limit = Annotated[int | None, BeforeValidator(parse_duration_ns)]


def _find_target(name: str, info: ValidationInfo[Catalogue]) -> str:
    return info.context.find(name).name


TargetName = Annotated[str, AfterValidator(_find_target)]
StageName = Annotated[str, AfterValidator(find_stage)]
WholeFromOne = Annotated[int, Field(strict=True, ge=1)]
"""A whole number from 1 on; ``true`` and ``"1"`` are not numbers."""

Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


def _find_mode(name: str, info: ValidationInfo) -> Mode:
    # A clock that is wrong itself is told as such; whether the mode goes with it is then not the question.
    return find_mode(name, info.data.get("clock", ClockChannel.WALL))


def _read_interval_ns(text: object, info: ValidationInfo) -> int | None:
    mode = info.data.get("mode")
    return None if mode is None else read_interval_ns(text, mode)


ModeName = Annotated[str, AfterValidator(_find_mode)]
Interval = Annotated[int | None, BeforeValidator(_read_interval_ns), Field(validate_default=True)]


def _only_version(value: int) -> int:
    if value != 1:
        raise ConfigError(f"is {value}; this release reads version = 1")
    return value


def _hex_digits(value: str) -> str:
    if value and re.fullmatch(r"[0-9a-fA-F]{64}", value) is None:
        raise ConfigError(f"must be the 64 hexadecimal digits that sha256sum prints, got {value!r}")
    return value


def _find_provider(name: str) -> str:
    if name not in PROVIDERS:
        raise ConfigError(
            f"unknown provider {name!r}; valid: {', '.join(PROVIDERS)}; leave it out for the target's own"
        )
    return name


def _find_boundary(name: str) -> str:
    if name not in list(Boundary):
        raise ConfigError(f"unknown boundary {name!r}; valid: {', '.join(Boundary)}")
    return name


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputTable(_Table):
    """``{ source = "speech.wav", seconds = 3.0 }`` or ``{ shape = [1, 48000] }``, and further shapes of either."""

    source: str = ""
    shape: tuple[WholeFromOne, ...] = ()
    seconds: Seconds = 3.0
    cold_shapes: tuple[Annotated[tuple[WholeFromOne, ...], Field(min_length=1)], ...] = ()
    cold_seconds: tuple[Seconds, ...] = ()

    @field_validator("cold_shapes", "cold_seconds")
    @classmethod
    def _as_the_source_allows(cls, value: tuple[object, ...], info: ValidationInfo) -> tuple[object, ...]:
        source = info.data.get("source", "")
        if value and source.lower().endswith(".npy"):
            raise ConfigError(f"{source!r} holds one array of one shape; take it out, or give a shape or a .wav file")
        if value and source and info.field_name == "cold_shapes":
            raise ConfigError(f"shapes are for synthetic values, not for {source!r}; write cold_seconds = [1.0]")
        if value and info.data.get("shape") and info.field_name == "cold_seconds":
            raise ConfigError("seconds are for sound, not for synthetic values; write cold_shapes = [[1, 16000]]")
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> InputTable:
        if bool(self.source) == bool(self.shape):
            raise ConfigError('give either a source ("builtin:speech", a .wav or a .npy file) or a shape')
        return self

    def spec(self) -> InputSpec:
        """The table as a plain record."""
        return InputSpec(self.source, self.shape, self.seconds, self.cold_shapes, self.cold_seconds)


def _from_text(value: object) -> object:
    """A bare string is short for a table with that source."""
    return {"source": value} if isinstance(value, str) else value


class ModelTable(_Table):
    """One ``[models.NAME]`` table."""

    file: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, AfterValidator(_hex_digits)] = ""
    threads: WholeFromOne = 1
    provider: Annotated[str, AfterValidator(_find_provider)] = ""
    provider_options: dict[str, str | int | bool] = {}
    boundary: Annotated[str, AfterValidator(_find_boundary)] = Boundary.HOST_TO_HOST
    spinning: Annotated[bool, Field(strict=True)] = False
    inputs: dict[str, Annotated[InputTable, BeforeValidator(_from_text)]] = {}

    @field_validator("inputs")
    @classmethod
    def _vary_together(cls, inputs: dict[str, InputTable]) -> dict[str, InputTable]:
        cold_variants({name: table.spec() for name, table in inputs.items()})
        return inputs

    def runtime(self) -> RuntimeOptions:
        """How the model is run, as a plain record."""
        options = {name: option_text(value) for name, value in self.provider_options.items()}
        return RuntimeOptions(self.provider, options, Boundary(self.boundary), self.spinning)

    def input_specs(self) -> dict[str, InputSpec]:
        """The inputs as plain records."""
        return {name: table.spec() for name, table in self.inputs.items()}


class ObjectiveTable(_Table):
    """One ``[[objective]]`` table: at least one limit for one model, stage and target."""

    model: str
    stage: StageName = "model-inference"
    target: TargetName
    p50: Limit = None
    p90: Limit = None
    p95: Limit = None
    p99: Limit = None
    p999: Limit = None
    clock: Annotated[str, AfterValidator(find_clock)] = ClockChannel.WALL
    mode: ModeName = Mode.STEADY
    # Last of the three, because what it may be depends on the mode, and that on the clock.
    interval: Interval = None

    @model_validator(mode="after")
    def _some_limit(self) -> ObjectiveTable:
        if not self.limits_ns():
            raise ConfigError(f'no limit is given; add one such as p99 = "10ms" (one of {", ".join(STATISTICS)})')
        return self

    def limits_ns(self) -> dict[float, int]:
        """Quantile -> limit in nanoseconds, for the limits that are given."""
        given = {quantile: getattr(self, key) for key, quantile in STATISTICS.items()}
        return {quantile: limit_ns for quantile, limit_ns in given.items() if limit_ns is not None}

    def measuring(self) -> Measuring:
        """How the limits are to be measured."""
        return Measuring(ClockChannel(self.clock), Mode(self.mode), self.interval or 0)


def _plain_date(value: object) -> object:
    # A date and time is a date too, to Python.
    if type(value) is not date:
        raise ConfigError(f"must be a date without quotes, got {value!r}; write, for example, expires = 2026-12-31")
    return value


def _known_statistic(name: str) -> str:
    if name.lower() not in STATISTICS:
        raise ConfigError(f"unknown statistic {name!r}; valid: {', '.join(STATISTICS)}; leave it out for all of them")
    return name.lower()


def _some_words(text: str) -> str:
    if not text.strip():
        raise ConfigError("must not be empty: a waiver that nobody answers for waives nothing")
    return text.strip()


Words = Annotated[str, AfterValidator(_some_words)]


class WaiverTable(_Table):
    """One ``[[waiver]]`` table: a promise that may go unkept until a day."""

    model: str
    stage: StageName = "model-inference"
    target: TargetName
    statistic: Annotated[str, AfterValidator(_known_statistic)] | None = None
    owner: Words
    reason: Words
    expires: Annotated[date, BeforeValidator(_plain_date)]


class TargetsOnly(BaseModel):
    """The targets of an sla.toml: read before the rest, which names them."""

    targets: dict[str, TargetTable] = {}


class SlaTable(_Table):
    """A whole sla.toml; validate it with the catalogue of its own targets as context."""

    version: Annotated[int, Field(strict=True), AfterValidator(_only_version)]
    targets: dict[str, TargetTable] = {}
    models: dict[str, ModelTable] = {}
    objective: list[ObjectiveTable] = []
    waiver: list[WaiverTable] = []
    stages: StagesTable = StagesTable()
