"""Measured tests take turns on a device: two at once would time each other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_WAIT_BETWEEN_NOTICES_S = 10.0


@contextmanager
def device_lock(device: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the device against other measured tests of the same user, waiting as long as it takes.

    The lock is the operating system's: it falls with the process that holds it, however that ends.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        tell: told, every ten seconds, that this test is waiting.
    """
    folder = Path(tempfile.gettempdir()) / f"voiceflow-ml-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = FileLock(folder / f"{device}.lock")
    while True:
        try:
            lock.acquire(timeout=_WAIT_BETWEEN_NOTICES_S)
            break
        except Timeout:
            tell(f"waiting: somebody else is measuring on {device}")
    try:
        yield
    finally:
        lock.release()
