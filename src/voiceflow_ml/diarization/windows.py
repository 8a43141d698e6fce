"""Cut a stream of audio into the overlapping windows that the net sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.models.signal import FRAME_SAMPLES

_STEP_SAMPLES = 2 * FRAME_SAMPLES


@dataclass(frozen=True)
class Window:
    """One window.

    Attributes:
        first_frame: Where it begins in the recording, in 20 ms frames.
        audio: float32 ``[samples]``, a multiple of 640.
    """

    first_frame: int
    audio: NDArray[np.float32]


class WindowCutter:
    """Takes audio in blocks of any size and gives windows; holds no more than one window and one block.

    Args:
        window_samples: Length of a window, a multiple of 640.
        hop_frames: Frames from one window to the next.
    """

    def __init__(self, window_samples: int, hop_frames: int) -> None:
        self._window_samples = window_samples
        self._hop_samples = hop_frames * FRAME_SAMPLES
        self._held = np.zeros(0, dtype=np.float32)
        self._held_from = 0
        self._next = 0
        self.samples = 0
        """Samples taken so far."""

    def push(self, block: NDArray[np.float32]) -> Iterator[Window]:
        """Take the next samples ``[n]``.

        Yields:
            The windows that are complete now, in order.
        """
        self._held = np.concatenate([self._held, block])
        self.samples += block.size
        while self._next + self._window_samples <= self.samples:
            yield self._cut(self._next, self._next + self._window_samples)
            self._next += self._hop_samples
        self._forget(max(0, min(self._next, self.samples - self._window_samples - FRAME_SAMPLES)))

    def finish(self) -> Iterator[Window]:
        """End the stream.

        Yields:
            One more window that ends with the audio, where the last one does not; it is moved back instead of
            filled up, because silence that was never recorded would pass for pauses. A recording shorter than a
            window is given whole. At most 39 ms of silence fill up the last step.
        """
        end = -(-self.samples // FRAME_SAMPLES) * FRAME_SAMPLES
        covered = self._next - self._hop_samples + self._window_samples if self._next else 0
        if covered >= end:
            return
        if end >= self._window_samples:
            yield self._cut(end - self._window_samples, end)
        else:
            yield self._cut(0, -(-end // _STEP_SAMPLES) * _STEP_SAMPLES)

    def _cut(self, first: int, last: int) -> Window:
        audio = self._held[first - self._held_from : last - self._held_from]
        padded = np.zeros(last - first, dtype=np.float32)
        padded[: audio.size] = audio
        return Window(first // FRAME_SAMPLES, padded)

    def _forget(self, before: int) -> None:
        if before > self._held_from:
            self._held = self._held[before - self._held_from :].copy()
            self._held_from = before
