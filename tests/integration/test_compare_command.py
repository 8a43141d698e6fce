"""``voiceflow compare``: two real models side by side, from the command line to its exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from tests.git_repository import commit, forget_the_outer_repository
from tests.onnx_models import chain_model, save_graph, tiny_model, two_input_model
from voiceflow_ml import cli
from voiceflow_ml.audio import write_wav
from voiceflow_ml.commands.progress import ProgressLine
from voiceflow_ml.errors import ResultError
from voiceflow_ml.files import hash_file
from voiceflow_ml.hardware import device_lock, probe
from voiceflow_ml.hardware.gpu import GpuProbe

LIGHT, HEAVY = 1, 16
CHAIN_INPUT = "--input=x=64x128"
# Quick: one quantile of 400 samples, without gaps.
QUICK = ("--span=0s", "--quantile=p50")
NUMBER = r"(\d+\.\d{3})x"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, without a repository around it, where nobody else holds the device lock."""
    forget_the_outer_repository(monkeypatch, tmp_path.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def compare(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["compare", *arguments], catch_exceptions=False)


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one sentence that the command ends with before it measures anything."""
    monkeypatch.setattr(sys, "argv", ["voiceflow", "compare", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (message,) = capsys.readouterr().err.splitlines()
    return message.removeprefix("voiceflow: ")


def light_and_heavy() -> None:
    chain_model(Path("light.onnx"), layers=LIGHT)
    chain_model(Path("heavy.onnx"), layers=HEAVY)


def test_a_heavier_candidate_is_slower() -> None:
    light_and_heavy()
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK)
    assert done.exit_code == 1, done.output
    row, *cautions, sentence = done.stdout.splitlines()
    found = re.fullmatch(
        rf"SLOWER   P50  {NUMBER} \[{NUMBER}, {NUMBER}\]  99 % conf, tolerance 5 %, n = 400 each  \(.+ -> .+\)", row
    )
    assert found is not None, row
    ratio, low, high = map(float, found.groups())
    assert 1.05 < low <= ratio <= high
    assert any("the pairs span only" in caution for caution in cautions)
    assert all(caution.startswith("caution: ") for caution in cautions)
    assert sentence.startswith("heavy.onnx is slower than light.onnx at P50 by more than the tolerance: ")
    assert sentence.endswith("because numbers of other sessions are not comparable.")
    assert done.stderr.splitlines()[0] == "heavy.onnx against light.onnx: warming up"
    assert "\r" not in done.stderr, "no terminal, no rewritten line"
    assert "\x1b" not in done.stderr


def test_a_lighter_candidate_is_not() -> None:
    light_and_heavy()
    done = compare("heavy.onnx", "light.onnx", CHAIN_INPUT, *QUICK)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NOT SLOWER   P50  0.")
    assert lines[-1].startswith("light.onnx is not slower than heavy.onnx at P50 beyond the tolerance: ")


def test_a_tolerance_lets_a_slowdown_pass() -> None:
    light_and_heavy()
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK, "--tolerance=100000%", "--confidence=0.9")
    assert done.exit_code == 0, done.output
    assert "90 % conf, tolerance 100000 %, " in done.stdout


def test_p50_and_p99_are_compared_unless_told_otherwise_and_all_is_in_the_json() -> None:
    light_and_heavy()
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, "--span=0s", "--threads=2", "--json=out/compared.json")
    assert done.exit_code == 1, done.output
    assert re.search(r"^SLOWER +P50  ", done.stdout, re.MULTILINE)
    assert re.search(r"^[A-Z ]+   P99  .* tolerance 10 %, n = 2 000 each ", done.stdout, re.MULTILINE)
    content: dict[str, Any] = json.loads(Path("out/compared.json").read_text(encoding="utf-8"))
    assert (content["schema_version"], content["outcome"], content["target"]) == (1, "SLOWER", "cpu")
    assert content["candidate"] == "heavy.onnx"
    assert content["inputs"] == "x: seeded synthetic float32 [64, 128]"
    assert content["span_ns"] > 0
    assert content["machine"]["logical cores"]
    assert content["candidate_facts"]["model SHA-256"] == hash_file(Path("heavy.onnx"))
    assert content["candidate_facts"]["intra-op threads"] == content["baseline_facts"]["intra-op threads"] == "2"
    against = content["against"]
    assert (against["baseline"], against["sha256"]) == ("light.onnx", hash_file(Path("light.onnx")))
    assert [(one["quantile"], one["tolerance"]) for one in against["comparisons"]] == [(0.5, 0.05), (0.99, 0.1)]
    assert len(against["baseline_ns"]) == len(against["candidate_ns"]) == 2_000
    facts = [finding["fact"] for finding in against["findings"]]
    assert "baseline: the only compute node ran on CPUExecutionProvider" in facts
    assert f"candidate: all {HEAVY} compute nodes ran on CPUExecutionProvider" in facts
    assert [path.name for path in Path("out").iterdir()] == ["compared.json"], "nothing half-written stays"


def test_too_little_time_leaves_it_open() -> None:
    light_and_heavy()
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK, "--time-budget=1ns")
    assert done.exit_code == 3, done.output
    row, need, *_, sentence = done.stdout.splitlines()
    assert row.startswith("INCONCLUSIVE   P50  no ratio  99 % conf, tolerance 5 %, n = 10 each  (")
    assert "it takes 400 samples of each arm, got 10 of the baseline" in need
    assert sentence.startswith("Whether heavy.onnx is slower than light.onnx at P50 by more than the tolerance is open")


def test_a_model_that_computes_nothing_is_invalid_and_not_measured() -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["y"], "pass")],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.zeros(1, dtype=np.float32), "c")],
    )
    save_graph(Path("constant.onnx"), graph)
    done = compare("constant.onnx", "constant.onnx", *QUICK, "--json=invalid.json")
    assert done.exit_code == 4, done.output
    (sentence,) = done.stdout.splitlines()
    assert sentence.startswith("Whether constant.onnx is slower than constant.onnx is not answered: baseline: the ")
    content = json.loads(Path("invalid.json").read_text(encoding="utf-8"))
    assert (content["outcome"], content["against"]["comparisons"]) == ("INVALID", [])


def test_a_call_too_short_for_the_clock_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    light_and_heavy()
    monkeypatch.setattr(probe, "clock_step_ns", lambda: 10**12)
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK)
    assert done.exit_code == 4, done.output
    assert done.stdout.startswith("INVALID   P50  ")
    assert "SLOWER" not in done.stdout
    sentence = done.stdout.splitlines()[-1]
    assert " is not answered: baseline: two reads of the clock" in sentence
    assert "; candidate: two reads of the clock" in sentence


def test_the_answer_is_given_even_if_its_file_cannot_be_written() -> None:
    light_and_heavy()
    done = CliRunner().invoke(
        cli.app, ["compare", "light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK, "--json=light.onnx/out.json"]
    )
    assert isinstance(done.exception, ResultError)
    assert str(done.exception).startswith("light.onnx/out.json cannot be written: ")
    assert done.stdout.startswith("SLOWER   P50  ")


def test_it_waits_while_another_measures_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    light_and_heavy()
    held, wanted = threading.Event(), threading.Event()
    monkeypatch.setattr(device_lock, "_WAIT_BETWEEN_NOTICES_S", 0.01)
    say = ProgressLine.say

    def heard(line: ProgressLine, text: str) -> None:
        say(line, text)
        wanted.set()

    def hold() -> None:
        with device_lock.device_lock("cpu", print):
            held.set()
            wanted.wait(60)

    monkeypatch.setattr(ProgressLine, "say", heard)
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    done = compare("light.onnx", "heavy.onnx", CHAIN_INPUT, *QUICK)
    holder.join()
    assert done.stderr.startswith("heavy.onnx against light.onnx: waiting: ")
    assert done.exit_code == 1, done.output


def test_the_baseline_may_be_the_file_of_a_git_ref() -> None:
    Path("models").mkdir()
    chain_model(Path("models/m.onnx"), layers=LIGHT)
    commit(Path())
    chain_model(Path("models/m.onnx"), layers=HEAVY)
    done = compare("git:main", "models/m.onnx", CHAIN_INPUT, *QUICK)
    assert done.exit_code == 1, done.output
    assert "models/m.onnx is slower than git:main at P50" in done.stdout


def test_the_same_file_twice_is_said() -> None:
    chain_model(Path("m.onnx"), layers=LIGHT)
    done = compare("m.onnx", "m.onnx", CHAIN_INPUT, *QUICK, "--tolerance=900%")
    assert done.exit_code == 0, done.output
    assert "caution: both models are the same file; " in done.stdout


def test_inputs_from_files_and_by_shape() -> None:
    two_input_model(Path("a.onnx"))
    np.save("length.npy", np.array([7], dtype=np.int64))
    write_wav(Path("short.wav"), np.zeros(1_600, dtype=np.float32), 16_000)
    for source, what in (
        ("short.wav", "speech short.wav, first 0.1 s at 16000 Hz"),
        ("1x800", "seeded synthetic float32 [1, 800]"),
        ("builtin:speech", "first 3 s at 16000 Hz"),
    ):
        done = compare(
            *("a.onnx", "a.onnx", f"--input=audio={source}", "--input=length=length.npy"),
            *(*QUICK, "--time-budget=1ns", "--json=out.json"),
        )
        assert done.exit_code == 3, done.output
        audio, length = json.loads(Path("out.json").read_text(encoding="utf-8"))["inputs"].split("; ")
        assert audio.startswith("audio: ")
        assert audio.endswith(what)
        assert length == "length: array length.npy"


def fixed_batch(path: Path, batch: int) -> None:
    """The tiny model with its first axis fixed."""
    model = onnx.load(tiny_model(path))
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, path)


def test_an_axis_that_one_model_fixes_needs_no_size() -> None:
    tiny_model(Path("open.onnx"))
    fixed_batch(Path("fixed.onnx"), 3)
    for pair in (("open.onnx", "fixed.onnx"), ("fixed.onnx", "open.onnx")):
        done = compare(*pair, *QUICK, "--time-budget=1ns", "--json=out.json")
        assert done.exit_code == 3, done.output
        assert json.loads(Path("out.json").read_text(encoding="utf-8"))["inputs"].endswith("float32 [3, 4]")


def test_the_order_of_the_inputs_may_differ() -> None:
    two_input_model(Path("a.onnx"))
    model = onnx.load("a.onnx")
    declared = list(model.graph.input)
    del model.graph.input[:]
    model.graph.input.extend(reversed(declared))
    onnx.save(model, "b.onnx")
    done = compare("a.onnx", "b.onnx", "--input=audio=1x800", *QUICK, "--time-budget=1ns")
    assert done.exit_code == 3, done.output


def test_models_that_take_other_inputs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model(Path("tiny.onnx"))
    two_input_model(Path("two.onnx"))
    two_input_model(Path("other.onnx"), second=TensorProto.INT32)
    chain_model(Path("chain.onnx"), layers=1)
    assert refused(monkeypatch, capsys, "tiny.onnx", "two.onnx") == (
        "the two models do not take the same inputs: the baseline takes x (float32 [batch, 4]), the candidate takes "
        "audio (float32 [1, samples]), length (int64 [1]); compare versions that can stand in for each other"
    )
    for pair in (("two.onnx", "tiny.onnx"), ("two.onnx", "other.onnx"), ("tiny.onnx", "chain.onnx")):
        assert refused(monkeypatch, capsys, *pair).startswith("the two models do not take the same inputs: ")


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ([], "the models leave axes of x open ([batch, 4]); give a size for each, such as --input x=1x4, or a .wav "),
        (["--input=x"], "--input 'x' does not say where an input comes from; write NAME=builtin:speech, "),
        (["--input=x=0x4"], "--input 'x=0x4' has an axis of size 0, "),
        (["--input=x=4x4", "--input=x=1x4"], "--input 'x=1x4': the input 'x' is given twice; "),
        (["--input=y=1x4"], "--input y=...: the models have no input 'y'; they have: x"),
        (["--input=x=builtin:noise"], "--input 'x=builtin:noise' is neither built in, nor a shape, nor a file; write "),
        (["--input=x=1x5"], "--input x=...: input 'x' takes float32 [batch, 4], got float32 [1, 5]"),
        (["--input=x=gone.npy"], "--input x=...: gone.npy: cannot be read: "),
        (["--input=x=gone.wav"], "--input 'x=gone.wav': gone.wav"),
        (["--input=x=builtin:speech"], "--input x=...: input 'x' takes float32 [batch, 4], got float32 [1, 48000]"),
        (["--quantile=p98"], "--quantile 'p98' is unknown; valid: p50, p90, p95, p99, p999"),
        (["--confidence=nan"], "--confidence nan: write a number from 0.5 to below 1"),
        (["--confidence=1"], "--confidence 1: write a number from 0.5 to below 1"),
        (["--tolerance=10"], "--tolerance '10': write a fraction below 1, such as 0.1, or a percentage, such as 10%"),
        (["--tolerance=-1%"], "--tolerance '-1%': "),
        (["--tolerance=nan"], "--tolerance 'nan': "),
        (["--tolerance=inf%"], "--tolerance 'inf%': "),
        (["--target=tpu"], "unknown target 'tpu'; known targets: cpu, "),
        (["--span=10"], "--span: '10' has no unit: "),
        (["--span=10s", "--time-budget=10s"], "--span 10s does not fit into --time-budget 10s; "),
    ],
)
def test_wrong_options_are_one_sentence(
    arguments: list[str], start: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model(Path("m.onnx"))
    assert refused(monkeypatch, capsys, "m.onnx", "m.onnx", *arguments).startswith(start)


def test_files_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model(Path("m.onnx"))
    Path("text.onnx").write_text("no model", encoding="utf-8")
    assert refused(monkeypatch, capsys, "m.onnx", "gone.onnx").startswith("model file gone.onnx does not exist; ")
    assert refused(monkeypatch, capsys, "gone.onnx", "m.onnx").startswith("model file gone.onnx does not exist; ")
    assert refused(monkeypatch, capsys, "text.onnx", "m.onnx").startswith("model file text.onnx is not an ONNX model")
    assert refused(monkeypatch, capsys, "git:main", "m.onnx") == (
        "git:main: m.onnx is in no git repository; name a file instead"
    )


def test_a_gpu_that_is_not_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model(Path("m.onnx"))
    monkeypatch.setattr(probe, "probe_gpus", lambda: GpuProbe((), "no driver"))
    assert refused(monkeypatch, capsys, "m.onnx", "m.onnx", "--target=cuda-t4") == (
        "--target cuda-t4 asks for 'Tesla T4', found: no NVIDIA GPU (no driver); run on a machine that has one"
    )


def test_without_a_runtime_it_says_how_to_install_one() -> None:
    tiny_model(Path("m.onnx"))
    code = "import sys; sys.modules['onnxruntime'] = None; from voiceflow_ml.cli import main; main()"
    command = [sys.executable, "-c", code, "compare", "m.onnx", "m.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == 'voiceflow: onnxruntime is not installed: pip install "voiceflow-ml[cpu]"'


def test_the_help_teaches_with_examples_and_states_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = " ".join(compare("--help").output.split())
    assert "voiceflow compare old.onnx new.onnx --input audio=builtin:speech" in text
    assert "voiceflow compare git:main model.onnx --quantile p99 --tolerance 5%" in text
    assert "Numbers of other sessions are not comparable" in text
    assert "0 NOT SLOWER" in text
    assert "4 INVALID" in text
