"""From a checkpoint to a version number: train, export, contract, version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voiceflow_ml.contract import Contract, diff, read_contract
from voiceflow_ml.contract.diff import Level, parse_level
from voiceflow_ml.errors import PipelineError
from voiceflow_ml.export.promised import promises_for
from voiceflow_ml.files import hash_file
from voiceflow_ml.pipeline.journal import Outputs, folder_hash
from voiceflow_ml.pipeline.plan import CHECKPOINT_FILE, PipelinePlan
from voiceflow_ml.registry.publish import published_contract
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.release import read_release
from voiceflow_ml.registry.store import Store
from voiceflow_ml.registry.versions import parse_version, smallest_step

FIRST_VERSION = "1.0.0"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Update:
    """A model update under way.

    Attributes:
        plan: what is asked for.
        say: is told each thing that is done.
    """

    plan: PipelinePlan
    say: Say

    @property
    def contract(self) -> Contract:
        """The contract of the release."""
        return read_contract(self.plan.export_folder)

    @property
    def registry(self) -> Registry:
        """The registry of the release's model."""
        return Registry(Store(self.plan.registry), self.contract.model)

    @property
    def model_file(self) -> Path:
        """The release's portable file, which the promises are about."""
        return read_release(self.plan.export_folder).primary


def train(update: Update, _before: Outputs) -> Outputs:
    """Train, or take the checkpoint that was given.

    Raises:
        PipelineError: training did not come to its end.
    """
    plan = update.plan
    if plan.source is not None:
        return {"source": str(plan.source)}
    out = plan.work / "train"
    command = [sys.executable, "-m", "voiceflow_ml.cli", "train", *plan.train, "--out", str(out)]
    update.say(f"voiceflow train {' '.join(plan.train)} --out {out}")
    status = subprocess.run(command, check=False).returncode
    checkpoint = out / CHECKPOINT_FILE
    if status or not checkpoint.is_file():
        raise PipelineError(
            f"training ended with status {status}; a run that was stopped goes on with the same command"
        )
    return {"source": str(checkpoint), "sha256": hash_file(checkpoint)}


def export(update: Update, before: Outputs) -> Outputs:
    """Export the checkpoint with proof of each variant, or take the export that was given.

    Raises:
        PipelineError: the promises of a given export are not those of sla.toml.
        ExportError: a proof failed.
    """
    plan = update.plan
    source = Path(before["source"])
    if source.is_file():
        _export(update, source)
    contract = update.contract
    wanted = promises_for(plan.sla, contract.model)
    if contract.sla != wanted:
        raise PipelineError(
            f"{plan.export_folder} was exported for {len(contract.sla)} promises that are not the {len(wanted)} of "
            f"{plan.sla} for {contract.model}; export it again with --sla {plan.sla}"
        )
    if not wanted:
        raise PipelineError(f"{plan.sla} promises nothing of {contract.model}, so nothing could show that it is fit")
    return {
        "model": contract.model,
        "sha256": hash_file(update.model_file),
        "folder_sha256": folder_hash(plan.export_folder),
    }


def _export(update: Update, checkpoint: Path) -> None:
    from voiceflow_ml.export import ExportOptions, load_source, load_speech  # noqa: PLC0415
    from voiceflow_ml.export import export as export_checkpoint  # noqa: PLC0415
    from voiceflow_ml.export.options import parse_precisions  # noqa: PLC0415
    from voiceflow_ml.registry.publish import CARD_FILE  # noqa: PLC0415
    from voiceflow_ml.reporting.model_card import TEMPLATES, render_card  # noqa: PLC0415

    plan = update.plan
    source = load_source(checkpoint)
    options = ExportOptions(parse_precisions(plan.precision), promises=promises_for(plan.sla, source.name))
    result = export_checkpoint(source, plan.export_folder, load_speech(plan.data), options, say=update.say)
    (result.folder / CARD_FILE).write_text(render_card(result.folder, TEMPLATES), encoding="utf-8")


def compare_contract(update: Update, _before: Outputs) -> Outputs:
    """Say what changes for callers, against the highest release.

    Raises:
        PipelineError: the same file is published already.
    """
    registry = update.registry
    sha256 = hash_file(update.model_file)
    releases = [version for version in registry.versions() if not parse_version(version).prerelease]
    for version in releases:
        if sha256 in {file.sha256 for file in registry.manifest(version)[0].files.values()}:
            raise PipelineError(f"the same file is published already, as {registry.model} {version}; promote that one")
    if not releases:
        return {"base": "", "level": str(Level.NONE), "reasons": "the first version"}
    base = releases[-1]
    found = diff(published_contract(registry, base), update.contract)
    reasons = "; ".join(f"{change.level}: {change.reason}" for change in found.changes)
    return {"base": base, "level": str(found.level), "reasons": reasons or "nothing that a caller could notice"}


def choose_version(update: Update, before: Outputs) -> Outputs:
    """The version that was asked for, or the smallest that the change allows.

    Raises:
        PipelineError: callers would break, and nobody asked for it; or the version is taken.
    """
    plan, base, level = update.plan, before["base"], before["level"]
    if plan.version:
        version = str(parse_version(plan.version))
    elif level == str(Level.MAJOR):
        smallest = smallest_step(base, Level.MAJOR)
        raise PipelineError(
            f"callers of {base} would break ({before['reasons']}); that is never done by itself: "
            f"give --version {smallest} if it is meant"
        )
    else:
        # New weights behind the same contract are a patch, at least.
        version = smallest_step(base, max(parse_level(level), Level.PATCH)) if base else FIRST_VERSION
    if version in update.registry.versions():
        raise PipelineError(f"{update.contract.model} {version} is published already, and a version never changes")
    return {"version": version}
