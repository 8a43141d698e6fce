"""Watch one GPU over a measurement: before it, right after each block, and after it."""

from __future__ import annotations

import time
from collections.abc import Callable

from voiceflow_ml.hardware.gpu import Gpu, GpuReading, GpuRecord
from voiceflow_ml.hardware.nvml import hold_driver, read_now


class GpuWatch:
    """Readings of one GPU. Made as a measurement begins; nothing here is inside a timed region.

    Args:
        gpu: which one.
        read: what is asked of it, given its UUID.
        now_ns: the clock.
    """

    def __init__(
        self,
        gpu: Gpu,
        read: Callable[[str], GpuReading] = read_now,
        now_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._gpu, self._read, self._now_ns = gpu, read, now_ns
        # Starting the driver takes longer than asking it.
        self._let_go = hold_driver()
        self._began_ns = now_ns()
        self._readings = [read(gpu.uuid)]

    def after_block(self) -> None:
        """Read once more."""
        self._readings.append(self._read(self._gpu.uuid))

    def record(self) -> GpuRecord:
        """Read for the last time, and join what was read."""
        self.after_block()
        self._let_go()
        first, *between, last = self._readings
        pids = [reading.other_pids for reading in self._readings if reading.other_pids is not None]
        return GpuRecord(
            gpu=self._gpu,
            before=first,
            after=last,
            # The first was read before there was work: an idle clock says nothing.
            sm_mhz=tuple(reading.sm_mhz for reading in between if reading.sm_mhz is not None),
            other_pids=tuple(sorted({pid for group in pids for pid in group})) if pids else None,
            span_ns=self._now_ns() - self._began_ns,
            readings=len(self._readings),
            unanswered=sum(not reading.answered for reading in self._readings),
        )
