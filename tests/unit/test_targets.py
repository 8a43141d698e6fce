from __future__ import annotations

import pytest

from voiceflow_ml.errors import TargetError
from voiceflow_ml.hardware.gpu import Gpu
from voiceflow_ml.hardware.targets import CPU, TARGETS, find_gpu, find_target


def test_the_catalogue_is_consistent() -> None:
    assert TARGETS["cpu"] is CPU
    for name, target in TARGETS.items():
        assert target.name == name
        assert target.is_cuda == name.startswith("cuda-") == bool(target.device_name)
        assert target.marker.isidentifier()
        assert find_target(name) is target
        if target.is_cuda:
            assert target.providers[0] == "CUDAExecutionProvider"
            assert find_gpu(target.gpu_name) is find_gpu(name) is find_gpu(target.gpu_name.upper()) is target


def test_a_t4_is_what_the_issue_says_it_is() -> None:
    target = find_gpu("t4")
    assert (target.name, target.gpu_name, target.marker) == ("cuda-t4", "t4", "cuda_t4")
    assert (target.device_name, target.compute_capability) == ("Tesla T4", (7, 5))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(TargetError, match=r"unknown target 'cuda-t5'; known targets: cpu, cuda-t4, .*, cuda-rtx-4090$"):
        find_target("cuda-t5")
    with pytest.raises(TargetError, match=r"unknown GPU 't5'; known GPUs: t4, l4, a10g, .*, rtx-4090$"):
        find_gpu("t5")
    with pytest.raises(TargetError, match="unknown GPU 'cpu'"):
        find_gpu("cpu")


def board(name: str, capability: tuple[int, int] | None) -> Gpu:
    return Gpu("GPU-0", name, capability, None)


@pytest.mark.parametrize(
    ("name", "capability", "gpu"),
    [
        ("Tesla T4", (7, 5), "t4"),
        ("Tesla T4", None, "t4"),
        ("NVIDIA L4", (8, 9), "l4"),
        ("NVIDIA A10G", (8, 6), "a10g"),
        ("NVIDIA A100-SXM4-40GB", (8, 0), "a100"),
        ("NVIDIA A100 80GB PCIe", (8, 0), "a100"),
        ("NVIDIA H100 PCIe", (9, 0), "h100"),
        ("NVIDIA H100 80GB HBM3", (9, 0), "h100"),
        ("NVIDIA H100 NVL", (9, 0), "h100"),
        ("NVIDIA H200", (9, 0), "h200"),
        ("Tesla V100-SXM2-16GB", (7, 0), "v100"),
        ("NVIDIA GeForce RTX 4090", (8, 9), "rtx-4090"),
    ],
)
def test_a_board_is_exactly_one_target(name: str, capability: tuple[int, int] | None, gpu: str) -> None:
    matching = [target.gpu_name for target in TARGETS.values() if board(name, capability).is_a(target)]
    assert matching == [gpu]


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("Tesla T4G", (7, 5)),
        ("NVIDIA T4G", (7, 5)),
        ("Tesla T4", (8, 9)),  # a name alone can be made up
        ("NVIDIA L40S", (8, 9)),
        ("NVIDIA L40", (8, 9)),
        ("NVIDIA A10", (8, 6)),
        ("NVIDIA A100X", (8, 0)),
        ("NVIDIA H100 PCIe", (8, 0)),
        ("NVIDIA GH200 480GB", (9, 0)),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", (8, 9)),
        ("NVIDIA GeForce RTX 4090 D", (8, 9)),
        ("unknown", None),
        ("", None),
    ],
)
def test_a_board_that_no_promise_is_about(name: str, capability: tuple[int, int] | None) -> None:
    assert [target.name for target in TARGETS.values() if board(name, capability).is_a(target)] == []
