"""What is known on this machine about a run, in one small file that is always whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.gcp.plan import Plan

STATE_VERSION = 1
PHASES = ("planned", "creating", "running", "serving", "ended")


@dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
        run_id: of the plan.
        plan_sha256: of the plan.
        phase: one of ``PHASES``; written before what it names begins.
        zone: of the machine; empty before one is tried.
        why: how it ended; empty before.
    """

    run_id: str
    plan_sha256: str
    phase: str = "planned"
    zone: str = ""
    why: str = ""


def state_path(plan_path: Path) -> Path:
    """The file of a plan's state: beside it."""
    return plan_path.with_suffix(".state.json")


def write_state(state: State, path: Path) -> None:
    """Write the state whole or not at all."""
    write_text_atomic(path, json.dumps({"version": STATE_VERSION, **asdict(state)}, indent=1) + "\n")


def read_state(plan: Plan, path: Path) -> State:
    """The state of a plan; that of a plan that was never begun where there is no file.

    Raises:
        ConfigError: the file is no state, or another plan's.
    """
    if not path.is_file():
        return State(plan.run_id, plan.sha256)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("version") != STATE_VERSION:
            raise ValueError("another version")
        state = State(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no state of voiceflow gcp ({error}); remove it and run: voiceflow gcp sweep"
        ) from None
    if state.phase not in PHASES or state.plan_sha256 != plan.sha256:
        raise ConfigError(f"{path} is about run {state.run_id} of another plan; plan again, to another --out")
    return state
