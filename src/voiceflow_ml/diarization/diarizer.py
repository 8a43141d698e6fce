"""Everything a diarization needs, opened once and used for many recordings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.diarization.offline import Progress, diarize
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.diarization.segmenter import Embedder, OnnxSegmenter, Segmenter
from voiceflow_ml.diarization.streaming import diarize_stream
from voiceflow_ml.diarization.turns import Diarization
from voiceflow_ml.models.shipped import shipped_model_path

CONFIGS = {
    # Short windows: the longer one is, the more often the net takes two people in it for one local speaker.
    Encoder.OWN: DiarizationConfig(
        window_s=1.2, hop_s=0.2, min_clean_s=1.0, centring=0.5, merge_distance=0.86, refinements=1
    ),
    # A little longer, for CAM++ has been trained on longer stretches; windows are fewer, for each costs far more.
    Encoder.CAMPPLUS: DiarizationConfig(
        window_s=1.6, hop_s=0.4, min_clean_s=0.6, centring=0.5, merge_distance=0.88, refinements=1
    ),
}
"""The settings that go with each encoder."""


@dataclass(frozen=True)
class Diarizer:
    """A net, perhaps an encoder, and settings.

    Attributes:
        config: The settings.
        segmenter: The net.
        embedder: A speaker encoder instead of the net's own embeddings.
        online: Where it is given, recordings are heard as streams.
        model_facts: Which net it is, for records: file name and SHA-256.
    """

    config: DiarizationConfig
    segmenter: Segmenter
    embedder: Embedder | None = None
    online: OnlineConfig | None = None
    model_facts: dict[str, str] = field(default_factory=dict)

    def with_speakers(self, exactly: int | None, least: int | None, most: int | None) -> Diarizer:
        """The same with another number of speakers; ``None`` leaves a bound as it is.

        Raises:
            ConfigError: The least is more than the most, or a number below 1.
        """
        config = replace(
            self.config,
            speakers=exactly,
            min_speakers=self.config.min_speakers if least is None else least,
            max_speakers=self.config.max_speakers if most is None else most,
        )
        return replace(self, config=config)

    def __call__(self, source: str | Path | NDArray[np.floating], progress: Progress = lambda _: None) -> Diarization:
        """Diarize one recording.

        Args:
            source: An audio file, or mono samples ``[samples]`` at 16 kHz.
            progress: Called with the seconds of audio that are done.

        Raises:
            DataError: Audio that cannot be read, is empty, or holds NaN.
        """
        if self.online is not None:
            return diarize_stream(
                source, self.config, self.segmenter, self.online, embedder=self.embedder, progress=progress
            )
        return diarize(source, self.config, self.segmenter, embedder=self.embedder, progress=progress)


def open_diarizer(
    model: Path | None = None,
    *,
    encoder: Encoder = Encoder.OWN,
    threads: int = 1,
    config: DiarizationConfig | None = None,
    online: OnlineConfig | None = None,
) -> Diarizer:
    """Open a model, and an encoder where one is asked for.

    Args:
        model: An ``.onnx`` of this package's contract; ``None`` is the shipped one.
        encoder: Where embeddings come from.
        threads: Of the net and of the encoder.
        config: Settings; ``None`` is what goes with the encoder.
        online: Hear recordings as streams.

    Raises:
        ConfigError: The encoder's package is missing.
        ModelFileError: The model is missing, damaged, or does not keep the contract.
    """
    embedder: Embedder | None = None
    if encoder is Encoder.CAMPPLUS:
        from voiceflow_ml.diarization.campplus import CampPlusEmbedder  # noqa: PLC0415

        embedder = CampPlusEmbedder(threads=threads)
    path = model or shipped_model_path()
    segmenter = OnnxSegmenter(path, threads=threads)
    facts = {"file": path.name, "sha256": segmenter.sha256}
    return Diarizer(config or CONFIGS[encoder], segmenter, embedder, online, facts)
