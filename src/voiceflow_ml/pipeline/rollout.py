"""From a proven release to what users get: publish, canary, promote; or roll back, and say why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voiceflow_ml.errors import PipelineError, RegistryError, VoiceflowError
from voiceflow_ml.files import hash_file
from voiceflow_ml.pipeline.canary import try_canary
from voiceflow_ml.pipeline.journal import Outputs
from voiceflow_ml.pipeline.proof import measured_results
from voiceflow_ml.pipeline.steps import Update
from voiceflow_ml.registry.publish import Card, Terms, publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.release import read_release


def publish_release(update: Update, before: Outputs) -> Outputs:
    """Publish the release; one that a run before published and could not note down any more is taken as it is.

    Raises:
        RegistryError: a gate refuses it.
    """
    plan, version, registry = update.plan, before["version"], update.registry
    if version not in registry.versions():
        terms = Terms(
            plan.who,
            plan.channel,
            measured_results(plan),
            plan.waived,
            card=_card_of(plan.export_folder, registry.model),
        )
        publish(registry, plan.export_folder, version, terms, update.say)
    elif not _is_ours(registry, version, plan.export_folder):
        raise RegistryError(f"{registry.model} {version} was published by somebody else meanwhile; give --version")
    return {"version": version, "manifest": registry.manifest(version)[1]}


def roll_out_canary(update: Update, before: Outputs) -> Outputs:
    """Put the version into the canary channel and try it there; go back when it is not right.

    Raises:
        PipelineError: it is not; the channel has again what it had.
    """
    plan, version, registry = update.plan, before["version"], update.registry
    _promote(registry, version, plan.canary, plan.who, "canary of a model update")
    try:
        checks = try_canary(plan, registry, version)
        broken = [f"{check.name}: {check.problem}" for check in checks if check.problem]
    except VoiceflowError as error:
        broken = [str(error)]
        checks = ()
    if broken:
        back = _roll_back(update, plan.canary, f"{version} failed as a canary: {broken[0]}")
        raise PipelineError(f"{version} failed as a canary, {back}: {'; '.join(broken)}")
    update.say(f"canary {version}: {len(checks)} of {len(checks)} checks passed")
    return {"version": version, "checks": str(len(checks))}


def promote_version(update: Update, before: Outputs) -> Outputs:
    """Put the version into use, and go back when what the channel then has is not whole.

    Raises:
        PipelineError: it is not; the channel has again what it had.
    """
    plan, version, registry = update.plan, before["version"], update.registry
    _promote(registry, version, plan.channel, plan.who, "model update: proven, published and tried as a canary")
    try:
        registry.resolve(plan.channel)
    except VoiceflowError as error:
        raise PipelineError(
            f"{version} in {plan.channel}, {_roll_back(update, plan.channel, str(error))}: {error}"
        ) from None
    return {"version": version, "channel": plan.channel}


def _promote(registry: Registry, version: str, channel: str, who: str, why: str) -> None:
    current = registry.channel(channel).current()
    if current is None or current.version != version:
        registry.promote(version, channel, who=who, why=why)


def _roll_back(update: Update, channel: str, why: str) -> str:
    """Go back, and say what the channel has now."""
    try:
        promotion = update.registry.rollback(channel, who=update.plan.who, why=why)
    except RegistryError as error:
        return f"and {channel} could not be rolled back ({error})"
    return f"and {channel} is {promotion.version} again"


def _is_ours(registry: Registry, version: str, folder: Path) -> bool:
    published: Mapping[str, str] = {name: f.sha256 for name, f in registry.manifest(version)[0].files.items()}
    ours = {name: hash_file(path) for name, path in read_release(folder).files.items() if path.suffix != ".md"}
    return ours.items() <= published.items()


def _card_of(folder: Path, model: str) -> Card | None:
    from voiceflow_ml.reporting.model_card import TEMPLATES, render_card  # noqa: PLC0415

    # Releases of others may come without the record that a card is rendered from.
    if not (folder / f"{model}.json").is_file():
        return None
    return lambda release, verdicts: render_card(release, TEMPLATES, verdicts)
