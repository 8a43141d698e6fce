"""All proofs that a measurement would rest on, made without measuring: what ``voiceflow doctor`` prints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError, ModelFileError

if TYPE_CHECKING:
    from voiceflow_ml.hardware.evidence import Finding
    from voiceflow_ml.hardware.runtime import RuntimeOptions
    from voiceflow_ml.hardware.targets import Catalogue, Target
    from voiceflow_ml.hardware.watch import MachineWatch
    from voiceflow_ml.inference.ort import InputInfo, OnnxModel
    from voiceflow_ml.sla.objectives import InputSpec

_CALLS = 30


@dataclass(frozen=True)
class Patient:
    """What is examined.

    Attributes:
        path: the ONNX file.
        target: where it should run.
        catalogue: the targets that there are.
        threads: intra-op threads of a CPU session.
        options: provider and boundary.
        inputs: input name -> where its values come from; synthetic ones of a likely size for the others.
    """

    path: Path
    target: Target
    catalogue: Catalogue
    threads: int
    options: RuntimeOptions
    inputs: Mapping[str, InputSpec]


@dataclass(frozen=True)
class Report:
    """What was found, by area, in the order in which it was looked at."""

    findings: tuple[tuple[str, Finding], ...]
    facts: Mapping[str, str]

    @property
    def invalid(self) -> int:
        """How many findings would make a measurement INVALID."""
        from voiceflow_ml.hardware.evidence import Severity  # noqa: PLC0415

        return sum(finding.severity is Severity.INVALID for _, finding in self.findings)

    @property
    def cautions(self) -> int:
        """How many would stand beside its verdict as cautions."""
        from voiceflow_ml.hardware.evidence import Severity  # noqa: PLC0415

        return sum(finding.severity is Severity.CAUTION for _, finding in self.findings)


def examine(patient: Patient) -> Report:
    """Make all proofs, whatever fails on the way.

    Raises:
        ModelFileError: the file is no model that this onnxruntime loads on its CPU either.
        ConfigError: inputs that the model does not take.
        DataError: an audio or array file that cannot be used.
    """
    from voiceflow_ml.hardware import probe  # noqa: PLC0415
    from voiceflow_ml.hardware.watch import MachineWatch  # noqa: PLC0415

    watch = MachineWatch(patient.target, patient.catalogue, probe.probe_gpus)
    model, refusal = _open(patient)
    arrays = [_array(patient, info) for info in model.inputs]
    found = [("runtime", refusal)] if refusal is not None else []
    ran_ns, contention = _run(model, arrays, watch)
    if refusal is None:
        found += [("placement", finding) for finding in model.findings()]
        found += _of_timing(ran_ns)
    found += _of_physics(patient, model, arrays, None if refusal is not None else ran_ns)
    found += _of_file(model)
    found += [("machine", finding) for finding in (*contention, *watch.findings())]
    return Report(tuple(found), {**probe.probe_machine(), **model.facts(), **watch.facts()})


def _open(patient: Patient) -> tuple[OnnxModel, Finding | None]:
    """The model on its target; or on the CPU, with the reason why it is not on its target."""
    from voiceflow_ml.hardware.evidence import Finding, Severity  # noqa: PLC0415
    from voiceflow_ml.hardware.targets import CPU  # noqa: PLC0415
    from voiceflow_ml.inference.ort import open_onnx  # noqa: PLC0415

    try:
        return open_onnx(patient.path, patient.target, threads=patient.threads, options=patient.options), None
    except (ModelFileError, ConfigError) as error:
        if patient.target.name == CPU.name and not patient.options.provider:
            raise
        # The graph itself can still be looked at.
        return open_onnx(patient.path, CPU, threads=patient.threads), Finding(Severity.INVALID, str(error))


def _array(patient: Patient, info: InputInfo) -> Any:
    from voiceflow_ml.inference.declared import likely_sizes, make_input  # noqa: PLC0415
    from voiceflow_ml.sla.objectives import InputSpec  # noqa: PLC0415

    declared = patient.inputs.get(info.name) or InputSpec(shape=tuple(likely_sizes(info.shape)))
    return make_input(declared, info, Path())[0]


def _run(model: OnnxModel, arrays: list[Any], watch: MachineWatch) -> tuple[int, list[Finding]]:
    """Call it some thirty times; returns the median in nanoseconds, which is no measurement, and who was in the way."""
    import numpy as np  # noqa: PLC0415

    from voiceflow_ml.hardware.evidence import marked_blocks, pressure_finding, run_delay_finding  # noqa: PLC0415
    from voiceflow_ml.hardware.scheduler import SchedulerCounters  # noqa: PLC0415

    call = model.bind(*arrays)
    took_ns, waited_ns = [], 0
    with SchedulerCounters() as counters:
        begin_ns, pressed_ns = time.perf_counter_ns(), counters.cpu_wait_ns()
        for _ in range(_CALLS):
            delay_ns, start_ns = counters.run_delay_ns(), time.perf_counter_ns()
            call()
            took_ns.append(time.perf_counter_ns() - start_ns)
            waited_ns += min(counters.run_delay_ns() - delay_ns, took_ns[-1])
            watch.after_block()
        span_ns, now_pressed_ns = time.perf_counter_ns() - begin_ns, counters.cpu_wait_ns()
        known = counters.source != "none"
    found = [run_delay_finding(waited_ns if known else None, sum(took_ns))]
    if pressed_ns is not None and now_pressed_ns is not None:
        marked = marked_blocks(np.array([now_pressed_ns - pressed_ns]), np.array([span_ns]))
        found.append(pressure_finding(marked, 1))
    return sorted(took_ns)[_CALLS // 2], found


def _of_timing(median_ns: int) -> list[tuple[str, Finding]]:
    from voiceflow_ml.hardware.evidence import Finding, Severity, timer_finding  # noqa: PLC0415
    from voiceflow_ml.hardware.probe import clock_step_ns  # noqa: PLC0415
    from voiceflow_ml.units import format_ns  # noqa: PLC0415

    step_ns = clock_step_ns()
    fine = Finding(Severity.INFORMATION, f"the clock's step of {step_ns} ns is fine for about {format_ns(median_ns)}")
    return [("clock", timer_finding(step_ns, median_ns) or fine)]


def _of_physics(
    patient: Patient, model: OnnxModel, arrays: list[Any], median_ns: int | None
) -> list[tuple[str, Finding]]:
    from voiceflow_ml.hardware.evidence import Finding, Severity  # noqa: PLC0415
    from voiceflow_ml.hardware.roofline import floor_finding  # noqa: PLC0415
    from voiceflow_ml.inference.floor import floor_of  # noqa: PLC0415

    floor = floor_of(model, arrays, patient.target)
    if floor is None:
        fact = "the physical floor is unknown: the graph cannot be counted, or the onnx package is not installed"
        return [("physics", Finding(Severity.INFORMATION, fact, 'pip install "voiceflow-ml[roofline]"'))]
    if median_ns is None:
        return [("physics", Finding(Severity.INFORMATION, f"one inference takes {floor.sentence}"))]
    return [("physics", floor_finding(floor, median_ns))]


def _of_file(model: OnnxModel) -> list[tuple[str, Finding]]:
    from voiceflow_ml.hardware.evidence import Finding, Severity, swapped_finding  # noqa: PLC0415

    same = Finding(Severity.INFORMATION, f"{model.path.name} has the SHA-256 {model.sha256}, before and after")
    return [("file", swapped_finding(model.path, model.sha256) or same)]
