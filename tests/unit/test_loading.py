"""The loader's own thread and folder, and the shipped model through all steps."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path
from voiceflow_ml.service import sources
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.priority import run_giving_way
from voiceflow_ml.service.scratch import scratch_folder
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import LoadRefused


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority")
def test_work_gives_way_and_its_caller_does_not() -> None:
    before = niceness()
    assert run_giving_way(niceness, niceness=3) == min(19, before + 3)
    assert run_giving_way(niceness, niceness=0) == before
    assert run_giving_way(niceness, niceness=19) == 19
    assert niceness() == before


def test_an_error_comes_back_as_itself() -> None:
    def work() -> None:
        raise KeyError("from the other thread")

    with pytest.raises(KeyError, match="from the other thread"):
        run_giving_way(work, niceness=0)


def test_a_folder_goes_with_its_load_and_that_of_a_dead_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # No process has the first number: it is beyond what Linux gives out.
    dead, alive, foreign = (
        tmp_path / f"voiceflow-ml-load-{middle}abc" for middle in ("4194305-", f"{os.getppid()}-", "")
    )
    for folder in (dead, alive, foreign):
        folder.mkdir()
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert not dead.exists()
    assert not folder.exists()
    assert alive.exists()
    assert foreign.exists()


def test_the_shipped_model_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = ModelSlot(Loader(MODEL_NAME))
    record = slot.load(sources.BUILTIN)
    assert record.after.startswith("builtin-")
    notes = {step.name: step.note for step in record.steps}
    assert notes["fetch and hash"] == "hash as on its card"
    # Its golden files are not in the package, and the record says so.
    assert notes["golden parity"] == "not checked: no golden files came with it"
    lease = slot.route()
    assert lease.version.segmenter is not None
    segmentation = lease.version.segmenter(np.zeros((1, 16_000), np.float32))
    assert segmentation.logits.shape == (1, 50, 7)
    # Again, now compared with itself in use, on the real CPU time of the loading thread.
    assert "times the version in use" in slot.load(sources.BUILTIN).steps[-1].note


def test_a_damaged_installation_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "fast-cnn.onnx"
    content = bytearray(shipped_model_path().read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(sources, "shipped_model_path", lambda: damaged)
    with pytest.raises(LoadRefused, match="its hash is not that of its card") as refused:
        ModelSlot(Loader(MODEL_NAME)).load(sources.BUILTIN)
    assert refused.value.code == "hash-mismatch"
