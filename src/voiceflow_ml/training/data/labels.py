"""Who speaks in a recording, told from its package and file name, and in which split.

Pure functions of names: no file is opened here. A *speaker* is one voice as
far as names can tell. Two speakers of one *group* might be one person (an
actor with several roles, the same language in two packages), so no simulated
conversation mixes them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from voiceflow_ml.training.data.sources import Source

Split = Literal["train", "dev", "test"]

TEST_LANGUAGES_TUXPAINT = frozenset({"bg", "da", "lt", "ml"})
TEST_LANGUAGES_KDE = frozenset({"lt", "uk", "da", "ca", "ml"})
DEV_LANGUAGES_TUXPAINT = frozenset({"el"})
DEV_LANGUAGES_KDE = frozenset({"nn", "gl", "he", "hu", "el"})
DEV_QUEEN_PREFIXES = frozenset({"39", "40", "41", "61", "62"})

NOISE_SPEAKER = ""
"""The speaker of a recording that is noise: nobody."""

_ASTERISK_VOICES = {
    # One woman recorded both the English and the Spanish prompts.
    "asterisk-core-sounds-en-g722": "asterisk-allison",
    "asterisk-core-sounds-es-g722": "asterisk-allison",
    "asterisk-core-sounds-fr-g722": "asterisk-june",
    "asterisk-core-sounds-it-g722": "asterisk-carlo",
    "asterisk-core-sounds-ru-g722": "asterisk-ivrvoice-ru",
    "asterisk-prompt-es-co": "asterisk-es-co",
    "asterisk-prompt-fr-armelle": "asterisk-armelle",
    "asterisk-prompt-it-menardi-wav": "asterisk-menardi",
}
_TEST_SPEAKERS = frozenset({"asterisk-carlo", "asterisk-ivrvoice-ru", "asterisk-es-co", "asterisk-armelle"})
_DEV_SPEAKERS = frozenset({"asterisk-menardi"})


@dataclass(frozen=True)
class Label:
    """Speaker, group and split of one recording; noise has the speaker ``""``."""

    speaker: str
    group: str
    split: Split


def label_recording(source: Source, name: str) -> Label | None:
    """The label of one recording.

    Args:
        source: The package it comes from.
        name: Its path inside the package, with ``/``.

    Returns:
        The label; ``None`` for a recording whose speaker the name does not tell.
    """
    if source.package in _ASTERISK_VOICES:
        return _label_asterisk(source, PurePosixPath(name))
    return _RULES[source.package](source, PurePosixPath(name))


def _label_asterisk(source: Source, path: PurePosixPath) -> Label | None:
    if path.parent.name == "silence":
        return None
    speaker = _ASTERISK_VOICES[source.package]
    if speaker in _TEST_SPEAKERS:
        return Label(speaker, speaker, "test")
    return Label(speaker, speaker, "dev" if speaker in _DEV_SPEAKERS else "train")


def _label_queen(source: Source, path: PurePosixPath) -> Label | None:
    # DDxxxxJn.SB is a line of the hero in dialogue DD, DDxxxxPn.SB one of the person he talks to.
    match = re.fullmatch(r"(\d\d)\w{4}([JP])\d\.SB", path.name)
    if match is None:
        return None
    prefix, role = match.groups()
    if role == "J":
        # The hero speaks in every dialogue, so he belongs to one split whatever the dialogue's.
        return Label("queen-hero", "queen-hero", "train")
    split: Split = "dev" if prefix in DEV_QUEEN_PREFIXES else "train"
    return Label(f"queen-{prefix}", f"{source.package}-roles", split)


def _label_drascula(source: Source, path: PurePosixPath) -> Label | None:
    match = re.fullmatch(r"([A-Z]*)\d+\.ALS", path.name)
    if match is None:
        return None
    split: Split = "test" if source.package == "drascula-spanish" else "train"
    role = match.group(1)
    group = f"{source.package}-roles" if role else f"{source.package}-hero"
    return Label(f"{source.package}-{role.lower() or 'hero'}", group, split)


def _label_fillets(source: Source, path: PurePosixPath) -> Label | None:
    # level-m-what.ogg is the small fish, level-v-what.ogg the big one; the rest are many small roles.
    match = re.fullmatch(r"[^-]+-([mv])(-.*)?\.ogg", path.name)
    if match is None:
        return None
    speaker = f"{source.package}-{match.group(1)}"
    return Label(speaker, speaker, "test" if source.package == "fillets-ng-data-nl" else "train")


def _label_tuxpaint(_source: Source, path: PurePosixPath) -> Label | None:
    match = re.fullmatch(r".*_desc(?:_([a-z]{2})(?:_[A-Z]{2})?)?\.ogg", path.name)
    if match is None:
        return None
    language = match.group(1) or "en"
    split: Split = "train"
    if language in TEST_LANGUAGES_TUXPAINT:
        split = "test"
    elif language in DEV_LANGUAGES_TUXPAINT:
        split = "dev"
    return Label(f"tuxpaint-{language}", f"language-{language}", split)


def _label_kde(source: Source, path: PurePosixPath) -> Label | None:
    parts = path.parts
    marker = "sounds" if source.package == "ktuberling-data" else "klettres"
    language = parts[parts.index(marker) + 1] if marker in parts[:-2] else ""
    # sr@latin and its like are copies of sr under another alphabet.
    if not language or "@" in language:
        return None
    split: Split = "train"
    if language in TEST_LANGUAGES_KDE:
        split = "test"
    elif language in DEV_LANGUAGES_KDE:
        split = "dev"
    name = source.package.removesuffix("-data")
    return Label(f"{name}-{language.lower()}", f"language-{language[:2]}", split)


def _label_hedgewars(_source: Source, path: PurePosixPath) -> Label | None:
    if "voices" in path.parts:
        voice = path.parent.name.lower()
        return Label(f"hedgewars-{voice}", "hedgewars", "train")
    kind = {"Sounds": "effects", "Music": "music"}.get(path.parent.name)
    return None if kind is None else Label(NOISE_SPEAKER, kind, _noise_split(path.name))


def _noise_split(name: str) -> Split:
    """A fifth of the noises each for dev and test, chosen by a hash of the name."""
    fifth = zlib.crc32(name.encode()) % 5
    return "dev" if fifth == 0 else "test" if fifth == 1 else "train"


_RULES: dict[str, Callable[[Source, PurePosixPath], Label | None]] = {
    "flight-of-the-amazon-queen": _label_queen,
    "drascula": _label_drascula,
    "drascula-spanish": _label_drascula,
    "fillets-ng-data-cs": _label_fillets,
    "fillets-ng-data-nl": _label_fillets,
    "tuxpaint-stamps-default": _label_tuxpaint,
    "ktuberling-data": _label_kde,
    "klettres-data": _label_kde,
    "hedgewars-data": _label_hedgewars,
}
