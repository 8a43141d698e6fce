"""Fetch, unpack, decode, cut and label the speech packages; resumable per package."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import DataError
from voiceflow_ml.files import atomic_path, hash_file
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.data.activity import trim_to_speech
from voiceflow_ml.training.data.decode import decode, recordings
from voiceflow_ml.training.data.labels import NOISE_SPEAKER, Label, label_recording
from voiceflow_ml.training.data.manifest import (
    Clip,
    PackageRecord,
    read_record,
    shard_path,
    write_manifest,
    write_record,
)
from voiceflow_ml.training.data.sources import Source

MIN_CLIP_SAMPLES = SAMPLE_RATE_HZ // 4
MAX_CLIP_SAMPLES = 30 * SAMPLE_RATE_HZ
_WORKERS = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    name: str
    label: Label
    encoded: bytes


def prepare(data_dir: Path, sources: tuple[Source, ...], progress: Progress) -> Path:
    """Prepare every source that is not prepared yet, then write the manifest.

    Args:
        data_dir: Where everything goes; a second run continues there, and
            costs next to nothing when all is done.
        sources: The packages.
        progress: Called with one line per step.

    Returns:
        The manifest's path.

    Raises:
        DataError: A package cannot be fetched, unpacked or read, or a program is missing.
    """
    records = []
    for number, source in enumerate(sources, start=1):
        record = read_record(data_dir, source.package)
        if record is None:
            progress(f"[{number}/{len(sources)}] {source.package}: fetching")
            archive = _fetch(source.package, data_dir / "archives")
            folder = _unpack(archive, data_dir / "unpacked" / source.package)
            record = prepare_package(source, archive, folder, data_dir)
        seconds = sum(clip.samples for clip in record.clips) / SAMPLE_RATE_HZ
        progress(
            f"[{number}/{len(sources)}] {source.package}: {len(record.clips)} clips, "
            f"{seconds / 60:.1f} min ({record.skipped} recordings unlabelled or without speech)"
        )
        records.append(record)
    return write_manifest(data_dir, tuple(records))


def prepare_package(source: Source, archive: Path, folder: Path, data_dir: Path) -> PackageRecord:
    """Decode, cut and label one unpacked package into its shard.

    Args:
        source: What it is.
        archive: The package file, for its version and hash.
        folder: The unpacked package.
        data_dir: Where ``shards/`` is.

    Returns:
        The record that was written beside the shard.

    Raises:
        DataError: A decoder's program is missing, or no recording could be used.
    """
    jobs, found = _jobs(source, folder)
    clips, shard_sha256 = _write_shard(source, jobs, shard_path(data_dir, source.package))
    record = PackageRecord(
        package=source.package,
        version=_run(["dpkg-deb", "-f", str(archive), "Version"]).strip(),
        licence=source.licence,
        attribution=source.attribution,
        deb_sha256=hash_file(archive),
        shard_sha256=shard_sha256,
        skipped=found - len(clips),
        clips=tuple(clips),
    )
    write_record(data_dir, record)
    return record


def _write_shard(source: Source, jobs: list[_Job], path: Path) -> tuple[list[Clip], str]:
    """Decode and write the clips end to end; gives them with the hash of the whole."""
    clips: list[Clip] = []
    offset = 0
    digest = hashlib.sha256()
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as stream,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):
        for job, pcm in zip(jobs, pool.map(lambda job: _to_pcm(job, source), jobs), strict=True):
            if pcm is None:
                continue
            raw = pcm.tobytes()
            stream.write(raw)
            digest.update(raw)
            clips.append(_clip(job, pcm, offset, hashlib.sha256(raw).hexdigest()))
            offset += pcm.size
        if not clips:
            raise DataError(f"{source.package}: no usable recording in the package")
    return clips, digest.hexdigest()


def _jobs(source: Source, folder: Path) -> tuple[list[_Job], int]:
    """The labelled recordings in the order of their names, and how many recordings there are at all."""
    jobs: list[_Job] = []
    found = 0
    for name, encoded in recordings(source, folder):
        found += 1
        label = label_recording(source, name)
        if label is not None:
            jobs.append(_Job(name, label, encoded))
    return jobs, found


def _clip(job: _Job, pcm: NDArray[np.int16], offset: int, sha256: str) -> Clip:
    label = job.label
    return Clip(job.name, label.speaker, label.group, label.split, offset, pcm.size, sha256)


def _to_pcm(job: _Job, source: Source) -> NDArray[np.int16] | None:
    """The clip as int16, cut to its speech (noise: uncut); None when too short or undecodable."""
    if source.decoder in {"soundfile", "queen"}:
        # A handful of files in these archives are empty or cut off: they are counted as skipped.
        try:
            audio = decode(job.encoded, source.decoder)
        except DataError:
            return None
    else:
        audio = decode(job.encoded, source.decoder)
    if job.label.speaker != NOISE_SPEAKER:
        audio = trim_to_speech(audio)
    audio = audio[:MAX_CLIP_SAMPLES]
    if audio.size < MIN_CLIP_SAMPLES:
        return None
    return np.asarray(np.clip(np.rint(audio * 32768.0), -32768, 32767), dtype="<i2")


def _fetch(package: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        _run(["apt-get", "download", package], cwd=folder)
        found = sorted(folder.glob(f"{package}_*.deb"))
    if not found:
        raise DataError(f"{package}: apt-get download left no .deb in {folder}; run apt-get update, then again")
    return found[-1]


def _unpack(archive: Path, folder: Path) -> Path:
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        _run(["dpkg-deb", "-x", str(archive), str(partial)])
        partial.rename(folder)
    return folder


def _run(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise DataError(
            f"{command[0]} is missing: speech comes as Debian packages, so prepare it on Debian or Ubuntu"
        ) from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"{' '.join(command)} failed: {reason}")
    return done.stdout
