"""``--sla-baseline``: a candidate beside its earlier version, measured in turns in the same session."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.git_repository import commit, forget_the_outer_repository
from tests.integration.plugin_project import OBJECTIVE, Project, one_line_with, table
from tests.onnx_models import chain_model, tiny_model
from voiceflow_ml.pytest_plugin.exit_status import ExitStatus

LIGHT, HEAVY = 1, 16

CHAIN = """\
version = 1

[models.chain]
file = "chain.onnx"
inputs = { x = { shape = [64, 128] } }
"""
CHAIN_OBJECTIVE = OBJECTIVE.replace("tiny", "chain").replace("p99", "p50").format(target="cpu", limit="10s")
LENIENT = "--sla-policy=lenient"


@pytest.fixture(name="chain")
def _chain(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one promise about ``chain.onnx``, and no git repository around it."""
    forget_the_outer_repository(monkeypatch, project.root.parent)
    project.write_sla(CHAIN_OBJECTIVE, head=CHAIN)
    return project


def write(project: Project, name: str, layers: int) -> Path:
    """A model whose time is about proportional to its layers."""
    return chain_model(project.root / name, layers=layers)


def properties(project: Project) -> dict[str, str]:
    """The properties of the only test case of the JUnit file."""
    (case,) = ElementTree.parse(project.root / "junit.xml").iter("testcase")
    return {entry.attrib["name"]: entry.attrib["value"] for entry in case.iter("property")}


def test_a_slower_model_fails_its_test_with_the_ratio(chain: Project) -> None:
    write(chain, "old.onnx", LIGHT)
    write(chain, "chain.onnx", HEAVY)
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=old.onnx", "--junitxml=junit.xml", "sla.toml")
    result.assert_outcomes(failed=1)
    line = one_line_with(result.stdout.str(), "[chain · model-inference · cpu]")
    assert line.startswith("SLOWER: P50 is more than 5 % slower with 99 % confidence: ")
    met, slower, total = table(result)
    assert met.startswith("MET           chain")
    assert slower.startswith("SLOWER        chain · model-inference · cpu  P50 <= 1.05x old.onnx")
    assert total == "1 SLOWER, 1 MET"

    numbers = properties(chain)
    assert (numbers["sla.baseline"], numbers["sla.p50.against"]) == ("old.onnx", "SLOWER")
    low, ratio, high = (float(numbers[f"sla.p50.against.{name}"]) for name in ("ratio_low", "ratio", "ratio_high"))
    assert 1.05 < low <= ratio <= high
    assert numbers["sla.p50.against.tolerance"] == "0.05"
    cells = [cell.strip() for cell in one_line_with(chain.report(), "| **SLOWER** |").split("|")[1:-1]]
    assert cells[2:5] == ["P50 <= 1.05x old.onnx", f"{ratio:.3f}x", f"\\[{low:.3f}x, {high:.3f}x\\]"]
    ((entry),) = chain.results()
    against = entry["measurement"]["against"]
    assert len(against["baseline_ns"]) == len(against["candidate_ns"]) == 400
    assert against["sha256"] != entry["measurement"]["facts"]["model SHA-256"]
    assert against["sha256"] in chain.report()
    assert "- information: baseline: all " in chain.report() or "baseline: the only compute node" in chain.report()


def test_a_faster_model_passes_and_says_so(chain: Project) -> None:
    write(chain, "old.onnx", HEAVY)
    write(chain, "chain.onnx", LIGHT)
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=chain=old.onnx", "sla.toml")
    result.assert_outcomes(passed=1)
    assert table(result)[1].startswith("NOT SLOWER    chain · model-inference · cpu  P50 <= 1.05x old.onnx")
    assert table(result)[2] == "1 NOT SLOWER, 1 MET"
    assert "| **NOT SLOWER** |" in chain.report()


