"""`voiceflow diarize` where torch cannot be imported and no socket can be opened, and what it needs of memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from voiceflow_ml.audio import read_wav
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.rttm import read_rttm

ALONE = """
import socket, sys

def refuse(*_, **__):
    raise OSError("no network here")

socket.socket = refuse
socket.create_connection = refuse
for name in ("torch", "transformers", "onnx", "sklearn", "pyannote", "pandas"):
    sys.modules[name] = None
from voiceflow_ml.cli import main
main()
"""

PEAK = """
import resource, sys
from voiceflow_ml.diarization.diarizer import CONFIGS, open_diarizer
from voiceflow_ml.diarization.encoders import Encoder
from voiceflow_ml.diarization.config import changed

diarizer = open_diarizer(config=changed(CONFIGS[Encoder.OWN], ["hop_s=1.0", "most_clustered=100"]))
found = diarizer(sys.argv[1])
print(len(found.turns), round(found.seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_a_recording_is_diarized_without_torch_and_without_a_network(tmp_path: Path) -> None:
    audio, rate_hz = read_wav(shipped_speech_path())
    stereo = np.stack([audio, audio], axis=1)
    soundfile.write(tmp_path / "talk.flac", stereo, rate_hz)
    soundfile.write(tmp_path / "phone.mp3", audio[::2], rate_hz // 2)
    files = ("talk.flac", "phone.mp3")
    done = python(ALONE, "diarize", *files, "--speakers", "2", "--rttm", "o.rttm", "--plot", "plots", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    turns = read_rttm(tmp_path / "o.rttm")
    assert list(turns) == ["talk", "phone"]
    # Nearly all of the 13 s of speech are found, in either.
    for found in turns.values():
        assert sum(turn.duration_s for turn in found) > 9.0
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["phone.svg", "talk.svg"]
    streamed = python(ALONE, "diarize", "talk.flac", "--streaming", "--rttm", "s.rttm", cwd=tmp_path)
    assert streamed.returncode == 0, streamed.stderr
    assert read_rttm(tmp_path / "s.rttm")["talk"]


def write_long(path: Path, minutes: int) -> None:
    """One conversation at the start, one at the end, quiet noise between them: 44.1 kHz, stereo."""
    speech, _ = read_wav(shipped_speech_path())
    talk = np.interp(np.arange(0.0, speech.size, 16_000 / 44_100), np.arange(speech.size), speech)
    second = (1e-4 * np.random.default_rng(0).standard_normal((44_100, 2))).astype(np.float32)
    with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
        file.write(np.stack([talk, talk], axis=1))
        for _ in range(60 * minutes - 2 * 16):
            file.write(second)
        file.write(np.stack([talk, talk], axis=1))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks_kib = []
    for minutes in (1, 8):
        write_long(tmp_path / "long.wav", minutes)
        done = python(PEAK, "long.wav", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        turns, seconds, peak_kib = (int(number) for number in done.stdout.split())
        assert turns > 2
        assert abs(seconds - 60 * minutes) < 3
        peaks_kib.append(peak_kib)
    # 7 more minutes are 148 MB of samples at 44.1 kHz, and 27 MB at 16 kHz.
    assert peaks_kib[1] - peaks_kib[0] < 12 * 1_024
