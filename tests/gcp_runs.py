"""Plans, deployments and lives of machines for the tests of ``voiceflow gcp``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tests.fake_compute import Boot, FakeCompute, FakeMachine, Life, stays_up
from tests.unit import result_set
from voiceflow_ml.files import hash_file
from voiceflow_ml.gcp.api import Compute
from voiceflow_ml.gcp.deploy import Site
from voiceflow_ml.gcp.plan import TARGET, Plan, find_artefacts
from voiceflow_ml.hardware.evidence import Finding, Severity
from voiceflow_ml.latency import FakeClock
from voiceflow_ml.registry.store import Store
from voiceflow_ml.results.record import Result
from voiceflow_ml.results.store import ResultStore

RUN_ID = "20260102-030405-abcd"
ON_CUDA = Finding(Severity.INFORMATION, "all 83 compute nodes ran on CUDAExecutionProvider")


def deployment(folder: Path) -> Path:
    """A folder to deploy: an sla.toml, a model file and something in the place of the wheel."""
    (folder / "models").mkdir(parents=True)
    (folder / "sla.toml").write_text('version = 1\n[models.tiny]\nfile = "models/tiny.onnx"\n', encoding="utf-8")
    (folder / "models" / "tiny.onnx").write_bytes(b"not a real model\n")
    (folder / "voiceflow_ml-0.1.0-py3-none-any.whl").write_bytes(b"not a real wheel\n")
    return folder


def plan_of(folder: Path, store: Path | str = "gs://bucket/voiceflow", **changes: object) -> Plan:
    """A plan of a deployment."""
    plan = Plan(
        project="my-project",
        run_id=RUN_ID,
        zones=("us-central1-a", "us-central1-b"),
        store=f"file://{store}" if isinstance(store, Path) else store,
        artefacts=find_artefacts(folder),
        service_account="t4@my-project.iam.gserviceaccount.com",
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


@dataclass
class Stage:
    """A fake Compute Engine, a store in a folder, and what was said."""

    fake: FakeCompute
    plan: Plan
    folder: Path
    said: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def site(self) -> Site:
        """What a run works with."""
        compute = Compute(self.plan.project, self.clock, self.fake.url)
        return Site(compute, Store(self.plan.store), self.clock, self.said.append)


def store_folder(plan: Plan) -> Path:
    """The folder that stands in for the bucket."""
    return Path(plan.store.removeprefix("file://"))


def on_t4(folder: Path, *, latency_ms: float = 5.0, findings: tuple[Finding, ...] = (ON_CUDA,)) -> Result:
    """A result of a T4 about the model of a deployment."""
    samples = np.full(3_000, round(latency_ms * 1e6), dtype=np.int64)
    result = result_set.measured(result_set.planned("t4", "tiny", TARGET, P99=20_000_000), samples, *findings)
    if result.measurement is None:
        raise AssertionError("a measured test without a measurement")
    facts = {**result.measurement.facts, "model SHA-256": hash_file(folder / "models" / "tiny.onnx")}
    return replace(result, measurement=replace(result.measurement, facts=facts))


def write_session(folder: Path, *results: Result) -> Path:
    """A finished session, as pytest leaves it below its report folder."""
    planned = tuple(result.planned for result in results)
    gpu = {"CPU": "Intel(R) Xeon(R)", "logical cores": "4", "GPU": "Tesla T4"}
    session = replace(result_set.SESSION, planned=planned, declared=planned, environment=gpu, finished=True)
    store = ResultStore(folder / "results" / "20260102T030405Z-7")
    for position, result in enumerate(results):
        store.write_result(result, position)
    store.write_session(session)
    return folder


def finishes(plan: Plan, reports: Path) -> Boot:
    """The life of a machine that really runs its start-up script, with stand-ins for what needs a T4 or a cloud."""

    def life(machine: FakeMachine) -> Life:
        yield
        done = run_startup(startup_script(machine), store_folder(plan).parent / "vm", reports)
        machine.serial += boot_words() + done.stdout + done.stderr
        yield
        machine.document["status"] = "TERMINATED"
        yield

    return life


def fails(plan: Plan, *lines: str) -> Boot:
    """The life of a machine whose start-up script fails in its installation."""

    def life(machine: FakeMachine) -> Life:
        yield
        machine.serial += boot_words() + "".join(f"{line}\n" for line in lines)
        path = store_folder(plan) / plan.folder / "outcome.json"
        path.write_text(json.dumps({"run": plan.run_id, "stage": "install", "status": 1, "pytest": None}))
        machine.document["status"] = "TERMINATED"
        yield

    return life


def taken_back(machine: FakeMachine) -> Life:
    """The life of a Spot machine that is taken back."""
    yield
    machine.preempted = True
    machine.document["status"] = "STOPPING"
    yield


def then(action: Callable[[], object]) -> Boot:
    """The life of a machine during which something happens to us."""

    def life(machine: FakeMachine) -> Life:
        yield
        machine.serial += boot_words()
        action()
        yield

    return life


def tells(event: threading.Event) -> Boot:
    """The life of a machine that stays up, and of which somebody is told at once."""

    def life(machine: FakeMachine) -> Life:
        event.set()
        return stays_up(machine)

    return life


def boot_words() -> str:
    """What a kernel says first."""
    return "[    0.000000] Linux version 6.8.0-1021-gcp\n[    9.811371] cloud-init[812]: finished\n"


def startup_script(machine: FakeMachine) -> str:
    """The script that the machine was given."""
    items = {item["key"]: item["value"] for item in machine.document["metadata"]["items"]}
    return str(items["startup-script"])


# What the script calls; each is told to be as short as the script's own use of it allows.
_STUBS = {
    "gcloud": """\
