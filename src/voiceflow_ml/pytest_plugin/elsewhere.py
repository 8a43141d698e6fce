"""``--ray-address``: measured on nodes of a Ray cluster, judged and reported here as what is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from voiceflow_ml.errors import ConfigError, DataError, RemoteError, VoiceflowError
from voiceflow_ml.hardware.targets import Catalogue, Target
from voiceflow_ml.pytest_plugin.judging import judge_run
from voiceflow_ml.pytest_plugin.proving import spec_of
from voiceflow_ml.pytest_plugin.state import ASSIGNMENT, SETTINGS, STARTED_AT, Assignment

if TYPE_CHECKING:
    from voiceflow_ml.inference.ort import OnnxModel
    from voiceflow_ml.latency import SamplingPlan
    from voiceflow_ml.pytest_plugin.handover import Handover
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.remote.cluster import Cluster
    from voiceflow_ml.remote.job import Job, Shipment, Taken
    from voiceflow_ml.remote.packing import Packed
    from voiceflow_ml.results.measurement import Measurement

_Handed = tuple[pytest.Item, "Handover", "SamplingPlan"]


def _joined(config: pytest.Config, address: str) -> Cluster:
    """The cluster as it is now; joined at the first question, and left when pytest ends by who joined it."""
    from voiceflow_ml.remote.cluster import connect, is_joined, leave  # noqa: PLC0415

    was_joined = is_joined()
    cluster = connect(address)
    if not was_joined:
        config.add_cleanup(leave)
    return cluster


def present_elsewhere(config: pytest.Config, catalogue: Catalogue) -> tuple[Target, ...]:
    """GPU targets that the cluster has, for ``--gpu=auto``; errors as :func:`refuse_absent_elsewhere`."""
    try:
        cluster = _joined(config, config.getoption("--ray-address"))
    except VoiceflowError as error:
        raise pytest.UsageError(str(error)) from None
    return tuple(target for target in catalogue.gpus if cluster.has(target))


def refuse_absent_elsewhere(config: pytest.Config, settings: Settings) -> None:
    """Stop at once when a target that was asked for is on no node of the cluster.

    Raises:
        pytest.UsageError: that, or a cluster that cannot be joined.
    """
    if not settings.ray_address:
        return
    wanted = [target for target in settings.catalogue.values() if target.elsewhere and settings.selects(target.name)]
    try:
        cluster = _joined(config, settings.ray_address)
    except VoiceflowError as error:
        raise pytest.UsageError(str(error)) from None
    for target in wanted:
        absence = cluster.absence(target)
        if absence:
            raise pytest.UsageError(absence)


def measure_elsewhere(handed: Sequence[_Handed]) -> list[Measurement | BaseException]:
    """Measure what tests hand over on nodes of the cluster: those of one target in turns, targets at the same time.

    Returns:
        For each of them its measurement, or what kept it from being taken.
    """
    from voiceflow_ml.pytest_plugin.live import LiveLine  # noqa: PLC0415
    from voiceflow_ml.remote.job import Failed  # noqa: PLC0415
    from voiceflow_ml.remote.session import measure_remotely  # noqa: PLC0415

    config = handed[0][0].config
    outcomes: dict[int, Measurement | BaseException] = {}
    jobs: dict[Target, list[tuple[int, Job, Packed]]] = {}
    for place, (item, handover, plan) in enumerate(handed):
        try:
            job, packed = _job(item, handover, plan)
            jobs.setdefault(item.stash[ASSIGNMENT].target, []).append((place, job, packed))
        except VoiceflowError as error:
            outcomes[place] = error
    live = LiveLine(config)
    with live:
        try:
            cluster = _joined(config, config.stash[SETTINGS].ray_address)
            shipments = [_shipment(target, mine, config.stash[SETTINGS]) for target, mine in jobs.items()]
            answers = measure_remotely(shipments, cluster, lambda target, text: live.say(target.name, text))
        except VoiceflowError as error:
            return [outcomes.get(place, error) for place in range(len(handed))]
    for mine, given in zip(jobs.values(), answers, strict=True):
        for (place, _, _), answer in zip(mine, given, strict=True):
            if isinstance(answer, Failed):
                outcomes[place] = RemoteError(answer.reason)
            else:
                outcomes[place] = _measurement(handed[place], answer, len(mine))
    return [outcomes[place] for place in range(len(handed))]


def _job(item: pytest.Item, handover: Handover, plan: SamplingPlan) -> tuple[Job, Packed]:
    """What another machine needs to measure a test's call; errors as :func:`_model_of`."""
    from dataclasses import replace  # noqa: PLC0415

    from voiceflow_ml.remote.job import Job  # noqa: PLC0415
    from voiceflow_ml.results.assemble import decision  # noqa: PLC0415

    assignment, settings = item.stash[ASSIGNMENT], item.config.stash[SETTINGS]
    model = _model_of(assignment, handover, settings)
    packed = _packed(item, handover, model)
    job = Job(
        promise=assignment.promise,
        target=replace(assignment.target, elsewhere=False),
        opened_on=replace(model.target, elsewhere=False),
        model=packed.model,
        files=packed.files,
        threads=model.threads,
        options=model.options,
        plan=plan,
        decided=decision(assignment.promise, settings.confidence),
        declared_sha256=handover.declared_sha256,
        spec=packed.spec,
        arguments=None if handover.spec is not None else handover.arguments,
        cold_arguments=handover.cold_arguments,
        inputs=handover.inputs,
    )
    return job, packed


