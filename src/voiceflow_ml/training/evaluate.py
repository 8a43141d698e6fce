"""Local diarization error: frame by frame, window by window, on speakers never trained on.

The *local* DER of a 3 s window is (missed + false alarm + confused speech) /
reference speech, in 20 ms frames, with overlap scored, no collar, and the best
assignment of the three local speakers; totals are over all windows, so a
window counts by its speech. It says how good the segmentation is before any
clustering, and is not the DER of a complete diarizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.models.powerset import PERMUTATIONS, logits_to_activity
from voiceflow_ml.training.simulate.bank import SpeechBank
from voiceflow_ml.training.simulate.conversation import SimulationConfig, simulate
from voiceflow_ml.training.simulate.windows import Windows, cut_windows

Segmenter = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""float32 audio ``[batch, samples]`` -> powerset logits ``[batch, frames, 7]``."""

EVALUATION_STREAM = 1
EVALUATION_SEED = 20_000
_BATCH = 32


@dataclass(frozen=True)
class LocalDer:
    """Error counts in speaker-frames.

    Attributes:
        reference: Speech in the reference.
        missed: Speech that was not found.
        false_alarm: Speech found where there is none.
        confused: Speech given to the wrong speaker.
        windows: How many windows were scored.
    """

    reference: int
    missed: int
    false_alarm: int
    confused: int
    windows: int

    @property
    def der(self) -> float:
        """The error as a fraction of the reference speech.

        Raises:
            ZeroDivisionError: The reference holds no speech.
        """
        return (self.missed + self.false_alarm + self.confused) / self.reference

    def to_dict(self) -> dict[str, float | int]:
        """The counts, and each part as a percentage of the reference speech."""
        percent = {
            f"{name}_percent": round(100.0 * count / self.reference, 2)
            for name, count in (
                ("missed", self.missed),
                ("false_alarm", self.false_alarm),
                ("confused", self.confused),
            )
        }
        return {"local_der_percent": round(100.0 * self.der, 2), **percent, **asdict(self)}


def local_der(reference: NDArray[np.bool_], hypothesis: NDArray[np.bool_]) -> LocalDer:
    """Score windows.

    Args:
        reference: bool ``[windows, frames, 3]``.
        hypothesis: bool of the same shape, its speakers in any order.

    Returns:
        The counts over all windows.

    Raises:
        ValueError: The shapes differ.
    """
    if reference.shape != hypothesis.shape:
        raise ValueError(f"reference {list(reference.shape)} and hypothesis {list(hypothesis.shape)} differ in shape")
    said, found = reference.sum(axis=2), hypothesis.sum(axis=2)
    correct = np.stack([(reference & hypothesis[:, :, list(order)]).sum(axis=(1, 2)) for order in PERMUTATIONS]).max(
        axis=0
    )
    return LocalDer(
        reference=int(said.sum()),
        missed=int(np.maximum(said - found, 0).sum()),
        false_alarm=int(np.maximum(found - said, 0).sum()),
        confused=int(np.minimum(said, found).sum() - correct.sum()),
        windows=reference.shape[0],
    )


def evaluation_windows(
    bank: SpeechBank, config: SimulationConfig, window_samples: int, *, conversations: int
) -> Windows:
    """The windows a split is scored on: the same ones every time.

    Args:
        bank: The split's voices.
        config: As in training; conversations are 30 s long here, without noise-only ones.
        window_samples: Length of a window.
        conversations: How many to simulate.
    """
    spoken = replace(config, seconds=30.0, speaker_weights=(0.0, *config.speaker_weights[1:]))
    simulated = (
        simulate(bank, spoken, (EVALUATION_SEED, EVALUATION_STREAM, number)) for number in range(conversations)
    )
    return cut_windows(simulated, window_samples, speeds=len(config.speeds))


def evaluate(segment: Segmenter, windows: Windows) -> LocalDer:
    """Run a segmenter over windows and score it.

    Args:
        segment: The model.
        windows: What to score it on.
    """
    logits = [segment(windows.audio[first : first + _BATCH]) for first in range(0, windows.audio.shape[0], _BATCH)]
    return local_der(windows.activity, logits_to_activity(np.concatenate(logits)))


def onnx_segmenter(path: Path) -> Segmenter:
    """A segmenter that runs an exported model through ONNX Runtime on the CPU.

    Raises:
        ModelFileError: The file is missing, is not a model, or lacks ``powerset_logits``.
    """
    import onnxruntime  # noqa: PLC0415  (heavy, and needed here only)

    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        raise ModelFileError(f"{path}: ONNX Runtime cannot load it: {quoted(error)}") from None
    names = [output.name for output in session.get_outputs()]
    if "powerset_logits" not in names:
        raise ModelFileError(f"{path}: has no output powerset_logits; it has {quoted(', '.join(names))}")

    def segment(audio: NDArray[np.float32]) -> NDArray[np.floating]:
        logits: NDArray[np.floating] = session.run(["powerset_logits"], {"audio": audio})[0]
        return logits

    return segment
