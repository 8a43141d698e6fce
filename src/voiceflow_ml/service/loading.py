"""From a source to a version that may serve: each step must succeed, or the version in use stays.

The order is that of the cost: hashes, what the file states, what its contract says against that of the version in
use; only then is a session made of it, run, held to its golden pairs and timed.

The thread that loads keeps its priority and rests between runs instead (docs/adr/0011): a thread of low priority that
has the interpreter's lock and waits for a core holds up every request.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from voiceflow_ml.contract import Contract, Tensor, diff
from voiceflow_ml.contract.diff import Level
from voiceflow_ml.contract.golden import Arrays, Run
from voiceflow_ml.contract.model_file import KNOWN_DOMAINS
from voiceflow_ml.contract.tensors import MOST_OF_PROBLEMS, tensor_changes
from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.inference.ort_session import ORT_DTYPES
from voiceflow_ml.registry.registry import utc_now
from voiceflow_ml.service.ending import ended_after
from voiceflow_ml.service.scratch import scratch_folder
from voiceflow_ml.service.sources import Staged, stage
from voiceflow_ml.service.swaps import LoadRefused, Refusal, Step
from voiceflow_ml.service.trials import Smoke, golden_parity, smoke_speed, trial_inputs, warm_up
from voiceflow_ml.service.version import LoadedVersion, open_version

if TYPE_CHECKING:
    from voiceflow_ml.registry.registry import Registry

_OPERATOR_WORDS = ("No Op registered", "not a registered function/op", "Could not find an implementation")
_OPSET_WORDS = ("Opset", "opset", "IR version", "IR_VERSION")


@dataclass(frozen=True)
class LoadingPlan:
    """How versions are loaded.

    Attributes:
        threads: of one inference.
        target: where it runs.
        rest: after each run of a new version, how many times that run's time the loading thread rests.
        smoke: how a version's speed is tried.
        longest_run_s: a run of a new version that takes longer is ended, and the version refused.
    """

    threads: int = 1
    target: Target = CPU
    rest: float = 1.0
    smoke: Smoke = field(default_factory=Smoke)
    longest_run_s: float = 60.0


class Loader:
    """Loads versions of one model.

    Args:
        model: its name.
        registry: of that model; None where only folders and the shipped model can be loaded.
        plan: how.
        clock_ns: what steps are timed by.
        thread_time_ns: CPU time of the calling thread, what the speed is tried by.
        sleep_s: waits.
        now: the time that is written down.
    """

    def __init__(
        self,
        model: str,
        registry: Registry | None = None,
        *,
        plan: LoadingPlan | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        thread_time_ns: Callable[[], int] = time.thread_time_ns,
        sleep_s: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.model, self.registry = model, registry
        self._plan = plan or LoadingPlan()
        self._clock_ns, self._thread_time_ns = clock_ns, thread_time_ns
        self._sleep_s, self._now = sleep_s, now

    def load(self, source: str, served: LoadedVersion | None, steps: list[Step]) -> LoadedVersion:
        """Load a version; it takes as long as it takes.

        Args:
            source: as in :func:`voiceflow_ml.service.sources.stage`.
            served: the version in use, which the new one must not surprise the callers of; None when there is none.
            steps: gets every step that was made, the one that failed as well.

        Raises:
            LoadRefused: the version is not fit to serve.
        """
        smoke = self._plan.smoke
        # ONNX Runtime has read or mapped all that it needs when the session is made; nothing is left on the disk.
        with scratch_folder() as folder:
            with self._step("fetch and hash", steps) as note:
                staged = stage(source, self.model, self.registry, folder)
                note.append(staged.note)
            with self._step("contract", steps) as note:
                _check_stated(staged)
                note.append(_check_against(served, staged.contract))
            with self._step("open", steps):
                version = self._open(staged)
                _check_tensors(staged.contract, version.session)
            run = self._resting(version)
            with self._step("warm-up", steps) as note:
                inputs = trial_inputs(staged.contract, staged.golden_folder)
                note.append(warm_up(run, inputs, smoke))
            with self._step("golden parity", steps) as note:
                note.append(golden_parity(staged.contract, staged.golden_folder, run))
            with self._step("speed", steps) as note:
                served_run = self._resting(served) if served is not None else None
                note.append(smoke_speed(staged.contract, run, served_run, inputs, smoke, self._thread_time_ns))
        return version

    def _resting(self, version: LoadedVersion) -> Run:
        """Runs a version, and leaves the cores to the requests for a while afterwards."""

        def run(inputs: Arrays) -> Arrays:
            start_ns = self._clock_ns()
            with ended_after(self._plan.longest_run_s):
                outputs = version.run(inputs)
            self._sleep_s(self._plan.rest * (self._clock_ns() - start_ns) / 1e9)
            return outputs

        return run

    @contextlib.contextmanager
    def _step(self, name: str, steps: list[Step]) -> Iterator[list[str]]:
        start_ns, note = self._clock_ns(), list[str]()
        try:
            yield note
        except LoadRefused as error:
            note.append(str(error))
            raise
        finally:
            steps.append(Step(name, self._clock_ns() - start_ns, "; ".join(filter(None, note))))

    def _open(self, staged: Staged) -> LoadedVersion:
        try:
            return open_version(
                staged.path,
                model=self.model,
                version=staged.version,
                digest=staged.digest,
                contract=staged.contract,
                loaded_at=self._now().isoformat(timespec="seconds"),
                threads=self._plan.threads,
                target=self._plan.target,
            )
        except ModelFileError as error:
            sentence = str(error).replace(f"{staged.path.parent}/", "")
            raise LoadRefused(_code_of(sentence), sentence) from None


def _code_of(sentence: str) -> Refusal:
    """Which kind of refusal ONNX Runtime's own words stand for."""
    if any(words in sentence for words in _OPERATOR_WORDS):
        return Refusal.OPERATOR
    if "xternal data" in sentence:
        return Refusal.EXTERNAL_DATA
    return Refusal.OPSET if any(words in sentence for words in _OPSET_WORDS) else Refusal.UNREADABLE