def _model_of(assignment: Assignment, handover: Handover, settings: Settings) -> OnnxModel:
    """The model that a test hands over, if it can travel.

    Raises:
        ConfigError: a call that cannot, or one with a baseline.
    """
    from voiceflow_ml.inference.ort import OnnxModel  # noqa: PLC0415

    promise, model = assignment.promise, handover.function
    if not isinstance(model, OnnxModel):
        raise ConfigError(
            f"{promise.label} is measured on another machine, to which a Python callable does not travel; open the "
            "model with voiceflow_ml.inference.ort.open_onnx(path, target) and hand that to latency"
        )
    baseline = settings.baseline_of(promise.model)
    if baseline is not None:
        raise ConfigError(
            f"--sla-baseline={baseline}: {promise.label} is measured on another machine, where no baseline is "
            "measured beside it; run pytest on that machine to compare"
        )
    return model


def _packed(item: pytest.Item, handover: Handover, model: OnnxModel) -> Packed:
    from voiceflow_ml.remote.packing import pack  # noqa: PLC0415

    if handover.spec is not None:
        return pack(model, handover.spec)
    try:
        return pack(model, spec_of(item.config, item.stash[ASSIGNMENT].promise))
    except DataError:
        # A test that brings its own inputs need not have the declared ones at hand; then there is nothing to compare.
        return pack(model, None)


def _shipment(target: Target, mine: Sequence[tuple[int, Job, Packed]], settings: Settings) -> Shipment:
    from dataclasses import replace  # noqa: PLC0415

    from voiceflow_ml.remote.job import Shipment  # noqa: PLC0415

    contents = {sha256: content for _, _, packed in mine for sha256, content in packed.contents.items()}
    jobs = tuple(job for _, job, _ in mine)
    return Shipment(replace(target, elsewhere=False), settings.catalogue, jobs, contents)


def _measurement(handed: _Handed, taken: Taken, group_size: int) -> Measurement:
    """Judge what another machine took, as what is taken here."""
    from voiceflow_ml.results.assemble import assemble  # noqa: PLC0415
    from voiceflow_ml.results.sources import MACHINE, hardware_of  # noqa: PLC0415

    item, _, plan = handed
    item.stash[STARTED_AT] = taken.started_at
    others = {"measured in turns with": f"{group_size - 1} others"} if group_size > 1 else {}
    return assemble(
        taken.run,
        judge_run(taken.run, plan, item.stash[ASSIGNMENT].promise, item.config.stash[SETTINGS]),
        taken.findings,
        boundary=taken.boundary,
        inputs=taken.inputs,
        facts={**others, **taken.facts, MACHINE: hardware_of(taken.facts)},
        roofline=taken.roofline,
    )
