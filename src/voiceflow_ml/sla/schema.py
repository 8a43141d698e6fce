"""The shape of sla.toml, for pydantic. Only :mod:`voiceflow_ml.sla.load` imports this."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.targets import find_target
from voiceflow_ml.sla.objectives import STATISTICS, InputSpec, find_stage
from voiceflow_ml.units import parse_duration_ns

Limit = Annotated[int | None, BeforeValidator(parse_duration_ns)]
TargetName = Annotated[str, AfterValidator(lambda name: find_target(name).name)]
StageName = Annotated[str, AfterValidator(find_stage)]
WholeFromOne = Annotated[int, Field(strict=True, ge=1)]
"""A whole number from 1 on; ``true`` and ``"1"`` are not numbers."""


def _only_version(value: int) -> int:
    if value != 1:
        raise ConfigError(f"is {value}; this release reads version = 1")
    return value


def _hex_digits(value: str) -> str:
    if value and re.fullmatch(r"[0-9a-fA-F]{64}", value) is None:
        raise ConfigError(f"must be the 64 hexadecimal digits that sha256sum prints, got {value!r}")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputTable(_Table):
    """``{ source = "speech.wav", seconds = 3.0 }`` or ``{ shape = [1, 48000] }``."""

    source: str = ""
    shape: tuple[WholeFromOne, ...] = ()
    seconds: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 3.0

    @model_validator(mode="after")
    def _one_origin(self) -> InputTable:
        if bool(self.source) == bool(self.shape):
            raise ConfigError('give either a source ("builtin:speech", a .wav or a .npy file) or a shape')
        return self


def _from_text(value: object) -> object:
    """A bare string is short for a table with that source."""
    return {"source": value} if isinstance(value, str) else value


class ModelTable(_Table):
    """One ``[models.NAME]`` table."""

    file: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, AfterValidator(_hex_digits)] = ""
    threads: WholeFromOne = 1
    inputs: dict[str, Annotated[InputTable, BeforeValidator(_from_text)]] = {}

    def input_specs(self) -> dict[str, InputSpec]:
        """The inputs as plain records."""
        return {name: InputSpec(table.source, table.shape, table.seconds) for name, table in self.inputs.items()}


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

    @model_validator(mode="after")
    def _some_limit(self) -> ObjectiveTable:
        if not self.limits_ns():
            raise ConfigError(f'no limit is given; add one such as p99 = "10ms" (one of {", ".join(STATISTICS)})')
        return self

    def limits_ns(self) -> dict[float, int]:
        """Quantile -> limit in nanoseconds, for the limits that are given."""
        given = {quantile: getattr(self, key) for key, quantile in STATISTICS.items()}
        return {quantile: limit_ns for quantile, limit_ns in given.items() if limit_ns is not None}


class SlaTable(_Table):
    """A whole sla.toml."""

    version: Annotated[int, Field(strict=True), AfterValidator(_only_version)]
    models: dict[str, ModelTable] = {}
    objective: list[ObjectiveTable] = []
