"""The signal that all models of this package take, and the frames that they give: one home for the numbers."""

from __future__ import annotations

SAMPLE_RATE_HZ = 16_000
"""Sample rate of a model's ``audio`` input, and of the shipped speech."""

FRAME_SAMPLES = 320
"""Input samples per output frame: 20 ms."""

WINDOW_SAMPLES = 48_000
"""Samples of the window that a model is trained on: 3 s."""
