"""One version of a model, loaded and ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.diarizer import CONFIGS
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.diarization.segmenter import Segmentation, Segmenter
from voiceflow_ml.service.opened import Opened

_DIARIZING = ("powerset_logits", "embeddings")


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedVersion(Opened):
    """An opened model that has a name and a version.

    Attributes:
        model: name of the model.
        version: its version.
        digest: SHA-256 of its ``model.onnx``.
        loaded_at: ISO 8601, UTC.
        config: settings of the diarizer that it is for.
    """

    model: str
    version: str
    digest: str
    loaded_at: str
    config: DiarizationConfig = CONFIGS[Encoder.OWN]

    @cached_property
    def takes_batches(self) -> bool:
        """Whether rows of several requests may go in together and come out as they went in: every first axis is one."""
        first_axes = {
            tensor.axes[0] if tensor.axes else 0 for tensor in (*self.contract.inputs, *self.contract.outputs)
        }
        return len(first_axes) == 1 and all(isinstance(axis, str) and axis for axis in first_axes)

    @property
    def segmenter(self) -> Segmenter | None:
        """The model as the diarizer needs it; None when it is not one that diarizes."""
        if len(self.contract.inputs) != 1 or any(
            name not in {tensor.name for tensor in self.contract.outputs} for name in _DIARIZING
        ):
            return None
        return self._segment

    def _segment(self, audio: NDArray[np.float32]) -> Segmentation:
        outputs: dict[str, Any] = dict(self.run({self.contract.inputs[0].name: audio}))
        return Segmentation(*(outputs[name] for name in _DIARIZING))
