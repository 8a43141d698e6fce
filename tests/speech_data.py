"""Small real data for the tests: the voices of the shipped speech, and data folders made from them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav
from voiceflow_ml.models.fast_cnn import FastCnnConfig
from voiceflow_ml.models.shipped import shipped_speech_path, shipped_speech_rttm_path
from voiceflow_ml.models.transformer_config import EncoderShape, TransformerConfig
from voiceflow_ml.rttm import read_rttm
from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.data.labels import Split
from voiceflow_ml.training.data.manifest import Clip, PackageRecord, shard_path, write_manifest, write_record
from voiceflow_ml.training.simulate.bank import SpeechBank, Voice
from voiceflow_ml.training.simulate.conversation import SimulationConfig

# Networks this small gain nothing from threads, and lose seconds to them on a machine that others use, too.
torch.set_num_threads(1)

TINY_TRANSFORMER = TransformerConfig(
    encoder=EncoderShape(
        conv_channels=(8,) * 7,
        conv_norm="layer",
        width=16,
        layers=2,
        heads=2,
        feed_forward=32,
        position_taps=8,
        position_groups=4,
    ),
    head_width=8,
    embedding_dim=8,
)
TINY_MODEL = FastCnnConfig(
    mels=16,
    stem_channels=8,
    width=16,
    blocks=2,
    attention_after=(2,),
    voice_width=16,
    voice_blocks=1,
    voice_channels=16,
    kernel=5,
    embedding_dim=8,
)
TINY_RUN = TrainConfig(
    steps=6,
    conversations_per_step=2,
    window_samples=(48_000,),
    warmup_steps=2,
    log_every=2,
    save_every=2,
    simulation=SimulationConfig(seconds=3.0),
    model=TINY_MODEL,
)
TINY_TRANSFORMER_RUN = replace(TINY_RUN, model=TINY_TRANSFORMER, precision="fp32")


def rttm_turns() -> list[tuple[str, float, float]]:
    """(speaker, start in s, end in s) of the shipped speech."""
    ((_, turns),) = read_rttm(shipped_speech_rttm_path()).items()
    return [(turn.speaker, turn.start_s, turn.end_s) for turn in turns]


def speaker_clips() -> dict[str, list[NDArray[np.int16]]]:
    """The turns of each voice, cut out of the shipped speech, as int16 at 16 kHz."""
    audio, rate_hz = read_wav(shipped_speech_path(), sample_rate_hz=16_000)
    clips: dict[str, list[NDArray[np.int16]]] = {}
    for speaker, start_s, end_s in rttm_turns():
        cut = audio[int(start_s * rate_hz) : int(end_s * rate_hz)]
        clips.setdefault(speaker, []).append(np.rint(cut * 32768.0).astype(np.int16))
    return clips


def shipped_bank() -> SpeechBank:
    """A bank of the two shipped voices; its noise is a stretch of one of them."""
    clips = speaker_clips()
    voices = tuple(Voice(name, name, tuple(found)) for name, found in sorted(clips.items()))
    return SpeechBank(voices, (voices[0].clips[0],), "0" * 64)


def write_data_dir(folder: Path, split: Split = "train") -> Path:
    """A prepared data folder with one package, made from the shipped voices."""
    clips: list[Clip] = []
    raw = b""
    for speaker, found in sorted(speaker_clips().items()):
        for number, samples in enumerate(found):
            content = samples.astype("<i2").tobytes()
            digest = hashlib.sha256(content).hexdigest()
            name = f"{speaker}/{number}.wav"
            clips.append(Clip(name, speaker, speaker, split, len(raw) // 2, samples.size, digest))
            raw += content
    shard = shard_path(folder, "shipped")
    shard.parent.mkdir(parents=True)
    shard.write_bytes(raw)
    record = PackageRecord(
        "shipped", "1", "CC-BY-3.0", "see ATTRIBUTION.md", "0" * 64, hashlib.sha256(raw).hexdigest(), 0, tuple(clips)
    )
    write_record(folder, record)
    write_manifest(folder, (record,))
    return folder
