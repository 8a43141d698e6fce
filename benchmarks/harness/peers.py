"""How each harness is asked to measure one call: through what it offers in public, with its own defaults.

polygraphy and LoadGen measure inside this process and share its session. pytest-benchmark is a pytest of its own, and
pyperf starts processes itself: each opens the same file in the same way.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.harness.ours import WARM_UP_CALLS, bare_pair, contiguous, contiguous_counted, spread
from benchmarks.harness.reading import Harness, Reading, Request

HERE = Path(__file__).parent
MODEL_VARIABLE = "HARNESS_MODEL"
SAMPLES_VARIABLE = "HARNESS_SAMPLES"


def pytest_benchmark_auto(request: Request) -> Reading:
    """``benchmark(call)``, calibrated by pytest-benchmark."""
    return _pytest_benchmark(request, "test_auto")


def pytest_benchmark_pedantic(request: Request) -> Reading:
    """``benchmark.pedantic(call, rounds=samples)``."""
    return _pytest_benchmark(request, "test_pedantic")


def pyperf_auto(request: Request) -> Reading:
    """``Runner().bench_func``, calibrated by pyperf: each value is the mean of many calls."""
    return _pyperf(request, [])


def pyperf_single(request: Request) -> Reading:
    """``Runner().bench_func`` with one call per value."""
    return _pyperf(request, ["--loops=1", f"--values={request.samples}", f"--warmups={WARM_UP_CALLS}"])


def polygraphy(request: Request) -> Reading:
    """``OnnxrtRunner.infer``, and what ``last_inference_time`` says after each."""
    from polygraphy.backend.onnxrt import OnnxrtRunner  # noqa: PLC0415

    values_ns = []
    with OnnxrtRunner(request.subject.session) as runner:
        for _ in range(WARM_UP_CALLS):
            runner.infer(request.subject.feeds, check_inputs=False)
        for _ in range(request.samples):
            runner.infer(request.subject.feeds, check_inputs=False)
            values_ns.append(round(runner.last_inference_time() * 1e9))
    return Reading(request.samples, values_ns=values_ns)


def loadgen(request: Request) -> Reading:
    """MLPerf LoadGen, scenario SingleStream: the next query is issued when the one before is complete."""
    import mlperf_loadgen as lg  # noqa: PLC0415

    call, respond, answer = request.subject.call, lg.QuerySamplesComplete, lg.QuerySampleResponse

    def issue(queries: list[lg.QuerySample]) -> None:
        call()
        respond([answer(query.id, 0, 0) for query in queries])

    for _ in range(WARM_UP_CALLS):
        call()
    settings, logs = lg.TestSettings(), lg.LogSettings()
    settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
    settings.min_duration_ms = 0
    settings.min_query_count = settings.max_query_count = request.samples
    logs.enable_trace = False
    logs.log_output.outdir = str(request.scratch)
    under_test = lg.ConstructSUT(issue, _nothing)
    library = lg.ConstructQSL(1, 1, _nothing, _nothing)
    try:
        lg.StartTestWithLogSettings(under_test, library, settings, logs)
    finally:
        lg.DestroyQSL(library)
        lg.DestroySUT(under_test)
    return read_loadgen_summary((request.scratch / "mlperf_log_summary.txt").read_text(encoding="utf-8"))


def read_loadgen_summary(text: str) -> Reading:
    """Read what LoadGen wrote about a SingleStream run into its summary file."""
    percentiles = {
        name: float(ns) for name, ns in re.findall(r"^([\d.]+) percentile latency \(ns\)\s*: (\d+)", text, re.M)
    }
    early = re.search(r"Early stopping 99(?:\.0)?th percentile estimate: (\d+)", text)
    calls = re.search(r"Processed at least \d+ queries \((\d+)\)", text)
    return Reading(
        calls=int(calls[1]) if calls else 0,
        p50_ns=percentiles["50.00"],
        p99_ns=percentiles["99.00"],
        notes={"early-stopping P99": float(early[1])} if early else {},
    )


def _nothing(*_arguments: object) -> None:
    """For what LoadGen wants to be told about loading samples: ours are always there."""


def _pytest_benchmark(request: Request, test: str) -> Reading:
    results, settings = request.scratch / "pytest-benchmark.json", request.scratch / "pytest.ini"
    results.unlink(missing_ok=True)
    settings.write_text("[pytest]\n", encoding="utf-8")
    # On its own: without this checkout's settings, its conftest.py and its plugin.
    alone = ["-c", str(settings), "--rootdir", str(request.scratch), "--noconftest", "-p", "no:cacheprovider"]
    options = [*alone, "-p", "no:voiceflow_ml.pytest_plugin", "-q", f"--benchmark-json={results}"]
    said = {"PYTEST_ADDOPTS": "", MODEL_VARIABLE: str(request.subject.path), SAMPLES_VARIABLE: str(request.samples)}
    _run_python("-m", "pytest", *options, f"{HERE / 'pytest_peer.py'}::{test}", environment=said)
    stats = json.loads(results.read_text(encoding="utf-8"))["benchmarks"][0]["stats"]
    return Reading(
        calls=stats["rounds"] * stats["iterations"],
        p50_ns=stats["median"] * 1e9,
        values_ns=[round(value * 1e9) for value in stats["data"]],
        notes={"mean": stats["mean"] * 1e9},
    )


def _pyperf(request: Request, options: list[str]) -> Reading:
    import pyperf  # noqa: PLC0415

    results = request.scratch / "pyperf.json"
    results.unlink(missing_ok=True)
    asked = ["--processes=1", "--inherit-environ=PYTHONPATH", "--quiet", f"--output={results}", *options]
    _run_python(str(HERE / "pyperf_worker.py"), str(request.subject.path), *asked, environment={})
    benchmark = pyperf.Benchmark.load(str(results))
    values_ns = [round(value * 1e9) for value in benchmark.get_values()]
    return Reading(
        calls=len(values_ns) * benchmark.get_loops(),
        p50_ns=benchmark.median() * 1e9,
        p99_ns=benchmark.percentile(99) * 1e9,
        values_ns=values_ns,
        notes={"mean": benchmark.mean() * 1e9},
    )


def _run_python(*arguments: str, environment: dict[str, str]) -> None:
    """Run this Python in a process of its own, which finds these modules; what it says is shown when it fails."""
    path = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]))
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, text=True, env=variables)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} could not measure:\n{done.stdout}{done.stderr}")


HARNESSES = (
    Harness("bare clock pair", "", "", bare_pair, "each call timed by hand; percentiles by nearest rank, as ours"),
    Harness("ours, contiguous", "", "", contiguous, "each call; P50 and P99 by nearest rank, an observed value"),
    Harness(
        "ours, contiguous, counters", "", "", contiguous_counted, "the same, the scheduler's counters read between"
    ),
    Harness(
        "ours, spread, counters",
        "",
        "",
        spread,
        "as the plugin measures: blocks of ten, random gaps between, the control workload after each block",
    ),
    Harness(
        "pytest-benchmark auto",
        "pytest_benchmark",
        "pytest-benchmark",
        pytest_benchmark_auto,
        "each round, the mean of its iterations, in a process of its own; reports the median, no P99",
    ),
    Harness(
        "pytest-benchmark pedantic",
        "pytest_benchmark",
        "pytest-benchmark",
        pytest_benchmark_pedantic,
        "each call, in a process of its own; reports the median, no P99",
    ),
    Harness(
        "pyperf auto",
        "pyperf",
        "pyperf",
        pyperf_auto,
        "each value is the mean of many calls, for at least 0.1 s: its P99, by its API, is one of means and no call's",
    ),
    Harness(
        "pyperf --loops=1",
        "pyperf",
        "pyperf",
        pyperf_single,
        "each call, in a process of its own; its statistics end at the P95, its API gives any percentile, interpolated",
    ),
    Harness(
        "polygraphy OnnxrtRunner",
        "polygraphy",
        "polygraphy",
        polygraphy,
        "the last call alone, by time.time(), whose steps are 0.24 us; reports no percentile and no mean",
    ),
    Harness(
        "MLPerf LoadGen SingleStream",
        "mlperf_loadgen",
        "mlcommons-loadgen",
        loadgen,
        "each query, from issue to completion through its Python callback; P50 and P99 are the sorted value of "
        "index floor(n q) from 0, one rank above the nearest where n q is whole",
    ),
)
