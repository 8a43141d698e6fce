"""A fixed computation to time beside the measured one: it sees the machine without the model."""

from __future__ import annotations

import numpy as np

# 64 cubed is the last size at which OpenBLAS, which the wheels of numpy carry, stays on the calling thread.
_SIZE = 64
_REPEATS = 16


class ControlWorkload:
    """Sixteen products of two fixed 64 x 64 float32 matrices, some 50 to 150 us of one core's work.

    Nothing in it depends on the model, on its inputs or on earlier calls. When its time changes during a run, it is
    the machine that changed: the core's frequency, caches emptied by a neighbour, a hypervisor that took the core
    away. The scheduler's counters show none of these, so the control explains what they leave open.

    It computes on the calling thread only, into memory that it made beforehand, and reads no clock: whoever calls it
    times it, once per block.
    """

    def __init__(self) -> None:
        # A fixed seed: the same numbers on every machine and in every run.
        numbers = np.random.default_rng(0)
        self._left = numbers.standard_normal((_SIZE, _SIZE), dtype=np.float32)
        self._right = numbers.standard_normal((_SIZE, _SIZE), dtype=np.float32)
        self._product = np.empty((_SIZE, _SIZE), dtype=np.float32)

    def __call__(self) -> None:
        """Compute the products once more; leaves nothing behind but the last of them."""
        for _ in range(_REPEATS):
            np.matmul(self._left, self._right, out=self._product)
