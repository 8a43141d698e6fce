"""A server that is killed in the middle of a load serves, after a restart, what the channel says."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.bad_models import published
from tests.contract_models import NAME
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot

# Serves what the channel has, then loads another source and stops in the middle of it, at its last step.
SERVER = """
import sys, threading, time
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.trial import Here

def at_the_last_step():
    print(slot.status().version, slot.status().is_loading, flush=True)
    time.sleep(60)

trial = Here()
loader = Loader("tiny", Registry(Store(sys.argv[1]), "tiny"), trial=trial)
slot = ModelSlot(loader)
slot.load("prod")
trial._thread_time_ns = at_the_last_step
loader.registry.promote(sys.argv[3], "prod", who="somebody", why="a test") if sys.argv[3] else None
slot.load(sys.argv[2])
"""


@pytest.mark.parametrize(
    ("loaded", "promoted", "after"),
    [("prod", "1.0.1", "1.0.1"), ("1.0.1", "", "1.0.0")],
    ids=["a load of what was promoted", "a load by number, which promotes nothing"],
)
def test_kill_in_the_middle_of_a_load(
    loaded: str, promoted: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/registry"
    registry = Registry(Store(url), NAME)
    published(tmp_path, registry, "1.0.0", "1.0.1")
    registry.promote("1.0.0", "prod", who="somebody", why="a test")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, url, loaded, promoted], stdout=subprocess.PIPE, text=True
    ) as server:
        stdout = server.stdout
        assert stdout is not None
        # The first load had nothing to compare with, so the only reads of the clock are those of the second.
        assert stdout.readline().split() == ["1.0.0", "True"]
        server.kill()
    left = list(temporary.glob("voiceflow-ml-load-*"))
    assert len(left) == 1, "it was killed in the middle of the load"
    monkeypatch.setattr(tempfile, "tempdir", None)
    again = ModelSlot(Loader(NAME, registry))
    assert again.load("prod").after == after
    assert not left[0].exists()