verb=$2
shift 2
while [[ $1 == --* ]]; do shift; done
from=${1#file://} to=${2#file://}
mkdir -p "$(dirname "$to")"
if [[ $verb == rsync ]]; then mkdir -p "$to"; cp -r "$from/." "$to"; else cp "$from" "$to"; fi
""",
    "nvidia-smi": "echo 'Tesla T4, 580.95.05'\n",
    "systemd-run": 'echo "$@" > "$VOICEFLOW_WORK/served"\n',
    "shutdown": 'touch "$VOICEFLOW_WORK/off"\n',
    "python3": """\
mkdir -p "$3/bin"
printf '#!/bin/bash\\necho "$@" > "$VOICEFLOW_WORK/installed"\\n' > "$3/bin/pip"
cp "$VOICEFLOW_STUBS/pytest" "$3/bin/pytest"
chmod +x "$3/bin/pip"
""",
    "pytest": """\
echo "$@" > "$VOICEFLOW_WORK/measured"
for word in "$@"; do [[ $word == --sla-report=* ]] && cp -r "$REPORTS" "${word#*=}"; done
exit "${PYTEST_STATUS:-0}"
""",
}


def run_startup(
    script: str, work: Path, reports: Path, *, without: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a start-up script in a folder of its own; ``without`` names a stand-in that fails."""
    stubs = work.parent / f"{work.name}-stubs"
    stubs.mkdir(parents=True, exist_ok=True)
    for name, text in _STUBS.items():
        (stubs / name).write_text(f"#!/bin/bash\n{'exit 7' if name == without else text}", encoding="utf-8")
        (stubs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "VOICEFLOW_WORK": str(work),
        "VOICEFLOW_STUBS": str(stubs),
        "REPORTS": str(reports),
        **variables,
    }
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def plain(text: str, *folders: Path) -> str:
    """Text without the folders, numbers of processes and ports of one run."""
    for number, folder in enumerate(folders):
        text = text.replace(str(folder), f"/folder{number or ''}")
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:port", text)


KILLED_UP = """\
import sys
from pathlib import Path
from voiceflow_ml.gcp.api import Compute
from voiceflow_ml.gcp.deploy import Site, up
from voiceflow_ml.gcp.plan import read_plan
from voiceflow_ml.latency import SystemClock
from voiceflow_ml.registry.store import Store

plan, clock = read_plan(Path(sys.argv[1])), SystemClock()
up(plan, Path(sys.argv[2]), Site(Compute(plan.project, clock), Store(plan.store), clock, print), Path(sys.argv[3]))
"""
"""``up`` in a process of its own, to be killed."""


def start_up(stage: Stage, plan_path: Path, state_path: Path) -> subprocess.Popen[str]:
    """Begin ``up`` in a process of its own."""
    environment = {**os.environ, "VOICEFLOW_COMPUTE_ENDPOINT": stage.fake.url}
    command = [sys.executable, "-c", KILLED_UP, str(plan_path), str(stage.folder), str(state_path)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
