from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.speech_data import shipped_bank
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.models.powerset import PERMUTATIONS, activity_to_classes
from voiceflow_ml.training.evaluate import LocalDer, evaluate, evaluation_windows, local_der, onnx_segmenter
from voiceflow_ml.training.simulate.conversation import SimulationConfig

Activity = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def activity(*frames: str) -> Activity:
    """One window; each frame as the letters of who talks."""
    return np.array([[[letter in frame for letter in "abc"] for frame in frames]], dtype=np.bool_)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "missed", "false_alarm", "confused"),
    [
        (("a", "a", "b", ""), ("a", "a", "b", ""), 0, 0, 0),
        (("a", "a", "b", ""), ("c", "c", "a", ""), 0, 0, 0),
        (("a", "a", "b", ""), ("a", "a", "a", ""), 0, 0, 1),
        (("a", "ab", "b", ""), ("a", "a", "b", ""), 1, 0, 0),
        (("a", "a", "", ""), ("a", "ab", "b", ""), 0, 2, 0),
        (("ab",), ("c",), 1, 0, 0),
        (("", "a"), ("a", ""), 1, 1, 0),
    ],
)
def test_each_kind_of_error_is_counted(
    reference: tuple[str, ...], hypothesis: tuple[str, ...], missed: int, false_alarm: int, confused: int
) -> None:
    score = local_der(activity(*reference), activity(*hypothesis))
    assert (score.missed, score.false_alarm, score.confused) == (missed, false_alarm, confused)
    assert score.der == pytest.approx((missed + false_alarm + confused) / score.reference)


@settings(max_examples=50)
@given(arrays(np.bool_, (3, 8, 3)), st.integers(0, 5))
def test_the_order_of_the_speakers_does_not_matter(reference: Activity, order: int) -> None:
    score = local_der(reference, reference[:, :, list(PERMUTATIONS[order])])
    assert (score.missed, score.false_alarm, score.confused) == (0, 0, 0)


@settings(max_examples=50)
@given(arrays(np.bool_, (2, 6, 3)), arrays(np.bool_, (2, 6, 3)))
def test_parts_add_up(reference: Activity, hypothesis: Activity) -> None:
    score = local_der(reference, hypothesis)
    assert score.reference - score.missed + score.false_alarm == int(hypothesis.sum())
    assert min(score.missed, score.false_alarm, score.confused) >= 0


def test_percentages() -> None:
    plain = LocalDer(reference=200, missed=10, false_alarm=6, confused=4, windows=3).to_dict()
    assert plain["local_der_percent"] == 10.0
    assert plain["missed_percent"] == 5.0
    assert plain["windows"] == 3


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        local_der(activity("a"), activity("a", "b"))


def test_an_oracle_scores_zero_on_the_simulated_windows() -> None:
    windows = evaluation_windows(shipped_bank(), SimulationConfig(), 48_000, conversations=1)
    assert windows.audio.shape == (10, 48_000)
    answers = iter(np.eye(7)[activity_to_classes(windows.activity)])

    def oracle(
        audio: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.stack([next(answers) for _ in range(audio.shape[0])])

    score = evaluate(oracle, windows)
    assert score.der == 0.0
    assert score.reference > 500


def test_models_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        onnx_segmenter(tmp_path / "none.onnx")
    (tmp_path / "x.onnx").write_bytes(b"not onnx")
    with pytest.raises(ModelFileError, match=r"x\.onnx: ONNX Runtime cannot load it"):
        onnx_segmenter(tmp_path / "x.onnx")
