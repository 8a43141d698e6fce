"""Give memory that was freed back to the operating system.

The C library keeps what a session has freed, in pieces that the next session does not quite fit into: without this the
server grew by a third over 50 swaps (``benchmarks/service/swaps.py``), although every old session was gone.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def give_back_memory() -> bool:
    """Do so where the C library can (glibc on Linux); the interpreter's lock is not held meanwhile.

    Returns:
        Whether it can.
    """
    trim = _malloc_trim()
    if trim is None:
        return False
    trim(0)
    return True


@cache
def _malloc_trim() -> Any:
    if sys.platform != "linux":
        return None
    # musl, the other C library of Linux, has no such function and does not need it.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
