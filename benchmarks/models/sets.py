"""The recordings: real conversations first, then simulated ones of voices kept apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.diarization.evaluation import Pair, find_pairs
from voiceflow_ml.errors import DataError
from voiceflow_ml.models.powerset import logits_to_activity
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES
from voiceflow_ml.training.data.meetings import turns_to_activity
from voiceflow_ml.training.evaluate import LocalDer, local_der
from voiceflow_ml.training.simulate.bank import load_bank
from voiceflow_ml.training.simulate.conversation import Conversation, SimulationConfig
from voiceflow_ml.training.simulate.corpus import MANIFEST_NAME, CorpusConfig, write_corpus
from voiceflow_ml.training.simulate.windows import cut_windows

MEETINGS, SAMPLE, SIMULATED = "meetings dev+test", "sample", "simulated test"
SEED, SECONDS, SPEAKERS = 1, 60.0, (2, 4)
_BATCH = 32


@dataclass(frozen=True)
class Set:
    """Recordings with references.

    Attributes:
        name: As printed.
        pairs: In order.
        is_real: Whether people really talked to each other.
    """

    name: str
    pairs: tuple[Pair, ...]
    is_real: bool


def find_sets(data: Path, simulated: Path, *, conversations: int, quick: bool) -> list[Set]:
    """The recordings, real ones first.

    Args:
        data: Folder that ``voiceflow data prepare`` filled.
        simulated: Folder of the simulated conversations, made where they are missing.
        conversations: How many of these.
        quick: Of each real set the first recording only.

    Raises:
        DataError: The meetings are not there, or the folder holds conversations of another kind.
    """
    meetings = data / "meetings"
    real = [
        Set(MEETINGS, find_pairs([meetings / "dev", meetings / "test"]), True),
        Set(SAMPLE, find_pairs([meetings / "sample"]), True),
    ]
    _simulate(data, simulated, conversations)
    made = find_pairs([simulated])[:conversations]
    if quick:
        real = [Set(one.name, one.pairs[:1], True) for one in real]
    return [*real, Set(SIMULATED, made, False)]


def _simulate(data: Path, folder: Path, conversations: int) -> None:
    """Make what is missing; a larger set of the same kind will do."""
    manifest = folder / MANIFEST_NAME
    if manifest.is_file():
        made = json.loads(manifest.read_text(encoding="utf-8"))
        config = made["config"]
        is_same = (config["split"], config["seed"], tuple(config["speakers"])) == ("test", SEED, SPEAKERS)
        if not is_same or config["simulation"]["seconds"] != SECONDS:
            raise DataError(
                f"{folder}: holds other conversations than seed {SEED} of the test split; use another folder"
            )
        if made["complete"] and len(made["conversations"]) >= conversations:
            return
    config_of_set = CorpusConfig("test", conversations, SEED, SPEAKERS, SimulationConfig(seconds=SECONDS))
    write_corpus(load_bank(data, "test"), config_of_set, folder, lambda _done, _of: None)


def local_errors(segment: Callable[[NDArray[np.float32]], NDArray[np.floating]], pairs: Sequence[Pair]) -> LocalDer:
    """Local DER over back-to-back windows of 3 s.

    Args:
        segment: float32 ``[batch, 48000]`` -> logits ``[batch, 150, 7]``.
        pairs: Recordings of at least 3 s.
    """
    windows = cut_windows((_as_conversation(pair) for pair in pairs), WINDOW_SAMPLES, speeds=1)
    logits = [segment(windows.audio[first : first + _BATCH]) for first in range(0, len(windows.audio), _BATCH)]
    return local_der(windows.activity, logits_to_activity(np.concatenate(logits)))


def _as_conversation(pair: Pair) -> Conversation:
    audio, _ = read_wav(pair.audio, sample_rate_hz=SAMPLE_RATE_HZ)
    activity = turns_to_activity(pair.reference(), audio.size // FRAME_SAMPLES)
    nobody = (0,) * activity.shape[1]
    return Conversation(audio, activity, nobody, nobody)
