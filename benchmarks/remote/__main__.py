"""The shipped model's P50 in a Ray actor beside the same in this process, in turns.

Rounds of both in random order, so that a drifting machine moves both alike; each round takes the same number of
samples back to back. The ratio is the centre of the rounds' ratios with its signed-rank interval, on the wall clock,
which the exit code goes by, and without run-queue wait, which says more while others use the machine::

    python -m benchmarks.remote --json benchmarks/remote/results.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.hardware.targets import CPU, TARGETS
from voiceflow_ml.inference.declared import declared_inputs
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import Channels, SamplingPlan, percentile
from voiceflow_ml.latency.signed_rank import centre_interval
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.remote.actor import MeasuringActor, answers_from
from voiceflow_ml.remote.job import Job, Shipment, Taken
from voiceflow_ml.remote.packing import pack
from voiceflow_ml.remote.taking import take
from voiceflow_ml.sla.load import parse_sla
from voiceflow_ml.sla.objectives import Objective, Promise, Stage

LIMIT = 0.05
"""The actor's P50 may differ by this much."""
CONFIDENCE = 0.99
_SLA = """\
version = 1
[models.fast-cnn]
file = "builtin:fast-cnn"
inputs = { audio = "builtin:speech" }
"""
_STORE_BYTES = 80 * 2**20
_ANSWER_S = 300


def never(_channels: Channels) -> bool:
    """Take all samples."""
    return False


def shipment(samples: int) -> Shipment:
    """The shipped model on shipped speech, so many samples back to back."""
    spec = parse_sla(_SLA, Path("sla.toml")).models["fast-cnn"]
    model = open_onnx(shipped_model_path(), CPU)
    arrays, inputs = declared_inputs(spec, model)
    packed = pack(model, None)
    stage = Stage.MODEL_INFERENCE
    promise = Promise("fast-cnn", stage, CPU.name, (Objective("fast-cnn", stage, CPU.name, 0.5, 10**9),), "here")
    plan = SamplingPlan((samples,), samples, span_ns=0, pilot_calls=50)
    job = Job(
        promise=promise,
        target=CPU,
        opened_on=CPU,
        model=packed.model,
        files=packed.files,
        threads=1,
        options=model.options,
        plan=plan,
        decided=never,
        arguments=tuple(arrays),
        inputs=inputs,
    )
    return Shipment(CPU, TARGETS, (job,), packed.contents)


Reading = tuple[int, int]
"""P50 of one round on the wall clock, and without the time that the thread stood in a run queue; nanoseconds."""


def reading(answer: object) -> Reading:
    """Both P50s of a job's samples; a job that failed ends the benchmark."""
    if not isinstance(answer, Taken):
        raise SystemExit(f"nothing was measured: {answer}")
    channels = answer.run.channels
    adjusted_ns = channels.wall_ns if channels.adjusted_ns is None else channels.adjusted_ns
    return percentile(channels.wall_ns, 0.5), percentile(adjusted_ns, 0.5)


def in_turns(here: Callable[[], Reading], there: Callable[[], Reading], rounds: int) -> list[tuple[Reading, Reading]]:
    """What each round reads here and there; which comes first is drawn anew."""
    order = random.Random(0)  # noqa: S311 - the order must be balanced, not secret
    pairs = []
    for place in range(rounds):
        if order.random() < 0.5:
            mine = here()
            pairs.append((mine, there()))
        else:
            theirs = there()
            pairs.append((here(), theirs))
        (here_ns, _), (there_ns, _) = pairs[-1]
        print(f"round {place + 1}: here {here_ns / 1e6:.3f} ms, actor {there_ns / 1e6:.3f} ms", flush=True)
    return pairs


def compared(pairs: list[tuple[int, int]]) -> dict[str, Any]:
    """The ratio actor / here on one clock, its interval, and whether it keeps the limit."""
    low, centre, high = centre_interval(np.log([theirs / mine for mine, theirs in pairs]), CONFIDENCE)
    return {
        "here_p50_ns": [mine for mine, _ in pairs],
        "actor_p50_ns": [theirs for _, theirs in pairs],
        "ratio": math.exp(centre),
        "ratio_low": None if low is None else math.exp(low),
        "ratio_high": None if high is None else math.exp(high),
        "within": abs(math.exp(centre) - 1) <= LIMIT,
    }


def line(clock: str, found: dict[str, Any]) -> str:
    """The ratio on one clock, for people."""
    ends = (found["ratio_low"], found["ratio_high"])
    low, high = ("unknown" if value is None else f"{value:.3f}" for value in ends)
    kept = "within" if found["within"] else "beyond"
    return f"P50 in the actor / here, {clock} clock: {found['ratio']:.3f} [{low}, {high}], {kept} {LIMIT:.0%}"


def main() -> None:
    """Measure, print the ratio, write JSON; exit code 1 beyond the limit."""
    import ray  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=_STORE_BYTES, log_to_driver=False)
    try:
        sent = shipment(options.samples)
        actor = ray.remote(MeasuringActor).options(num_cpus=1).remote()

        def there() -> Reading:
            return reading(answers_from(ray.get(actor.measure.remote(sent), timeout=_ANSWER_S))[0])

        pairs = in_turns(lambda: reading(take(sent)[0]), there, options.rounds)
    finally:
        ray.shutdown()
    found = {
        clock: compared([(mine[place], theirs[place]) for mine, theirs in pairs])
        for place, clock in enumerate(("wall", "adjusted"))
    }
    for clock, ratio in found.items():
        print(line(clock, ratio))
    if options.json is not None:
        content = {"confidence": CONFIDENCE, "limit": LIMIT, "machine": probe_machine(), **found}
        write_text_atomic(options.json, json.dumps(content, indent=1) + "\n")
    raise SystemExit(0 if found["wall"]["within"] else 1)


if __name__ == "__main__":
    main()
