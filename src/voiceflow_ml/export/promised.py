"""The promises of an sla.toml that a model is exported for."""

from __future__ import annotations

from pathlib import Path

from voiceflow_ml.contract import Promise
from voiceflow_ml.sla.load import load_sla


def promises_for(sla: Path, model: str) -> tuple[Promise, ...]:
    """Every promise that a file makes for a model, in its order.

    Args:
        sla: the file.
        model: name of the model.

    Raises:
        ConfigError: the file cannot be read.
    """
    return tuple(
        Promise(str(objective.stage), objective.target, objective.statistic, objective.limit_ns)
        for promise in load_sla(sla).promises
        for objective in promise.objectives
        if objective.model == model
    )
