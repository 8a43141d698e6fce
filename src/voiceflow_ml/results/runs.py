"""A run as plain JSON values and back: arrays become lists of whole nanoseconds."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from voiceflow_ml.latency import Mode, Run
from voiceflow_ml.latency.run import ColdStart, SchedulerRecord, WarmUp


def run_to_dict(run: Run) -> dict[str, Any]:
    """A run as JSON values."""
    values = _plain(run)
    return {
        **values,
        "cold_starts": [_plain(entry) for entry in run.cold_starts],
        "warmup": _plain(run.warmup),
        "scheduler": _plain(run.scheduler) if run.scheduler else None,
    }


def run_from_dict(content: dict[str, Any]) -> Run:
    """What :func:`run_to_dict` wrote.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, unknown or of another kind.
    """
    scheduler = content["scheduler"]
    return Run(
        **{
            **content,
            "samples_ns": _array(content["samples_ns"]),
            "block_starts_ns": _array(content["block_starts_ns"]),
            "block_durations_ns": _array(content["block_durations_ns"]),
            "control_ns": _array(content["control_ns"]),
            "cold_starts": tuple(ColdStart(**entry) for entry in content["cold_starts"]),
            "warmup": WarmUp(**{**content["warmup"], "pilot_ns": tuple(content["warmup"]["pilot_ns"])}),
            "scheduler": None if scheduler is None else _scheduler(scheduler),
            "mode": Mode(content["mode"]),
        }
    )


def _scheduler(content: dict[str, Any]) -> SchedulerRecord:
    arrays = {name: _array(content[name]) for name in ("run_delay_ns", "thread_time_ns", "cpu_wait_ns")}
    return SchedulerRecord(**{**content, **arrays})


def _plain(record: Any) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def _array(values: list[int] | None) -> Any:
    array = None if values is None else np.asarray(values, dtype=np.int64)
    if array is not None and array.ndim != 1:
        raise ValueError(f"a list of numbers was expected, got {array.ndim} dimensions")
    return array


def check_sizes(run: Run) -> None:
    """Refuse counts of the scheduler that are not one for each sample, and a control workload that never ran.

    Raises:
        ValueError: as said.
    """
    scheduler = run.scheduler
    for counts in () if scheduler is None else (scheduler.run_delay_ns, scheduler.thread_time_ns):
        if counts.size != run.samples_ns.size:
            raise ValueError(f"it has {counts.size} counts of the scheduler for {run.samples_ns.size} samples")
    if run.control_ns is not None and run.control_ns.size == 0:
        raise ValueError("its control workload has no times")
