"""One lie: what it is, how it is planted, what has to become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OUTCOMES = {
    "INVALID": "the verdict is INVALID",
    "caution": "the verdict carries a caution that names it",
    "not MET": "the verdict is not MET",
    "refused": "nothing is measured, or the file is not read: one sentence says why",
    "shown": "it is kept out of the verdict and stands beside it",
}


@dataclass(frozen=True)
class Lie:
    """A way in which a latency number lies.

    Attributes:
        name: the lie.
        planted: how.
        caught: what has to become of it, one of :data:`OUTCOMES`.
        plant: plants it in a folder of its own and returns the sentence that gives it away; raises when it is believed.
    """

    name: str
    planted: str
    caught: str
    plant: Callable[[Path], str]
