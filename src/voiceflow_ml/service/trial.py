"""The trial of a version: it is opened, run, held to its golden pairs and timed, in the process that asks for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from voiceflow_ml.contract import Contract, Tensor
from voiceflow_ml.contract.golden import Arrays, Run
from voiceflow_ml.contract.tensors import MOST_OF_PROBLEMS, tensor_changes
from voiceflow_ml.errors import ModelFileError, quoted
from voiceflow_ml.hardware.targets import CPU, Target
from voiceflow_ml.inference.ort_session import ORT_DTYPES, Optimising
from voiceflow_ml.service.opened import Opened, open_file
from voiceflow_ml.service.swaps import LoadRefused, Refusal, Step, made
from voiceflow_ml.service.trials import Smoke, golden_parity, smoke_speed, trial_inputs, warm_up

OPEN, WARM_UP, GOLDEN, SPEED = STEPS = ("open", "warm-up", "golden parity", "speed")
_OPERATOR_WORDS = ("No Op registered", "not a registered function/op", "Could not find an implementation")
_OPSET_WORDS = ("Opset", "opset", "IR version", "IR_VERSION")


@dataclass(frozen=True)
class LoadingPlan:
    """How versions are tried.

    Attributes:
        threads: of one inference.
        target: where it runs.
        smoke: how a version's speed is tried.
        longest_run_s: a run of a new version that takes longer is ended, and the version refused.
    """

    threads: int = 1
    target: Target = CPU
    smoke: Smoke = field(default_factory=Smoke)
    longest_run_s: float = 60.0

    @property
    def is_plain(self) -> bool:
        """Whether all of it runs on ONNX Runtime's own CPU provider: what that optimised can be saved."""
        return self.target.providers == CPU.providers


@dataclass(frozen=True)
class Candidate:
    """A version whose files are here and agree with one another; nothing has opened it yet.

    Attributes:
        path: its model file.
        contract: what it claims to keep.
        golden_folder: where its golden files are; None where it has none.
        save_as: where its optimised graph is saved; beside its weights, where it has them in other files.
        weights: those files, relative to the model's.
    """

    path: Path
    contract: Contract
    golden_folder: Path | None
    save_as: Path
    weights: tuple[str, ...] = ()


class Trial(Protocol):
    """Tries versions."""

    def __call__(self, candidate: Candidate, served: Opened | None, tell: Callable[[Step], None]) -> Opened:
        """Try a version, and open it.

        Args:
            candidate: the version.
            served: the one in use, which one that promises no speed is compared with; None when there is none.
            tell: gets every step that was made, the one that failed as well.

        Raises:
            LoadRefused: the version is not fit to serve.
        """

    def close(self) -> None:
        """The server ends: a trial that goes on is ended, where it can be; from any thread."""


class Here:
    """Tries versions in this process: one that crashes takes it along.

    Args:
        plan: how.
        clock_ns: what steps are timed by.
        thread_time_ns: CPU time of the calling thread, what the speed is tried by.
        on_run: called before each run.
    """

    def __init__(
        self,
        plan: LoadingPlan | None = None,
        *,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        thread_time_ns: Callable[[], int] = time.thread_time_ns,
        on_run: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan or LoadingPlan()
        self._clock_ns, self._thread_time_ns, self._on_run = clock_ns, thread_time_ns, on_run

    def __call__(self, candidate: Candidate, served: Opened | None, tell: Callable[[Step], None]) -> Opened:
        """Make all steps, one after the other."""
        contract, golden_folder = candidate.contract, candidate.golden_folder
        smoke = self._plan.smoke
        with made(OPEN, tell, self._clock_ns):
            opened = _open(candidate, self._plan)
        run = self._bounded(opened)
        with made(WARM_UP, tell, self._clock_ns) as note:
            inputs = trial_inputs(contract, golden_folder)
            note.append(warm_up(run, inputs, smoke))
        with made(GOLDEN, tell, self._clock_ns) as note:
            note.append(golden_parity(contract, golden_folder, run))
        with made(SPEED, tell, self._clock_ns) as note:
            served_run = self._bounded(served) if served is not None else None
            note.append(smoke_speed(contract, run, served_run, inputs, smoke, self._thread_time_ns))
        return opened

    def _bounded(self, opened: Opened) -> Run:
        def run(inputs: Arrays) -> Arrays:
            self._on_run()
            return opened.run_within(self._plan.longest_run_s, inputs)

        return run

    def close(self) -> None:
        """A thread cannot be ended: a trial that goes on comes to its end."""


def _open(candidate: Candidate, plan: LoadingPlan) -> Opened:
    """What is tried from here on is what will serve, from the same file and with the same settings."""
    if plan.is_plain:
        # A graph that cannot be saved, for its size or for a folder that is full, is tried as it came.
        with contextlib.suppress(ModelFileError):
            _checked(candidate, plan, Optimising(save_as=candidate.save_as))
            return open_file(
                candidate.save_as,
                candidate.contract,
                plan.target,
                threads=plan.threads,
                optimising=Optimising(is_done=True),
            )
    try:
        return _checked(candidate, plan, None)
    except ModelFileError as error:
        sentence = str(error).replace(f"{candidate.path.parent}/", "")
        raise LoadRefused(_code_of(sentence), sentence) from None


def _checked(candidate: Candidate, plan: LoadingPlan, optimising: Optimising | None) -> Opened:
    opened = open_file(candidate.path, candidate.contract, plan.target, threads=plan.threads, optimising=optimising)
    _check_tensors(candidate.contract, opened.session)
    return opened


def _code_of(sentence: str) -> Refusal:
    """Which kind of refusal ONNX Runtime's own words stand for."""
    if any(words in sentence for words in _OPERATOR_WORDS):
        return Refusal.OPERATOR
    if "xternal data" in sentence:
        return Refusal.EXTERNAL_DATA
    return Refusal.OPSET if any(words in sentence for words in _OPSET_WORDS) else Refusal.UNREADABLE


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
