"""Diarize a stream: turns come out at most so many seconds of audio after they were spoken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.assignment import NOBODY, add_up, assign, clean_samples, least_clean_s
from voiceflow_ml.diarization.audio_source import check_finite
from voiceflow_ml.diarization.clustering import Samples
from voiceflow_ml.diarization.config import FRAME_S, DiarizationConfig
from voiceflow_ml.diarization.local import LocalWindows, join_windows, local_windows
from voiceflow_ml.diarization.memory import SpeakerMemory
from voiceflow_ml.diarization.reconstruction import decide, mean_scores
from voiceflow_ml.diarization.revision import Reviser, names_of
from voiceflow_ml.diarization.segmenter import Embedder, Segmenter
from voiceflow_ml.diarization.turn_builder import TurnBuilder
from voiceflow_ml.diarization.windows import Window
from voiceflow_ml.errors import ConfigError, DataError
from voiceflow_ml.live_turns import Correction
from voiceflow_ml.models.signal import FRAME_SAMPLES, SAMPLE_RATE_HZ
from voiceflow_ml.rttm import Turn


@dataclass(frozen=True)
class OnlineConfig:
    """How a stream is heard.

    Attributes:
        latency_s: A turn's speech comes out when at most this many seconds behind it have been heard; what the
            net needs to compute comes on top. At least the sum of ``hop_s``, ``min_gap_s`` and ``min_turn_s``.
        correct_s: What came out under a wrong name is corrected for so many seconds, 3 kB for each window; 0: never.
            Only as long as all that was heard is remembered: what averages tell is no better than what was said.
        correct_every_s: How often everything that may be corrected is looked at; later, when a tenth more was heard.
        most_remembered: Embeddings remembered, however long the stream is: here three minutes of speech.
        chunk_s: Seconds given at once where a file is heard as a stream.

    Raises:
        ConfigError: A value outside of its range.
    """

    latency_s: float = 2.0
    correct_s: float = 300.0
    correct_every_s: float = 5.0
    most_remembered: int = 800
    chunk_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.latency_s <= 60.0:
            raise ConfigError(f"latency_s must be above 0 and at most 60, got {self.latency_s:g}")
        if not 0.0 <= self.correct_s <= 3_600.0:
            raise ConfigError(f"correct_s must be from 0 to 3600, got {self.correct_s:g}")
        if not 0.1 <= self.correct_every_s <= 3_600.0:
            raise ConfigError(f"correct_every_s must be from 0.1 to 3600, got {self.correct_every_s:g}")
        if not 20 <= self.most_remembered <= 5_000:
            raise ConfigError(f"most_remembered must be from 20 to 5000, got {self.most_remembered}")
        if not 0.001 <= self.chunk_s <= 60.0:
            raise ConfigError(f"chunk_s must be from 0.001 to 60, got {self.chunk_s:g}")


class OnlineDiarizer:
    """Takes audio in chunks of any size and gives turns; what it keeps does not grow with the stream.

    Args:
        config: The settings; ``speakers`` is taken for the most there may be.
        segmenter: The net.
        online: How the stream is heard.
        embedder: A speaker encoder instead of the net's own embeddings.

    Raises:
        ConfigError: The latency is too short for the settings.
    """

    def __init__(
        self,
        config: DiarizationConfig,
        segmenter: Segmenter,
        online: OnlineConfig | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        online = online or OnlineConfig()
        if config.speakers is not None:
            config = replace(config, speakers=None, min_speakers=1, max_speakers=config.speakers)
        self._config, self._segmenter, self._embedder = config, segmenter, embedder
        self._builder = TurnBuilder(min_gap_s=config.min_gap_s, min_turn_s=config.min_turn_s)
        # When a window is judged, what must be out before the next one is judged has to be decided.
        self._behind = round(online.latency_s / FRAME_S) - config.hop_frames - self._builder.hold_frames
        if self._behind < 0:
            least_s = config.hop_s + self._builder.hold_frames * FRAME_S
            raise ConfigError(f"latency_s must be at least {least_s:g} with these settings, got {online.latency_s:g}")
        self._memory = SpeakerMemory(config, online.most_remembered)
        self._audio = np.zeros(0, dtype=np.float32)
        self._samples = 0
        self._next_end = config.hop_frames
        self._decided = 0
        self._pending: list[LocalWindows] = []
        self._windows = 0
        self._numbers: dict[int, int] = {}
        self._reviser = Reviser(config, round(online.correct_s / FRAME_S)) if online.correct_s else None
        self._revise_every = round(online.correct_every_s / FRAME_S)
        self._revise_at = self._revise_every
        self._corrections: list[Correction] = []

    @property
    def seconds(self) -> float:
        """Audio heard so far."""
        return self._samples / SAMPLE_RATE_HZ

    @property
    def final_s(self) -> float:
        """Up to here nothing more comes out: a turn that is still to come, or the rest of one, begins later."""
        return self._out * FRAME_S

    @property
    def _out(self) -> int:
        return max(0, self._decided - self._builder.hold_frames)

    def push(self, chunk: NDArray[np.floating]) -> list[Turn]:
        """Hear more.

        Args:
            chunk: ``[samples]`` at 16 kHz in [-1, 1]; may be empty.

        Returns:
            What is out now, in order of its start. A piece that begins where the one before of the same speaker
            ended continues that turn: a long turn comes out in pieces. Speakers keep their names.

        Raises:
            DataError: Not one-dimensional, or NaN or infinity; the stream may go on after the error.
        """
        if chunk.ndim != 1:
            raise DataError(f"a chunk must have shape [samples], got {list(chunk.shape)}")
        block = np.asarray(chunk, dtype=np.float32)
        check_finite(block, "stream", self._samples)
        found: list[Turn] = []
        # Step by step, so that a large chunk gives what small ones would have given.
        while block.size:
            taken = max(0, self._next_end * FRAME_SAMPLES - self._samples)
            self._take(block[:taken])
            block = block[taken:]
            if self._samples == self._next_end * FRAME_SAMPLES:
                self._judge(self._next_end)
                found += self._named(self._decide(self._next_end - self._behind))
                if self._next_end >= self._revise_at:
                    self._revise_at += max(self._revise_every, self._next_end // 10)
                    self._revise(self._out)
                self._next_end += self._config.hop_frames
        return sorted(found, key=lambda turn: turn.start_s)

    def finish(self) -> list[Turn]:
        """End the stream.

        Returns:
            The rest, as :meth:`push`.
        """
        end = -(-self._samples // FRAME_SAMPLES)
        judged = self._next_end - self._config.hop_frames
        if end > judged:
            self._take(np.zeros(end * FRAME_SAMPLES - self._samples, dtype=np.float32), counts=False)
            self._judge(end)
        rest = self._named([*self._decide(end), *self._builder.finish()])
        self._revise(end)
        return rest

    def corrections(self) -> list[Correction]:
        """What holds of what came out before; asked for after :meth:`push` and :meth:`finish`.

        Returns:
            Those that are new since the last call, to be applied in their order after what the same call gave. The
            last ones come with the end.
        """
        found, self._corrections = self._corrections, []
        return found

    def _take(self, block: NDArray[np.float32], *, counts: bool = True) -> None:
        kept = np.concatenate([self._audio, block])
        self._audio = kept[-self._config.window_samples :].copy()
        self._samples += block.size if counts else 0

    def _judge(self, end: int) -> None:
        """Run the net on the window that ends at a frame; at the start of a stream it is as long as what there is."""
        step = 2 * FRAME_SAMPLES
        audio = self._audio
        if audio.size % step:
            audio = np.concatenate([audio, np.zeros(step - audio.size % step, dtype=np.float32)])
        window = Window(end - self._config.window_frames, audio)
        (local,) = local_windows([window], self._config, self._segmenter, self._embedder)
        local = _lengthened(local, min(end, self._config.window_frames), self._config.window_frames)
        # Someone must be the first; later, who hardly talks alone waits for a better window.
        first = len(self._memory) == 0
        clean = clean_samples(local, least_clean_s(local, self._config) if first else self._config.min_clean_s)
        if clean.windows.size > self._memory.room:
            self._revise(self._out)
            self._reviser = None
        numbered = Samples(clean.embeddings, clean.windows + self._windows, clean.seconds)
        self._memory.add(numbered, *add_up(local))
        self._windows += 1
        self._pending.append(local)

    def _decide(self, until: int) -> list[tuple[int, Turn]]:
        """Decide the frames up to ``until`` with what is known now."""
        if until <= self._decided:
            return []
        speakers, names, origin = self._memory.voices()
        windows = join_windows(self._pending)
        active = np.zeros((until - self._decided, names.size), dtype=np.bool_)
        labels = np.full(windows.talk_s.shape, NOBODY)
        if names.size:
            labels = assign(windows, speakers, self._config, origin)
            span = (self._decided, until)
            active = decide(*mean_scores(windows, labels, span, names.size, self._config), self._config)
        self._decided = until
        if self._reviser is not None:
            self._reviser.say(self._pending, names_of(labels, names), until)
        length = self._config.window_frames
        self._pending = [local for local in self._pending if int(local.first_frames[0]) + length > until]
        return self._builder.push(active, names)

    def _revise(self, until: int) -> None:
        if self._reviser is None:
            return
        for first, last, turns in self._reviser.corrections(self._memory.voices(), until):
            self._corrections.append(Correction(first * FRAME_S, last * FRAME_S, tuple(self._named(turns))))

    def _named(self, pieces: list[tuple[int, Turn]]) -> list[Turn]:
        """Numbers in order of the first turn that came out."""
        ordered = sorted(pieces, key=lambda piece: (piece[1].start_s, piece[0]))
        for name, _ in ordered:
            self._numbers.setdefault(name, len(self._numbers))
        return [replace(turn, speaker=f"SPEAKER_{self._numbers[name]:02d}") for name, turn in ordered]


def _lengthened(local: LocalWindows, frames: int, length: int) -> LocalWindows:
    """A window from the start of a stream as long as any other: frames before the start have no score."""
    scores = np.zeros((1, length, local.scores.shape[2]), dtype=np.float16)
    scores[:, length - frames :] = local.scores[:, :frames]
    return replace(local, scores=scores)
