"""Model files that nobody vouches for: each is refused with one sentence, before anything is built from it."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests.contract_models import contracted_model, save_contract
from tests.onnx_models import tiny_model, two_input_model
from voiceflow_ml import cli
from voiceflow_ml.contract import Tensor, read_contract
from voiceflow_ml.contract.check import check_model
from voiceflow_ml.contract.from_model import contract_of
from voiceflow_ml.contract.model_file import computation_sha256, read_model
from voiceflow_ml.errors import ContractError, ModelFileError


def changed(path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def outside(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "48")):
            tensor.external_data.add(key=key, value=value)

    return change


def huge(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1024, 1024, 768]


def larger_than_held(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [400, 3]


def negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [-4, 3]


def opset(version: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def custom(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("org.example", 1))


def no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def dangling(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "nothing"


def unknown_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside("../secret.bin"), r"has its data at '\.\./secret\.bin', outside of the model's folder"),
        (outside("/etc/hostname"), "outside of the model's folder"),
        (outside("sub/../../x"), "outside of the model's folder"),
        (outside(""), "outside of the model's folder"),
        (outside("missing.bin"), r"has its data in missing\.bin: No such file"),
        (huge, r"tensor 'w' claims 3221225472 bytes by its shape \[1024, 1024, 768\]"),
        (larger_than_held, r"claims 4800 bytes by its shape \[400, 3\] and holds 48"),
        (negative, "sizes are at least 0"),
        (unknown_type, "has the unknown type 99"),
        (opset(99), "has opset 99; 13 to"),
        (opset(7), "has opset 7; 13 to"),
        (custom, "needs operators of org.example"),
        (no_graph, "it holds no graph"),
        (dangling, "is not a valid ONNX model: .*nothing"),
    ],
)
def test_each_lie_is_refused_with_one_sentence(
    change: Callable[[onnx.ModelProto], None], message: str, tmp_path: Path
) -> None:
    path = changed(tiny_model(tmp_path / "m.onnx"), change)
    with pytest.raises(ModelFileError, match=message) as refusal:
        read_model(path)
    assert "\n" not in str(refusal.value)


def test_a_claim_of_3_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    path = changed(tiny_model(tmp_path / "m.onnx"), huge)
    assert path.stat().st_size < 1024
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError):
        read_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 100_000


def test_a_link_out_of_the_folder_is_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(48))
    folder = tmp_path / "model"
    folder.mkdir()
    path = changed(tiny_model(folder / "m.onnx"), outside("weights.bin"))
    (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelFileError, match="outside of the model's folder"):
        read_model(path)


def test_external_data_beside_the_model_is_taken_and_counts_in_the_hash(tmp_path: Path) -> None:
    path = changed(tiny_model(tmp_path / "m.onnx"), outside("weights.bin"))
    (tmp_path / "weights.bin").write_bytes(bytes(48))
    first = computation_sha256(read_model(path), tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(47) + b"\1")
    assert computation_sha256(read_model(path), tmp_path) != first
    (tmp_path / "weights.bin").write_bytes(bytes(40))
    with pytest.raises(ModelFileError, match=r"at 0 to 48 of weights\.bin, which ends at 40"):
        read_model(path)


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        read_model(tmp_path)
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ModelFileError, match="has 0 bytes"):
        read_model(tmp_path / "empty.onnx")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.0, 0.999))
def test_no_file_that_is_cut_off_passes(share: float, tmp_path: Path) -> None:
    whole = contracted_model(tmp_path / "whole").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises((ModelFileError, ContractError)):
        check_model(path, golden_folder=tmp_path / "whole")


def test_the_hash_of_the_computation_ignores_words_and_sees_weights(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    model = read_model(path)
    bare = computation_sha256(model, tmp_path)
    model.producer_name, model.doc_string, model.graph.node[0].doc_string = "someone", "notes", "more"
    assert computation_sha256(model, tmp_path) == bare
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0, 0] = np.nextafter(weights[0, 0], np.float32(9))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    assert computation_sha256(model, tmp_path) != bare


def test_a_model_that_keeps_its_contract(tmp_path: Path) -> None:
    path = contracted_model(tmp_path)
    assert check_model(path) == read_contract(tmp_path) == contract_of(path) == contract_of(tmp_path)
    result = CliRunner().invoke(cli.app, ["contract", "check", str(path)])
    assert result.output == f"{path} keeps the contract of tiny: 1 golden pairs reproduced\n"


def test_a_model_whose_inputs_break_the_contract(tmp_path: Path) -> None:
    contracted_model(tmp_path)
    other = two_input_model(tmp_path / "other.onnx")
    with pytest.raises(ContractError, match="input 'x' is gone; input 'audio' is new and required") as refusal:
        check_model(other, contract_path=tmp_path / "contract.json")
    assert "\n" not in str(refusal.value)


def test_other_weights_other_opsets_and_wrong_golden_outputs_break_it(tmp_path: Path) -> None:
    path = contracted_model(tmp_path / "a")
    contract = read_contract(tmp_path / "a")
    other = contracted_model(tmp_path / "b", shift=0.5)
    with pytest.raises(ContractError, match="the hash of the computation differs"):
        check_model(other, contract_path=tmp_path / "a")
    save_contract(path, replace(contract, computation_sha256=read_contract(tmp_path / "b").computation_sha256))
    other.write_bytes(other.read_bytes())
    save_contract(other, replace(read_contract(tmp_path / "b"), golden=contract.golden))
    for file in (tmp_path / "a" / "golden").iterdir():
        (tmp_path / "b" / "golden" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ContractError, match=r"golden pair 'ramp': y differs by .*; 1e-05 is allowed"):
        check_model(other)
    save_contract(path, replace(contract, opset={"": 18}, ir_version=4))
    with pytest.raises(ContractError, match=r"opset is \{'': 17\}, the contract says \{'': 18\}; file format"):
        check_model(path)


def test_a_damaged_golden_file_is_found(tmp_path: Path) -> None:
    path = contracted_model(tmp_path)
    file = tmp_path / "golden" / "ramp.y.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ContractError, match="is not the file that the contract means"):
        check_model(path)
    file.unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        check_model(path)


def test_a_golden_file_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = contracted_model(tmp_path)
    contract = read_contract(tmp_path)
    save_contract(path, replace(contract, golden=(replace(contract.golden[0], inputs={"x": "../x.npy"}),)))
    with pytest.raises(ContractError, match="outside of the contract's folder"):
        check_model(path)


def test_a_model_without_a_contract_says_what_to_do(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "m.onnx")
    with pytest.raises(ContractError, match="voiceflow export writes both"):
        check_model(path)
    stated = contract_of(path)
    assert stated.inputs == (Tensor("x", "float32", ("batch", 4)),)
    assert stated.model == "m"
