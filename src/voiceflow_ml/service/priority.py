"""Work in a thread of its own that gives way to the threads that answer requests."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def run_giving_way(work: Callable[[], Result], *, niceness: int) -> Result:
    """Do work in a new thread of lower priority, wait for it, and return or raise what it did.

    Linux gives each thread a priority of its own; elsewhere the work runs at the usual one. A thread that gave its
    priority up cannot take it back, so none is used twice.

    Args:
        work: what to do.
        niceness: 0 for the usual priority, up to 19 for the lowest.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            _lower_priority(niceness)
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="voiceflow-load", daemon=True)
    thread.start()
    thread.join()
    try:
        if errors:
            raise errors[0]
        return results[0]
    finally:
        # An error that is kept in a list that its own frames hold keeps the session that failed with it.
        errors.clear()
        results.clear()


def _lower_priority(niceness: int) -> None:
    if niceness > 0 and sys.platform == "linux":
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, own + niceness))
