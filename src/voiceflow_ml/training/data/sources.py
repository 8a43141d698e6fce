"""Which Debian packages carry real human speech, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voiceflow_ml.errors import DataError

Decoder = Literal["soundfile", "g722", "gsm", "pcm8-11025", "queen"]


@dataclass(frozen=True)
class Source:
    """One Debian package with recordings.

    Attributes:
        package: Name of the Debian package.
        suffixes: Endings of the recordings inside it, lower case with the dot.
        decoder: How one recording becomes samples (see ``decode``).
        licence: The licence of the recordings, as the package's copyright file states it.
        attribution: Whom that file names as author or voice.
    """

    package: str
    suffixes: tuple[str, ...]
    decoder: Decoder
    licence: str
    attribution: str


_ALLISON = "Allison Smith (voice), Digium, Inc."

SOURCES: tuple[Source, ...] = (
    Source("asterisk-core-sounds-en-g722", (".g722",), "g722", "CC-BY-SA-3.0", _ALLISON),
    Source("asterisk-core-sounds-es-g722", (".g722",), "g722", "CC-BY-SA-3.0", _ALLISON),
    Source("asterisk-core-sounds-fr-g722", (".g722",), "g722", "CC-BY-SA-3.0", "June Wallack (voice)"),
    Source("asterisk-core-sounds-it-g722", (".g722",), "g722", "CC-BY-3.0", "Carlo Flora (voice)"),
    Source("asterisk-core-sounds-ru-g722", (".g722",), "g722", "CC-BY-3.0", "Maxim Topal, ivrvoice.ru"),
    Source("asterisk-prompt-es-co", (".gsm",), "gsm", "GPL-2", "Avatar Ltda., July E. Jimenez (voice)"),
    Source(
        "asterisk-prompt-fr-armelle",
        (".gsm",),
        "gsm",
        "BSD-style",
        "Michel Gutierrez; Armelle Desjardins (voice)",
    ),
    Source(
        "asterisk-prompt-it-menardi-wav",
        (".wav",),
        "soundfile",
        "CC-BY-SA-3.0-IT",
        "Marco Menardi, Paola Dal Zot (voice)",
    ),
    Source(
        "flight-of-the-amazon-queen",
        (".1c",),
        "queen",
        "Flight-of-the-Amazon-Queen-License (free to distribute and modify with notice)",
        "John Passfield, Steven Stamatiadis",
    ),
    Source(
        "drascula",
        (".als",),
        "pcm8-11025",
        "Drascula-License (free to distribute and modify with notice)",
        "Alcachofa Soft S.L.",
    ),
    Source(
        "drascula-spanish",
        (".als",),
        "pcm8-11025",
        "Drascula-License (free to distribute and modify with notice)",
        "Alcachofa Soft S.L.",
    ),
    Source("fillets-ng-data-cs", (".ogg",), "soundfile", "GPL-2", "ALTAR Interactive and contributors"),
    Source("fillets-ng-data-nl", (".ogg",), "soundfile", "GPL-2", "ALTAR Interactive and contributors"),
    Source("tuxpaint-stamps-default", (".ogg",), "soundfile", "GPL-2", "Bill Kendrick and contributors"),
    Source("ktuberling-data", (".ogg", ".opus", ".wav"), "soundfile", "GPL-2+", "KDE contributors"),
    Source("klettres-data", (".ogg",), "soundfile", "GPL-2+", "Anne-Marie Mahfouf and KDE contributors"),
    Source("hedgewars-data", (".ogg",), "soundfile", "GPL-2 and others", "Hedgewars contributors"),
)
"""Everything ``voiceflow data prepare`` fetches, in the order it fetches it."""


def select_sources(packages: tuple[str, ...]) -> tuple[Source, ...]:
    """The listed sources, or those of them that are named.

    Args:
        packages: Package names; empty takes all.

    Raises:
        DataError: A name that is not listed; the message gives the valid ones.
    """
    known = {source.package: source for source in SOURCES}
    unknown = [name for name in packages if name not in known]
    if unknown:
        raise DataError(f"unknown speech package {unknown[0]!r}; known are: {', '.join(known)}")
    return tuple(known[name] for name in packages) if packages else SOURCES
