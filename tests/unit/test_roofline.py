from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.onnx_models import chain_model, tiny_model
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.evidence import Severity
from voiceflow_ml.hardware.machine import last_level_cache_bytes
from voiceflow_ml.hardware.peaks import Peaks
from voiceflow_ml.hardware.roofline import Roofline, Work, floor_finding, refuse_impossible, roofline
from voiceflow_ml.hardware.targets import CPU, TARGETS, find_gpu
from voiceflow_ml.inference.cpu_peaks import measured_peaks
from voiceflow_ml.inference.floor import floor_of
from voiceflow_ml.inference.ort import open_onnx

PEAKS = Peaks({"fp32": 1e12, "fp16": 4e12}, bytes_per_s=1e11, cache_bytes=1_000_000, source="the data sheet")


def held(flops: dict[str, int], bytes_moved: int = 0, **peaks: object) -> Roofline:
    found = roofline(Work(flops, bytes_moved, counted=1), replace(PEAKS, **peaks), "cuda-x")  # type: ignore[arg-type]
    assert found is not None
    return found


def test_arithmetic_at_its_peak_is_a_floor() -> None:
    found = held({"fp32": 2 * 10**9})
    assert (found.floor_ns, found.bound_by, found.compute_ns, found.memory_ns) == (2_000_000, "compute", 2_000_000, 0)
    assert found.peak_flops_per_s == 1e12


def test_each_precision_has_its_own_peak() -> None:
    found = held({"fp32": 10**9, "fp16": 4 * 10**9})
    assert found.floor_ns == 2_000_000
    assert found.peak_flops_per_s == pytest.approx(2.5e12)
    assert found.total_flops == 5 * 10**9


def test_float32_may_run_as_tf32() -> None:
    assert held({"fp32": 10**9}, flops_per_s={"fp32": 1e12, "tf32": 2e12}).floor_ns == 500_000


def test_memory_that_the_cache_can_hold_need_not_move() -> None:
    assert held({"fp32": 1_000}, 1_000_000).memory_ns == 0
    found = held({"fp32": 1_000}, 11_000_000)
    assert (found.floor_ns, found.bound_by) == (100_000, "memory")


def test_what_is_not_known_is_left_out_of_the_floor() -> None:
    found = held({"int8": 10**12, "fp32": 10**9})
    assert found.floor_ns == 1_000_000
    assert held({"fp32": 10**9}, 10**9, bytes_per_s=None).memory_ns == 0
    assert roofline(Work({"int8": 1}, 0, counted=1), PEAKS, "x") is None
    assert roofline(Work({}, 10**9, counted=0), Peaks(), "x") is None


def test_the_sentence_says_what_it_rests_on() -> None:
    found = held({"fp32": 2 * 10**9}, 3_000_000)
    assert found.sentence == ("at least 2 ms on cuda-x (compute bound: 2 GFLOP, 3 MB; peaks: the data sheet)")
    assert "; 3 nodes of unknown work left out)" in replace(found, left_out=3).sentence


def test_a_promise_below_what_any_algorithm_can_do_is_refused() -> None:
    found = held({"fp32": 2 * 10**9})
    refuse_impossible(found, {"P50": 500_000, "P99": 2_000_000})
    refuse_impossible(None, {"P99": 1})
    with pytest.raises(ConfigError) as caught:
        refuse_impossible(found, {"P99": 499_999})
    assert str(caught.value).startswith("P99 <= 500 us is impossible on this target: one inference takes at least 2 ms")
    # Peaks that were measured leave less room: they hold for the algorithms that were measured.
    measured = replace(found, measured_peaks=True)
    assert (found.least_ns, measured.least_ns) == (500_000, 1_000_000)


def test_a_measurement_faster_than_the_hardware_is_invalid() -> None:
    found = held({"fp32": 2 * 10**9})
    slow, fast = floor_finding(found, 4_000_000), floor_finding(found, 400_000)
    assert (slow.severity, fast.severity) == (Severity.INFORMATION, Severity.INVALID)
    assert slow.fact.startswith("the median reaches 50.0% of what the hardware allows: at least 2 ms on cuda-x")
    assert fast.fact.startswith("a median of 400 us is faster than the hardware can be: at least 2 ms")
    assert found.reached_by(4_000_000).share == 0.5


def test_every_gpu_of_the_catalogue_has_peaks_that_make_sense() -> None:
    for target in TARGETS.gpus:
        peaks = target.peaks
        assert 1e12 < peaks.flops_per_s["fp32"] <= peaks.flops_per_s["fp16"]
        assert peaks.bytes_per_s
        assert 1e11 < peaks.bytes_per_s < 1e13
        assert target.pci_device_ids
        assert target.boost_clock_mhz
        assert target.memory_gb
        assert peaks.source.startswith("NVIDIA ")
        for pci in target.pci_device_ids:
            assert TARGETS.owners_of(pci) == (target.name,)
    assert TARGETS.owners_of(0x1234) == ()


def test_the_floor_of_a_model_on_a_gpu_needs_no_gpu(tmp_path: Path) -> None:
    model = open_onnx(chain_model(tmp_path / "chain.onnx", layers=4))
    arrays = [np.zeros((64, 128), np.float32)]
    found = floor_of(model, arrays, find_gpu("t4"))
    assert found is not None
    # Four products of [64, 128] and [128, 128], at 8.1 TFLOP/s.
    assert found.total_flops == 4 * 2 * 64 * 128 * 128
    assert found.floor_ns == round(found.total_flops / 8.1e12 * 1e9)
    assert not found.measured_peaks


def test_the_peaks_of_this_cpu_are_measured_and_said_to_be(tmp_path: Path) -> None:
    model = open_onnx(tiny_model(tmp_path / "tiny.onnx"))
    found = floor_of(model, [np.zeros((4096, 4), np.float32)])
    assert found is not None
    assert found.measured_peaks
    assert found.source.startswith("measured here, 512 x 512 products in onnxruntime and copies, 1 x one thread")
    one, two = measured_peaks(1), measured_peaks(2)
    assert set(one.flops_per_s) == {"fp32", "int8"}
    # Measured once, so exactly twice: too much for two threads rather than too little.
    assert two.flops_per_s == {name: 2 * value for name, value in one.flops_per_s.items()}
    assert two.bytes_per_s == 2 * (one.bytes_per_s or 0.0)


def test_a_project_that_states_the_peaks_of_its_cpu_is_believed(tmp_path: Path) -> None:
    cpu = replace(CPU, peaks=Peaks({"fp32": 1e9}, source="as sla.toml:3 states them"))
    model = open_onnx(tiny_model(tmp_path / "tiny.onnx"))
    found = floor_of(model, [np.zeros((10, 4), np.float32)], cpu)
    assert found is not None
    assert (found.floor_ns, found.measured_peaks) == (240, False)


def test_of_a_callable_nothing_is_known() -> None:
    assert floor_of(lambda: None, []) is None


def test_the_largest_cache_counts(tmp_path: Path) -> None:
    for level, size in enumerate(["32K\n", "1024K\n", "32M\n", "nonsense\n"]):
        (tmp_path / f"index{level}").mkdir()
        (tmp_path / f"index{level}" / "size").write_text(size)
    assert last_level_cache_bytes(tmp_path) == 32 * 2**20
    assert last_level_cache_bytes(tmp_path / "none") == 0
