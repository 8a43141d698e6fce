"""Give memory that was freed back to the operating system, but not with every request.

The C library keeps what is freed, in pieces that the next session or request does not quite fit into. Without this the
server grew by a third over 50 swaps (``benchmarks/service/swaps.py``), although every old session was gone, and to more
than twice its size in an overload (``benchmarks/service``), although every body was. With a body's memory given back
as soon as it is freed, each request pays for fresh pages: about a tenth of the server's CPU time for one
with 192 kB, where pages are dear.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of malloc.h."""

_LARGEST_KEPT_BYTES = 32 << 20
"""Above this size memory is mapped by itself: the largest that the C library takes."""

_KEPT_BYTES = 16 << 20
"""Free bytes at the end of a heap that stay there for the next request: what some forty hold. Of heaps of other threads
than the first the C library never gives the end back when it is asked to, only what is beyond this."""


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


def keep_heap() -> bool:
    """From now on keep what is freed for the next request.

    By itself the C library raises and lowers the end of its heap with every body that comes and goes.

    Returns:
        Whether the C library can (glibc on Linux).
    """
    library = _glibc()
    if library is None:
        return False
    # Both: setting one of them alone would still leave the other to change.
    return bool(
        library.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES) and library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    )


class Ebb:
    """Gives memory back a little after each burst; bursts that follow one another share one time.

    Args:
        after_s: how long after.
        give_back: does so, in a thread of its own.
    """

    def __init__(self, after_s: float, give_back: Callable[[], object] = give_back_memory) -> None:
        self._give_back, self._after_s = give_back, after_s
        self._timer: threading.Timer | None = None

    def __call__(self) -> None:
        """A burst is over."""
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Timer(self._after_s, self._give_back)
            self._timer.daemon = True
            self._timer.start()


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    # musl, the other C library of Linux, has no such function and does not need it.
    return library if hasattr(library, "malloc_trim") else None
