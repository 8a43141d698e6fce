"""A candidate beside its baseline, interleaved in this session: ``--sla-baseline``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError, VoiceflowError
from voiceflow_ml.hardware.git import GIT

if TYPE_CHECKING:
    from voiceflow_ml.inference.ort import OnnxModel
    from voiceflow_ml.pytest_plugin.live import LiveLine
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.pytest_plugin.state import Assignment
    from voiceflow_ml.results.measurement import Against


def baseline_problems(settings: Settings, models: Sequence[str]) -> list[str]:
    """What is wrong with the baselines of this run, one sentence each: no such model, or one file for several.

    Args:
        settings: of this run.
        models: names of the models that it measures.
    """
    known, problems = list(dict.fromkeys(models)), []
    for model, reference in settings.baselines.items():
        if not known:
            problems.append(f"--sla-baseline={reference}: no test of this run measures anything")
        elif model and model not in known:
            problems.append(
                f"--sla-baseline={model}={reference}: no test of this run measures {model!r}; "
                f"measured: {', '.join(known)}"
            )
        if not model and not reference.startswith(GIT) and len(known) > 1:
            problems.append(
                f"--sla-baseline={reference}: one file cannot be the baseline of {len(known)} models "
                f"({', '.join(known)}); write --sla-baseline={known[0]}={reference}"
            )
    return problems


@dataclass(frozen=True)
class Baseline:
    """An opened baseline, ready to be measured.

    Attributes:
        reference: the file or ``git:REF``, as it was asked for.
        model: the opened file.
        call: it, on the candidate's inputs.
    """

    reference: str
    model: OnnxModel
    call: Callable[[], object]


def find_baseline(
    assignment: Assignment, model: Any, arguments: tuple[object, ...], settings: Settings
) -> Baseline | None:
    """Open what a model is to be compared with; None when nothing is asked for.

    Args:
        assignment: the promise and the target.
        model: the candidate; None when it cannot prove what it is.
        arguments: its inputs, which the baseline gets too.
        settings: of this run.

    Raises:
        ConfigError: the candidate is an opaque callable, the baseline cannot be used, or it does not take the inputs.
    """
    reference = settings.baseline_of(assignment.promise.model)
    if reference is None:
        return None
    from voiceflow_ml.inference.baseline import open_baseline  # noqa: PLC0415
    from voiceflow_ml.inference.ort import OnnxModel  # noqa: PLC0415

    if not isinstance(model, OnnxModel):
        raise ConfigError(
            f"--sla-baseline={reference}: {assignment.promise.model} is measured as a callable, whose earlier version "
            "nothing can find; open the model with voiceflow_ml.inference.ort.open_onnx"
        )
    try:
        baseline = open_baseline(reference, model, settings.working_folder)
        return Baseline(reference, baseline, baseline.bind(*arguments))
    except VoiceflowError as error:
        reason = str(error).removeprefix(f"{reference}: ")
        raise ConfigError(f"--sla-baseline={reference}: {reason}") from None


def compare_with(
    baseline: Baseline, candidate: Callable[[], object], assignment: Assignment, settings: Settings, live: LiveLine
) -> Against:
    """Measure a candidate in pairs with its baseline and compare each promised quantile.

    Args:
        baseline: the version that is known.
        candidate: the version that is asked about, on the same inputs.
        assignment: the promise.
        settings: of this run.
        live: the live line.
    """
    from voiceflow_ml.latency import measure_pair  # noqa: PLC0415
    from voiceflow_ml.results.compared import compared, pair_plan  # noqa: PLC0415

    quantiles = [objective.quantile for objective in assignment.promise.objectives]
    runs = measure_pair(
        baseline.call,
        candidate,
        pair_plan(quantiles, span_ns=settings.span_ns, time_budget_ns=settings.time_budget_ns),
        watch=live.watcher(f"{assignment.promise.label} against {baseline.reference}", lambda _: ()),
    )
    return compared(
        *runs,
        quantiles=quantiles,
        confidence=settings.confidence,
        baseline=baseline.reference,
        sha256=baseline.model.sha256,
        findings=baseline.model.findings(),
    )
