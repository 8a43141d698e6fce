"""The trial of a version in a process of its own, and the opening of what was tried in this one (docs/adr/0013)."""

from __future__ import annotations

import json
import logging
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from voiceflow_ml.inference.ort_session import Optimising
from voiceflow_ml.service.child_process import CAN_IDLE, ChildProcess, Priority, TookTooLong
from voiceflow_ml.service.kept import KeptFiles
from voiceflow_ml.service.logs import say
from voiceflow_ml.service.opened import Opened, open_file
from voiceflow_ml.service.swaps import LoadRefused, Refusal, Step, made
from voiceflow_ml.service.trial import STEPS, Candidate, LoadingPlan
from voiceflow_ml.service.trial_job import Job, ServedFile
from voiceflow_ml.service.trials import digest_of, promised_ns, trial_inputs

OPEN_HERE = "open here"
# -P: the folder that the server was started in is no place to import from.
COMMAND = (sys.executable, "-P", "-m", "voiceflow_ml.service.trial_child")
_HINTS = {"SIGKILL": "; the kernel sends it when memory is short"}


class Apart:
    """Tries versions in a process of low priority; one that crashes takes that one along, and not this.

    Args:
        plan: how.
        clock_ns: what steps are timed by.
        patience_s: beside its longest run, for how long a trial may show no sign of life: to start, to open the model.
        idle_s: for how long a trial may run only where a core has nothing else to do, before it begins again at a
            priority that gets it done on cores that are never idle.
        command: what is started.
    """

    def __init__(
        self,
        plan: LoadingPlan,
        *,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        patience_s: float = 300.0,
        idle_s: float = 20.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._plan, self._clock_ns, self._command = plan, clock_ns, command
        self._patience_s, self._idle_s = plan.longest_run_s + patience_s, idle_s
        self._child: ChildProcess | None = None
        self._closed = threading.Event()

    def __call__(self, candidate: Candidate, served: Opened | None, tell: Callable[[Step], None]) -> Opened:
        """All steps there, and one more here."""
        job = Job(candidate, self._plan, _served_file(candidate, served))
        tried = self._tried(job, tell, gives_way=served is not None)
        with made(OPEN_HERE, tell, self._clock_ns) as note:
            opened = self._opened(candidate, is_optimised=tried["is_optimised"])
            note.append(self._compared(candidate, opened, tried["outputs"]))
        return opened

    def close(self) -> None:
        """End the process that tries a version; from any thread."""
        self._closed.set()
        child = self._child
        if child is not None:
            child.kill()

    def _tried(self, job: Job, tell: Callable[[Step], None], *, gives_way: bool) -> dict[str, Any]:
        if not gives_way:
            # Before anything is served nobody has to be given way to, and somebody waits for the server.
            return self._attempt(job, tell, Priority.SAME)
        steps: list[Step] = []
        if CAN_IDLE:
            try:
                return self._attempt(job, steps.append, Priority.IDLE)
            except TookTooLong:
                say("no core had time for a trial; it begins again", after_s=self._idle_s)
                steps = []
            finally:
                for step in steps:
                    tell(step)
        return self._attempt(job, tell, Priority.LOWER)

    def _attempt(self, job: Job, tell: Callable[[Step], None], priority: Priority) -> dict[str, Any]:
        with ChildProcess(self._command, priority=priority) as child:
            self._child = child
            try:
                return self._heard(child, job, tell, self._idle_s if priority is Priority.IDLE else math.inf)
            finally:
                self._child = None

    def _heard(self, child: ChildProcess, job: Job, tell: Callable[[Step], None], total_s: float) -> dict[str, Any]:
        """Tell the steps as they come, and return what the process says in the end."""
        begun_ns, done = self._clock_ns(), 0
        child.send(job.to_json())
        if self._closed.is_set():
            child.kill()
        try:
            for line in child.lines(self._patience_s, total_s):
                message = json.loads(line)
                if "note" in message:
                    now_ns = self._clock_ns()
                    tell(Step(STEPS[done], now_ns - begun_ns, message["note"]))
                    begun_ns, done = now_ns, done + 1
                elif "alive" not in message:
                    return _verdict(message, child)
            refusal = self._ended(child)
        except TookTooLong:
            if total_s < math.inf:
                raise
            told = f"the process that tried it said nothing for {self._patience_s:g} s and was ended"
            refusal = LoadRefused(Refusal.CANNOT_RUN, told)
        tell(Step((*STEPS, OPEN_HERE)[done], self._clock_ns() - begun_ns, str(refusal)))
        raise refusal

    def _ended(self, child: ChildProcess) -> LoadRefused:
        """Why there is no verdict."""
        if self._closed.is_set():
            return LoadRefused(Refusal.FAILED, "the server is being stopped; load it when it runs again")
        how, last_words = child.end()
        say("a trial crashed", level=logging.ERROR, how=how, last_words=last_words)
        return LoadRefused(Refusal.CRASHED, f"trying it ended the process that tried it ({how}{_HINTS.get(how, '')})")

    def _opened(self, candidate: Candidate, *, is_optimised: bool) -> Opened:
        """Open what was tried, as it was tried."""
        path = candidate.save_as if is_optimised else candidate.path
        opened = open_file(
            path,
            candidate.contract,
            self._plan.target,
            threads=self._plan.threads,
            optimising=Optimising(is_done=is_optimised),
        )
        if promised_ns(candidate.contract) is not None:
            return opened
        return replace(opened, kept=KeptFiles(path.parent, (path.name, *candidate.weights)))

    def _compared(self, candidate: Candidate, opened: Opened, expected: str) -> str:
        inputs = trial_inputs(candidate.contract, candidate.golden_folder)
        outputs = opened.run_within(self._plan.longest_run_s, inputs)
        if not expected:
            return "it runs; two sessions of it need not agree to the bit"
        if digest_of(outputs) != expected:
            raise LoadRefused(Refusal.FAILED, "opened in the server, it gives other outputs than where it was tried")
        return "gives what it gave where it was tried, to the bit"


def _served_file(candidate: Candidate, served: Opened | None) -> ServedFile | None:
    """A copy of the version in use, where the speed of the new one is compared with it."""
    if served is None or served.kept is None or promised_ns(candidate.contract) is not None:
        return None
    try:
        path = served.kept.write_to(Path(tempfile.mkdtemp(prefix="served-", dir=candidate.save_as.parent)))
    except OSError as error:
        told = f"the version in use cannot be copied, to compare its speed with: {error.strerror}; make room in the"
        raise LoadRefused(Refusal.FAILED, f"{told} temporary folder") from None
    return ServedFile(path, served.contract, served.is_optimised)


def _verdict(message: dict[str, Any], child: ChildProcess) -> dict[str, Any]:
    if "refused" in message:
        raise LoadRefused(Refusal(message["refused"]), message["sentence"])
    if "failed" in message:
        _, last_words = child.end()
        say("a trial failed", level=logging.ERROR, last_words=last_words)
        raise LoadRefused(Refusal.FAILED, f"trying it failed ({message['failed']}); the log says more")
    return message
