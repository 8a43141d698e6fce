"""Tries one version in a process of its own: ``python -m voiceflow_ml.service.trial_child``, started by a server.

The job comes on standard input, one line; what is found goes to standard output, one JSON object a line:

* ``{"alive": true}``: it goes on; not more than once a second.
* ``{"note": ...}``: a step is done.
* ``{"refused": code, "sentence": ...}``: a step failed, and the version with it.
* ``{"failed": ...}``: the name of an exception that nobody expected; its traceback is on standard error.
* ``{"is_optimised": ..., "outputs": ...}``: every step is done. What was tried, and a hash of what it gave.

It ends with its server, even one that was killed: its standard input closes then.
"""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voiceflow_ml.service.swaps import Step
    from voiceflow_ml.service.trial_job import Job

_PIECE_BYTES = 1 << 16
_ALIVE_EVERY_S = 1.0
Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Read the job, try, tell."""
    line = _read_line()
    threading.Thread(target=_end_with_server, daemon=True).start()
    # What native code prints must not stand between the lines: it goes where errors go.
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        results.write(json.dumps(message) + "\n")

    # Not before: an import takes its time, and the server may be gone meanwhile.
    from voiceflow_ml.service.swaps import LoadRefused  # noqa: PLC0415
    from voiceflow_ml.service.trial_job import job_from_json  # noqa: PLC0415

    try:
        say(_tried(job_from_json(line), say))
    except LoadRefused as error:
        say({"refused": error.code, "sentence": str(error)})
    except Exception as error:  # whatever it is, the server must hear of it
        traceback.print_exc()
        say({"failed": type(error).__name__})


def _tried(job: Job, say: Say) -> dict[str, Any]:
    from voiceflow_ml.inference.ort_session import Optimising  # noqa: PLC0415
    from voiceflow_ml.service.opened import open_file  # noqa: PLC0415
    from voiceflow_ml.service.trial import Here  # noqa: PLC0415
    from voiceflow_ml.service.trials import digest_of, trial_inputs  # noqa: PLC0415

    candidate, plan, served = job.candidate, job.plan, None
    if job.served is not None:
        optimising = Optimising(is_done=job.served.is_optimised)
        served = open_file(
            job.served.path, job.served.contract, plan.target, threads=plan.threads, optimising=optimising
        )

    def tell(step: Step) -> None:
        say({"note": step.note})

    opened = Here(plan, on_run=_alive(say))(candidate, served, tell)
    inputs = trial_inputs(candidate.contract, candidate.golden_folder)
    first, again = (digest_of(opened.run_within(plan.longest_run_s, inputs)) for _ in range(2))
    # A model that draws random numbers gives nothing twice; and two sessions on a GPU need not agree to the bit, as
    # kernels are chosen there by a race between them.
    repeats = plan.is_plain and first == again
    return {"is_optimised": opened.is_optimised, "outputs": first if repeats else ""}


def _alive(say: Say) -> Callable[[], None]:
    """Says so before a run, but not every time: whoever reads it has other things to do."""
    said = [time.monotonic()]

    def on_run() -> None:
        if time.monotonic() - said[0] >= _ALIVE_EVERY_S:
            said[0] = time.monotonic()
            say({"alive": True})

    return on_run


def _read_line() -> bytes:
    # Without a buffer: the thread that waits for the end of the rest would hold its lock for ever.
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, _PIECE_BYTES)
        if not piece:
            os._exit(1)
        line += piece
    return line


def _end_with_server() -> None:
    while os.read(0, _PIECE_BYTES):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
