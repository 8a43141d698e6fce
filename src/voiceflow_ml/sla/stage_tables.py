"""The shape of ``[stages]`` in sla.toml: what is declared of stages that nothing measures yet."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.objectives import Stage, StageRange
from voiceflow_ml.units import format_ns, parse_duration_ns


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StageTable(_Table):
    """One ``[stages.NAME]`` table: from how long to how long a stage takes."""

    low: Annotated[int, BeforeValidator(lambda text: parse_duration_ns(text, allow_zero=True))]
    high: Annotated[int, BeforeValidator(parse_duration_ns)]

    @model_validator(mode="after")
    def _low_first(self) -> StageTable:
        if self.low > self.high:
            raise ConfigError(
                f"low ({format_ns(self.low, digits=6)}) is more than high ({format_ns(self.high, digits=6)}); swap them"
            )
        return self


class StagesTable(_Table):
    """The ``[stages]`` table: what the budget of an end-to-end promise counts for stages that nothing measures."""

    network: StageTable | None = None
    server_processing: Annotated[StageTable | None, Field(alias="server-processing")] = None
    model_inference: Annotated[StageTable | None, Field(alias="model-inference")] = None

    def ranges(self) -> tuple[StageRange, ...]:
        """The stages that are declared, as plain records, in the order in which a request meets them."""
        given = {
            Stage.NETWORK: self.network,
            Stage.SERVER_PROCESSING: self.server_processing,
            Stage.MODEL_INFERENCE: self.model_inference,
        }
        return tuple(StageRange(stage, table.low, table.high) for stage, table in given.items() if table is not None)
