"""A folder for one load, which does not outlive its process for long."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

_NAME = re.compile(r"voiceflow-ml-load-(\d+)-")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder that only this user can read; those of processes that were killed are removed first."""
    for left in Path(tempfile.gettempdir()).glob("voiceflow-ml-load-*"):
        owner = _NAME.match(left.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"voiceflow-ml-load-{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
