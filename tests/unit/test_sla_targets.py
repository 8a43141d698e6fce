from __future__ import annotations

from pathlib import Path

import pytest

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.cuda_provider import CUDA_PROVIDERS
from voiceflow_ml.hardware.targets import TARGETS
from voiceflow_ml.sla.load import parse_sla
from voiceflow_ml.sla.objectives import Sla

HEAD = 'version = 1\n[models.m]\nfile = "m.onnx"\n'
L40S = """\
[targets.cuda-l40s]
device_name = "NVIDIA L40S"
compute_capability = "8.9"
pci_device_ids = ["0x26B9"]
memory_gb = 48
boost_clock_mhz = 2520
memory_gb_per_s = 864
cache_mib = 96
tflops = { fp32 = 91.6, fp16 = 362 }
source = "NVIDIA L40S data sheet"
provider_options = { enable_cuda_graph = true, gpu_mem_limit = 1000 }
"""
PROMISE = '[[objective]]\nmodel = "m"\ntarget = "{target}"\np99 = "10ms"\n'


def read(text: str) -> Sla:
    return parse_sla(HEAD + text, Path("sla.toml"))


def test_a_project_adds_a_target_and_promises_something_for_it() -> None:
    sla = read(L40S + PROMISE.format(target="cuda-l40s"))
    target = sla.catalogue.find(sla.promises[0].target)
    assert (target.device_name, target.compute_capability, target.providers) == (
        "NVIDIA L40S",
        (8, 9),
        CUDA_PROVIDERS,
    )
    assert (target.pci_device_ids, target.memory_gb, target.boost_clock_mhz) == (frozenset({0x26B9}), 48, 2520)
    assert target.peaks.flops_per_s == {"fp32": 91.6e12, "fp16": 362e12}
    assert (target.peaks.bytes_per_s, target.peaks.cache_bytes) == (864e9, 96 * 2**20)
    assert target.peaks.source == "NVIDIA L40S data sheet"
    assert target.provider_options["enable_cuda_graph"] == "1"
    assert target.provider_options["gpu_mem_limit"] == "1000"
    assert target.provider_options["use_tf32"] == "1"
    assert target.stated_at == "sla.toml:4"
    assert list(sla.catalogue)[:-1] == list(TARGETS)
    assert sla.catalogue.find_gpu("L40S") is target


def test_a_project_states_a_shipped_target_otherwise() -> None:
    sla = read("[targets.cuda-t4]\nboost_clock_mhz = 1200\ntflops = { fp16 = 60 }\n")
    target, shipped = sla.catalogue["cuda-t4"], TARGETS["cuda-t4"]
    assert (target.boost_clock_mhz, target.device_name, target.compute_capability) == (1200, "Tesla T4", (7, 5))
    assert target.peaks.flops_per_s == {**shipped.peaks.flops_per_s, "fp16": 60e12}
    assert target.peaks.source == "as sla.toml:4 states them"
    assert target.pci_device_ids == shipped.pci_device_ids
    assert (target.stated_at, shipped.stated_at) == ("sla.toml:4", "")
    assert list(sla.catalogue) == list(TARGETS)


@pytest.mark.parametrize(
    ("line", "attribute", "stated"),
    [
        ("memory_gb_per_s = 300", "bytes_per_s", 300e9),
        ("cache_mib = 8", "cache_bytes", 8 * 2**20),
        ("cache_mib = 0", "cache_bytes", 0),
        ("tflops = { fp16 = 60 }", "flops_per_s", {**TARGETS["cuda-t4"].peaks.flops_per_s, "fp16": 60e12}),
    ],
)
def test_one_peak_can_be_stated_otherwise_and_the_others_stay(line: str, attribute: str, stated: object) -> None:
    peaks = read(f"[targets.cuda-t4]\n{line}\n").catalogue["cuda-t4"].peaks
    source = "as sla.toml:4 states them"
    assert vars(peaks) == {**vars(TARGETS["cuda-t4"].peaks), attribute: stated, "source": source}


def test_peaks_that_nobody_states_otherwise_keep_their_source() -> None:
    assert read("[targets.cuda-t4]\nmemory_gb = 15\n").catalogue["cuda-t4"].peaks == TARGETS["cuda-t4"].peaks


def test_a_project_says_how_a_target_is_run_and_what_ray_calls_it() -> None:
    text = """\
[targets.cuda-t4]
accelerator_type = "TESLA-T4"
providers = ["TensorrtExecutionProvider"]
provider_options = { cudnn_conv_algo_search = "HEURISTIC" }
"""
    target = read(text).catalogue["cuda-t4"]
    assert (target.ray_accelerator, target.providers) == ("TESLA-T4", ("TensorrtExecutionProvider",))
    assert target.provider_options == {
        **TARGETS["cuda-t4"].provider_options,
        "cudnn_conv_algo_search": "HEURISTIC",
    }


def test_the_peaks_of_a_cpu_can_be_stated() -> None:
    peaks = read("[targets.cpu]\ntflops = { fp32 = 0.1 }\nmemory_gb_per_s = 20\n").catalogue["cpu"].peaks
    assert (peaks.flops_per_s, peaks.bytes_per_s) == ({"fp32": 1e11}, 2e10)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[targets.l40s]\n",
            (
                'sla.toml:4: targets.l40s: a target is "cpu" or begins with "cuda-", in small letters; '
                "write, for example, [targets.cuda-l40s]"
            ),
        ),
        ("[targets.cuda-L40S]\n", 'targets.cuda-L40S: a target is "cpu" or begins with'),
        ("[targets.cuda-l40s]\n", "targets.cuda-l40s: a new target needs device_name and compute_capability"),
        ('[targets.cpu]\ndevice_name = "x"\n', "targets.cpu: a CPU has no device_name"),
        ('[targets.cpu]\ncompute_capability = "8.9"\n', "targets.cpu: a CPU has no device_name"),
        ('[targets.cpu]\npci_device_ids = ["0x26B9"]\n', "targets.cpu: a CPU has no device_name"),
        ('[targets.cuda-t4]\ncompute_capability = "8"\n', "compute_capability: must be two numbers in quotes, got '8'"),
        ('[targets.cuda-t4]\ncompute_capability = ""\n', "compute_capability: must be two numbers in quotes, got ''"),
        ('[targets.cuda-t4]\ncompute_capability = "1000.0"\n', "must be two numbers in quotes, got '1000.0'"),
        ('[targets.cuda-t4]\ncompute_capability = "8.9.1"\n', "must be two numbers in quotes, got '8.9.1'"),
        ('[targets.cuda-t4]\npci_device_ids = ["T4"]\n', "pci_device_ids: 'T4' is not a PCI device id; write"),
        ("[targets.cuda-t4]\ntflops = { fp12 = 1 }\n", "tflops: unknown precision 'fp12'; valid: fp32, tf32, fp16"),
        ("[targets.cuda-t4]\ntflops = { fp32 = 0 }\n", "must be more than 0.0, got 0; write, for example, tflops = {"),
        ("[targets.cuda-t4]\nmemory = 1\n", "targets.cuda-t4.memory: unknown key; valid here: device_name, compute"),
        ("[targets.cuda-t4]\nmemory_gb = 1.5\n", "memory_gb: must be a whole number, got 1.5; write, for example,"),
        (PROMISE.format(target="cuda-l40s"), "unknown target 'cuda-l40s'; known targets: cpu, cuda-t4"),
    ],
)
def test_a_target_that_makes_no_sense_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert sentence in str(caught.value)
