"""Runs of pytest in processes forked from one that has imported everything: what a run loads is not what is tried."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_PRELOADED = ["tests.faults.loaded"]


def fork_run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
    before: Callable[[], None] | None = None,
) -> BaseProcess:
    """Start pytest in a process of its own, in a folder, its output in a file.

    Args:
        arguments: of pytest.
        folder: where it is started.
        environment: all of its environment.
        output: takes what it prints.
        before: called in the child before pytest starts; must be known by its name in a module.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=_become, args=(list(arguments), folder, dict(environment), output, before))
    process.start()
    return process


def _become(
    arguments: list[str], folder: Path, environment: dict[str, str], output: Path, before: Callable[[], None] | None
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.pycache_prefix, sys.dont_write_bytecode, tempfile.tempdir = environment["PYTHONPYCACHEPREFIX"], False, None
    sys.argv = ["pytest", *arguments]
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    # What is started in the background by a shell ignores it, and hands that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if before is not None:
        before()
    import pytest  # noqa: PLC0415

    try:
        code = int(pytest.main(arguments))
    except KeyboardInterrupt:
        # As the interpreter ends that nobody caught it in.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        raise
    sys.stdout.flush()
    sys.stderr.flush()
    # What follows in the interpreter's end is this module's process, and not a run's.
    os._exit(code)
