"""Wait for a machine to finish, and say what it is at and, where it fails, what it said last."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from voiceflow_ml.errors import CloudError
from voiceflow_ml.gcp.api import Compute
from voiceflow_ml.gcp.failures import PreemptedError, StartupError
from voiceflow_ml.gcp.plan import Plan
from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.registry.store import NotThereError, Store
from voiceflow_ml.units import NS_PER_S

_POLL_NS = 10 * NS_PER_S
_GRACE_NS = 300 * NS_PER_S
_TAIL_LINES = 20
_UP = ("PROVISIONING", "STAGING", "RUNNING")
_PREFIX = "voiceflow: "

Say = Callable[[str], object]


@dataclass(frozen=True)
class Ending:
    """What the start-up script wrote down when it ended.

    Attributes:
        stage: the last that it began; ``done`` when it came through.
        status: its exit status.
        pytest: exit status of the measurement; None when it did not come to that.
    """

    stage: str
    status: int
    pytest: int | None

    @property
    def sentence(self) -> str:
        """The ending for a reader."""
        if self.pytest is None:
            return f"nothing was measured: stage {self.stage} ended with status {self.status}"
        return f"measured: pytest ended with status {self.pytest}"


def read_ending(plan: Plan, store: Store) -> Ending | None:
    """What the machine wrote at its end; None while it has not.

    Raises:
        CloudError: what is there is not an ending.
    """
    path = f"{plan.folder}/outcome.json"
    try:
        content = json.loads(store.read(path))
        if content["run"] != plan.run_id:
            raise ValueError("it is of another run")
        measured = content["pytest"]
        return Ending(str(content["stage"]), int(content["status"]), None if measured is None else int(measured))
    except NotThereError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise CloudError(f"{store.url}/{path} is not what the start-up script writes: {error}") from None


class Watch:
    """One machine, watched until it has written its ending or is no more."""

    def __init__(self, plan: Plan, zone: str, compute: Compute, store: Store, clock: Clock, say: Say) -> None:
        self._plan, self._zone, self._compute, self._store = plan, zone, compute, store
        self._clock, self._say = clock, say
        self._position = 0
        self._lines: list[str] = []
        self._rest = ""

    def until_ended(self) -> Ending:
        """Wait.

        Raises:
            PreemptedError: the machine was taken back.
            StartupError: it went away, or came to no end, without having measured.
            CloudError: Compute Engine or the store do not answer.
        """
        deadline_ns = self._clock.now_ns() + self._plan.max_run_s * NS_PER_S + _GRACE_NS
        while True:
            # Asked before the store: what a machine wrote before it went away is there afterwards.
            machine = self._compute.machine(self._zone, self._plan.machine)
            ending = read_ending(self._plan, self._store)
            self._listen()
            if ending is not None:
                return self._judged(ending)
            if machine is None or machine.status not in _UP:
                raise self._gone("is no more" if machine is None else f"is {machine.status}")
            if self._clock.now_ns() > deadline_ns:
                raise StartupError(self._with_tail("has not ended within its longest run"))
            self._clock.sleep_ns(_POLL_NS)

    def _judged(self, ending: Ending) -> Ending:
        if ending.pytest is None or ending.status != 0:
            raise StartupError(self._with_tail(f"failed in stage {ending.stage} with status {ending.status}"))
        return ending

    def _gone(self, what: str) -> CloudError:
        if self._compute.preempted(self._zone, self._plan.machine):
            return PreemptedError(
                f"{self._plan.machine} in {self._zone} was taken back by Compute Engine, as a Spot machine may be at "
                "any time; plan again, without --spot for numbers that are published"
            )
        return StartupError(self._with_tail(f"{what}, and wrote no outcome"))

    def _with_tail(self, what: str) -> str:
        tail = [*self._lines, *([self._rest] if self._rest else [])][-_TAIL_LINES:]
        shown = "".join(f"\n  | {line}" for line in tail) or "\n  | (nothing)"
        return f"{self._plan.machine} in {self._zone} {what}; the last of its serial port:{shown}"

    def _listen(self) -> None:
        text, self._position = self._compute.serial(self._zone, self._plan.machine, self._position)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            # A machine's words go to a terminal: no control characters.
            clean = "".join(c if c.isprintable() else " " for c in line).rstrip()
            self._lines.append(clean)
            if f"{_PREFIX}{self._plan.run_id}: " in clean:
                self._say(clean[clean.index(_PREFIX) :])
        del self._lines[:-_TAIL_LINES]
