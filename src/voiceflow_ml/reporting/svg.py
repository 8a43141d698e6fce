"""Pieces of SVG as text: the same input gives the same bytes, and no name breaks out of its element.

Everything is drawn by class, so one style sheet serves the files, which carry it, and the page, which has it once.
It says each colour outright instead of by custom properties, which several viewers of SVG files do not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.reporting.text import one_line, shortened

WIDTH = 480
"""Of every chart, in pixels: two fit side by side on a desktop, and text stays readable on a phone."""
_LONGEST_TITLE = 64
_TITLE_PX = 18
_HATCH = 5
"""Pixels between the lines of a hatched box."""

_LIGHT = {
    "paper": "#ffffff", "ink": "#1f2328", "quiet": "#59636e", "grid": "#d1d9e0", "a": "#0550ae", "b": "#9a3a00",
    "c": "#6639ba", "limit": "#b3152a",
}  # fmt: skip
_DARK = {
    "paper": "#0d1117", "ink": "#e6edf3", "quiet": "#9198a1", "grid": "#3d444d", "a": "#6cb6ff", "b": "#f0883e",
    "c": "#c297ff", "limit": "#ff8182",
}  # fmt: skip


def _colours(theme: dict[str, str]) -> str:
    strokes = "".join(f".vf .{name}{{stroke:{theme[name]}}}" for name in ("a", "b", "c", "limit", "grid", "ink"))
    fills = "".join(f".vf .fill.{name}{{fill:{theme[name]}}}" for name in ("a", "b", "c"))
    return (
        f".vf .paper{{fill:{theme['paper']}}}.vf text{{fill:{theme['ink']};stroke:{theme['paper']}}}"
        f".vf text.quiet{{fill:{theme['quiet']}}}.vf text.limit{{fill:{theme['limit']};stroke:{theme['paper']}}}"
        f"{strokes}{fills}.vf .bar{{fill:{theme['b']}}}"
    )


# Dashes and shapes tell the lines apart where colours do not.
STYLE = (
    ".vf text{font-family:system-ui,sans-serif;font-size:12px;stroke-width:3px;paint-order:stroke}"
    ".vf text.title{font-weight:600;font-size:13px}"
    ".vf path,.vf line{fill:none;stroke-width:1.5}.vf .grid{stroke-width:1}"
    ".vf .b{stroke-dasharray:6 3}.vf .c{stroke-dasharray:1.5 3;stroke-width:2.5}.vf .limit{stroke-dasharray:10 4}"
    ".vf .dots{stroke-width:2.4;stroke-linecap:round}.vf .solid{stroke-dasharray:none}"
    f".vf .bar{{stroke:none}}{_colours(_LIGHT)}@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}"
)


@dataclass(frozen=True)
class Drawing:
    """One finished picture.

    Attributes:
        title: what it shows, in a few words.
        description: what it is of and how to read it, for those who do not see it.
        height: in pixels; the width is :data:`WIDTH`.
        parts: its elements, as text.
    """

    title: str
    description: str
    height: int
    parts: tuple[str, ...]

    def inline(self) -> str:
        """As an element of a page that holds :data:`STYLE`."""
        return self._element("")

    def standalone(self) -> str:
        """As a file of its own."""
        return self._element(f"<style>{STYLE}</style>\n") + "\n"

    def _element(self, style: str) -> str:
        label = escape(one_line(f"{self.title}. {self.description}"))
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="vf" viewBox="0 0 {WIDTH} {self.height}" '
            f'width="{WIDTH}" height="{self.height}" role="img" aria-label="{label}">'
        )
        body = "\n".join(self.parts)
        paper = f'<rect class="paper" width="{WIDTH}" height="{self.height}"/>'
        return f"{head}\n{style}{paper}\n{text(8, _TITLE_PX, self.title, kind='title')}\n{body}\n</svg>"


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is finer than any screen."""
    rounded = f"{value:.1f}".removesuffix(".0")
    return "0" if rounded == "-0" else rounded


def text(x: float, y: float, content: str, *, kind: str = "", anchor: str = "start") -> str:
    """Any text, on one line, cut where it would not fit.

    Args:
        x: in pixels, of the anchor.
        y: of the baseline.
        content: any text.
        kind: its classes.
        anchor: ``"start"``, ``"middle"`` or ``"end"``.
    """
    shown = shortened(one_line(content), _LONGEST_TITLE)
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    classes = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{classes}{placed}>{escape(shown)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    ends = f'x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"'
    return f'<line class="{kind}" {ends}/>'


def diamond(x: float, y: float, kind: str) -> str:
    """The mark of one point."""
    return f'<path class="{kind} solid" d="M{number(x)} {number(y - 5)}l5 5l-5 5l-5 -5z"/>'


def steps(x: NDArray[np.float64], y: NDArray[np.float64], kind: str) -> str:
    """A staircase: along to each x at the level before it, then to its y; both shape ``[n]``, n >= 1."""
    tenths_x, tenths_y = _tenths(x), _tenths(y)
    moves = [f"M{number(tenths_x[0] / 10)} {number(tenths_y[0] / 10)}"]
    at_x, at_y = tenths_x[0], tenths_y[0]
    for to_x, to_y in zip(tenths_x[1:], tenths_y[1:], strict=True):
        if to_x != at_x:
            moves.append(f"H{number(to_x / 10)}")
        if to_y != at_y:
            moves.append(f"V{number(to_y / 10)}")
        at_x, at_y = to_x, to_y
    return f'<path class="{kind}" d="{"".join(moves)}"/>'


def plain(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A filled box: something that was measured."""
    return f'<path class="fill {kind} solid" d="{_box(x, y, width, height)}"/>'


def hatched(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A box of slanted lines: something that nobody measured."""
    slants = []
    for offset in range(_HATCH, int(width + height), _HATCH):
        # From the upper edge, or further on from the right one, down to the left until an edge is met.
        right, down = min(offset, width), max(0.0, offset - width)
        length = min(right, height - down)
        if length > 0:
            slants.append(f"M{number(x + right)} {number(y + down)}l{number(-length)} {number(length)}")
    return f'<path class="{kind} solid" d="{_box(x, y, width, height)}{"".join(slants)}"/>'


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h{number(-width)}z"


def dots(x: NDArray[np.float64], y: NDArray[np.float64], kind: str) -> str:
    """One path for all points, each drawn once however many fall on it; both shape ``[n]``."""
    places = dict.fromkeys(zip(_tenths(x), _tenths(y), strict=True))
    moves = "".join(f"M{number(at_x / 10)} {number(at_y / 10)}h0" for at_x, at_y in places)
    return f'<path class="dots {kind}" d="{moves}"/>'


def bars(x: NDArray[np.float64], y: NDArray[np.float64], base: float, width: float, kind: str) -> str:
    """Bars from ``base`` up to each y, in pixels, as one path; those without height are left out."""
    half = width / 2
    moves = "".join(
        f"M{number(at - half)} {number(base)}V{number(top)}h{number(width)}V{number(base)}z"
        for at, top in zip(x.tolist(), y.tolist(), strict=True)
        if top < base
    )
    return f'<path class="{kind}" d="{moves}"/>'


def _tenths(values: NDArray[np.float64]) -> list[int]:
    tenths: list[int] = np.rint(values * 10).astype(np.int64).tolist()
    return tenths
