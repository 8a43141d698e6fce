"""Watch the machine over one measurement: its CPUs, and the GPU that it runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from voiceflow_ml.hardware.cpu_evidence import cpu_findings
from voiceflow_ml.hardware.cpu_state import CpuWatch
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.gpu import GpuProbe
from voiceflow_ml.hardware.gpu_choice import first_cuda_device
from voiceflow_ml.hardware.gpu_evidence import conduct_findings, identity_findings
from voiceflow_ml.hardware.gpu_watch import GpuWatch
from voiceflow_ml.hardware.software import builds_finding, ort_builds, software_facts
from voiceflow_ml.hardware.targets import TARGETS, Catalogue, Target


class MachineWatch:
    """Made before a measurement, told after each block, asked once at its end.

    Args:
        target: where the measurement is to run.
        catalogue: the targets that there are.
        ask_gpus: asks the driver for its GPUs; only asked for a GPU target.
        environment: the process's environment.
        cpu: watches the CPUs; None for those of this machine.
    """

    def __init__(
        self,
        target: Target,
        catalogue: Catalogue,
        ask_gpus: Callable[[], GpuProbe],
        environment: Mapping[str, str] | None = None,
        cpu: CpuWatch | None = None,
    ) -> None:
        self._target, self._catalogue = target, catalogue
        environment = os.environ if environment is None else environment
        self._choice = first_cuda_device(ask_gpus(), environment) if target.is_cuda else None
        gpu = self._choice.gpu if self._choice is not None else None
        self._gpu = GpuWatch(gpu) if gpu is not None else None
        self._cpu = cpu or CpuWatch()

    def after_block(self) -> None:
        """Read what moves, outside of every timed region."""
        if self._gpu is not None:
            self._gpu.after_block()

    def findings(self) -> list[Finding]:
        """What the machine says for and against the measurement."""
        found = []
        if self._choice is not None:
            found += identity_findings(self._choice, self._target, self._catalogue)
        if self._gpu is not None:
            found += conduct_findings(self._gpu.record(), self._target)
        found += cpu_findings(self._cpu.record())
        for finding in (builds_finding(ort_builds()), restated_finding(self._target)):
            if finding is not None:
                found.append(finding)
        return found

    def facts(self) -> dict[str, str]:
        """GPU and libraries, for the result."""
        gpu = self._choice.gpu if self._choice is not None else None
        return {**(gpu.facts() if gpu is not None else {}), **software_facts(cuda=self._target.is_cuda)}


def restated_finding(target: Target) -> Finding | None:
    """Say so when the project states a target that ships otherwise than it ships; None when it does not."""
    shipped = TARGETS.get(target.name)
    same = shipped is None or (
        (shipped.device_name, shipped.compute_capability, shipped.pci_device_ids)
        == (target.device_name, target.compute_capability, target.pci_device_ids)
    )
    if not target.stated_at:
        return None
    if not same:
        fact = f"{target.stated_at} says that {target.name} is another device than the catalogue says"
        return Finding(Severity.CAUTION, fact, "give a device of one's own a name of its own")
    return Finding(Severity.INFORMATION, f"{target.name} is as {target.stated_at} states it")
