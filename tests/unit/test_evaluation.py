from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.oracle import OracleSegmenter, Talk, converse
from voiceflow_ml import cli
from voiceflow_ml.audio import write_wav
from voiceflow_ml.diarization.config import DiarizationConfig, Linkage, changed
from voiceflow_ml.diarization.diarizer import Diarizer
from voiceflow_ml.diarization.evaluation import Evaluation, Pair, evaluate, find_pairs
from voiceflow_ml.diarization.scoring import Errors, Rules, score
from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.latency.clock import FakeClock
from voiceflow_ml.models.shipped import shipped_speech_path, shipped_speech_rttm_path
from voiceflow_ml.rttm import Turn

REFERENCE = (Turn("ann", 0.0, 4.0), Turn("bob", 3.0, 3.0))


def test_parts_of_the_error_by_hand() -> None:
    # ann is found 1 s late; bob's last second is given to a third; 2 s of noise are taken for speech.
    found = (Turn("x", 1.0, 3.0), Turn("y", 3.0, 2.0), Turn("z", 5.0, 1.0), Turn("x", 8.0, 2.0))
    errors = score(REFERENCE, found, 10.0, Rules())
    assert errors == Errors(reference_s=7.0, missed_s=1.0, false_alarm_s=2.0, confused_s=1.0)
    assert errors.der == pytest.approx(4.0 / 7.0)


def test_a_perfect_answer_has_no_error_whatever_the_names_and_cuts() -> None:
    cut = (Turn("1", 0.0, 2.5), Turn("1", 2.5, 1.5), Turn("2", 3.0, 3.0))
    assert score(REFERENCE, cut, 10.0, Rules()).der == 0.0


def test_turns_of_one_speaker_that_overlap_count_once() -> None:
    doubled = (Turn("ann", 0.0, 4.0), Turn("ann", 2.0, 2.0))
    assert score(doubled, doubled[:1], 10.0, Rules()) == Errors(4.0, 0.0, 0.0, 0.0)


def test_collar_and_overlap_are_left_out_when_asked() -> None:
    late = (Turn("1", 0.2, 3.8), Turn("2", 3.0, 3.0))
    assert score(REFERENCE, late, 10.0, Rules()).missed_s == pytest.approx(0.2)
    assert score(REFERENCE, late, 10.0, Rules(collar_s=0.5)).missed_s == pytest.approx(0.0)
    assert score(REFERENCE, late, 10.0, Rules(skip_overlap=True)).reference_s == pytest.approx(5.0)
    assert str(Rules()) == "no collar, overlap scored"
    assert str(Rules(0.5, skip_overlap=True)) == "collar 0.5 s, overlap left out"
    with pytest.raises(ConfigError, match="collar must be from 0 to 10 s, got -1"):
        Rules(-1.0)


def test_without_reference_speech_there_is_no_rate() -> None:
    errors = score((), (Turn("x", 0.0, 2.0),), 10.0, Rules())
    assert errors == Errors(0.0, 0.0, 2.0, 0.0)
    assert errors.der is None


def folder_of(talks: list[int], folder: Path) -> Path:
    for number in talks:
        shutil.copy(shipped_speech_path(), folder / f"talk{number}.wav")
        text = shipped_speech_rttm_path().read_text().replace(" speech ", f" talk{number} ")
        (folder / f"talk{number}.rttm").write_text(text)
    return folder


def test_pairs_of_a_folder_a_file_and_a_list(tmp_path: Path) -> None:
    folder_of([2, 1], tmp_path)
    write_wav(tmp_path / "alone.wav", converse(1, speakers=1, seconds=1.0).audio(), 16_000)
    one, two = (Pair(tmp_path / f"talk{n}.wav", tmp_path / f"talk{n}.rttm") for n in (1, 2))
    assert find_pairs([tmp_path]) == (one, two)
    assert find_pairs([two.audio, one.audio]) == (two, one)
    (tmp_path / "list.json").write_text(json.dumps([{"audio": "talk2.wav", "rttm": "talk2.rttm"}]))
    assert find_pairs([tmp_path / "list.json"]) == (two,)


