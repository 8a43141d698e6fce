"""Writes docs/examples/gcp.txt: every way in which a run on a T4 ends, played against a stand-in for Compute Engine.

``python -m tests.gcp_transcript`` writes it; a test holds the file to what this makes.
"""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fake_compute import EXHAUSTED, NO_DELETE, QUOTA, Boot, FakeCompute, stays_up
from tests.gcp_runs import (
    Stage,
    deployment,
    fails,
    finishes,
    on_t4,
    plain,
    plan_of,
    start_up,
    taken_back,
    tells,
    then,
    write_session,
)
from voiceflow_ml.gcp.deploy import sweep, up
from voiceflow_ml.gcp.plan import Plan, write_plan

TRANSCRIPT = Path(__file__).parents[1] / "docs" / "examples" / "gcp.txt"
_HEAD = """\
What `voiceflow gcp up` and `sweep` say, in every way in which a run can end.

No Google Cloud and no T4 was at hand: Google's own client library talked to a stand-in for Compute Engine on loopback
(tests/fake_compute.py), and the start-up script ran with stand-ins for gcloud, the driver and pytest. Waiting was
played by a clock that is moved by hand. Written by: python -m tests.gcp_transcript
"""


@dataclass(frozen=True)
class _Scene:
    title: str
    zones: dict[str, str]
    boot: Callable[[Plan, Path], Boot]
    spot: bool = False


def _fine(plan: Plan, reports: Path) -> Boot:
    return finishes(plan, reports)


def _broken(plan: Plan, _reports: Path) -> Boot:
    return fails(plan, f"voiceflow: {plan.run_id}: stage install", "ERROR: Could not find a version of onnxruntime-gpu")


def _interrupted(_plan: Plan, _reports: Path) -> Boot:
    main = threading.main_thread().ident
    return then(lambda: signal.pthread_kill(main or 0, signal.SIGINT))


_SCENES = (
    _Scene("a run that measures", {}, _fine),
    _Scene("the first zone is exhausted", {"us-central1-a": EXHAUSTED}, _fine),
    _Scene("all zones are exhausted", dict.fromkeys(("us-central1-a", "us-central1-b"), EXHAUSTED), _fine),
    _Scene("no quota", {"us-central1-a": QUOTA}, _fine),
    _Scene("a Spot machine is taken back", {}, lambda *_: taken_back, spot=True),
    _Scene("the start-up script fails", {}, _broken),
    _Scene("Ctrl-C while the machine runs", {}, _interrupted),
    _Scene("clean-up is forbidden", {"us-central1-a": NO_DELETE}, _broken),
)


def transcript() -> str:
    """The whole text."""
    return _HEAD + "".join(f"\n== {title}\n{text}" for title, text in _played())


def _played() -> Iterator[tuple[str, str]]:
    for scene in _SCENES:
        with _stage(scene) as stage:
            text = "$ voiceflow gcp up deployment --yes\n" + _up(stage)
            yield scene.title, _cleaned(text, stage)
    with _stage(_Scene("", {}, lambda *_: stays_up)) as stage:
        yield "kill -9 while the machine runs, then a sweep", _cleaned(_killed(stage), stage)


@contextmanager
def _stage(scene: _Scene) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory() as name:
        folder = deployment(Path(name) / "deployment")
        plan = replace(plan_of(folder, Path(name) / "bucket"), spot=scene.spot)
        reports = write_session(Path(name) / "reports", on_t4(folder))
        with FakeCompute(scene.zones, scene.boot(plan, reports), polls=1) as fake:
            yield Stage(fake, plan, folder)


def _cleaned(text: str, stage: Stage) -> str:
    text = text.replace(f"file://{stage.folder.parent}/bucket", "gs://my-bucket/voiceflow")
    return plain(text, stage.folder.parent)


def _up(stage: Stage) -> str:
    try:
        ending = up(stage.plan, stage.folder, stage.site, stage.folder.parent / "plan.state.json")
        last = ending.sentence
    except KeyboardInterrupt:
        last = "Aborted!"
    except Exception as error:
        last = f"voiceflow: {error}"
    return "".join(f"{line}\n" for line in (*stage.said, last, _left(stage)))


def _killed(stage: Stage) -> str:
    running = threading.Event()
    stage.fake.boot = tells(running)
    plan_path = stage.folder.parent / "deployment.plan.json"
    write_plan(stage.plan, plan_path)
    process = start_up(stage, plan_path, stage.folder.parent / "plan.state.json")
    if not running.wait(60):
        raise TimeoutError("the machine did not come up")
    process.kill()
    process.communicate()
    lines = ["$ voiceflow gcp up deployment --yes", "Killed", _left(stage)]
    lines.append(f"$ voiceflow gcp sweep --project {stage.plan.project} --yes")
    found = sweep(stage.plan.project, stage.site)
    return "".join(
        f"{line}\n" for line in (*lines, *stage.said, f"machines deleted: {len(found)}; none is left", _left(stage))
    )


def _left(stage: Stage) -> str:
    names = ", ".join(name for _, name in stage.fake.machines) or "none"
    return f"[machines in the project now: {names}]"


if __name__ == "__main__":
    TRANSCRIPT.write_text(transcript(), encoding="utf-8")
