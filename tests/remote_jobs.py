"""Jobs of the tiny model, as the plugin makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.onnx_models import tiny_model
from voiceflow_ml.hardware.targets import CPU, TARGETS, Target
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import Channels, SamplingPlan
from voiceflow_ml.remote.job import Job, Shipment
from voiceflow_ml.remote.packing import pack
from voiceflow_ml.sla.objectives import Objective, Promise, Stage

ROWS = np.ones((256, 4), np.float32)
PLAN = SamplingPlan((50,), 50, span_ns=0, pilot_calls=25)


def tiny_job(folder: Path, target: Target = CPU, plan: SamplingPlan = PLAN, limit_ns: int = 10**10) -> Job:
    """Measure the tiny model on a target; the session is the CPU's, whatever the target."""
    model = open_onnx(tiny_model(folder / "tiny.onnx"), replace(CPU, elsewhere=True))
    packed = pack(model, None)
    stage = Stage.MODEL_INFERENCE
    promise = Promise("tiny", stage, target.name, (Objective("tiny", stage, target.name, 0.99, limit_ns),), "here")
    return Job(
        promise=promise,
        target=target,
        opened_on=CPU,
        model=packed.model,
        files=packed.files,
        threads=1,
        options=model.options,
        plan=plan,
        decided=never,
        arguments=(ROWS,),
        inputs="ones",
    )


def shipment_of(folder: Path, *jobs: Job) -> Shipment:
    """The shipment of jobs that :func:`tiny_job` made in a folder."""
    content = (folder / "tiny.onnx").read_bytes()
    contents = {sha256: content for job in jobs for sha256 in job.files.values()}
    return Shipment(jobs[0].target, TARGETS, jobs, contents)


def never(_channels: Channels) -> bool:
    """For a job that takes all of its samples."""
    return False


def meets(own: Path, other: Path) -> Callable[[Channels], bool]:
    """A question that is answered only while another job is being measured: each leaves a file and waits for the other.

    Sent by value: a worker does not know this module.
    """

    def decided(_channels: Channels) -> bool:
        import time  # noqa: PLC0415

        own.touch()
        for _ in range(600):
            if other.exists():
                return True
            time.sleep(0.1)
        return False

    return decided


def does(action: Callable[[], None]) -> Callable[[Channels], bool]:
    """A question that does something to the process that asks it."""

    def decided(_channels: Channels) -> bool:
        action()
        return False

    return decided