@pytest.mark.parametrize("content", ["{", "[1]", '[{"audio": "a.wav"}]', "7"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(DataError, match=r"list\.json: not a list of recordings"):
        find_pairs([tmp_path / "list.json"])


def test_paths_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no recording \(\.wav, .*\) with an \.rttm beside it"):
        find_pairs([tmp_path])
    with pytest.raises(DataError, match="no such list"):
        find_pairs([tmp_path / "none.json"])
    with pytest.raises(DataError, match=r"none\.rttm: no such RTTM file"):
        find_pairs([tmp_path / "none.wav"])[0].reference()


def test_a_reference_is_found_by_name_or_when_it_is_the_only_one(tmp_path: Path) -> None:
    line = "SPEAKER {} 1 0 1 <NA> <NA> ann <NA> <NA>\n"
    pair = Pair(tmp_path / "a.wav", tmp_path / "a.rttm")
    pair.rttm.write_text(line.format("other"))
    assert len(pair.reference()) == 1
    pair.rttm.write_text(line.format("other") + line.format("a") + line.format("a"))
    assert len(pair.reference()) == 2
    pair.rttm.write_text(line.format("b") + line.format("c"))
    with pytest.raises(DataError, match="holds no turns of 'a'; it has b, c"):
        pair.reference()
    pair.rttm.write_text("")
    assert pair.reference() == ()


def test_recordings_are_summed_by_their_speech_and_timed_by_the_clock(tmp_path: Path) -> None:
    silence = Talk(np.zeros((1, 2), dtype=np.bool_), np.eye(2))
    diarizer = Diarizer(DiarizationConfig(), OracleSegmenter(silence))
    clock = FakeClock()

    def slow() -> int:
        clock.advance_ns(3_000_000_000)
        return clock.now_ns()

    result = Evaluation(
        tuple(evaluate(find_pairs([folder_of([1, 2], tmp_path)]), diarizer, Rules(), clock_ns=slow)), Rules()
    )
    assert [file.name for file in result.files] == ["talk1", "talk2"]
    assert [file.took_s for file in result.files] == [3.0, 3.0]
    assert result.rtf == pytest.approx(6.0 / (2 * 15.54), rel=1e-3)
    assert result.total.reference_s == pytest.approx(2 * result.files[0].errors.reference_s)
    content = result.to_dict()
    assert content["what"] == "DER of whole recordings, no collar, overlap scored, counted by pyannote.metrics"
    assert content["files"][0]["speakers_in_reference"] == 2


def test_the_command_says_the_rules_each_file_and_the_total(tmp_path: Path) -> None:
    folder_of([1, 2], tmp_path)
    arguments = ["evaluate", str(tmp_path), "--json", str(tmp_path / "out" / "score.json"), "--true-count"]
    result = CliRunner().invoke(cli.app, [*arguments, "--set", "hop_s=1.0"], catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert lines[0] == "DER in % of the reference speech, no collar, overlap scored, number of speakers given"
    assert [line.split()[0] for line in lines[1:]] == ["talk1", "talk2", "total"]
    content = json.loads((tmp_path / "out" / "score.json").read_text())
    assert content["config"]["hop_s"] == 1.0
    assert content["true_count"] is True
    assert len(content["model"]["sha256"]) == 64
    parts = ("missed_percent", "false_alarm_percent", "confused_percent")
    assert content["total"]["der_percent"] == pytest.approx(sum(content["total"][part] for part in parts), abs=0.02)


def test_settings_are_given_as_text() -> None:
    config = changed(
        DiarizationConfig(), ["hop_s=1", "speakers=3", "hard_scores=true", "linkage=centroid", "refinements=2"]
    )
    assert (config.hop_s, config.speakers, config.hard_scores, config.linkage) == (1.0, 3, True, Linkage.CENTROID)
    assert changed(config, ["speakers=none"]).speakers is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hop=1", "'hop=1' is no NAME=VALUE of a setting; they are batch_windows, "),
        ("hop_s", "'hop_s' is no NAME=VALUE"),
        ("hop_s=x", "hop_s must be float, got 'x'"),
        ("hard_scores=1", "hard_scores must be bool, got '1'"),
        ("linkage=ward", "linkage must be Linkage, got 'ward'"),
        ("hop_s=9", "hop_s must be from 0.02 to 6, got 9"),
    ],
)
def test_settings_that_are_none_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed(DiarizationConfig(), [setting])
