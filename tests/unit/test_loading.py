"""The loader's folder, and the shipped model through all steps."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_path
from voiceflow_ml.service import sources
from voiceflow_ml.service.kept import KeptFiles
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.memory import give_back_memory
from voiceflow_ml.service.scratch import scratch_folder
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import LoadRefused


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


def inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def open_files() -> set[tuple[int, int]]:
    """What this process has open. Not a count: what tests before left behind may be closed at any time."""
    found = set()
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(inode(os.fstat(int(descriptor.name))))
    return found


def test_files_of_a_version_stay_readable_when_their_folder_is_gone_and_go_with_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "weights").mkdir(parents=True)
    # More than one piece of it is read at a time.
    contents = {"model.onnx": b"model", "weights/w.bin": bytes(range(256)) * 5_000}
    for name, content in contents.items():
        (source / name).write_bytes(content)
    files = {inode((source / name).stat()) for name in contents}
    kept = KeptFiles(source, contents)
    assert files <= open_files()
    shutil.rmtree(source)
    for copy in (tmp_path / "first", tmp_path / "again"):
        assert kept.write_to(copy) == copy / "model.onnx"
        assert {name: (copy / name).read_bytes() for name in contents} == contents
    with pytest.raises(FileNotFoundError):
        KeptFiles(tmp_path / "first", ("model.onnx", "missing"))
    del kept
    gc.collect()
    files.add(inode((tmp_path / "first" / "model.onnx").stat()))
    assert not files & open_files()


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


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do it by themselves, or not at all")
def test_freed_memory_goes_back_to_the_system() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        assert give_back_memory() is False
        return
    # One of sixteen small pieces is kept: freeing the others leaves holes that are not given back by themselves.
    pieces = [bytearray(2_048) for _ in range(40_000)]
    kept = pieces[::-16]
    pieces.clear()
    before = psutil.Process().memory_info().rss
    assert give_back_memory() is True
    assert psutil.Process().memory_info().rss < before - (32 << 20)
    assert len(kept) == 2_500
