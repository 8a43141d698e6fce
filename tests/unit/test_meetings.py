from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voiceflow_ml.errors import DataError
from voiceflow_ml.rttm import Turn
from voiceflow_ml.training.data.meetings import load_meetings, prepare_meetings, turns_to_activity

ROOT = "pyannote_audio-4.0.7"


def sound(seconds: float = 1.0, rate_hz: int = 16_000) -> bytes:
    stream = io.BytesIO()
    tone = 0.5 * np.sin(np.arange(int(seconds * rate_hz)) * 0.1)
    soundfile.write(stream, tone, rate_hz, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def write_archive(data_dir: Path, members: dict[str, bytes]) -> None:
    path = data_dir / "archives" / f"{ROOT}.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{ROOT}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


MEMBERS = {
    "tests/data/trn01.wav": sound(),
    "tests/data/trñ00.wav": sound(),
    "tests/data/dev00.wav": sound(),
    "tests/data/empty.wav": sound(),
    "tests/data/debug.train.rttm": b"SPEAKER trn01 1 0.1 0.5 <NA> <NA> MEO1 <NA> <NA>\n",
    "src/pyannote/audio/sample/sample.wav": sound(2.0),
    "src/pyannote/audio/sample/sample.rttm": b"SPEAKER sample 1 1 0.5 <NA> <NA> s1 <NA> <NA>\n",
    "tutorials/assets/other.wav": sound(),
}


def test_excerpts_are_laid_out_by_split_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    write_archive(tmp_path, MEMBERS)
    lines: list[str] = []
    folder = prepare_meetings(tmp_path, lines.append)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))
    assert found == ["dev/dev00.wav", "sample/sample.wav", "train/trn00.wav", "train/trn01.wav"]
    assert lines[-1] == "meetings: 4 recordings"
    prepare_meetings(tmp_path, lines.append)
    assert lines[-1] == "meetings: ready"


def test_meetings_are_loaded_with_their_activity(tmp_path: Path) -> None:
    write_archive(tmp_path, MEMBERS)
    prepare_meetings(tmp_path, lambda _: None)
    silent, spoken = load_meetings(tmp_path, "train")
    assert (silent.name, silent.activity.shape) == ("trn00", (50, 0))
    assert np.flatnonzero(spoken.activity[:, 0]).tolist() == list(range(5, 30))
    assert spoken.audio.dtype == np.int16
    assert load_meetings(tmp_path, "test") == ()
    assert load_meetings(tmp_path / "none", "train") == ()


def test_frames_whose_middle_lies_in_a_turn_are_active() -> None:
    turns = (Turn("b", 0.0, 0.05), Turn("a", 0.031, 0.05))
    assert turns_to_activity(turns, 5).T.tolist() == [[0, 0, 1, 1, 0], [1, 1, 0, 0, 0]]


def test_an_archive_without_excerpts_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path, {"README.md": b""})
    with pytest.raises(DataError, match="holds no meeting excerpts"):
        prepare_meetings(tmp_path, lambda _: None)
    assert not (tmp_path / "meetings" / "meetings.json").exists()


def test_another_sample_rate_is_refused(tmp_path: Path) -> None:
    write_archive(tmp_path, {"tests/data/dev00.wav": sound(rate_hz=8_000)})
    with pytest.raises(DataError, match="dev00: 8000 Hz, expected 16000"):
        prepare_meetings(tmp_path, lambda _: None)
