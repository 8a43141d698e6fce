"""Every way by which a model file comes into this package, each called in this process."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import typer

from tests.contract_models import NAME
from tests.fuzz.models.mutant import FILE, OUTSIDE, SECRET
from voiceflow_ml import cli
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.inference.graph_work import graph_work
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.models.shipped import shipped_speech_path
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.trial import Here, LoadingPlan
from voiceflow_ml.service.trials import Smoke

ACCEPTED, REFUSED, PASSED_OVER = "accepted", "refused", "passed over"
Answer = tuple[str, str]
"""What became of a file, and the sentence that says so."""
_COMMANDS = typer.main.get_command(cli.app)
"""Built once: it takes half a second, and there are thousands of calls."""
_PLAN = LoadingPlan(smoke=Smoke(warm_up_runs=1))


def _open(folder: Path) -> Answer:
    try:
        open_onnx(folder / FILE)
    except VoiceflowError as error:
        return REFUSED, str(error)
    return ACCEPTED, ""


def _serve(folder: Path) -> Answer:
    try:
        Loader(NAME, trial=Here(_PLAN, thread_time_ns=_tick())).load(str(folder), None, [])
    except VoiceflowError as error:
        return REFUSED, str(error)
    return ACCEPTED, ""


def _tick() -> Callable[[], int]:
    times = iter(range(0, 10**9, 1_000))
    return lambda: next(times)


def _count(folder: Path) -> Answer:
    """The physical floor is a service to the report: what cannot be counted is left out, silently."""
    counted = graph_work(folder / FILE, {"x": np.zeros((1, 4), np.float32)})
    return (PASSED_OVER if counted is None else ACCEPTED), ""


def command(*arguments: str) -> Answer:
    """Run ``voiceflow``: exit status 2 and one line on stderr is a refusal, anything else that is not 0 a finding."""
    out, err = io.StringIO(), io.StringIO()
    status: object = 0
    before, sys.argv = sys.argv, ["voiceflow", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _built():
            cli.main()
    except SystemExit as exit_:
        status = exit_.code or 0
    finally:
        sys.argv = before
    if status == 0:
        return ACCEPTED, out.getvalue()
    if status != cli.USAGE_EXIT_CODE:
        raise AssertionError(f"exit status {status}: {out.getvalue()[-300:]} {err.getvalue()[-300:]}")
    return REFUSED, err.getvalue().removeprefix("voiceflow: ").removesuffix("\n")


@contextlib.contextmanager
def _built() -> Iterator[None]:
    cli.app, before = cast("typer.Typer", _COMMANDS), cli.app
    try:
        yield
    finally:
        cli.app = before


def _check(folder: Path) -> Answer:
    return command("contract", "check", str(folder / FILE))


def _diff(folder: Path) -> Answer:
    return command("contract", "diff", str(folder), str(folder / FILE))


def _publish(folder: Path) -> Answer:
    registry = folder.parent / "registry"
    shutil.rmtree(registry, ignore_errors=True)
    return command("publish", str(folder), "1.0.0", "--registry", f"file://{registry}", "--who", "fuzz")


def _triton(folder: Path) -> Answer:
    repository = folder.parent / "triton"
    shutil.rmtree(repository, ignore_errors=True)
    return command("export-triton", str(folder / FILE), "--repository", str(repository))


def _init(folder: Path) -> Answer:
    state, text = command("init", str(folder))
    (folder / "sla.toml").unlink(missing_ok=True)
    return state, text if state == REFUSED else ""


def _doctor(folder: Path) -> Answer:
    return _if_it_opens(folder, lambda: command("doctor", str(folder / FILE)))


def _compare(folder: Path) -> Answer:
    return _if_it_opens(folder, lambda: command("compare", str(folder.parent / "good" / FILE), str(folder / FILE)))


def _if_it_opens(folder: Path, run: Callable[[], Answer]) -> Answer:
    """What opens would be measured, which takes its time and tells nothing about files."""
    return (PASSED_OVER, "") if _open(folder)[0] == ACCEPTED else run()


def _diarize(folder: Path) -> Answer:
    return command("diarize", str(shipped_speech_path()), "--model", str(folder / FILE))


def _evaluate(folder: Path) -> Answer:
    return command("evaluate-segmentation", str(folder / FILE), "--data", str(folder / "none"))


WAYS: dict[str, Callable[[Path], Answer]] = {
    "open_onnx": _open,
    "voiceflow contract check": _check,
    "voiceflow contract diff": _diff,
    "voiceflow publish": _publish,
    "voiceflow export-triton": _triton,
    "load into the service": _serve,
    "voiceflow init": _init,
    "voiceflow doctor": _doctor,
    "voiceflow compare": _compare,
    "voiceflow diarize --model": _diarize,
    "voiceflow evaluate-segmentation": _evaluate,
    "graph_work": _count,
}
GATES = ("voiceflow contract check", "load into the service")
"""Where a model file of somebody else is let in or not."""

OTHER_MODELS = ("voiceflow diarize --model", "voiceflow evaluate-segmentation")
"""Take models of another contract only: they refuse the good one, too, with a sentence."""


FATE = "VOICEFLOW_FUZZ_FATE"
"""Names what every way does instead, for the test of what watches over them."""


def _peep(folder: Path) -> Answer:
    (folder.parent / OUTSIDE / SECRET).read_bytes()
    return ACCEPTED, ""


def _abort(_: Path) -> Answer:
    os.abort()


def _sleep(_: Path) -> Answer:
    time.sleep(3_600)
    return ACCEPTED, ""


_FATES: dict[str, Callable[[Path], Answer]] = {"crash": _abort, "hang": _sleep, "peep": _peep}


def ways(names: tuple[str, ...]) -> Iterator[tuple[str, Callable[[Path], Answer]]]:
    """Those of these names; all of them for none."""
    fate = _FATES.get(os.environ.get(FATE, ""))
    return ((name, fate or way) for name, way in WAYS.items() if not names or name in names)
