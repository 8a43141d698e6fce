"""The physical floor of a model on its target: what it has to do, against what the device can do."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from voiceflow_ml.hardware.roofline import Roofline, roofline
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.cpu_peaks import measured_peaks
from voiceflow_ml.inference.graph_work import graph_work
from voiceflow_ml.inference.ort import OnnxModel


def floor_of(model: object, arrays: Sequence[Any], target: Target | None = None) -> Roofline | None:
    """The roofline of a model with these inputs.

    Args:
        model: an opened model; of any other callable nothing is known.
        arrays: one array for each of its inputs, in its order.
        target: what it is held against; by default the target that the model was opened on.

    Returns:
        The roofline, or None where it cannot be told: without the ``onnx`` package, for a graph that cannot be
        counted, or for a target whose peaks are not known.
    """
    if not isinstance(model, OnnxModel) or find_spec("onnx") is None or len(arrays) != len(model.inputs):
        return None
    work = graph_work(model.path, {info.name: array for info, array in zip(model.inputs, arrays, strict=True)})
    if work is None:
        return None
    target = target or model.target
    # A project that states the peaks of its CPU is taken at its word.
    measured = not target.is_cuda and not target.peaks.flops_per_s
    peaks = measured_peaks(model.threads) if measured else target.peaks
    return roofline(work, peaks, target.name, measured_peaks=measured)
