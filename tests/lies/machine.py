"""Lies about the machine: another GPU, slower clocks, busy neighbours."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from tests.lies.bench import CALL_NS, ROWS, Bench, caution, invalid, on_gpu
from tests.lies.lie import Lie
from tests.onnx_models import tiny_model
from voiceflow_ml.hardware.device_lock import device_lock
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml
from voiceflow_ml.hardware.targets import Target, find_gpu
from voiceflow_ml.inference.ort import open_onnx
from voiceflow_ml.latency import ClockChannel, Outcome
from voiceflow_ml.latency.counters import FakeCounters
from voiceflow_ml.results.measurement import Measurement
from voiceflow_ml.sla.objectives import Measuring

T4, A100_TARGET = find_gpu("t4"), find_gpu("a100")
A100 = FakeGpu("NVIDIA A100-SXM4-40GB", "GPU-a100", 0x20B0, (8, 0))


def gpu_run(folder: Path, driver: FakeNvml, target: Target = T4, **environment: str) -> Measurement:
    bench = Bench(target=target, driver=driver, environment=environment)
    return bench.measure(on_gpu(folder, target), ROWS)


def on_a(*gpus: FakeGpu, fact: str, **environment: str) -> Callable[[Path], str]:
    """A lie that INVALID catches: these GPUs, where a T4 was promised."""
    return lambda folder: invalid(gpu_run(folder, FakeNvml(*map(replace, gpus)), T4, **environment), fact)


def clock_collapse(folder: Path) -> str:
    return invalid(gpu_run(folder, FakeNvml.t4_at_146_mhz()), "the clocks collapsed: SM clock 146 MHz")


def throttled(folder: Path) -> str:
    hot = FakeNvml(FakeGpu(sm_mhz=[1005, 840, 705], temperature_c=93, slowed_ns_per_read={270: 40_000_000}))
    return caution(gpu_run(folder, hot).findings, "(hardware thermal slowdown)")


def mig_slice(folder: Path) -> str:
    return invalid(gpu_run(folder, FakeNvml.mig_slice(), find_gpu("a100")), "is cut into MIG slices")


def unknown_board(folder: Path) -> str:
    driver = FakeNvml(FakeGpu(pci_device_id=0x1234))
    return caution(gpu_run(folder, driver).findings, "PCI device id 0x1234 is none that the catalogue knows")


def redefined_target(folder: Path) -> str:
    target = replace(A100_TARGET, name="cuda-t4", stated_at="sla.toml:3")
    measured = gpu_run(folder, FakeNvml(replace(A100)), target)
    return caution(measured.findings, "sla.toml:3 says that cuda-t4 is another device")


def cpu_run(folder: Path, bench: Bench) -> Measurement:
    return bench.measure(open_onnx(tiny_model(folder / "tiny.onnx")), ROWS)


def busy_neighbour(folder: Path) -> str:
    counters = FakeCounters()
    bench = Bench(counters=counters, call_ns=lambda call: CALL_NS + 8_000_000 * (call % 5 == 0))
    bench.during = lambda call: counters.advance(run_delay_ns=8_000_000) if call % 5 == 0 else None
    measured = cpu_run(folder, bench)
    assert measured.verdicts[0].outcome is Outcome.INCONCLUSIVE
    return caution(measured.findings, "the measuring thread stood in the run queue for")


def pressed_blocks(folder: Path) -> str:
    counters = FakeCounters()
    bench = Bench(counters=counters, during=lambda _call: counters.advance(cpu_wait_ns=1_000_000))
    return caution(cpu_run(folder, bench).findings, "blocks some task waited for a CPU")


def own_threads(folder: Path) -> str:
    counters = FakeCounters()
    bench = Bench(counters=counters, measuring=Measuring(clock=ClockChannel.ADJUSTED))
    bench.during = lambda _call: counters.advance(process_time_ns=CALL_NS)
    return invalid(cpu_run(folder, bench), 'clock = "adjusted", which does not count here: the process used 2.00 times')


def kernel_files(folder: Path, *, steal: int = 0, periods: int = 0, governor: str = "performance") -> None:
    """Write the kernel's files about the CPUs."""
    (folder / "cpu.stat").write_text(f"nr_throttled {periods}\nthrottled_usec {periods * 900}\n")
    (folder / "stat").write_text(
        f"cpu {1_000 - steal} 0 0 0 0 0 0 {steal} 0 0\n" if steal else "cpu 0 0 0 0 0 0 0 0 0 0\n"
    )
    (folder / "scaling_governor").write_text(f"{governor}\n")


