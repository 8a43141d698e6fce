"""A picture of who speaks when: one row for each speaker, the reference above where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from voiceflow_ml.reporting.axes import Scale
from voiceflow_ml.reporting.svg import WIDTH, Drawing, line, number, text
from voiceflow_ml.rttm import Turn
from voiceflow_ml.units import format_count

_LEFT, _RIGHT = 118, WIDTH - 22
_TOP = 34
_ROW, _BAR = 20, 12
_GAP = 14
_LONGEST_NAME = 16
_STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)

# Told apart without colour by their rows; light and dark pages both leave them a contrast of 3 and more.
_COLOURS = ("#2f7ed8", "#d9730d", "#8957e5", "#1a8f5a", "#cf3d5b", "#8a7a00", "#0f8a9d", "#9a6a4f")
_STYLE = "".join(f".vf .s{index}{{fill:{colour};stroke:none}}" for index, colour in enumerate(_COLOURS))


@dataclass(frozen=True)
class Track:
    """Turns under a heading.

    Attributes:
        heading: What they are, such as ``"hypothesis"``.
        turns: In any order.
    """

    heading: str
    turns: Sequence[Turn]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Everyone in it, in order of the first turn."""
        return tuple(dict.fromkeys(turn.speaker for turn in sorted(self.turns, key=lambda turn: turn.start_s)))


def timeline(title: str, tracks: Sequence[Track], seconds: float, *, matches: dict[str, str] | None = None) -> Drawing:
    """Draw tracks one below the other on one axis of time.

    Args:
        title: Of the picture.
        tracks: At least one; the same input gives the same bytes.
        seconds: Length of the recording, above 0.
        matches: Speakers of later tracks who are drawn in the colour of one of the first.

    Returns:
        The drawing.
    """
    across = Scale(0.0, seconds, _LEFT, _RIGHT)
    ticks = _ticks(seconds)
    colours = _colours(tracks, matches or {})
    parts, y = [f"<style>{_STYLE}</style>"], float(_TOP)
    for track in tracks:
        parts.append(text(8, y + 12, track.heading, kind="title"))
        y += _ROW
        for speaker in track.speakers:
            parts += _row(speaker, colours[speaker], track, across, y)
            y += _ROW
        if not track.turns:
            parts.append(text(_LEFT, y - _ROW + 12, "nobody speaks", kind="quiet"))
        y += _GAP
    grid = [line(float(at), _TOP, float(at), y - _GAP, "grid") for at in across.at(ticks)]
    names = [
        text(float(across.at(tick)), y + 4, _clock(tick, seconds), anchor="middle", kind="quiet") for tick in ticks
    ]
    described = "; ".join(
        f"{track.heading}: {format_count(len(track.turns))} turns of {len(track.speakers)} speakers" for track in tracks
    )
    return Drawing(title, f"Who speaks when over {seconds:.1f} s. {described}", round(y) + 14, (*grid, *parts, *names))


def matched(tracks: Sequence[Track]) -> dict[str, str]:
    """Which speaker of the second track is which of the first: pairs with most time together, each once.

    Args:
        tracks: Any; fewer than two have no matches.

    Returns:
        Speaker of the second track -> speaker of the first.
    """
    if len(tracks) < 2:
        return {}
    shared: dict[tuple[str, str], float] = {}
    for theirs in tracks[0].turns:
        for ours in tracks[1].turns:
            together_s = min(theirs.end_s, ours.end_s) - max(theirs.start_s, ours.start_s)
            if together_s > 0.0:
                pair = (ours.speaker, theirs.speaker)
                shared[pair] = shared.get(pair, 0.0) + together_s
    found: dict[str, str] = {}
    for ours_name, theirs_name in sorted(shared, key=lambda pair: (-shared[pair], pair)):
        if ours_name not in found and theirs_name not in found.values():
            found[ours_name] = theirs_name
    return found


def _colours(tracks: Sequence[Track], matches: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    taken = 0
    for track in tracks:
        for speaker in track.speakers:
            if speaker in found:
                continue
            if matches.get(speaker) in found:
                found[speaker] = found[matches[speaker]]
            else:
                found[speaker] = taken % len(_COLOURS)
                taken += 1
    return found


def _row(speaker: str, colour: int, track: Track, across: Scale, y: float) -> list[str]:
    bars = []
    for turn in track.turns:
        if turn.speaker == speaker:
            first, last = (float(at) for at in across.at([turn.start_s, turn.end_s]))
            # A turn is never thinner than what can be seen.
            bars.append(f"M{number(first)} {number(y)}h{number(max(last - first, 0.6))}v{_BAR}H{number(first)}z")
    name = speaker if len(speaker) <= _LONGEST_NAME else f"{speaker[: _LONGEST_NAME - 1]}…"
    return [
        text(_LEFT - 6, y + _BAR - 2, name, anchor="end"),
        line(_LEFT, y + _BAR + 2, _RIGHT, y + _BAR + 2, "grid"),
        f'<path class="s{colour}" d="{"".join(bars)}"/>',
    ]


def _ticks(seconds: float) -> tuple[float, ...]:
    """Round times of the clock, at most seven."""
    step = next((step for step in _STEPS_S if seconds <= 6 * step), math.ceil(seconds / 6 / 3_600) * 3_600)
    return tuple(step * index for index in range(math.floor(seconds / step) + 1))


def _clock(tick_s: float, seconds: float) -> str:
    if seconds < 90.0:
        return f"{tick_s:g} s"
    minutes, rest = divmod(round(tick_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if seconds >= 3_600.0 else f"{minutes}:{rest:02d}"
