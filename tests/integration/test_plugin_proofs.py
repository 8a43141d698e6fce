"""What the plugin proves beside the samples, in sessions as users run them."""

from __future__ import annotations

import os

from tests.integration.plugin_project import Project
from voiceflow_ml.hardware.fake_nvml import FakeGpu, FakeNvml

OPEN_TINY = """
import numpy as np
from voiceflow_ml.inference.ort import open_onnx
"""


def test_a_file_that_is_replaced_while_it_is_measured_is_invalid(project: Project) -> None:
    project.write_test(
        OPEN_TINY
        + """
@cpu
@met
def test_swapped(latency):
    model = open_onnx(Path("tiny.onnx"))
    call = model.bind(np.ones((4096, 4), np.float32))
    seen = []

    class Swapping(type(model)):
        def bind(self, *inputs):
            bound = super().bind(*inputs)
            def run():
                seen.append(1)
                if len(seen) == 700:
                    Path("tiny.onnx").write_bytes(b"another model")
                return bound()
            return run

    model.__class__ = Swapping
    latency(model, np.ones((4096, 4), np.float32))
"""
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: the model file tiny.onnx was replaced or removed while *"])


def test_inputs_that_are_smaller_than_declared_are_invalid(project: Project) -> None:
    project.promise("cpu")
    source = """
@pytest.mark.hardware
@pytest.mark.sla("tiny")
def test_tiny(latency, target):
    latency(open_onnx(Path("tiny.onnx"), target), np.ones((ROWS, 4), np.float32))
"""
    project.write_test(OPEN_TINY + source.replace("ROWS", "16"))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: input x was measured with the shape [[]16, 4[]], *sla.toml:4 declares *"])
    project.write_test(OPEN_TINY + source.replace("ROWS", "4096"))
    project.run().assert_outcomes(passed=1)


def test_the_machine_is_in_the_result(project: Project) -> None:
    project.promise("cpu")
    project.run("sla.toml").assert_outcomes(passed=1)
    (content,) = project.results()
    facts = [finding["fact"] for finding in content["measurement"]["findings"]]
    for begin in ("a hypervisor gave ", "how much CPU time a hypervisor"):
        if any(fact.startswith(begin) for fact in facts):
            break
    else:
        raise AssertionError(facts)
    assert any("CPU quota" in fact for fact in facts)
    assert any("clocks follow the load" in fact or "governor" in fact for fact in facts)
    assert content["measurement"]["facts"]["onnxruntime comes from"].startswith("onnxruntime ")


GPU_TEST = """
@pytest.mark.hardware(targets=["cuda-t4"])
@met
def test_opaque(latency):
    latency(work)
"""


def test_a_gpu_that_collapses_and_is_shared_is_found_by_the_plugin(project: Project) -> None:
    project.write_test(GPU_TEST)
    with FakeNvml(FakeGpu(sm_mhz=[146], pids=[os.getpid(), 4242])).installed():
        result = project.run("--gpu=t4")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: *the clocks collapsed: SM clock 146 MHz *1 other process computed on*"])
    (content,) = project.results()
    facts = content["measurement"]["facts"]
    assert (facts["GPU"], facts["PCI device id"], facts["NVIDIA driver"]) == ("Tesla T4", "0x1EB8", "580.82.07")


def test_of_two_gpus_the_promised_one_is_made_the_first(project: Project) -> None:
    a100 = FakeGpu("NVIDIA A100-SXM4-40GB", "GPU-a100", 0x20B0, (8, 0))
    project.write_test(GPU_TEST)
    with FakeNvml(a100, FakeGpu()).installed():
        project.run("--gpu=t4").assert_outcomes(failed=1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == FakeGpu().uuid
    (content,) = project.results()
    facts = [finding["fact"] for finding in content["measurement"]["findings"]]
    assert any(fact.startswith("the GPU is a Tesla T4 (") for fact in facts)
