"""``voiceflow init``: what it finds in a project, what it writes, and what it leaves alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner, Result

from tests.onnx_models import save_graph, tiny_model, two_input_model
from voiceflow_ml import cli
from voiceflow_ml.commands.found_models import find_models
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.declared import declared_inputs, open_declared
from voiceflow_ml.sla.load import load_sla
from voiceflow_ml.sla.objectives import Sla

WRITTEN = ("sla.toml", "tests/hardware/test_latency.py", ".github/workflows/latency.yml")


def init(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.app, ["init", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def graph_of(path: Path, *inputs: tuple[str, int, list[int | str]]) -> Path:
    """Write a model whose inputs, each (name, type, shape), pass through."""
    nodes = [helper.make_node("Identity", [name], [f"y{number}"]) for number, (name, _, _) in enumerate(inputs)]
    outputs = [(f"y{number}", kind, shape) for number, (_, kind, shape) in enumerate(inputs)]
    taken, given = ([helper.make_tensor_value_info(*one) for one in some] for some in (inputs, outputs))
    return save_graph(path, helper.make_graph(nodes, "through", taken, given))


def declared(folder: Path) -> Sla:
    return load_sla(folder / "sla.toml")


def shapes(sla: Sla, model: str) -> dict[str, tuple[int, ...]]:
    return {name: spec.shape for name, spec in sla.models[model].inputs.items()}


def test_every_model_becomes_a_promise_whose_inputs_the_model_takes(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    tiny_model(tmp_path / "models" / "tiny.onnx")
    two_input_model(tmp_path / "two inputs.onnx")
    init(tmp_path)
    sla = declared(tmp_path)
    assert [(promise.model, promise.target) for promise in sla.promises] == [("tiny", "cpu"), ("two-inputs", "cpu")]
    assert shapes(sla, "tiny") == {"x": (1, 4)}
    assert shapes(sla, "two-inputs") == {"audio": (1, 16_000), "length": (1,)}
    for spec in sla.models.values():
        model = open_declared(spec, CPU)
        arrays, _ = declared_inputs(spec, model)
        assert len(model(*arrays)) == len(model.inputs)


def test_what_is_guessed_is_called_a_placeholder_and_the_next_step_is_named(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    said = init(tmp_path).output
    lines = (tmp_path / "sla.toml").read_text(encoding="utf-8").splitlines()
    (limit,) = [line for line in lines if line.startswith("p99")]
    assert "PLACEHOLDER" in limit
    assert "voiceflow calibrate" in limit
    (guess,) = [line for line in lines if line.startswith("# x:")]
    assert guess.startswith("# x: float32 [batch, 4]; PLACEHOLDER: batch = 1,")
    assert "voiceflow calibrate" in said


def test_a_fixed_shape_is_no_placeholder(tmp_path: Path) -> None:
    graph_of(tmp_path / "fixed.onnx", ("x", TensorProto.FLOAT16, [2, 3]))
    init(tmp_path)
    assert shapes(declared(tmp_path), "fixed") == {"x": (2, 3)}
    assert "\n# x: float16 [2, 3]\nx = " in (tmp_path / "sla.toml").read_text(encoding="utf-8")


def test_sizes_of_open_axes_suit_what_they_are_and_agree_where_they_are_named_alike(tmp_path: Path) -> None:
    graph_of(
        tmp_path / "tokens.onnx",
        ("ids", TensorProto.INT64, ["batch", "words"]),
        ("places", TensorProto.INT64, ["words"]),
    )
    graph_of(tmp_path / "picture.onnx", ("pixels", TensorProto.FLOAT, ["n", 3, "height", "width"]))
    graph_of(
        tmp_path / "sound.onnx",
        ("audio", TensorProto.FLOAT, [1, "samples"]),
        ("mask", TensorProto.BOOL, [1, "samples"]),
    )
    init(tmp_path)
    sla = declared(tmp_path)
    assert shapes(sla, "tokens") == {"ids": (1, 128), "places": (128,)}
    assert shapes(sla, "picture") == {"pixels": (1, 3, 224, 224)}
    assert shapes(sla, "sound") == {"audio": (1, 16_000), "mask": (1, 16_000)}


NASTY = 'in "put"\\.1\n#\x7f \N{GRINNING FACE}`'


def test_names_cannot_break_what_is_written(tmp_path: Path) -> None:
    graph_of(tmp_path / 'it"s ] odd.onnx', (NASTY, TensorProto.FLOAT, ['b"\n]', 2]))
    init(tmp_path)
    sla = declared(tmp_path)
    assert shapes(sla, "it-s-odd") == {NASTY: (1, 2)}
    tree = ast.parse((tmp_path / WRITTEN[1]).read_text(encoding="utf-8"))
    assert "test_it_s_odd_latency" in [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_a_scalar_and_no_input_at_all_need_no_shape(tmp_path: Path) -> None:
    graph_of(tmp_path / "scalar.onnx", ("x", TensorProto.FLOAT, []))
    constant = helper.make_tensor("value", TensorProto.FLOAT, [1], np.zeros(1, dtype=np.float32))
    node = helper.make_node("Constant", [], ["y"], value=constant)
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    save_graph(tmp_path / "alone.onnx", helper.make_graph([node], "alone", [], [output]))
    init(tmp_path)
    sla = declared(tmp_path)
    assert (shapes(sla, "scalar"), shapes(sla, "alone")) == ({}, {})
    arrays, _ = declared_inputs(sla.models["scalar"], open_declared(sla.models["scalar"], CPU))
    assert arrays[0].shape == ()


def test_models_of_one_name_keep_apart(tmp_path: Path) -> None:
    for file in ("a/net.onnx", "b/net.onnx", "b-net.onnx", "---.onnx"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        tiny_model(tmp_path / file)
    found, skipped = find_models(tmp_path)
    assert {model.file: model.name for model in found} == {
        "---.onnx": "model",
        "a/net.onnx": "net",
        "b-net.onnx": "b-net",
        "b/net.onnx": "b-net-2",
    }
    assert skipped == []


def test_what_other_tools_put_there_is_not_looked_at(tmp_path: Path) -> None:
    for folder in (".cache", "node_modules/pkg", "env/lib"):
        (tmp_path / folder).mkdir(parents=True)
        tiny_model(tmp_path / folder / "net.onnx")
    (tmp_path / "env" / "pyvenv.cfg").write_text("", encoding="utf-8")
    assert find_models(tmp_path) == ([], [])


def test_a_file_that_cannot_be_opened_is_named_and_skipped(tmp_path: Path) -> None:
    tiny_model(tmp_path / "good.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "gone.onnx").symlink_to("nowhere.onnx")
    (tmp_path / "pointer.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    graph_of(tmp_path / "text.onnx", ("words", TensorProto.STRING, [1]))
    result = init(tmp_path)
    said = [line for line in result.stderr.splitlines() if line.startswith("skipped: ")]
    names = ("broken", "empty", "gone", "pointer", "text")
    assert [name for name, line in zip(names, said, strict=True) if f"{name}.onnx" in line] == list(names)
    assert said[3].endswith("is only a Git LFS pointer; run git lfs pull")
    assert list(declared(tmp_path).models) == ["good"]


def test_without_any_model_the_promise_is_about_the_built_in_one(tmp_path: Path) -> None:
    said = init(tmp_path).output
    assert "found no model to open: sla.toml promises about the built-in one" in said
    sla = declared(tmp_path)
    assert sla.models["fast-cnn"].file == "builtin:fast-cnn"
    assert "No .onnx file" in (tmp_path / "sla.toml").read_text(encoding="utf-8")
    ast.parse((tmp_path / WRITTEN[1]).read_text(encoding="utf-8"))


def test_what_is_there_is_left_alone_unless_forced(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    mine = tmp_path / "sla.toml"
    mine.write_text("mine", encoding="utf-8")
    said = init(tmp_path).output
    assert "left alone: sla.toml, which is there already" in said
    assert mine.read_text(encoding="utf-8") == "mine"
    assert all((tmp_path / file).is_file() for file in WRITTEN)
    assert "replaced sla.toml" in init(tmp_path, "--force").output
    assert list(declared(tmp_path).models) == ["tiny"]


def test_a_link_that_leads_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "sla.toml").symlink_to("elsewhere.toml")
    assert "left alone: sla.toml" in init(tmp_path).output
    assert (tmp_path / "sla.toml").is_symlink()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    said = init(tmp_path, "--dry-run").output
    assert [line for line in said.splitlines() if line.startswith("would ")] == [
        f"would write {file}" for file in WRITTEN
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_a_part_of_a_repository_is_told_where_workflows_belong(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "service").mkdir()
    assert "in the root of a repository only" in init(tmp_path / "service").output
    assert "in the root of a repository only" not in init(tmp_path).output


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_folder_is_refused_in_one_sentence(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert refused(monkeypatch, capsys, tmp_path / name).startswith(f"voiceflow: {tmp_path / name}: not a folder")


def test_a_file_in_the_way_of_a_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").touch()
    assert "test_latency.py: cannot be written" in refused(monkeypatch, capsys, tmp_path)


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    monkeypatch.setattr(sys, "argv", ["voiceflow", "init", str(folder)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    return message
