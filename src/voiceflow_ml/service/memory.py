"""Give memory that was freed back to the operating system.

The C library keeps what is freed, in pieces that the next session or request does not quite fit into. Without this the
server grew by a third over 50 swaps (``benchmarks/service/swaps.py``), although every old session was gone, and to more
than twice its size in an overload (``benchmarks/service``), although every body was.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""

_BODY_BYTES = 64 * 1024
"""From this size on memory is mapped by itself; three seconds of speech are 192 kB."""

_KEPT_BYTES = 1024 * 1024
"""Free bytes at the end of the heap that stay there for the next request."""


def give_back_memory() -> bool:
    """Do so where the C library can (glibc on Linux); the interpreter's lock is not held meanwhile.

    Returns:
        Whether it can.
    """
    library = _glibc()
    if library is None:
        return False
    library.malloc_trim(0)
    return True


def map_bodies() -> bool:
    """From now on let what is as large as a request's body have pages of its own, which go back when it is freed.

    By itself the C library raises that size as soon as such memory is freed, and then keeps it in its heaps.

    Returns:
        Whether the C library can (glibc on Linux).
    """
    library = _glibc()
    if library is None:
        return False
    # Both: setting one of them alone would still leave the other to grow.
    return bool(library.mallopt(_M_MMAP_THRESHOLD, _BODY_BYTES) and library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    # musl, the other C library of Linux, has no such function and does not need it.
    return library if hasattr(library, "malloc_trim") else None
