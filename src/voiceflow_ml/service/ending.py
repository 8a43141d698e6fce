"""Runs of ONNX Runtime that another thread can end: between two nodes, or two rounds of a loop in the model."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_UNDER_WAY: dict[int, Any] = {}
"""Thread -> the options of the run that it is in."""
_SILENT = 4


def run_endable(session: Any, names: list[str], inputs: dict[str, Any]) -> list[Any]:
    """Run a session; :func:`end_run` ends it.

    Args:
        session: of ONNX Runtime.
        names: outputs that are asked for.
        inputs: arrays by name.

    Returns:
        The outputs, in the order of the names.
    """
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.RunOptions()
    # What goes wrong is raised. Its own log would write names out of the model file between the lines of ours.
    options.log_severity_level = _SILENT
    thread = threading.get_ident()
    _UNDER_WAY[thread] = options
    try:
        outputs: list[Any] = session.run(names, inputs, options)
        return outputs
    finally:
        del _UNDER_WAY[thread]


def end_run(thread: int | None) -> bool:
    """Ask the run that a thread is in to end; a single operator that never returns cannot be ended.

    Args:
        thread: its identifier.

    Returns:
        Whether it was in one.
    """
    options = _UNDER_WAY.get(thread) if thread is not None else None
    if options is None:
        return False
    options.terminate = True
    return True


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Inside the block a run of this thread is ended when so much time has passed; the run raises then."""
    timer = threading.Timer(seconds, end_run, (threading.get_ident(),))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
