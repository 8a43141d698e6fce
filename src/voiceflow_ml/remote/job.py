"""What travels to another machine, and what comes back: plain records, files by their content and never by a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceflow_ml.hardware.evidence import Finding
from voiceflow_ml.hardware.roofline import Roofline
from voiceflow_ml.hardware.runtime import RuntimeOptions
from voiceflow_ml.hardware.targets import Catalogue, Target
from voiceflow_ml.latency import Run, SamplingPlan
from voiceflow_ml.latency.sampler import Decided
from voiceflow_ml.sla.objectives import ModelSpec, Promise


@dataclass(frozen=True)
class Job:
    """One measurement, as another machine needs to know it.

    Attributes:
        promise: what is to be judged on its samples; there it only says when there are enough, and which floor is too
            high for it.
        target: what the machine must be.
        opened_on: the target that the test opens the model on; another than the promised one proves nothing.
        model: name of the model file among ``files``.
        files: name -> SHA-256 of each file that it takes; names are relative and stay below one folder.
        threads: intra-op threads.
        options: provider, its options, boundary and spinning.
        plan: how the samples are to be taken.
        decided: the question of each look, as the local loop asks it.
        declared_sha256: the model file that was promised; empty when any will do.
        spec: the model's table with its files named as in ``files``; None for a promise without one.
        arguments: one array for each model input; None to make what ``spec`` declares.
        cold_arguments: arguments of other shapes, whose first call is timed apart, by what they are.
        inputs: what the arguments are, in a phrase.
    """

    promise: Promise
    target: Target
    opened_on: Target
    model: str
    files: Mapping[str, str]
    threads: int
    options: RuntimeOptions
    plan: SamplingPlan
    decided: Decided
    declared_sha256: str = ""
    spec: ModelSpec | None = None
    arguments: tuple[Any, ...] | None = None
    cold_arguments: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    inputs: str = ""


@dataclass(frozen=True)
class Shipment:
    """The jobs of one target, which take turns there.

    Attributes:
        target: what the machine must be.
        catalogue: the targets that there are, to tell whose PCI device id one is.
        jobs: at least one.
        contents: SHA-256 -> bytes of each file that a job names; one of several jobs travels once.
    """

    target: Target
    catalogue: Catalogue
    jobs: tuple[Job, ...]
    contents: Mapping[str, bytes]

    @property
    def time_budget_ns(self) -> int:
        """Longest time that all of its measurements may take together."""
        return sum(job.plan.time_budget_ns for job in self.jobs)


@dataclass(frozen=True)
class Taken:
    """What one job gave: samples and evidence, no verdict.

    Attributes:
        run: the raw record.
        findings: what is known about where and how it ran.
        facts: what a reader needs to reproduce it.
        boundary: what lies between the two clock reads.
        inputs: what the model was fed.
        roofline: what that machine allows at best, and the share of it that was reached; None where it is not known.
        started_at: ISO 8601, UTC, by that machine's clock.
    """

    run: Run
    findings: tuple[Finding, ...]
    facts: Mapping[str, str]
    boundary: str
    inputs: str
    roofline: Roofline | None
    started_at: str


@dataclass(frozen=True)
class Failed:
    """Why one job gave nothing, in one sentence."""

    reason: str
