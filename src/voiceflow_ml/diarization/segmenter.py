"""What a net has to give, and the shipped one behind that interface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.inference.ort import OnnxModel, open_onnx
from voiceflow_ml.models.powerset import CLASSES, LOCAL_SPEAKERS
from voiceflow_ml.models.signal import FRAME_SAMPLES


@dataclass(frozen=True)
class Segmentation:
    """What a net says about a batch of windows.

    Attributes:
        logits: ``[batch, frames, 7]``, classes as in ``models.powerset``.
        embeddings: ``[batch, 3, D]`` of length one, for each local speaker; meaningless for one who does not talk.
    """

    logits: NDArray[np.floating]
    embeddings: NDArray[np.floating]


class Segmenter(Protocol):
    """Says who talks when within each window by itself."""

    def __call__(self, audio: NDArray[np.float32]) -> Segmentation:
        """Segment float32 ``[batch, samples]`` at 16 kHz in [-1, 1]; a frame for every 320 samples."""
        ...


class Embedder(Protocol):
    """A speaker encoder that takes the place of the net's own embeddings."""

    def __call__(self, audio: NDArray[np.float32], alone: NDArray[np.bool_]) -> NDArray[np.floating]:
        """Embed every local speaker of every window.

        Args:
            audio: float32 ``[batch, samples]``.
            alone: bool ``[batch, frames, 3]``: where each local speaker talks and no other does.

        Returns:
            ``[batch, 3, D]`` of length one; zeros for a speaker with too little speech to embed.
        """
        ...


class OnnxSegmenter:
    """A model of this package's contract in an ONNX Runtime session on the CPU.

    Args:
        path: The ``.onnx`` file.
        threads: Intra-op threads.

    Raises:
        ModelFileError: The file is missing or damaged, or does not keep the contract.
        ConfigError: ``threads`` is below 1.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self._model = open_onnx(path, threads=threads)
        self._path = path
        self._logits, self._embeddings = _outputs(self._model)

    @property
    def sha256(self) -> str:
        """Hash of the model file."""
        return self._model.sha256

    def __call__(self, audio: NDArray[np.float32]) -> Segmentation:
        """Segment ``[batch, samples]``.

        Raises:
            ModelFileError: The outputs do not have the shapes of the contract.
        """
        outputs: list[Any] = self._model(audio)
        logits, embeddings = outputs[self._logits], outputs[self._embeddings]
        batch, frames = audio.shape[0], audio.shape[1] // FRAME_SAMPLES
        if logits.shape != (batch, frames, CLASSES) or embeddings.shape[:2] != (batch, LOCAL_SPEAKERS):
            raise ModelFileError(
                f"{self._path}: gave powerset_logits {list(logits.shape)} and embeddings {list(embeddings.shape)} for "
                f"audio {list(audio.shape)}; the contract is [{batch}, {frames}, {CLASSES}] and "
                f"[{batch}, {LOCAL_SPEAKERS}, D]"
            )
        return Segmentation(logits, embeddings)


def _outputs(model: OnnxModel) -> tuple[int, int]:
    """Places of the two outputs of the contract."""
    names = model.output_names
    for name in ("powerset_logits", "embeddings"):
        if name not in names:
            raise ModelFileError(f"{model.path}: has no output {name}; it has {quoted(', '.join(names))}")
    return names.index("powerset_logits"), names.index("embeddings")
