from __future__ import annotations

from typing import Any

import pytest

from voiceflow_ml.diarization.config import DiarizationConfig
from voiceflow_ml.errors import ConfigError


def test_defaults_fit_the_shipped_model() -> None:
    config = DiarizationConfig()
    assert (config.window_samples, config.window_frames) == (96_000, 300)


@pytest.mark.parametrize("window_s", [0.04, 0.6, 2.04, 6.0, 10.0])
def test_any_whole_number_of_net_steps_is_a_window(window_s: float) -> None:
    config = DiarizationConfig(window_s=window_s, hop_s=0.02)
    assert config.window_samples == round(window_s * 16_000)
    assert config.window_samples % 640 == 0
    assert config.hop_frames == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_s": 3.02}, "window_s must be a multiple of 0.04 s, at least 0.04, got 3.02"),
        ({"window_s": 0.0}, "window_s must be a multiple"),
        ({"window_s": float("nan")}, "window_s must be a finite number, got nan"),
        ({"hop_s": 0.03}, "hop_s must be a multiple of 0.02 s"),
        ({"hop_s": 7.0}, "hop_s must be from 0.02 to 6, got 7"),
        ({"speech_onset": 1.5}, "speech_onset must be from 0 to 1, got 1.5"),
        ({"merge_distance": -0.1}, "merge_distance must be from 0 to 2"),
        ({"edge_weight": 0.0}, "edge_weight must be from 0.01 to 1"),
        ({"min_clean_s": -1.0}, "min_clean_s must be at least 0"),
        ({"speakers": 0}, "speakers must be at least 1, got 0"),
        ({"min_speakers": 3, "max_speakers": 2}, "max_speakers must be at least 3, got 2"),
        ({"most_clustered": 1_000_000}, "most_clustered must be from 2 to 10000"),
        ({"batch_windows": 0}, "batch_windows must be at least 1"),
    ],
)
def test_a_value_out_of_range_names_itself_and_the_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DiarizationConfig(**changes)
