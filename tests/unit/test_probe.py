from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from voiceflow_ml.hardware import probe
from voiceflow_ml.hardware.probe import (
    CpuWait,
    Gpu,
    GpuProbe,
    clock_step_ns,
    cpu_wait_ns,
    git_commit,
    probe_gpus,
    probe_machine,
)


def _driver_is_here() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


@pytest.mark.skipif(_driver_is_here(), reason="this machine has an NVIDIA driver")
def test_a_machine_without_a_driver_says_so() -> None:
    found = probe_gpus()
    assert found.gpus == ()
    assert found.problem
    assert found.describe() == f"no NVIDIA GPU ({found.problem})"


def test_gpus_are_described_by_name_and_identity() -> None:
    gpus = (Gpu("GPU-1", "Tesla T4", (7, 5), 2**34), Gpu("GPU-2", "NVIDIA L4", None, None))
    assert GpuProbe(gpus).describe() == "Tesla T4 (GPU-1), NVIDIA L4 (GPU-2)"
    assert GpuProbe(()).describe() == "no NVIDIA GPU"


def test_pressure_is_read_in_nanoseconds(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    file.write_text(
        "some avg10=1.53 avg60=0.87 avg300=0.73 total=1220926\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
    )
    assert cpu_wait_ns(file) == 1_220_926_000


def test_the_wait_since_a_moment_is_what_the_kernels_counter_has_grown_by(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    file.write_text("some avg10=0.00 total=100\n")
    waited = CpuWait(file)
    file.write_text("some avg10=0.00 total=140\n")
    wait_ns, elapsed_ns = waited.growth_ns()
    assert wait_ns == 40_000
    assert elapsed_ns > 0
    file.unlink()
    assert waited.growth_ns()[0] is None
    assert CpuWait(file).growth_ns()[0] is None


@pytest.mark.parametrize("content", ["", "\n", "some avg10=1.53\n", "some total=many\n", "some total=\n"])
def test_pressure_that_makes_no_sense_is_unknown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cpu"
    file.write_text(content)
    assert cpu_wait_ns(file) is None


def test_a_system_without_proc_answers_unknown_not_an_error(tmp_path: Path) -> None:
    assert cpu_wait_ns(tmp_path / "absent") is None
    assert probe._cpu_model(tmp_path / "absent") == (platform.processor() or "unknown")


def test_this_kernels_pressure_only_grows() -> None:
    before, after = cpu_wait_ns(), cpu_wait_ns()
    if before is None:
        pytest.skip("this kernel does not tell")
    assert after is not None
    assert 0 < before <= after


def test_the_cpu_model_is_the_first_that_the_kernel_names(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_bytes(b"processor\t: 0\nmodel name\t: Fast CPU @ 3: \xff GHz\nmodel name\t: other\n")
    assert probe._cpu_model(file) == "Fast CPU @ 3: \ufffd GHz"
    file.write_text("processor\t: 0\nCPU part\t: 0xd0c\n")
    assert probe._cpu_model(file) == (platform.processor() or "unknown")


def test_a_machine_is_described_for_a_report() -> None:
    facts = probe_machine()
    assert set(facts) == {"CPU", "logical cores", "memory", "system", "Python"}
    assert all(facts.values())
    assert int(facts["logical cores"]) >= 1
    assert float(facts["memory"].removesuffix(" GiB")) > 0
    assert facts["Python"] == platform.python_version()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_a_checkout_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) == "unknown"
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert len(head) == 40
    assert git_commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{head}+changes"


def test_a_folder_outside_of_any_checkout_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit(tmp_path) == "unknown"
    assert git_commit(tmp_path / "absent") == "unknown"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(Path(__file__).parent) == "unknown"


def test_the_clock_has_a_step() -> None:
    assert clock_step_ns() >= 1
