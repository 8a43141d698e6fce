"""What the models benchmark adds to the diarizers of others: windows, turns, and features where theirs cannot run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import soundfile
from benchmarks.models.peers import joined, kaldi_features, windows_of

from voiceflow_ml.diarization.fbank import log_mel
from voiceflow_ml.models.shipped import shipped_speech_path


@pytest.mark.parametrize("length_s", [0.3, 1.6, 1.7, 2.0, 7.3])
def test_windows_cover_a_stretch_of_speech_without_a_gap(length_s: float) -> None:
    windows = windows_of(10.0, 10.0 + length_s)
    assert (windows[0][2], windows[-1][3]) == (10.0, 10.0 + length_s)
    assert all(one[3] == other[2] for one, other in pairwise(windows))
    assert all(10.0 <= first <= start < end <= last <= 10.0 + length_s + 1e-9 for first, last, start, end in windows)


def test_touching_pieces_of_one_speaker_are_one_turn() -> None:
    assert joined([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (4.0, 5.0)], [1, 1, 2, 2]) == [
        ("speaker1", 0.0, 2.0),
        ("speaker2", 2.0, 1.0),
        ("speaker2", 4.0, 1.0),
    ]


def test_features_of_stretches_lie_end_to_end_each_around_its_own_mean() -> None:
    together, frames, begins, mels = kaldi_features(str(shipped_speech_path()), [(0.5, 2.0), (3.0, 3.01), (1.0, 1.8)])
    assert (frames.tolist(), mels) == ([148, 1, 78], 80)
    assert begins.tolist() == [0, 148 * 80, 149 * 80]
    first = together[: begins[1]].reshape(-1, mels)
    np.testing.assert_allclose(first.mean(axis=0), 0.0, atol=1e-5)
    audio, _ = soundfile.read(shipped_speech_path(), dtype="float32")
    alone = log_mel(audio[8_000:32_000])
    np.testing.assert_allclose(first, alone - alone.mean(axis=0), atol=1e-5)
