"""Samples over time, so that warm-up, drift and bursts show; below, how long the scheduler made tasks wait."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.latency import Run, Verdict
from voiceflow_ml.latency.verdict import statistic_name
from voiceflow_ml.reporting.axes import Scale, latency_scale
from voiceflow_ml.reporting.svg import Drawing, bars, dots, line, steps, text
from voiceflow_ml.reporting.text import objective_text
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.units import format_count, format_ns

TITLE = "Samples over time"
_HEIGHT, _LEFT, _RIGHT = 400, 58, 458
_TOP, _BOTTOM = 30, 226
_WAIT_TOP, _WAIT_BOTTOM = 282, 350
_MOST_DOTS, _EXACT = 1_200, 300
_COLUMNS = 200
"""Of the lower panel: two pixels each."""


def time_chart(label: str, measurement: Measurement) -> Drawing:
    """Draw every sample at its time, and the waits of each block below.

    Args:
        label: model, stage and target.
        measurement: at least one sample.
    """
    run = measurement.run
    at_ns = sample_times_ns(run)
    across = Scale(0.0, max(float(at_ns.max()), float(run.span_ns), 1.0), _LEFT, _RIGHT)
    up = latency_scale(float(run.samples_ns.min()), float(run.samples_ns.max()), _BOTTOM, _TOP)
    shown = kept_samples(run.samples_ns)
    parts = [
        *_levels(up, _LEFT, _RIGHT),
        dots(across.at(at_ns[shown]), up.at(run.samples_ns[shown]), "a"),
        *_limits(measurement.verdicts, up),
        *_waits(run, across),
        *_times(across),
        text(_RIGHT, 18, _shown_text(shown.size, at_ns.size), kind="quiet", anchor="end"),
    ]
    description = f"{label}. Latency by time, {_shown_text(shown.size, at_ns.size)}"
    return Drawing(TITLE, f"{description}; below, the run-queue wait of each block", _HEIGHT, tuple(parts))


def sample_times_ns(run: Run) -> NDArray[np.int64]:
    """When each sample began, from the start of the first block, int64 ns, shape ``[n]``.

    A run keeps the start of each block; within it, the samples are placed evenly in their order.
    """
    index = np.arange(run.samples_ns.size)
    blocks = run.block_starts_ns.size
    if blocks == 0:
        return np.cumsum(run.samples_ns) - run.samples_ns
    block = np.minimum(index // run.block_calls, blocks - 1)
    order = index - block * run.block_calls
    held = np.bincount(block, minlength=blocks)
    times: NDArray[np.int64] = run.block_starts_ns[block] + run.block_durations_ns[block] * order // held[block]
    return times


def kept_samples(samples_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the samples to draw, ascending: all of few; of many the slowest 300 and an even choice of others."""
    count = samples_ns.size
    if count <= _MOST_DOTS:
        return np.arange(count)
    slowest = np.argsort(samples_ns, kind="stable")[-_EXACT:]
    even = np.linspace(0, count - 1, _MOST_DOTS - _EXACT).astype(np.int64)
    return np.union1d(slowest, even)


def _shown_text(shown: int, count: int) -> str:
    """What is drawn: a thinned picture that does not say so shows a band where there is none."""
    if shown == count:
        return f"all {format_count(count)} samples"
    return f"the slowest {_EXACT}, and 1 in {round((count - _EXACT) / (shown - _EXACT))} of the others"


def _levels(up: Scale, left: float, right: float) -> list[str]:
    parts = []
    for tick in up.ticks():
        y = float(up.at(tick))
        name = format_ns(tick, digits=6)
        parts += [line(left, y, right, y, "grid"), text(left - 5, y + 4, name, anchor="end")]
    return parts


def _limits(verdicts: Sequence[Verdict], up: Scale) -> list[str]:
    parts = []
    for index, verdict in enumerate(verdicts):
        name = objective_text(statistic_name(verdict.quantile), verdict.limit_ns)
        x = _LEFT + 6 + 130 * index
        if up.low <= verdict.limit_ns <= up.high:
            y = float(up.at(verdict.limit_ns))
            parts += [line(_LEFT, y, _RIGHT, y, "limit"), text(x, y - 4, name, kind="limit")]
        elif verdict.limit_ns > up.high:
            parts.append(text(x, _TOP + 2, f"{name} ↑", kind="limit"))
        else:
            parts.append(text(x, _BOTTOM - 4, f"{name} ↓", kind="limit"))
    return parts


def _times(across: Scale) -> list[str]:
    parts = [
        text(float(across.at(tick)), _WAIT_BOTTOM + 17, format_ns(tick, digits=6) if tick else "0", anchor="middle")
        for tick in across.ticks()
    ]
    middle = (_LEFT + _RIGHT) / 2
    return [*parts, text(middle, _WAIT_BOTTOM + 38, "time since the first block began", kind="quiet", anchor="middle")]


def _waits(run: Run, across: Scale) -> list[str]:
    """Wait per block: bars for the measuring thread, a line for any task of the machine."""
    head = text(8, 252, "Run-queue wait per block", kind="title")
    scheduler = run.scheduler
    blocks = run.block_starts_ns.size
    if scheduler is None or scheduler.source == "none" or blocks == 0:
        return [head, text(_LEFT, _WAIT_TOP + 30, "not counted in this run", kind="quiet")]
    block = np.minimum(np.arange(run.samples_ns.size) // run.block_calls, blocks - 1)
    own_ns = np.bincount(block, weights=scheduler.run_delay_ns, minlength=blocks).astype(np.float64)
    # Several blocks in one column: the longest wait among them is shown.
    column = np.minimum((run.block_starts_ns / across.high * _COLUMNS).astype(np.int64), _COLUMNS - 1)
    places, longest_ns = _longest(column, own_ns)
    any_ns = None if scheduler.cpu_wait_ns is None else _longest(column, scheduler.cpu_wait_ns.astype(np.float64))[1]
    most_ns = max(float(longest_ns.max()), 0.0 if any_ns is None else float(any_ns.max()))
    up = Scale(0.0, max(most_ns, 1.0), _WAIT_BOTTOM, _WAIT_TOP)
    x = across.at((places + 0.5) * across.high / _COLUMNS)
    parts = [
        head,
        *(line(_LEFT, y, _RIGHT, y, "grid") for y in (_WAIT_TOP, _WAIT_BOTTOM)),
        text(_LEFT - 5, _WAIT_TOP + 4, format_ns(most_ns), anchor="end"),
        text(_LEFT - 5, _WAIT_BOTTOM + 4, "0", anchor="end"),
        bars(x, up.at(longest_ns), _WAIT_BOTTOM, (_RIGHT - _LEFT) / _COLUMNS, "bar"),
        f'<rect class="bar" x="{_LEFT}" y="262" width="14" height="9"/>',
        text(_LEFT + 19, 271, "the measuring thread"),
    ]
    if any_ns is not None:
        parts += [steps(x, up.at(any_ns), "ink"), line(_LEFT + 160, 267, _LEFT + 186, 267, "ink")]
        parts.append(text(_LEFT + 191, 271, "any task of the machine"))
    return parts


def _longest(column: NDArray[np.int64], waits_ns: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The columns that hold a block, ascending, and the longest wait of each, both shape ``[k]``."""
    longest = np.full(_COLUMNS, -1.0)
    np.maximum.at(longest, column, waits_ns)
    places = np.flatnonzero(longest >= 0)
    return places, longest[places]
