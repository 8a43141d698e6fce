"""Ask a pretrained speaker encoder once about every clip: check the labels by it, and keep what training imitates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.files import atomic_path
from voiceflow_ml.models.signal import SAMPLE_RATE_HZ
from voiceflow_ml.training.data.labels import NOISE_SPEAKER
from voiceflow_ml.training.data.manifest import Clip, PackageRecord, read_manifest, shard_path
from voiceflow_ml.training.data.voices import Heard, foreign_clips, mean_voice, merged_labels
from voiceflow_ml.training.simulate.acoustics import play_at
from voiceflow_ml.training.simulate.bank import load_bank, to_float
from voiceflow_ml.training.teaching import Teaching, unit, write_teaching

Encoder = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""float32 ``[samples]`` at 16 kHz -> ``[dim]`` of length one."""

Progress = Callable[[str], None]

_SHORTEST_S = 0.7
_LONGEST_S = 6.0
_CHUNKS = 4
"""Stretches of each voice that are heard at each speed."""
_CHUNK_S = 6.0


def teach(data_dir: Path, encoder: Encoder, encoder_name: str, speeds: tuple[float, ...], progress: Progress) -> Path:
    """Hear every clip, check the labels, and place every training voice at every speed.

    Args:
        data_dir: A prepared data folder; what was heard is kept there per package, so a run that
            was stopped continues.
        encoder: The pretrained encoder.
        encoder_name: Its name, for the record.
        speeds: Playing speeds that training will use.
        progress: Called with one line per step.

    Returns:
        The path of ``teaching.npz``.

    Raises:
        DataError: The folder is not prepared, or damaged.
    """
    records, digest = read_manifest(data_dir)
    clips = [(record, clip) for record in records for clip in record.clips if _is_heard(clip)]
    embeddings = np.concatenate(
        [_hear_package(data_dir, record, encoder, encoder_name, progress) for record in records if _heard(record)]
    )
    heard = Heard(
        embeddings,
        np.array([clip.samples / SAMPLE_RATE_HZ for _, clip in clips]),
        tuple(clip.speaker for _, clip in clips),
        tuple((record.package, clip.split) for record, clip in clips),
    )
    relabelled, centre = _check_labels(records, clips, heard, progress)
    nobody = np.zeros((0, len(speeds), embeddings.shape[1]), dtype=np.float32)
    heard_of = _by_package(clips, unit(embeddings - centre))
    bare = Teaching(encoder_name, digest, speeds, (), nobody, relabelled, heard_of)
    write_teaching(data_dir, bare)
    speakers, targets = _place_voices(data_dir, encoder, speeds, centre, progress)
    return write_teaching(data_dir, replace(bare, speakers=speakers, targets=targets))


def _by_package(
    clips: list[tuple[PackageRecord, Clip]], targets: NDArray[np.float32]
) -> dict[str, dict[str, NDArray[np.float32]]]:
    found: dict[str, dict[str, NDArray[np.float32]]] = defaultdict(dict)
    for (record, clip), target in zip(clips, targets, strict=True):
        if clip.split == "train":
            found[record.package][clip.name] = target
    return dict(found)


def _is_heard(clip: Clip) -> bool:
    return clip.speaker != NOISE_SPEAKER and clip.samples >= _SHORTEST_S * SAMPLE_RATE_HZ


def _heard(record: PackageRecord) -> list[Clip]:
    return [clip for clip in record.clips if _is_heard(clip)]


def _hear_package(
    data_dir: Path, record: PackageRecord, encoder: Encoder, encoder_name: str, progress: Progress
) -> NDArray[np.float32]:
    """Embeddings of one package's clips ``[clips, dim]``, from an earlier run where the shard is the same."""
    path = data_dir / "shards" / f"{record.package}.{encoder_name}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as content:
            if str(content["shard_sha256"]) == record.shard_sha256:
                return np.asarray(content["embeddings"], dtype=np.float32)
    wanted = _heard(record)
    progress(f"{record.package}: hearing {len(wanted)} clips")
    shard = np.memmap(shard_path(data_dir, record.package), dtype="<i2", mode="r")
    most = int(_LONGEST_S * SAMPLE_RATE_HZ)
    embeddings = np.stack(
        [
            encoder(to_float(shard[clip.offset_samples : clip.offset_samples + min(clip.samples, most)]))
            for clip in wanted
        ]
    ).astype(np.float32)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, embeddings=embeddings, shard_sha256=np.array(record.shard_sha256))
    return embeddings


def _check_labels(
    records: Iterable[PackageRecord], clips: list[tuple[PackageRecord, Clip]], heard: Heard, progress: Progress
) -> tuple[dict[str, dict[str, str | None]], NDArray[np.float32]]:
    """What to call which clip instead, and the mean voice of the training split."""
    merged = merged_labels(heard)
    heard = replace(heard, speakers=tuple(merged.get(name, name) for name in heard.speakers))
    train = np.array([place[1] == "train" for place in heard.places])
    centre = mean_voice(
        Heard(
            heard.embeddings[train],
            heard.seconds[train],
            tuple(name for name, kept in zip(heard.speakers, train, strict=True) if kept),
            tuple(place for place, kept in zip(heard.places, train, strict=True) if kept),
        )
    )
    relabelled: dict[str, dict[str, str | None]] = defaultdict(dict)
    for record in records:
        for clip in record.clips:
            if clip.speaker in merged:
                relabelled[record.package][clip.name] = merged[clip.speaker]
    foreign = foreign_clips(heard, centre)
    for (record, clip), is_foreign in zip(clips, foreign, strict=True):
        if is_foreign:
            relabelled[record.package][clip.name] = None
    progress(f"labels: {len(merged)} merged into others, {int(foreign.sum())} of {foreign.size} clips dropped")
    return dict(relabelled), centre


def _place_voices(
    data_dir: Path, encoder: Encoder, speeds: tuple[float, ...], centre: NDArray[np.float32], progress: Progress
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """The targets ``[voices, speeds, dim]`` of the training voices."""
    voices = load_bank(data_dir, "train").voices
    targets = []
    for number, voice in enumerate(voices, start=1):
        rows = [
            unit(np.mean([encoder(play_at(chunk, speed)) for chunk in _chunks(voice.clips)], axis=0))
            for speed in speeds
        ]
        targets.append(unit(np.stack(rows) - centre))
        if number % 10 == 0 or number == len(voices):
            progress(f"voices: {number}/{len(voices)} heard at {len(speeds)} speeds")
    return tuple(voice.speaker for voice in voices), np.stack(targets)


def _chunks(clips: tuple[NDArray[np.int16], ...]) -> Iterator[NDArray[np.float32]]:
    """Up to four stretches of six seconds, from clips spread evenly over all that there are."""
    samples = int(_CHUNK_S * SAMPLE_RATE_HZ)
    wanted = _CHUNKS * samples
    every = max(1, sum(clip.size for clip in clips) // wanted)
    joined = np.concatenate(clips[::every])[:wanted]
    for number in range(max(1, joined.size // samples)):
        yield to_float(joined[number * samples : (number + 1) * samples])
