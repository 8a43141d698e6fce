"""What a measurable model tells about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.hardware.targets import Target

UNSTATED_BOUNDARY = "one call of a Python callable, as the test wrote it"


@runtime_checkable
class Measurable(Protocol):
    """A model that can be bound to fixed inputs and can prove where it runs."""

    @property
    def boundary(self) -> str:
        """What lies between the two clock reads, in one sentence."""

    @property
    def target(self) -> Target:
        """The target that the model was opened on."""

    def bind(self, *inputs: object) -> Callable[[], object]:
        """Fix the inputs, so that a call does nothing but run the model."""

    def facts(self) -> dict[str, str]:
        """What a reader needs to reproduce the run: file, hash, provider, threads."""

    def findings(self) -> tuple[Finding, ...]:
        """What is known about where the model runs."""


def opaque_finding(target: Target) -> Finding:
    """What can be said of a callable that proves nothing about itself."""
    fact = f"nothing proves that the measured callable ran on {target.name}"
    remedy = "open the model with voiceflow_ml.inference.ort.open_onnx, which records the proof"
    return Finding(Severity.INVALID if target.is_cuda else Severity.CAUTION, fact, remedy)
