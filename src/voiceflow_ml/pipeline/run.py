"""The steps of a model update, in their order; each that was done with the same inputs is not done again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.errors import PipelineError, VoiceflowError
from voiceflow_ml.files import hash_file
from voiceflow_ml.pipeline.journal import Journal, Outputs, StepRecord, fingerprint, folder_hash
from voiceflow_ml.pipeline.plan import PipelinePlan
from voiceflow_ml.pipeline.proof import prove
from voiceflow_ml.pipeline.rollout import promote_version, publish_release, roll_out_canary
from voiceflow_ml.pipeline.steps import Say, Update, choose_version, compare_contract, export, train

JOURNAL_FILE = "pipeline.json"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: as the user sees it.
        work: does it; given the outputs of all steps before, returns its own.
        rests_on: what else its outcome depends on, as a value of JSON.
        holds: whether what it left is still as it left it.
    """

    name: str
    work: Callable[[Update, Outputs], Outputs]
    rests_on: Callable[[PipelinePlan], object]
    holds: Callable[[PipelinePlan, Outputs], bool] = lambda _plan, _outputs: True


def _source(plan: PipelinePlan) -> object:
    return [folder_hash(plan.source) if plan.source else "", list(plan.train)]


def _checkpoint_holds(plan: PipelinePlan, outputs: Outputs) -> bool:
    path = Path(outputs["source"])
    return plan.source is not None or (path.is_file() and hash_file(path) == outputs["sha256"])


def _export_holds(plan: PipelinePlan, outputs: Outputs) -> bool:
    return folder_hash(plan.export_folder) == outputs["folder_sha256"]


def _exported(plan: PipelinePlan) -> object:
    data = plan.data / "manifest.json" if plan.data else None
    return [plan.precision, folder_hash(plan.sla), folder_hash(data) if data else ""]


def _proven(plan: PipelinePlan) -> object:
    results = [folder_hash(folder) for folder in plan.results]
    return [list(plan.gpus), results, dict(plan.waived), list(plan.measuring), folder_hash(plan.export_folder)]


STEPS = (
    Step("train", train, _source, _checkpoint_holds),
    Step("export", export, _exported, _export_holds),
    Step("contract", compare_contract, lambda plan: [plan.registry, folder_hash(plan.export_folder)]),
    Step("version", choose_version, lambda plan: plan.version),
    Step("sla", prove, _proven),
    Step("publish", publish_release, lambda plan: [plan.registry, plan.channel, folder_hash(plan.export_folder)]),
    Step("canary", roll_out_canary, lambda plan: plan.canary),
    Step("promote", promote_version, lambda plan: plan.channel),
)


def run(plan: PipelinePlan, say: Say) -> str:
    """Make a model update, or go on with one.

    Args:
        plan: what is asked for.
        say: is told each step.

    Returns:
        The version that is in use now.

    Raises:
        PipelineError: a step refuses; the message names it and says why, and the journal keeps it.
    """
    journal, update = Journal(plan.work / JOURNAL_FILE), Update(plan, say)
    before: dict[str, str] = {}
    chain = ""
    for number, step in enumerate(STEPS, start=1):
        place = f"[{number}/{len(STEPS)}] {step.name}"
        inputs = fingerprint([chain, step.name, step.rests_on(plan)])
        outputs = journal.done(step.name, inputs)
        if outputs is None or not step.holds(plan, outputs):
            say(place)
            outputs = _worked(step, update, before, journal)
            # Making a step can change what it rests on: an export fills the folder that the next one looks at.
            journal.note(StepRecord(step.name, inputs, dict(outputs)))
        say(f"{place}: {_shown(outputs)}")
        before.update(outputs)
        chain = fingerprint([inputs, dict(outputs)])
    return before["version"]


def _worked(step: Step, update: Update, before: Outputs, journal: Journal) -> Outputs:
    try:
        return step.work(update, before)
    except VoiceflowError as error:
        journal.refuse(f"{step.name}: {error}")
        raise PipelineError(f"step {step.name} refuses: {error}") from error


def _shown(outputs: Outputs) -> str:
    long = ("sha256", "folder_sha256", "manifest", "verdicts")
    return ", ".join(f"{name} {value}" for name, value in outputs.items() if name not in long and value) or "done"
