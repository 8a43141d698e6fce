"""Complete diarizers of others, in a Python that holds them.

Nothing of this package's source has a part in what they say, but for senko's features on a CPU that cannot run its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from benchmarks.models.worker import Diarize, Options, Said
from voiceflow_ml.hardware.cpu_state import cpu_flags

_RATE_HZ = 16_000
_MELS, _FEWEST_SAMPLES = 80, 400
"""Of senko's features: filters, and one frame."""
_WINDOW_S, _STEP_S = 1.6, 0.4
"""What Resemblyzer's encoder was trained on, and a quarter of it."""
_MERGE_DISTANCE = 0.4
"""Cosine distance below which two clusters of Resemblyzer's embeddings are one speaker: the best of 0.15, 0.2, ... 0.6
on eight simulated conversations of dev voices."""


def senko(_options: Options) -> Diarize:
    """The package senko with its own defaults on a CPU (silero-vad, CAM++, spectral clustering), kept to one thread."""
    from senko import Diarizer  # noqa: PLC0415

    # Its warm-up is for hour-long recordings and takes minutes on one thread; the first recording warms it up here.
    diarizer: Any = Diarizer(device="cpu", warmup=False, quiet=True)
    # It would take every core for its embeddings.
    diarizer.logical_cores = 1
    if "avx512f" not in cpu_flags():
        # The compiled ones would end the process.
        diarizer._extract_fbank_features = kaldi_features

    def diarize(path: str) -> Said:
        found = diarizer.diarize(path) or {"merged_segments": []}
        return [(str(one["speaker"]), one["start"], one["end"] - one["start"]) for one in found["merged_segments"]]

    return diarize


def kaldi_features(path: str, stretches: list[tuple[float, float]], **_offset: int) -> tuple[Any, Any, Any, int]:
    """What senko's compiled extractor gives, without AVX-512.

    Args:
        path: A recording, 16 kHz mono.
        stretches: Start and end of each, in seconds.

    Returns:
        Features end to end, each stretch's around their mean; the frames of each, where each begins, and the mels.
    """
    import numpy as np  # noqa: PLC0415
    import soundfile  # noqa: PLC0415

    from voiceflow_ml.diarization.fbank import log_mel  # noqa: PLC0415

    audio, _ = soundfile.read(path, dtype="float32")
    found = []
    for start_s, end_s in stretches:
        first = int(start_s * _RATE_HZ)
        stretch = audio[first : first + int((end_s - start_s) * _RATE_HZ)]
        features = log_mel(np.pad(stretch, (0, max(0, _FEWEST_SAMPLES - stretch.size))), _MELS)
        found.append(features - features.mean(axis=0))
    sizes = [features.size for features in found]
    together = np.concatenate([features.ravel() for features in found])
    begins = np.cumsum([0, *sizes[:-1]])
    return together, np.array([features.shape[0] for features in found]), begins, _MELS


def one_speaker(_options: Options) -> Diarize:
    """silero-vad, and all speech given to one speaker: what every diarizer must beat."""
    stretches = _Speech()
    return lambda path: [("all", start_s, end_s - start_s) for start_s, end_s in stretches.of(stretches.read(path))]


def silero_resemblyzer(_options: Options) -> Diarize:
    """silero-vad, Resemblyzer's embeddings of 1.6 s each 0.4 s, agglomerative clustering; nobody overlaps."""
    from resemblyzer import VoiceEncoder  # noqa: PLC0415

    stretches, encoder = _Speech(), VoiceEncoder("cpu", verbose=False)

    def diarize(path: str) -> Said:
        audio = stretches.read(path)
        pieces, embeddings = [], []
        for start_s, end_s in stretches.of(audio):
            for first_s, last_s, from_s, to_s in windows_of(start_s, end_s):
                embeddings.append(encoder.embed_utterance(audio[int(first_s * _RATE_HZ) : int(last_s * _RATE_HZ)]))
                pieces.append((from_s, to_s))
        return joined(pieces, _clusters(embeddings))

    return diarize


def windows_of(start_s: float, end_s: float) -> list[tuple[float, float, float, float]]:
    """Windows over a stretch of speech.

    Args:
        start_s: Where it begins.
        end_s: Where it ends.

    Returns:
        (first, last, from, to) of each: what is embedded, and the part that its speaker gets; parts fill the stretch.
    """
    count = 1 + max(0, int((end_s - start_s - _WINDOW_S) / _STEP_S + 1e-9))
    spans = [(start_s + number * _STEP_S, start_s + number * _STEP_S + _WINDOW_S) for number in range(count)]
    spans[-1] = (start_s if count == 1 else end_s - _WINDOW_S, end_s)
    middles = [(one[0] + one[1] + other[0] + other[1]) / 4 for one, other in pairwise(spans)]
    edges = [start_s, *middles, end_s]
    return [(*span, *edge) for span, edge in zip(spans, pairwise(edges), strict=True)]


def joined(pieces: list[tuple[float, float]], labels: list[int]) -> Said:
    """Pieces of one speaker that touch, as one turn."""
    turns: Said = []
    for (from_s, to_s), label in zip(pieces, labels, strict=True):
        name = f"speaker{label}"
        if turns and turns[-1][0] == name and abs(turns[-1][1] + turns[-1][2] - from_s) < 1e-6:
            turns[-1] = (name, turns[-1][1], to_s - turns[-1][1])
        else:
            turns.append((name, from_s, to_s - from_s))
    return turns


def _clusters(embeddings: list[Any]) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415

    if len(embeddings) < 2:
        return [1] * len(embeddings)
    tree = linkage(embeddings, method="average", metric="cosine")
    return [int(label) for label in fcluster(tree, _MERGE_DISTANCE, criterion="distance")]


class _Speech:
    """silero-vad with its own defaults."""

    def __init__(self) -> None:
        import torch  # noqa: PLC0415
        from silero_vad import get_speech_timestamps, load_silero_vad  # noqa: PLC0415

        torch.set_num_threads(1)
        self._torch, self._find, self._net = torch, get_speech_timestamps, load_silero_vad()

    def read(self, path: str) -> Any:
        """float32 ``[samples]`` of a 16 kHz mono file."""
        import soundfile  # noqa: PLC0415

        return soundfile.read(path, dtype="float32")[0]

    def of(self, audio: Any) -> list[tuple[float, float]]:
        """(start, end) of each stretch of speech, in seconds."""
        found = self._find(self._torch.from_numpy(audio), self._net)
        return [(one["start"] / _RATE_HZ, one["end"] / _RATE_HZ) for one in found]
