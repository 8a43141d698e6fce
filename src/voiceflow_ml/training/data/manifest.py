"""The manifest: what speech there is, whose, from where, in which split.

Layout of a data folder::

    manifest.json            everything below, and the hashes that identify it
    shards/PACKAGE.i16       the package's clips end to end, little-endian int16, 16 kHz mono
    shards/PACKAGE.json      that package's part of the manifest (written last: it marks the package as done)
    archives/, unpacked/     the Debian packages
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import DataError, quoted
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.records import checked
from voiceflow_ml.training.data.labels import NOISE_SPEAKER, Split

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Clip:
    """One recording, cut to its speech.

    Attributes:
        name: Path inside the package.
        speaker: Whose voice; empty for noise.
        group: Speakers of one group are never mixed (they might be one person).
        split: train, dev or test.
        offset_samples: Where it starts in the package's shard.
        samples: How long it is, at 16 kHz.
        sha256: Hash of its int16 bytes.
    """

    name: str
    speaker: str
    group: str
    split: Split
    offset_samples: int
    samples: int
    sha256: str


@dataclass(frozen=True)
class PackageRecord:
    """One package's part of the manifest."""

    package: str
    version: str
    licence: str
    attribution: str
    deb_sha256: str
    shard_sha256: str
    skipped: int
    clips: tuple[Clip, ...]


def shard_path(data_dir: Path, package: str) -> Path:
    """Where a package's samples lie."""
    return data_dir / "shards" / f"{package}.i16"


def record_path(data_dir: Path, package: str) -> Path:
    """Where a package's part of the manifest lies."""
    return data_dir / "shards" / f"{package}.json"


def write_record(data_dir: Path, record: PackageRecord) -> None:
    """Write a package's part; its presence says that the shard is complete."""
    write_text_atomic(record_path(data_dir, record.package), json.dumps(asdict(record)))


def read_record(data_dir: Path, package: str) -> PackageRecord | None:
    """A package's part, or ``None`` when the package is not prepared.

    Raises:
        DataError: The file is there but damaged.
    """
    path = record_path(data_dir, package)
    if not path.exists() or not shard_path(data_dir, package).exists():
        return None
    try:
        return _parse_record(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({quoted(repr(error))}); delete it and prepare the data again") from error


def _parse_record(fields: dict[str, Any]) -> PackageRecord:
    clips = tuple(Clip(**clip) for clip in fields["clips"])
    return checked(PackageRecord(**{**fields, "clips": clips}))


def write_manifest(data_dir: Path, records: tuple[PackageRecord, ...]) -> Path:
    """Join the packages' parts into ``manifest.json``, with totals per speaker.

    Returns:
        The manifest's path.

    Raises:
        DataError: A speaker occurs in two splits.
    """
    check_disjoint(records)
    content = {
        "version": MANIFEST_VERSION,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "speakers": speaker_totals(records),
        "packages": [asdict(record) for record in records],
    }
    path = data_dir / "manifest.json"
    write_text_atomic(path, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def read_manifest(data_dir: Path) -> tuple[tuple[PackageRecord, ...], str]:
    """Read ``manifest.json``.

    Returns:
        The packages, and the SHA-256 of the manifest file (hexadecimal).

    Raises:
        DataError: It is missing, damaged, or of another version.
    """
    path = data_dir / "manifest.json"
    try:
        raw = path.read_bytes()
    except OSError:
        raise DataError(f"{path}: no speech data here; run: voiceflow data prepare --out {data_dir}") from None
    try:
        content = json.loads(raw)
        if content["version"] != MANIFEST_VERSION:
            raise DataError(f"{path}: manifest version {quoted(content['version'], 40)}, expected {MANIFEST_VERSION}")
        records = tuple(_parse_record(fields) for fields in content["packages"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({quoted(repr(error))}); prepare the data again") from error
    return records, hashlib.sha256(raw).hexdigest()


def speaker_totals(records: tuple[PackageRecord, ...]) -> dict[str, dict[str, str | float | int]]:
    """Split, clips and seconds of each speaker, noise left out."""
    samples: dict[str, int] = defaultdict(int)
    clips: dict[str, int] = defaultdict(int)
    split: dict[str, str] = {}
    for record in records:
        for clip in record.clips:
            if clip.speaker != NOISE_SPEAKER:
                samples[clip.speaker] += clip.samples
                clips[clip.speaker] += 1
                split[clip.speaker] = clip.split
    return {
        name: {
            "split": split[name],
            "clips": clips[name],
            "seconds": round(samples[name] / SAMPLE_RATE_HZ, 2),
        }
        for name in sorted(samples)
    }


def check_disjoint(records: tuple[PackageRecord, ...]) -> None:
    """Make sure that no speaker is in two splits.

    Raises:
        DataError: One is; the message names it.
    """
    seen: dict[str, Split] = {}
    for record in records:
        for clip in record.clips:
            if clip.speaker != NOISE_SPEAKER and seen.setdefault(clip.speaker, clip.split) != clip.split:
                raise DataError(f"speaker {clip.speaker!r} is in both {seen[clip.speaker]} and {clip.split}")
