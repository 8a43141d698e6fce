"""What a version has to show before it serves anyone: it runs, on finite numbers, rightly, and fast enough."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.contract import Contract
from voiceflow_ml.contract.golden import Arrays, Run, golden_problems, read_golden
from voiceflow_ml.errors import ContractError, ModelFileError
from voiceflow_ml.latency.evalue import log_e_few, log_e_many
from voiceflow_ml.service.swaps import LoadRefused, Refusal
from voiceflow_ml.units import format_ns

STAGE, TARGET = "model-inference", "cpu"
_FEWEST_SAMPLES = 400
"""Length of a dynamic axis where the contract does not say what the model was trained on."""
_MOST_NUMBERS = 1 << 24
"""Numbers in the inputs that are made up to try a version: a contract is a stranger's, and memory is everybody's."""


@dataclass(frozen=True)
class Smoke:
    """How the speed of a new version is tried.

    Attributes:
        warm_up_runs: before anything is timed.
        most_runs: no more are timed; without a decision by then the version is refused.
        times_served: where the contract promises nothing: by how much more CPU time than the version in use it
            may take in more than half of all runs.
        confidence: 1 - the chance of letting a version pass whose median is over the limit.
    """

    warm_up_runs: int = 3
    most_runs: int = 40
    times_served: float = 2.0
    confidence: float = 0.99


def trial_inputs(contract: Contract, golden_folder: Path | None) -> Arrays:
    """Inputs to try a version on: those of its first golden pair, else quiet noise of the length it was trained on.

    Raises:
        LoadRefused: a golden file cannot be used, or the contract asks for inputs that are too large to be made up.
    """
    if golden_folder is None or not contract.golden:
        sizes = {tensor.name: _sizes(contract, tensor.axes) for tensor in contract.inputs}
        numbers = sum(math.prod(axes) for axes in sizes.values())
        if numbers > _MOST_NUMBERS:
            told = f"inputs of its contract's shapes hold {numbers:.3g} numbers; at most {_MOST_NUMBERS} are made up"
            raise LoadRefused(Refusal.CANNOT_RUN, f"{told}: add a golden pair of the sizes that are meant")
        noise = np.random.default_rng(0)
        return {tensor.name: _noise(noise, tensor.dtype, sizes[tensor.name]) for tensor in contract.inputs}
    try:
        return read_golden(golden_folder, contract.golden[0])[0]
    except ContractError as error:
        raise LoadRefused(Refusal.GOLDEN, str(error).replace(f"{golden_folder}/", "")) from None


def _sizes(contract: Contract, axes: tuple[int | str, ...]) -> list[int]:
    samples = contract.signal.window_samples if contract.signal else _FEWEST_SAMPLES
    first, *rest = axes or (1,)
    return [first if isinstance(first, int) else 1, *(size if isinstance(size, int) else samples for size in rest)]


def _noise(noise: np.random.Generator, dtype: str, sizes: list[int]) -> NDArray[np.generic]:
    kind = np.dtype(dtype)
    return (0.05 * noise.standard_normal(sizes)).astype(kind) if kind.kind == "f" else np.ones(sizes, kind)


def warm_up(run: Run, inputs: Arrays, smoke: Smoke) -> str:
    """Run a version a few times, and once on silence; every number that it gives must be finite.

    Returns:
        What was done.

    Raises:
        LoadRefused: it does not run, or gives a NaN or an infinity.
    """
    silence = {name: np.zeros_like(array) if array.dtype.kind == "f" else array for name, array in inputs.items()}
    try:
        for what, feeds in (("the trial inputs", inputs),) * smoke.warm_up_runs + (("silence", silence),):
            _check_finite(run(feeds), what)
    except ModelFileError as error:
        raise LoadRefused(Refusal.CANNOT_RUN, str(error)) from None
    return f"{smoke.warm_up_runs} runs and one on silence, every number finite"


def _check_finite(outputs: Arrays, what: str) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise LoadRefused(Refusal.NOT_FINITE, f"output {name!r} holds a NaN or an infinity for {what}")


def digest_of(outputs: Arrays) -> str:
    """A hash of outputs, to the bit."""
    found = hashlib.sha256()
    for name, array in outputs.items():
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def golden_parity(contract: Contract, golden_folder: Path | None, run: Run) -> str:
    """Hold a version to the outputs that its trained network gave.

    Raises:
        LoadRefused: an output is further off than its contract lets pass.
    """
    if golden_folder is None:
        return "not checked: no golden files came with it"
    try:
        problems = golden_problems(contract, golden_folder, run)
    except (ContractError, ModelFileError) as error:
        problems = [str(error).replace(f"{golden_folder}/", "")]
    if problems:
        raise LoadRefused(Refusal.GOLDEN, "; ".join(problems))
    return f"{len(contract.golden)} pairs within their tolerance"


def smoke_speed(
    contract: Contract,
    run: Run,
    served_run: Run | None,
    inputs: Arrays,
    smoke: Smoke,
    thread_time_ns: Callable[[], int],
) -> str:
    """Try whether a version's median is within its limit, by the CPU time of this thread.

    CPU time and not the clock: the requests that are served meanwhile must not make a good version look slow. Runs
    count as over or within; the evidence is an e-value (``latency.evalue``), so it stops as soon as it is enough. A
    P99 would need thousands of runs: that one is for the gate before publishing, and for the watch afterwards.

    Args:
        contract: of the new version.
        run: runs it.
        served_run: runs the one in use, which a version without a promise is compared with, run for run.
        inputs: of both.
        smoke: how.
        thread_time_ns: CPU time of this thread; one thread does all the work of an inference.

    Returns:
        What was found.

    Raises:
        LoadRefused: it is too slow, or it stays open whether it is.
    """
    limit_ns = promised_ns(contract)
    if limit_ns is None and served_run is None:
        return "not checked: the contract promises nothing, and nothing is in use to compare with"

    def limit_of_this_run_ns() -> float:
        if limit_ns is not None or served_run is None:
            return float(limit_ns or 0)
        return smoke.times_served * _timed_ns(served_run, inputs, thread_time_ns)

    threshold = -math.log1p(-smoke.confidence)
    times_ns: list[int] = []
    limits_ns: list[float] = []
    over = 0
    for runs in range(1, smoke.most_runs + 1):
        times_ns.append(_timed_ns(run, inputs, thread_time_ns))
        limits_ns.append(limit_of_this_run_ns())
        over += times_ns[-1] > limits_ns[-1]
        if log_e_few(over, runs, 0.5, 1.0) >= threshold:
            return _sentence(times_ns, limits_ns, limit_ns, smoke)
        if log_e_many(over, runs, 0.5, 1.0) >= threshold:
            break
    found = _sentence(times_ns, limits_ns, limit_ns, smoke)
    raise LoadRefused(Refusal.TOO_SLOW, f"{over} of {len(times_ns)} runs are over the limit: {found}")


def promised_ns(contract: Contract) -> int | None:
    """What a version's speed is held to; None where its contract promises none."""
    limits = [promise.limit_ns for promise in contract.sla if (promise.stage, promise.target) == (STAGE, TARGET)]
    return min(limits, default=None)


def _timed_ns(run: Run, inputs: Arrays, thread_time_ns: Callable[[], int]) -> int:
    start_ns = thread_time_ns()
    run(inputs)
    return thread_time_ns() - start_ns


def _sentence(times_ns: list[int], limits_ns: list[float], limit_ns: int | None, smoke: Smoke) -> str:
    median_ns, most_ns = (round(float(np.median(values))) for values in (times_ns, limits_ns))
    source = "promised" if limit_ns is not None else f"{smoke.times_served:g} times the version in use"
    return f"median CPU time {format_ns(median_ns)} in {len(times_ns)} runs, limit {format_ns(most_ns)} ({source})"
