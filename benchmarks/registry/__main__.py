"""List a thousand versions on ``file://``, and ten of them, in turns.

    python -m benchmarks.registry [--versions 1000] [--rounds 15]

Versions are what a publish leaves: a sealed manifest each, their files, promotions in two channels, some yanked. Timed
is ``voiceflow list`` as a process, Python's start included, and the listing alone, in a process that has listed before:
wall time, and CPU time, which other load on the machine moves little. Writes ``benchmarks/registry/results.json`` and
prints the table.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from voiceflow_ml.files import hash_bytes, write_text_atomic
from voiceflow_ml.hardware.probe import probe_machine
from voiceflow_ml.registry.manifest import Manifest, PublishedFile
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.units import NS_PER_S

RESULTS = Path(__file__).with_name("results.json")
MODEL = "fast-cnn"
FEW = 10
LIMIT_S = 1.0
_NAMES = (f"{MODEL}.onnx", "contract.json")
_EVERY = 50


def fill(url: str, versions: int) -> Registry:
    """A registry of so many versions, as publishing, promoting and yanking leave it; files are short."""
    registry = Registry(Store(url), MODEL)
    for number in range(versions):
        version = f"{number // 100}.{number // 10 % 10}.{number % 10}"
        files = {}
        for name in _NAMES:
            data = f"{name} of {version}".encode()
            sha256 = hash_bytes(data)
            files[name] = PublishedFile(sha256, len(data), f"files/{version}/{sha256[:16]}/{name}")
            registry.store.create(f"{MODEL}/{files[name].path}", data)
        manifest = Manifest(MODEL, version, files, published_by="benchmark", published_at=registry.time())
        registry.store.create(registry.manifest_path(version), manifest.to_bytes())
        if number % _EVERY == _EVERY // 2:
            registry.yank(version, who="benchmark", why="one of some")
        if number % _EVERY == 0:
            registry.promote(version, "prod" if number % 100 else "canary", who="benchmark", why="one of many")
    return registry


@dataclass(frozen=True)
class Taken:
    """What one call took.

    Attributes:
        wall_s: wall time, in seconds.
        cpu_s: CPU time of this process and of those that it started, in seconds.
    """

    wall_s: float
    cpu_s: float


def taken(work: Callable[[], object]) -> Taken:
    """Time one call."""
    begun_ns, cpu_s = time.perf_counter_ns(), _cpu_s()
    work()
    return Taken((time.perf_counter_ns() - begun_ns) / NS_PER_S, _cpu_s() - cpu_s)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def command(url: str, expected: int) -> None:
    """``voiceflow list`` in a process of its own.

    Raises:
        RuntimeError: it listed another number of versions.
    """
    line = [sys.executable, "-m", "voiceflow_ml.cli", "list", MODEL, "--registry", url]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    if len(done.stdout.splitlines()) != expected:
        raise RuntimeError(f"{len(done.stdout.splitlines())} of {expected} versions were listed")


def measured(registries: dict[int, tuple[str, Registry]], rounds: int) -> dict[str, list[Taken]]:
    """Label -> each round, all kinds in turns, in random order."""
    works: dict[str, Callable[[], object]] = {}
    for versions, (url, registry) in registries.items():
        works[f"voiceflow list, {versions} versions"] = partial(command, url, versions)
        works[f"the listing alone, {versions} versions"] = registry.list
    order = random.Random(0)  # noqa: S311 - irregular, not secret
    rows: dict[str, list[Taken]] = {label: [] for label in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for label in order.sample(list(works), len(works)):
            rows[label].append(taken(works[label]))
    return rows


def table(rows: dict[str, list[Taken]]) -> str:
    """What was measured, as Markdown."""
    lines = ["| | wall, median | wall, slowest | CPU, median |", "|---|---|---|---|"]
    for label, values in rows.items():
        walls, cpus = [one.wall_s for one in values], [one.cpu_s for one in values]
        numbers = (statistics.median(walls), max(walls), statistics.median(cpus))
        lines.append(f"| {label} | {' | '.join(f'{1e3 * number:.0f} ms' for number in numbers)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, write and print; 1 when listing took a second or more at its median."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.registry", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--versions", type=int, default=1000, help="how many versions (more than 10)")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registries = {}
        for versions in (FEW, given.versions):
            url = (Path(folder) / str(versions)).as_uri()
            registries[versions] = (url, fill(url, versions))
        rows = measured(registries, given.rounds)
    content = {
        "machine": probe_machine(),
        "versions": given.versions,
        "files_per_version": len(_NAMES) + 1,
        "rows": {label: [asdict(one) for one in values] for label, values in rows.items()},
    }
    write_text_atomic(given.json, json.dumps(content, indent=1) + "\n")
    print(table(rows))
    slowest = statistics.median(one.wall_s for one in rows[f"the listing alone, {given.versions} versions"])
    return int(slowest >= LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
