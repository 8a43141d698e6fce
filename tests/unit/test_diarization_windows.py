from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.diarization.windows import Window, WindowCutter
from voiceflow_ml.models.signal import FRAME_SAMPLES

WINDOW, HOP = 3_200, 4  # 10 frames, 4 frames


def cut(samples: int, block: int) -> tuple[list[Window], WindowCutter]:
    audio = np.arange(1, samples + 1, dtype=np.float32)
    cutter = WindowCutter(WINDOW, HOP)
    windows = [w for first in range(0, samples, block) for w in cutter.push(audio[first : first + block])]
    return [*windows, *cutter.finish()], cutter


@given(st.integers(1, 30_000), st.integers(50, 9_000))
def test_every_sample_is_in_a_window_at_its_place_whatever_the_blocks(samples: int, block: int) -> None:
    windows, cutter = cut(samples, block)
    assert cutter.samples == samples
    covered = np.zeros(samples, dtype=np.bool_)
    for window in windows:
        first = window.first_frame * FRAME_SAMPLES
        last = min(first + window.audio.size, samples)
        np.testing.assert_array_equal(window.audio[: last - first], np.arange(first + 1, last + 1, dtype=np.float32))
        assert not window.audio[last - first :].any()
        assert first + window.audio.size < samples + 2 * FRAME_SAMPLES
        covered[first:last] = True
    assert covered.all()
    starts = [window.first_frame for window in windows]
    assert starts == sorted(set(starts))


def test_a_recording_as_long_as_a_window_is_one_window() -> None:
    assert [(w.first_frame, w.audio.size) for w in cut(WINDOW, 500)[0]] == [(0, WINDOW)]


def test_the_last_window_is_moved_back_not_filled_up() -> None:
    windows, _ = cut(WINDOW + 5 * FRAME_SAMPLES, 700)
    assert [w.first_frame for w in windows] == [0, 4, 5]
    assert all(w.audio.all() for w in windows)


@pytest.mark.parametrize(("samples", "size"), [(1, 640), (640, 640), (641, 1_280), (1_600, 1_920)])
def test_a_short_recording_is_given_whole_in_steps_of_the_net(samples: int, size: int) -> None:
    assert [(w.first_frame, w.audio.size) for w in cut(samples, 100)[0]] == [(0, size)]


def test_no_audio_no_window() -> None:
    assert cut(0, 100)[0] == []


def test_what_is_held_does_not_grow() -> None:
    cutter = WindowCutter(WINDOW, HOP)
    for _ in range(500):
        list(cutter.push(np.ones(1_000, dtype=np.float32)))
        assert cutter._held.size <= WINDOW + 1_000 + FRAME_SAMPLES
