"""What a model file states, read without ``onnx``; held against ``onnx`` itself, and against damage."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import tiny_model
from voiceflow_ml.contract.schema import METADATA_KEY
from voiceflow_ml.errors import ModelFileError
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.service.onnx_header import OnnxHeader, read_header


def test_it_says_what_onnx_says_of_the_shipped_model() -> None:
    model = onnx.load(shipped_model_path())
    header = read_header(shipped_model_path())
    assert header.ir_version == model.ir_version
    assert header.opset == {entry.domain: entry.version for entry in model.opset_import}
    assert header.metadata == {entry.key: entry.value for entry in model.metadata_props}
    assert METADATA_KEY in header.metadata
    assert header.external_files == ()


def with_external(path: Path) -> Path:
    """A model with data outside of the file in every place where a tensor can stand."""

    def tensor(name: str) -> TensorProto:
        made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        made.external_data.add(key="offset", value="0")
        made.external_data.add(key="location", value=f"{name}.bin")
        return made

    model = onnx.load(tiny_model(path))
    model.graph.initializer.append(tensor("initializer"))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor("attribute")))
    inner = helper.make_graph([helper.make_node("Constant", [], ["d"], value=tensor("inner"))], "g", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["e"], then_branch=inner, else_branch=inner))
    function = model.functions.add(name="f", domain="")
    function.node.append(helper.make_node("Constant", [], ["f"], value=tensor("function")))
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(tensor("sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64)))
    listed = model.graph.node[-1].attribute.add(name="many", type=onnx.AttributeProto.TENSORS)
    listed.tensors.append(tensor("listed"))
    path.write_bytes(model.SerializeToString())
    return path


def test_it_finds_data_outside_wherever_it_stands(tmp_path: Path) -> None:
    places = ("attribute", "function", "initializer", "inner", "listed", "sparse")
    assert read_header(with_external(tmp_path / "m.onnx")).external_files == tuple(f"{name}.bin" for name in places)


def test_the_long_name_of_onnxs_own_domain_is_its_short_one(tmp_path: Path) -> None:
    model = onnx.load(tiny_model(tmp_path / "m.onnx"))
    model.opset_import[0].domain = "ai.onnx"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert read_header(tmp_path / "m.onnx").opset == {"": 17}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "m.onnx is empty"),
        (b"\x08", "cut off or damaged"),
        (b"\x3a\x7f", "cut off or damaged"),
        (b"\xff" * 12, "cut off or damaged"),
        (b"\x0b", "not an ONNX model"),
        (b"\x08\x09", "it holds no graph"),
        (b"<html><body>504 Gateway Timeout</body></html>", "m.onnx is"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelFileError, match=words) as error:
        read_header(tmp_path / "m.onnx")
    assert str(tmp_path) not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"m\.onnx cannot be read: No such file"):
        read_header(tmp_path / "m.onnx")


def test_messages_inside_messages_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    content = b""
    for _ in range(5_000):
        # A graph in an attribute of a node of a graph ...
        for key in (b"\x32", b"\x2a", b"\x0a"):
            content = key + _varint(len(content)) + content
    (tmp_path / "m.onnx").write_bytes(b"\x3a" + _varint(len(content)) + content)
    assert read_header(tmp_path / "m.onnx") == OnnxHeader(0, {}, {}, ())


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.none() | st.integers(1, 10**6))
def test_damage_is_an_error_of_ours_or_a_header(place: int, bit: int, cut: int | None, tmp_path: Path) -> None:
    content = bytearray(tiny_model(tmp_path / "good.onnx").read_bytes())
    content[place % len(content)] ^= 1 << bit
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content[: cut % len(content)] if cut else content)
    with contextlib.suppress(ModelFileError):
        assert isinstance(read_header(damaged), OnnxHeader)
