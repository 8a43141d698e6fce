"""One version of a model, loaded and ready to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.contract import Contract
from voiceflow_ml.contract.golden import Arrays
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.diarizer import CONFIGS
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.diarization.segmenter import Segmentation, Segmenter
from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.inference.ort_session import make_session
from voiceflow_ml.inference.placement import placement_finding, recorded_placement
from voiceflow_ml.service.ending import run_endable

_DIARIZING = ("powerset_logits", "embeddings")


@dataclass(frozen=True, eq=False)
class LoadedVersion:
    """A version in a session of ONNX Runtime; any number of threads may run it at once.

    Attributes:
        model: name of the model.
        version: its version.
        digest: SHA-256 of its ``model.onnx``.
        contract: what its callers may rely on.
        loaded_at: ISO 8601, UTC.
        session: the ONNX Runtime session.
        config: settings of the diarizer that it is for.
    """

    model: str
    version: str
    digest: str
    contract: Contract
    loaded_at: str
    session: Any = field(repr=False)
    config: DiarizationConfig = CONFIGS[Encoder.OWN]

    def run(self, inputs: Arrays) -> Arrays:
        """Run the model once: arrays by input name in, arrays by output name out.

        Raises:
            ModelFileError: ONNX Runtime does not run it on these inputs.
        """
        names = [tensor.name for tensor in self.contract.outputs]
        try:
            outputs = run_endable(self.session, names, dict(inputs))
        except Exception as error:  # ONNX Runtime's exceptions have no common base but this
            raise ModelFileError(f"the model does not run: {quoted(error)}") from None
        return dict(zip(names, outputs, strict=True))

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


def open_version(
    path: Path,
    *,
    model: str,
    version: str,
    digest: str,
    contract: Contract,
    loaded_at: str,
    threads: int = 1,
    target: Target = CPU,
) -> LoadedVersion:
    """Open a model file.

    Args:
        path: the file, whose hash is known to be ``digest``.
        model: name of the model.
        version: its version.
        digest: SHA-256 of the file.
        contract: what it keeps.
        loaded_at: ISO 8601, UTC.
        threads: of one inference; the server runs several at once.
        target: where it runs.

    Raises:
        ModelFileError: it is not a model that ONNX Runtime takes, or a part of it would not run on the target.
    """
    session = make_session(path, target, threads=threads, spinning=False)
    if target.is_cuda:
        placement = placement_finding(recorded_placement(session), target)
        if placement.severity is Severity.INVALID:
            raise ModelFileError(f"on {target.name} {placement.sentence}")
    return LoadedVersion(model, version, digest, contract, loaded_at, session)
