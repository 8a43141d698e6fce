"""The measuring loop and its evidence, on whatever machine it is: jobs in, samples and findings out, no verdict."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.hardware import probe
from voiceflow_ml.hardware.control import ControlWorkload
from voiceflow_ml.hardware.device_lock import device_lock
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.hardware.scheduler import SchedulerCounters
from voiceflow_ml.hardware.watch import MachineWatch
from voiceflow_ml.inference.declared import cold_inputs, declared_inputs
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.inference.run_findings import collect_findings, possible_floor, source_findings
from voiceflow_ml.latency import Instruments, Sampler, SystemClock, percentile, take_turns
from voiceflow_ml.remote.job import Failed, Job, Shipment, Taken
from voiceflow_ml.remote.packing import unpack
from voiceflow_ml.sla.objectives import ModelSpec


def take(shipment: Shipment) -> list[Taken | Failed]:
    """Measure the jobs of a shipment in turns, on this machine, while nobody else of this user does.

    Returns:
        One answer for each job, in their order; a job that fails leaves the others alone.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="voiceflow-ml-")))
        held.enter_context(device_lock("cuda" if shipment.target.is_cuda else "cpu", lambda _text: None))
        counters = held.enter_context(SchedulerCounters())
        instruments = Instruments(SystemClock(), counters, ControlWorkload())
        begun = [_begin(job, shipment, folder / str(place), instruments) for place, job in enumerate(shipment.jobs)]
        failures: dict[Sampler, Failed] = {}

        def failed(sampler: Sampler, error: Exception) -> None:
            failures[sampler] = _failed(error)

        running = [member.sampler for member in begun if isinstance(member, _Begun)]
        take_turns(running, instruments.clock, failed=failed)
        return [
            member if isinstance(member, Failed) else failures.get(member.sampler) or _finish(member)
            for member in begun
        ]


@dataclass(frozen=True)
class _Begun:
    """A job that has warmed up."""

    job: Job
    model: OnnxModel
    arguments: tuple[Any, ...]
    inputs: str
    floor: Roofline | None
    watch: MachineWatch
    sampler: Sampler
    started_at: str


def _begin(job: Job, shipment: Shipment, folder: Path, instruments: Instruments) -> _Begun | Failed:
    try:
        unpack(job.files, shipment.contents, folder)
        model = open_onnx(folder / job.model, job.opened_on, threads=job.threads, options=job.options)
        arguments, inputs, cold = _inputs(job, model, folder)
        floor = possible_floor(model, arguments, job.promise)
        watch = MachineWatch(job.target, shipment.catalogue, probe.probe_gpus)
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        sampler = Sampler(
            model.bind(*arguments),
            job.plan,
            instruments,
            decided=job.decided,
            watch=lambda _progress: watch.after_block(),
            cold_calls={label: model.bind(*others) for label, others in cold.items()},
            # In turns they take together what they would take one after the other.
            time_budget_ns=shipment.time_budget_ns,
        )
        sampler.begin()
    except Exception as error:
        return _failed(error)
    return _Begun(job, model, arguments, inputs, floor, watch, sampler, started_at)


def _inputs(job: Job, model: OnnxModel, folder: Path) -> tuple[tuple[Any, ...], str, dict[str, tuple[Any, ...]]]:
    """Arguments, what they are, and those of the cold starts: as they were sent, or as the table declares them."""
    spec = _here(job, folder)
    if job.arguments is not None or spec is None:
        return job.arguments or (), job.inputs, dict(job.cold_arguments)
    arrays, description = declared_inputs(spec, model)
    return tuple(arrays), description, {label: tuple(others) for label, others in cold_inputs(spec, model)}


def _here(job: Job, folder: Path) -> ModelSpec | None:
    """The job's table, with its files where they were unpacked."""
    return None if job.spec is None else replace(job.spec, folder=folder)


def _finish(member: _Begun) -> Taken | Failed:
    job, model, watch = member.job, member.model, member.watch
    try:
        run = member.sampler.run()
        findings = (
            *collect_findings(run, job.plan, job.promise, job.target, model, job.declared_sha256, member.floor),
            *watch.findings(),
            *source_findings(_here(job, model.path.parent), model, member.arguments),
        )
        reached = None if member.floor is None else member.floor.reached_by(percentile(run.samples_ns, 0.5))
        facts = {**model.facts(), **watch.facts(), **probe.probe_machine()}
        return Taken(run, findings, facts, model.boundary, member.inputs, reached, member.started_at)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> Failed:
    """An error of this package as its sentence, any other with its type."""
    return Failed(str(error) if isinstance(error, VoiceflowError) else f"{type(error).__name__}: {error}")