def _check_stated(staged: Staged) -> None:
    header, contract = staged.header, staged.contract
    unknown = sorted(set(header.opset) - KNOWN_DOMAINS)
    if unknown:
        raise LoadRefused(
            Refusal.OPERATOR, f"it needs operators of {quoted(', '.join(unknown))}, which no runtime here brings along"
        )
    if dict(header.opset) != dict(contract.opset) or header.ir_version != contract.ir_version:
        raise LoadRefused(
            Refusal.OPSET,
            f"the file has opset {dict(header.opset)} and format (IR) {header.ir_version}, "
            f"its contract says {dict(contract.opset)} and {contract.ir_version}",
        )


def _check_against(served: LoadedVersion | None, contract: Contract) -> str:
    if served is None:
        return "nothing was served before"
    found = diff(served.contract, contract)
    if found.level is Level.MAJOR:
        reasons = quoted(
            "; ".join(change.reason for change in found.changes if change.level is Level.MAJOR), MOST_OF_PROBLEMS
        )
        raise LoadRefused(
            Refusal.CONTRACT_CHANGED,
            f"callers of {served.version} would break: {reasons}; start a server with this version beside this one",
        )
    return f"{found.level} change from {served.version}"


def _check_tensors(contract: Contract, session: Any) -> None:
    """The graph must be what its contract says, to the letter: also the ways that a caller would not notice."""
    stated = Contract(
        model=contract.model,
        inputs=_tensors(session.get_inputs()),
        outputs=_tensors(session.get_outputs()),
        opset=contract.opset,
        ir_version=contract.ir_version,
        computation_sha256=contract.computation_sha256,
    )
    problems = [reason for _, reason in tensor_changes(contract, stated)]
    if problems:
        raise LoadRefused(
            Refusal.CONTRACT_BROKEN,
            f"the model is not what its contract says: {quoted('; '.join(problems), MOST_OF_PROBLEMS)}",
        )


def _tensors(nodes: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            str(node.name),
            str(np.dtype(ORT_DTYPES[node.type])) if node.type in ORT_DTYPES else str(node.type),
            tuple(axis if isinstance(axis, int) else str(axis or "") for axis in node.shape),
        )
        for node in nodes
    )