def test_too_little_time_leaves_a_comparison_open(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    result = chain.run("-W", "error", "--sla-time-budget=1ns", LENIENT, "--sla-baseline=chain.onnx", "sla.toml")
    result.assert_outcomes(xfailed=1)
    assert [line.split("  ")[0] for line in table(result)] == ["INCONCLUSIVE", "INCONCLUSIVE", "2 INCONCLUSIVE"]
    assert "it takes 400 samples of each arm, got 10 of the baseline" in table(result)[1]
    assert chain.run("--sla-time-budget=1ns", "--sla-policy=strict", "--sla-baseline=chain.onnx", "sla.toml").ret == 11


def test_report_only_fails_nothing(chain: Project) -> None:
    write(chain, "old.onnx", LIGHT)
    write(chain, "chain.onnx", HEAVY)
    result = chain.run("-W", "error", "--sla-policy=report-only", "--sla-baseline=old.onnx", "sla.toml")
    result.assert_outcomes(xfailed=1)
    assert table(result)[-1].startswith("1 SLOWER, 1 MET (report-only")


def test_a_python_test_of_a_model_is_compared_too(chain: Project) -> None:
    write(chain, "old.onnx", LIGHT)
    write(chain, "chain.onnx", HEAVY)
    chain.write_test("""
import numpy as np
from voiceflow_ml.inference.ort import open_onnx

@cpu
@pytest.mark.sla("chain", p50="10s")
def test_it(latency, target):
    latency(open_onnx(Path("chain.onnx"), target), np.ones((64, 128), dtype=np.float32))
""")
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=old.onnx", "test_it.py")
    result.assert_outcomes(failed=1)
    assert table(result)[-1] == "1 SLOWER, 1 MET"


def test_each_model_has_its_own_baseline(chain: Project) -> None:
    write(chain, "old.onnx", HEAVY)
    write(chain, "chain.onnx", LIGHT)
    tiny = '\n[models.tiny]\nfile = "tiny.onnx"\ninputs = { x = { shape = [4096, 4] } }\n'
    chain.write_sla(tiny, CHAIN_OBJECTIVE, CHAIN_OBJECTIVE.replace("chain", "tiny"), head=CHAIN)
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=chain=old.onnx", "sla.toml")
    result.assert_outcomes(passed=2)
    assert [line.split("  ")[0] for line in table(result)] == ["MET", "NOT SLOWER", "MET", "1 NOT SLOWER, 2 MET"]


def test_the_file_of_a_git_ref(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    commit(chain.root)
    write(chain, "chain.onnx", HEAVY)
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=git:HEAD", "sla.toml")
    result.assert_outcomes(failed=1)
    assert table(result)[1].startswith("SLOWER        chain · model-inference · cpu  P50 <= 1.05x git:HEAD")
    assert "| baseline | git:HEAD, SHA-256 " in chain.report()


def refused(project: Project, *references: str) -> str:
    """The only sentence about a baseline that cannot be; the run is not green and shows no traceback."""
    result = project.run("-W", "error", *(f"--sla-baseline={reference}" for reference in references), "sla.toml")
    text = f"{result.stdout.str()}\n{result.stderr.str()}"
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.INTERNAL_ERROR), text
    assert "Traceback" not in text
    assert ".py:" not in text.replace("__init__.py:", ""), text
    return text


def failure(project: Project, reference: str) -> str:
    """What one test says about its baseline; the table repeats it."""
    text = refused(project, reference)
    (sentence,) = [line.partition("P50 <= 10 s")[2].strip() for line in text.splitlines() if line.startswith("ERROR  ")]
    assert sentence in text.splitlines()
    return sentence.replace(f"{project.root}/", "")


def usage_error(project: Project, *references: str) -> str:
    """What stops the run before it begins."""
    text = refused(project, *references)
    (sentence,) = [line for line in text.splitlines() if line.startswith("ERROR: ")]
    return sentence


def test_a_baseline_that_is_not_there(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    assert failure(chain, "gone.onnx") == (
        "--sla-baseline=gone.onnx: model file gone.onnx does not exist; give the path of an .onnx file"
    )


def test_a_baseline_that_is_no_model(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    (chain.root / "text.onnx").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    sentence = failure(chain, "text.onnx")
    assert sentence.startswith("--sla-baseline=text.onnx: model file text.onnx is not an ONNX model that can be loaded")


def test_a_baseline_that_takes_other_inputs(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    tiny_model(chain.root / "other.onnx")
    sentence = failure(chain, "other.onnx")
    assert sentence == (
        "--sla-baseline=other.onnx: other.onnx: input 'x' takes float32 [batch, 4], got float32 [64, 128]"
    )


def test_no_repository_no_ref_no_file_at_it_and_a_pointer(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    assert failure(chain, "git:main") == (
        "--sla-baseline=git:main: chain.onnx is in no git repository; name a file instead"
    )
    (chain.root / "chain.onnx").rename(chain.root / "aside")
    commit(chain.root)
    (chain.root / "aside").rename(chain.root / "chain.onnx")
    assert failure(chain, "git:main") == (
        "--sla-baseline=git:main: there is no chain.onnx at main; name a file instead"
    )
    assert failure(chain, "git:v9") == (
        "--sla-baseline=git:v9: unknown ref 'v9'; in a shallow clone, fetch it first: git fetch origin v9"
    )
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (chain.root / "chain.onnx").write_bytes(pointer)
    commit(chain.root)
    write(chain, "chain.onnx", LIGHT)
    assert failure(chain, "git:HEAD") == (
        "--sla-baseline=git:HEAD: chain.onnx is kept by Git LFS; check it out elsewhere and name that file"
    )


def test_a_callable_has_no_earlier_version(project: Project) -> None:
    project.write_test('@cpu\n@pytest.mark.sla("mine", p50="10s")\ndef test_it(latency):\n    latency(work)\n')
    result = project.run("-W", "error", LENIENT, "--sla-baseline=git:HEAD")
    result.assert_outcomes(failed=1)
    sentence = (
        "--sla-baseline=git:HEAD: mine is measured as a callable, whose earlier version nothing can find; "
        "open the model with voiceflow_ml.inference.ort.open_onnx"
    )
    assert result.outlines.count(sentence) == 1


TWO_MODELS = CHAIN_OBJECTIVE + '\n[models.tiny]\nfile = "tiny.onnx"\n' + CHAIN_OBJECTIVE.replace("chain", "tiny")


def test_usage_errors(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    assert usage_error(chain, "chian=old.onnx") == (
        "ERROR: --sla-baseline=chian=old.onnx: no test of this run measures 'chian'; measured: chain"
    )
    assert usage_error(chain, "old.onnx", "other.onnx") == (
        "ERROR: --sla-baseline is given twice for every model: old.onnx and other.onnx"
    )
    assert usage_error(chain, "chain=old.onnx", "chain=git:main") == (
        "ERROR: --sla-baseline is given twice for chain: old.onnx and git:main"
    )
    chain.write_sla(TWO_MODELS, head=CHAIN)
    assert usage_error(chain, "old.onnx") == (
        "ERROR: --sla-baseline=old.onnx: one file cannot be the baseline of 2 models (chain, tiny); "
        "write --sla-baseline=chain=old.onnx"
    )


@pytest.mark.parametrize("nothing", ["", "git:", "chain=", "chain=git:"])
def test_a_baseline_of_nothing(chain: Project, nothing: str) -> None:
    result = chain.run(f"--sla-baseline={nothing}", "sla.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{nothing!r} names no baseline: write old.onnx, git:main, or fast-cnn=old.onnx"])


def test_a_path_may_hold_an_equals_sign(chain: Project) -> None:
    (chain.root / "a=b").mkdir()
    write(chain, "a=b/old.onnx", HEAVY)
    write(chain, "chain.onnx", LIGHT)
    result = chain.run("-W", "error", LENIENT, "--sla-baseline=./a=b/old.onnx", "sla.toml")
    result.assert_outcomes(passed=1)


def test_a_worker_says_that_a_model_is_unknown(chain: Project) -> None:
    write(chain, "chain.onnx", LIGHT)
    result = chain.run_apart("-n", "1", LENIENT, "--sla-baseline=chian=old.onnx", "sla.toml")
    text = f"{result.stdout.str()}\n{result.stderr.str()}"
    assert result.ret != pytest.ExitCode.OK
    problem = "ERROR: --sla-baseline=chian=old.onnx: no test of this run measures 'chian'; measured: chain"
    assert result.outlines.count(problem) == 1
    assert "INTERNALERROR" not in text


def test_a_baseline_for_a_run_without_measurements_is_not_green(project: Project) -> None:
    project.write_test("def test_ordinary():\n    pass\n")
    result = project.run("--sla-baseline=old.onnx")
    assert result.ret == ExitStatus.NOT_RUN
    assert "ERROR: --sla-baseline=old.onnx: no test of this run measures anything" in result.outlines
