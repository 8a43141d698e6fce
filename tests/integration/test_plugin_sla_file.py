"""``pytest sla.toml``: promises measured with no Python, and mistakes that say where they are."""

from __future__ import annotations

import pytest

from tests.integration.plugin_project import OBJECTIVE, TINY_MODEL, Project, table

END_TO_END = """
[[objective]]
model = "tiny"
stage = "end-to-end"
target = "cpu"
p99 = "100ms"
"""


def test_every_objective_is_a_test_with_no_python(project: Project) -> None:
    several_limits = '\n[[objective]]\nmodel = "tiny"\ntarget = "cpu"\np50 = "10s"\np99 = "2us"\n'
    project.write_sla(several_limits, END_TO_END, OBJECTIVE.format(target="cuda-t4", limit="20ms"))
    result = project.run("-W", "error", "-v", "-rs", "sla.toml")
    result.assert_outcomes(failed=1, skipped=2)
    result.stdout.fnmatch_lines(
        [
            "sla.toml::tiny[[]model-inference-cpu[]] FAILED *",
            "sla.toml::tiny[[]end-to-end-cpu[]] SKIPPED *",
            "sla.toml::tiny[[]model-inference-cuda-t4[]] SKIPPED *",
            "SKIPPED * sla.toml: end-to-end cannot be measured from sla.toml alone: write a test that times it *",
            "SKIPPED * sla.toml: cuda-t4 was not asked for: add --gpu=t4",
        ]
    )
    *rows, total = [" ".join(line.split()) for line in table(result)]
    assert [row.partition("<=")[0] for row in rows] == [
        "MET tiny · model-inference · cpu P50 ",
        "BREACHED tiny · model-inference · cpu P99 ",
        "NOT RUN tiny · end-to-end · cpu P99 ",
        "NOT RUN tiny · model-inference · cuda-t4 P99 ",
    ]
    assert total == "1 BREACHED, 2 NOT RUN, 1 MET"
    (measured, *_) = project.results()
    assert measured["measurement"]["facts"]["model file"] == "tiny.onnx"
    assert measured["measurement"]["inputs"] == "x: seeded synthetic float32 [4096, 4]"


def test_markers_select_promises(project: Project) -> None:
    project.promise("cpu", "cuda-t4", "cuda-l4")
    result = project.run("--collect-only", "-q", "-m", "hardware and cuda and not cuda_l4", "sla.toml")
    assert [line for line in result.outlines if "::" in line] == ["sla.toml::tiny[model-inference-cuda-t4]"]


def test_an_sla_file_that_is_not_named_is_not_collected(project: Project) -> None:
    project.promise("cpu")
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


# Mistakes in the file itself: nothing runs.
AT_COLLECTION = {
    "no unit": (
        TINY_MODEL + OBJECTIVE.format(target="cpu", limit="10"),
        "sla.toml:10: objective[1].p99: '10' has no unit: write a number and a unit, such as \"10ms\" (units: ns,",
    ),
    "negative": (
        TINY_MODEL + OBJECTIVE.format(target="cpu", limit="-3ms"),
        "sla.toml:10: objective[1].p99: '-3ms' is negative: a duration must be positive; write a number and a unit,",
    ),
    "no text": (
        TINY_MODEL + OBJECTIVE.format(target="cpu", limit="10").replace('"10"', "10"),
        'sla.toml:10: objective[1].p99: 10 is not a duration: write a number and a unit, such as "10ms"',
    ),
    "unknown model": (
        TINY_MODEL + OBJECTIVE.replace("tiny", "tinny").format(target="cpu", limit="10ms"),
        "sla.toml:8: objective[1].model: unknown model 'tinny'; declared models: tiny",
    ),
    "unknown target": (
        TINY_MODEL + OBJECTIVE.format(target="gpu", limit="10ms"),
        "sla.toml:9: objective[1].target: unknown target 'gpu'; known targets: cpu, cuda-t4,",
    ),
    "unknown key": (
        TINY_MODEL + OBJECTIVE.format(target="cpu", limit="10ms") + 'p98 = "9ms"\n',
        "sla.toml:11: objective[1].p98: unknown key; valid here: model, stage, target, p50, p90, p95, p99, p999",
    ),
    "no version": (
        OBJECTIVE.format(target="cpu", limit="10ms"),
        "sla.toml: version: is missing; ",
    ),
    "not TOML": ("version = \n", "sla.toml:1: not valid TOML: "),
}


@pytest.mark.parametrize(("text", "sentence"), AT_COLLECTION.values(), ids=AT_COLLECTION)
def test_a_mistake_in_the_file_is_one_sentence_with_its_line(project: Project, text: str, sentence: str) -> None:
    path = project.write_sla(head=text)
    result = project.run("sla.toml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    expected = f"{path.parent}/{sentence}"
    assert [line for line in result.outlines if line.startswith(expected)], result.stdout.str()
    assert "Traceback" not in result.stdout.str()
    assert "load.py" not in result.stdout.str()


def break_model(project: Project, content: bytes) -> None:
    (project.root / "tiny.onnx").write_bytes(content)


def test_a_wrong_model_path_fails_with_the_line_and_the_valid_forms(project: Project) -> None:
    path = project.promise("cpu")
    (project.root / "tiny.onnx").unlink()
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    expected = (
        f"{path}:4: models.tiny.file: model file {project.root}/tiny.onnx does not exist; give the path of an "
        '.onnx file (file is a path relative to sla.toml, or "builtin:fast-cnn")'
    )
    assert expected in result.outlines
    assert table(result)[0] == f"ERROR         tiny · model-inference · cpu  P99 <= 10 s  {expected}"
    assert "Traceback" not in result.stdout.str()
    assert "ort.py" not in result.stdout.str()


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"not a model", "is not an ONNX model that can")])
def test_a_file_that_is_no_model_fails_with_one_sentence(project: Project, content: bytes, reason: str) -> None:
    path = project.promise("cpu")
    break_model(project, content)
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    lines = [line for line in result.outlines if line.startswith(f"{path}:4: models.tiny.file: model file ")]
    assert len(lines) == 1
    assert f"/tiny.onnx {reason}" in lines[0]
    assert "Traceback" not in result.stdout.str()


def test_inputs_that_do_not_fit_fail_with_what_the_model_takes(project: Project) -> None:
    head = TINY_MODEL.replace("4096, 4", "4096, 5")
    project.write_sla(OBJECTIVE.format(target="cpu", limit="10s"), head=head)
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*input 'x' takes float32 [[]batch, 4[]], got float32 [[]4096, 5[]]"])


def test_another_file_than_the_declared_one_is_invalid(project: Project) -> None:
    head = TINY_MODEL.replace("inputs", f'sha256 = "{"0" * 64}"\ninputs')
    project.write_sla(OBJECTIVE.format(target="cpu", limit="10s"), head=head)
    result = project.run("sla.toml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["INVALID: the model file's SHA-256 is *, declared is 000000000000...; *"])