def disturbed(folder: Path, fact: str, *, steal: int = 0, periods: int = 0) -> str:
    """Run on a machine whose counts have grown by the middle of the run."""
    kernel_files(folder)
    bench = Bench(kernel=folder)
    bench.during = lambda call: kernel_files(folder, steal=steal, periods=periods) if call == 1_000 else None
    return caution(cpu_run(folder, bench).findings, fact)


def cpu_quota(folder: Path) -> str:
    return disturbed(folder, "the CPU quota of its control group stopped the process in 7 periods", periods=7)


def stolen_time(folder: Path) -> str:
    return disturbed(folder, "a hypervisor gave 9.0% of the CPU time to others", steal=90)


def powersave(folder: Path) -> str:
    kernel_files(folder, governor="powersave")
    return caution(cpu_run(folder, Bench(kernel=folder)).findings, "the CPU frequency governor is powersave")


def two_at_once(folder: Path) -> str:
    with mock.patch.object(tempfile, "tempdir", str(folder)):
        said: list[str] = []
        entered = threading.Event()

        def second() -> None:
            with device_lock("cpu", said.append):
                entered.set()

        with device_lock("cpu", said.append):
            waiting = threading.Thread(target=second)
            waiting.start()
            assert not entered.wait(0.05), "two measured at once"
        waiting.join(timeout=30)
        assert entered.is_set()
    return "the second waits for the first: one measures on a device at a time"


LIES = (
    Lie("another GPU than promised", "fake driver: an A100", "INVALID",
        on_a(A100, fact="CUDA uses a NVIDIA A100-SXM4-40GB")),
    Lie("the right name, on a virtual GPU", "fake driver: vGPU mode", "INVALID",
        on_a(FakeGpu(virtualization_mode=2), fact="is a virtual GPU")),
    Lie("the right name, another board's PCI id", "fake driver: the id of an H200", "INVALID",
        on_a(FakeGpu(pci_device_id=0x2335), fact="0x2335 is that of cuda-h200")),
    Lie("a board that nobody knows", "fake driver: an unknown PCI id", "caution", unknown_board),
    Lie("a MIG slice for a whole GPU", "fake driver: MIG on", "INVALID", mig_slice),
    Lie("GPU index reordered by the environment", "fake driver: T4 and A100, CUDA_VISIBLE_DEVICES=1", "INVALID",
        on_a(FakeGpu(), A100, fact="CUDA uses a NVIDIA A100",
             CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID")),
    Lie("several GPUs, and no telling which", "fake driver: T4 and A100", "INVALID",
        on_a(FakeGpu(), A100, fact="which GPU ran cannot be told")),
    Lie("a target redefined in sla.toml", "cuda-t4 stated as an A100", "caution", redefined_target),
    Lie("GPU throttled", "fake driver: slowdown counters grow", "caution", throttled),
    Lie("clock collapse at low temperature", "fake driver: 146 MHz at 53 C", "INVALID", clock_collapse),
    Lie("another process on the GPU", "fake driver: a second process id", "INVALID",
        on_a(FakeGpu(pids=[os.getpid(), 4242]), fact="1 other process computed on the GPU")),
    Lie("busy neighbour on the CPU", "the scheduler's run delay", "caution", busy_neighbour),
    Lie("tasks waiting for a CPU in most blocks", "the kernel's pressure counter", "caution", pressed_blocks),
    Lie("own worker threads on the adjusted clock", "twice the thread's CPU time", "INVALID", own_threads),
    Lie("CPU quota used up", "the control group's counters", "caution", cpu_quota),
    Lie("time stolen by the hypervisor", "the kernel's counters", "caution", stolen_time),
    Lie("a governor that lowers the clock", "the kernel's file", "caution", powersave),
    Lie("two hardware tests in parallel", "two threads, the real lock", "refused", two_at_once),
)  # fmt: skip
