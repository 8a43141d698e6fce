from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

from voiceflow_ml import cli
from voiceflow_ml.models.shipped import shipped_speech_path, shipped_speech_rttm_path
from voiceflow_ml.rttm import parse_rttm, read_rttm

SPEECH = str(shipped_speech_path())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["diarize", *arguments])


def test_turns_go_to_standard_output_and_the_summary_to_standard_error() -> None:
    result = run(SPEECH)
    assert result.exit_code == 0
    (turns,) = parse_rttm(result.stdout, "stdout").values()
    assert turns
    assert "speech.wav: " in result.stderr
    assert "15.5 s of audio in " in result.stderr
    assert "1 thread)" in result.stderr


def test_the_number_of_speakers_may_be_given(tmp_path: Path) -> None:
    assert run(SPEECH, "--speakers", "2", "--rttm", str(tmp_path / "a.rttm")).exit_code == 0
    assert len({turn.speaker for turn in read_rttm(tmp_path / "a.rttm")["speech"]}) == 2


def test_the_picture_shows_the_reference_above(tmp_path: Path) -> None:
    arguments = ("--plot", str(tmp_path / "a.svg"), "--reference", str(shipped_speech_rttm_path()))
    assert run(SPEECH, "--rttm", str(tmp_path / "a.rttm"), *arguments).exit_code == 0
    svg = (tmp_path / "a.svg").read_text()
    ElementTree.fromstring(svg)
    assert svg.index("asterisk-carlo") < svg.index("SPEAKER_00")


def test_several_recordings_go_into_one_file_or_a_folder(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", 0.01 * np.random.default_rng(0).standard_normal(1_600), 16_000)
    both = (SPEECH, str(tmp_path / "short.wav"))
    assert run(*both, "--rttm", str(tmp_path / "all.rttm")).exit_code == 0
    assert "speech" in read_rttm(tmp_path / "all.rttm")
    assert run(*both, "--rttm", str(tmp_path / "out"), "--plot", str(tmp_path / "plots")).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["short.rttm", "speech.rttm"]
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["short.svg", "speech.svg"]


def test_a_stream_is_corrected_as_long_as_it_is_asked_for() -> None:
    first, corrected = run(SPEECH, "--streaming", "--correct", "0"), run(SPEECH, "--streaming")
    assert run(SPEECH, "--streaming", "--correct", "300").stdout == corrected.stdout != first.stdout
    assert first.exit_code == corrected.exit_code == 0


def test_a_recording_that_cannot_be_read_does_not_keep_the_others_back(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no audio")
    result = run(str(tmp_path / "bad.wav"), SPEECH, "--rttm", str(tmp_path / "a.rttm"))
    assert result.exit_code == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("voiceflow:")]
    assert len(errors) == 1
    assert "bad.wav: not an audio file that can be read" in errors[0]
    assert list(read_rttm(tmp_path / "a.rttm")) == ["speech"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SPEECH, SPEECH), "two recordings are called 'speech'"),
        ((SPEECH, "--min-speakers", "3", "--max-speakers", "2"), "max_speakers must be at least 3, got 2"),
        ((SPEECH, "--streaming", "--correct", "-1"), "correct_s must be from 0 to 3600"),
        ((SPEECH, "--reference", "none.rttm"), "none.rttm: no such RTTM file"),
        ((SPEECH, "--model", SPEECH), "is not an ONNX model that can be loaded"),
    ],
)
def test_wrong_options_are_one_sentence(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert message in str(result.exception)
