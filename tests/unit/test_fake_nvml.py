"""The fake driver behind the real binding: each answer is one that the binding itself decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pynvml
import pytest

from voiceflow_ml.hardware.fake_nvml import DRIVER_NOT_LOADED, FakeGpu, FakeNvml
from voiceflow_ml.hardware.gpu import GpuReading
from voiceflow_ml.hardware.gpu_watch import GpuWatch
from voiceflow_ml.hardware.nvml import ask_gpus, hold_driver, read_now
from voiceflow_ml.hardware.targets import find_gpu


def test_a_t_4_is_read_whole() -> None:
    with FakeNvml.t4().installed() as driver:
        (gpu,) = ask_gpus().gpus
        assert gpu.is_a(find_gpu("t4"))
        assert gpu.facts() == {
            "GPU": "Tesla T4",
            "GPU UUID": driver.gpus[0].uuid,
            "PCI device id": "0x1EB8",
            "compute capability": "7.5",
            "GPU memory": "16.0 GiB",
            "NVIDIA driver": "580.82.07",
            "CUDA of the driver": "13.0",
        }
        assert (gpu.default_sm_mhz, gpu.max_sm_mhz, gpu.is_virtual, gpu.is_mig) == (585, 1590, False, False)
        reading = read_now(gpu.uuid)
        assert (reading.sm_mhz, reading.temperature_c, reading.other_pids) == (1110, 58, ())
        assert set(reading.slowed_ns.values()) == {0}
        assert len(reading.slowed_ns) == 4


def test_an_h_200_is_an_h_200_and_not_an_h_100() -> None:
    with FakeNvml.h200().installed():
        (gpu,) = ask_gpus().gpus
    assert gpu.is_a(find_gpu("h200"))
    assert not gpu.is_a(find_gpu("h100"))


@pytest.mark.parametrize(
    ("problem", "words"), [(12, "NVML Shared Library Not Found"), (DRIVER_NOT_LOADED, "Driver Not Loaded")]
)
def test_a_missing_driver_is_an_answer(problem: int, words: str) -> None:
    with FakeNvml(problem=problem).installed():
        assert ask_gpus().problem == words
        assert ask_gpus().gpus == ()
        assert read_now("GPU-1") == GpuReading(answered=False)
    assert FakeNvml.missing_driver()._problem == 12


def test_a_driver_that_answers_nothing_leaves_everything_unknown() -> None:
    with FakeNvml.not_supported_everywhere().installed():
        (gpu,) = ask_gpus().gpus
        assert (gpu.name, gpu.compute_capability, gpu.memory_bytes, gpu.pci_device_id) == ("Tesla T4", None, None, None)
        assert gpu.is_mig is gpu.is_virtual is gpu.default_sm_mhz is None
        assert gpu.facts()["GPU memory"] == "unknown"
        assert read_now(gpu.uuid) == GpuReading(slowed_ns={})


@pytest.mark.parametrize("function", ["nvmlDeviceGetClockInfo", "nvmlDeviceGetFieldValues", "nvmlDeviceGetPciInfo_v3"])
def test_a_single_answer_may_be_missing(function: str) -> None:
    with FakeNvml(FakeGpu(not_supported=frozenset({function}))).installed():
        (gpu,) = ask_gpus().gpus
        reading = read_now(gpu.uuid)
    missing = [gpu.pci_device_id is None, reading.sm_mhz is None, not reading.slowed_ns]
    assert missing.count(True) == 1


def test_a_counter_may_be_missing() -> None:
    with FakeNvml(FakeGpu(slowed_ns={74: 5})).installed() as driver:
        assert read_now(driver.gpus[0].uuid).slowed_ns == {"software power cap": 5}


def test_other_processes_are_told_from_ours() -> None:
    with FakeNvml(FakeGpu(pids=[os.getpid(), 7, 4])).installed() as driver:
        assert read_now(driver.gpus[0].uuid).other_pids == (4, 7)
        driver.gpus[0].pids = []
        assert read_now(driver.gpus[0].uuid).other_pids == ()


def test_gpus_are_found_by_identity_wherever_they_stand() -> None:
    with FakeNvml(FakeGpu(uuid="GPU-a", sm_mhz=[1]), FakeGpu(uuid="GPU-b", sm_mhz=[2])).installed():
        assert [gpu.uuid for gpu in ask_gpus().gpus] == ["GPU-a", "GPU-b"]
        assert read_now("GPU-b").sm_mhz == 2
        assert read_now("GPU-c") == GpuReading(answered=False)


def test_a_measurement_is_watched_from_before_to_after() -> None:
    times = iter([0, 900])
    with FakeNvml.throttling_t4().installed() as driver:
        (gpu,) = ask_gpus().gpus
        watch = GpuWatch(gpu, now_ns=lambda: next(times))
        watch.after_block()
        driver.gpus[0].pids.append(99)
        watch.after_block()
        driver.gpus[0].pids.remove(99)
        record = watch.record()
    # The clock before any work is not among those that are judged; the process that came and went is.
    assert record.sm_mhz == (840, 705)
    assert record.other_pids == (99,)
    assert record.slowed_ns("hardware thermal slowdown") == 3 * 40_000_000
    assert record.slowed_ns("software power cap") == 0
    assert record.slowed_ns("nothing known") is None
    assert record.span_ns == 900


def test_the_driver_stays_started_for_a_whole_measurement() -> None:
    with FakeNvml.t4().installed():
        before = pynvml._nvmlLib_refcount
        watch = GpuWatch(ask_gpus().gpus[0])
        # Each question in between counts one more user of a driver that is started, and does not start it.
        assert pynvml._nvmlLib_refcount == before + 1
        watch.after_block()
        watch.record()
        assert pynvml._nvmlLib_refcount == before
    with FakeNvml.missing_driver().installed():
        hold_driver()()
        assert pynvml._nvmlLib_refcount == before


@pytest.fixture(autouse=True)
def _binding_is_given_back() -> Iterator[None]:
    before = pynvml.nvmlLib
    yield
    assert pynvml.nvmlLib is before
    assert not any(isinstance(function, FakeNvml) for function in pynvml._nvmlGetFunctionPointer_cache.values())


def test_the_binding_goes_back_to_the_driver_before() -> None:
    with FakeNvml.t4().installed():
        with FakeNvml.h200().installed():
            assert ask_gpus().gpus[0].name == "NVIDIA H200"
        assert ask_gpus().gpus[0].name == "Tesla T4"


def test_what_the_fake_does_not_know_the_driver_does_not_have() -> None:
    with FakeNvml.t4().installed():
        pynvml.nvmlInit()
        with pytest.raises(pynvml.NVMLError_FunctionNotFound):
            pynvml.nvmlDeviceGetFanSpeed(pynvml.nvmlDeviceGetHandleByIndex(0))
        pynvml.nvmlShutdown()
