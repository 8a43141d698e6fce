"""What a process that tries a version is told, as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voiceflow_ml.contract.schema import Contract, Golden, Promise, Signal, Tensor
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.service.trial import Candidate, LoadingPlan
from voiceflow_ml.service.trials import Smoke


@dataclass(frozen=True)
class ServedFile:
    """The version in use, for a comparison.

    Attributes:
        path: a copy of what the server opened.
        contract: what it keeps.
        is_optimised: whether its graph was optimised before it was saved.
    """

    path: Path
    contract: Contract
    is_optimised: bool


@dataclass(frozen=True)
class Job:
    """One trial.

    Attributes:
        candidate: the version.
        plan: how it is tried.
        served: the version in use; None where there is none, or it is not needed.
    """

    candidate: Candidate
    plan: LoadingPlan
    served: ServedFile | None

    def to_json(self) -> str:
        """The line, without its end."""
        content = asdict(self)
        content["plan"]["target"] = _target(self.plan.target)
        return json.dumps(content, default=str)


def job_from_json(line: bytes) -> Job:
    """The job that a line tells of: this package wrote it, so what it holds is not looked at again."""
    content = json.loads(line)
    candidate, plan, served = (content[name] for name in ("candidate", "plan", "served"))
    golden = candidate["golden_folder"]
    return Job(
        Candidate(
            Path(candidate["path"]),
            _contract(candidate["contract"]),
            Path(golden) if golden is not None else None,
            Path(candidate["save_as"]),
            tuple(candidate["weights"]),
        ),
        LoadingPlan(**{**plan, "target": _target_from(plan["target"]), "smoke": Smoke(**plan["smoke"])}),
        served and ServedFile(Path(served["path"]), _contract(served["contract"]), served["is_optimised"]),
    )


def _contract(content: dict[str, Any]) -> Contract:
    # Reading it as a document takes pydantic, whose import and first use last as long as that of ONNX Runtime.
    parts: dict[str, Any] = {
        "inputs": tuple(_tensor(tensor) for tensor in content["inputs"]),
        "outputs": tuple(_tensor(tensor) for tensor in content["outputs"]),
        "signal": Signal(**content["signal"]) if content["signal"] is not None else None,
        "golden": tuple(Golden(**pair) for pair in content["golden"]),
        "sla": tuple(Promise(**promise) for promise in content["sla"]),
    }
    texts = {name: tuple(content[name]) for name in ("classes", "preprocessing", "postprocessing")}
    return Contract(**{**content, **parts, **texts})


def _tensor(content: dict[str, Any]) -> Tensor:
    return Tensor(**{**content, "axes": tuple(content["axes"])})


def _target(target: Target) -> dict[str, Any]:
    """What matters to a session; peaks and boards do not travel."""
    return {
        "name": target.name,
        "device_name": target.device_name,
        "compute_capability": target.compute_capability,
        "providers": target.providers,
        "provider_options": dict(target.provider_options),
    }


def _target_from(content: dict[str, Any]) -> Target:
    capability = content["compute_capability"]
    return Target(
        content["name"],
        content["device_name"],
        tuple(capability) if capability is not None else None,
        tuple(content["providers"]),
        provider_options=content["provider_options"],
    )
