"""The SLA of the exported file itself: a real run of pytest in a process of its own, on every declared target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import ConfigError, PipelineError
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.latency import Outcome
from voiceflow_ml.pipeline.journal import Outputs
from voiceflow_ml.pipeline.plan import PipelinePlan
from voiceflow_ml.pipeline.steps import Update
from voiceflow_ml.registry.gates import PROVEN_STAGE, check_verdicts
from voiceflow_ml.registry.release import read_release
from voiceflow_ml.results.record import Result, State
from voiceflow_ml.results.sources import find_sessions
from voiceflow_ml.results.store import read_session

_BUILTIN = "builtin:"


def prove(update: Update, _before: Outputs) -> Outputs:
    """Measure the exported file against the promises of its model.

    Raises:
        PipelineError: a promise is not MET, or nothing was measured.
        RegistryError: a declared target has no verdict about this file, here or among the given results.
    """
    plan, model = update.plan, update.contract.model
    derived = plan.work / "sla" / f"{model}.toml"
    write_sla(plan.sla, model, update.model_file, derived)
    # pytest takes its settings from here, and not from a project that the work folder may lie in.
    write_text_atomic(derived.parent / "pytest.ini", "[pytest]\n")
    reports = plan.work / "reports"
    command = _command(plan, derived, reports)
    update.say("measuring: " + " ".join(command[1:]))
    # The command's own lines are for whoever watches; its verdicts are in the session that it leaves.
    status = subprocess.run(command, cwd=derived.parent, env={**os.environ, "CI": "true"}, check=False).returncode
    session = _newest(reports, status)
    for result in session:
        problem = _problem(result)
        gate = f"sla:{result.planned.target}"
        if problem and gate not in plan.waived:
            raise PipelineError(f"{result.planned.label}: {problem}; see {reports / 'PERFORMANCE_ANALYSIS.md'}")
    verdicts = check_verdicts(read_release(plan.export_folder), [*session, *given_results(plan)], plan.waived)
    return {"reports": str(reports), "verdicts": "\n".join(verdicts)}


def given_results(plan: PipelinePlan) -> list[Result]:
    """The results of other machines."""
    sessions = (session for folder in plan.results for session in find_sessions(folder))
    return [result for session in sessions for result in read_session(session)[1]]


def measured_results(plan: PipelinePlan) -> list[Result]:
    """What this run measured last, and what was given."""
    return [*_newest(plan.work / "reports", 0), *given_results(plan)]


def write_sla(sla: Path, model: str, file: Path, path: Path) -> None:
    """Write the promises of a model about an exported file, held to its hash.

    Args:
        sla: the promises; inputs that it names by a relative path are found from its folder.
        model: name of the model.
        file: what is measured in the place of the file that ``sla`` names.
        path: where to; it lies elsewhere than ``sla``.

    Raises:
        ConfigError: ``sla`` does not know the model.
    """
    content = tomllib.loads(sla.read_text(encoding="utf-8"))
    table = content.get("models", {}).get(model)
    if table is None:
        raise ConfigError(f"{sla} has no [models.{model}], which says what the model is fed; add it")
    inputs = {name: _placed(value, sla.resolve().parent) for name, value in table.get("inputs", {}).items()}
    mine = {**table, "file": str(file.resolve()), "sha256": hash_file(file), "inputs": inputs}
    objectives = [
        entry
        for entry in content.get("objective", [])
        if entry["model"] == model and entry.get("stage", PROVEN_STAGE) == PROVEN_STAGE
    ]
    kept = {"version": content["version"], "models": {model: mine}, "objective": objectives}
    if "targets" in content:
        kept["targets"] = content["targets"]
    write_text_atomic(path, "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in kept.items()))


def _command(plan: PipelinePlan, derived: Path, reports: Path) -> list[str]:
    gpus = [f"--gpu={gpu}" for gpu in plan.gpus]
    options = ["-m", "hardware", "-p", "no:cacheprovider", "--sla-policy=strict", f"--sla-report={reports.resolve()}"]
    return [sys.executable, "-m", "pytest", *options, *gpus, *plan.measuring, str(derived.resolve())]


def _newest(reports: Path, status: int) -> tuple[Result, ...]:
    if not (reports / "results").is_dir():
        raise PipelineError(f"pytest ended with status {status} and left no results in {reports}")
    return read_session(find_sessions(reports / "results")[-1])[1]


def _problem(result: Result) -> str:
    if result.state is State.SKIPPED:
        return ""  # a target of another machine: its verdict must be among the given results
    if result.state is not State.MEASURED:
        return result.reason or str(result.state)
    names = zip(result.planned.limits_ns, result.outcomes, strict=True)
    return ", ".join(f"{name} {outcome}" for name, outcome in names if outcome is not Outcome.MET)


def _placed(value: Any, folder: Path) -> Any:
    """An input with the path of its source made absolute: the file that names it lies elsewhere now."""
    if isinstance(value, str):
        return value if value.startswith(_BUILTIN) else str(folder / value)
    if isinstance(value, Mapping) and "source" in value:
        return {**value, "source": _placed(value["source"], folder)}
    return value


def _toml(value: Any) -> str:
    """A value in TOML, tables inline; what tomllib reads comes back the same."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        # JSON's escapes are TOML's, apart from characters beyond the first plane, which stand for themselves.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_toml(key)} = {_toml(value)}"
