"""The speech that ships in the package: a real exchange of two test voices, with its reference.

Every clip is of a licence that lets it be shipped with attribution (CC-BY-3.0).
Clips are only cut, levelled and placed in time; nothing is synthesised.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.audio import write_wav
from voiceflow_ml.errors import DataError
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn, format_rttm
from voiceflow_ml.training.data.activity import BRIDGED_FRAMES, active_turns, close_gaps, speech_frames
from voiceflow_ml.training.data.manifest import read_record, shard_path

SAMPLE_NAME = "speech"
_LEVEL = 0.06
_LEAD_S = 0.2


@dataclass(frozen=True)
class Line:
    """One line of the exchange: a clip, and the pause before it (negative: it interrupts)."""

    package: str
    clip: str
    pause_s: float


_CARLO, _RU = "asterisk-core-sounds-it-g722", "asterisk-core-sounds-ru-g722"

SCRIPT: tuple[Line, ...] = (
    Line(_CARLO, "conf-placeintoconf", 0.0),
    Line(_RU, "conf-hasjoin", 0.26),
    Line(_CARLO, "confbridge-conf-begin", 0.3),
    Line(_RU, "conf-now-recording", -0.5),
    Line(_CARLO, "conf-onlyperson", 0.34),
    Line(_RU, "conf-now-muted", -0.4),
    Line(_CARLO, "conf-hasleft", 0.4),
    Line(_RU, "confbridge-conf-end", 0.24),
)


def build_sample(data_dir: Path) -> tuple[NDArray[np.float32], tuple[Turn, ...]]:
    """Put the exchange together.

    Args:
        data_dir: A data folder with both packages of the script prepared.

    Returns:
        float32 ``[samples]`` at 16 kHz, and its turns in order of their start.

    Raises:
        DataError: A package or a clip is missing.
    """
    placed: list[tuple[int, NDArray[np.float32]]] = []
    turns: list[Turn] = []
    cursor_s = _LEAD_S
    for line in SCRIPT:
        speaker, clip = _find_clip(data_dir, line)
        start = max(0, round((cursor_s + line.pause_s) * SAMPLE_RATE_HZ / FRAME_SAMPLES))
        active = speech_frames(clip)
        loud = np.repeat(active, FRAME_SAMPLES)
        level = float(np.sqrt(np.square(clip[: loud.size][loud]).mean()))
        placed.append((start * FRAME_SAMPLES, clip * np.float32(_LEVEL / level)))
        turns += active_turns(close_gaps(active, BRIDGED_FRAMES), speaker, first_frame=start)
        cursor_s = (start + active.size) * FRAME_SAMPLES / SAMPLE_RATE_HZ
    audio = np.zeros(max(start + clip.size for start, clip in placed) + SAMPLE_RATE_HZ // 5, dtype=np.float32)
    for start, clip in placed:
        audio[start : start + clip.size] += clip
    return audio, tuple(sorted(turns, key=lambda turn: turn.start_s))


def write_sample(data_dir: Path, out_dir: Path) -> tuple[Path, Path]:
    """Build the exchange and write ``speech.wav`` and ``speech.rttm``.

    Returns:
        Both paths.

    Raises:
        DataError: As ``build_sample``.
    """
    audio, turns = build_sample(data_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    wav_path, rttm_path = out_dir / f"{SAMPLE_NAME}.wav", out_dir / f"{SAMPLE_NAME}.rttm"
    write_wav(wav_path, audio, SAMPLE_RATE_HZ)
    write_text_atomic(rttm_path, format_rttm(turns, SAMPLE_NAME))
    return wav_path, rttm_path


def _find_clip(data_dir: Path, line: Line) -> tuple[str, NDArray[np.float32]]:
    record = read_record(data_dir, line.package)
    if record is None:
        raise DataError(f"{line.package} is not prepared; run: voiceflow data prepare --out {data_dir}")
    for clip in record.clips:
        if PurePosixPath(clip.name).stem == line.clip:
            shard = np.memmap(shard_path(data_dir, line.package), dtype="<i2", mode="r")
            samples = shard[clip.offset_samples : clip.offset_samples + clip.samples]
            return clip.speaker, samples.astype(np.float32) / np.float32(32768.0)
    raise DataError(f"{line.package}: has no recording {line.clip!r}")
