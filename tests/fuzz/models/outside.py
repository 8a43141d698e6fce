"""Weights that lie outside of the file, or claim to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.models.mutant import FILE, OUTSIDE, SECRET, Mutant

_FACTS = {
    "negative offset": {"offset": "-4"},
    "offset beyond the end": {"offset": "4096"},
    "offset beyond 64 bits": {"offset": str(2**70)},
    "offset of ten thousand digits": {"offset": "9" * 10_000},
    "offset that is no number": {"offset": "many"},
    "offset in hexadecimal": {"offset": "0x10"},
    "length beyond the end": {"length": str(2**40)},
    "negative length": {"length": "-48"},
    "another length than its shape": {"length": "44"},
    "length that is no number": {"length": "4e1"},
    "length and offset that overflow": {"length": "48", "offset": str(2**63 - 1)},
}
_LEADING_OUT = {
    "one folder up": f"../{OUTSIDE}/{SECRET}",
    "up and down": f"sub/../../{OUTSIDE}/{SECRET}",
    "a dot and up": f"./../{OUTSIDE}/{SECRET}",
    "the device without end": "/dev/zero",
    "the memory of the process": "/proc/self/mem",
    "a file of the system": "/etc/hostname",
    "two slashes": "//etc/hostname",
    "a URL": "file:///etc/hostname",
    "home": "~/.profile",
    "backslashes": f"..\\{OUTSIDE}\\{SECRET}",
    "nothing": "",
    "the folder itself": ".",
    "the folder above": "..",
    "a NUL": "weights.bin\0../x",
    "a line break": "weights\n.bin",
    "terminal codes": "\x1b[2Jweights.bin",
    "five thousand letters": "w" * 5_000,
    "five thousand folders": "a/" * 5_000 + "w",
    "the runtime's mark of memory": "*/_ORT_MEM_ADDR_/*",
    "the runtime's mark of the model's own memory": "_MEM_ADDR_",
    "a file that is missing": "missing.bin",
}


def mutants() -> Iterator[Mutant]:
    """All of them, the same each time."""
    for name, location in _LEADING_OUT.items():
        yield Mutant(f"outside: {name}", "outside", _at(location))
    yield Mutant("outside: an absolute path", "outside", lambda folder: _at(str(_secret(folder)))(folder))
    for name, facts in _FACTS.items():
        yield Mutant(f"outside: {name}", "outside", _at("weights.bin", **facts))
    for name, make in _PLACES.items():
        yield Mutant(f"outside: {name}", "outside", make)
    for where in ("branch", "constant", "function", "sparse", "listed"):
        yield Mutant(f"outside: in a {where}", "outside", _elsewhere(where, f"../{OUTSIDE}/{SECRET}"))
    for size in (0, 12, 47):
        yield Mutant(f"outside: a file of {size} bytes", "outside", _short(size))


def _secret(folder: Path) -> Path:
    return folder.parent / OUTSIDE / SECRET


def _tensor(name: str, location: str, **facts: str) -> TensorProto:
    made = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **facts}.items():
        made.external_data.add(key=key, value=value)
    return made


def _changed(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(folder / FILE, load_external_data=False)
    change(model)
    (folder / FILE).write_bytes(model.SerializeToString())


def _at(location: str, **facts: str) -> Callable[[Path], None]:
    """The weights at another place; ``weights.bin`` in the folder is there, whole."""

    def make(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(_secret(folder).read_bytes())
        _changed(folder, lambda model: model.graph.initializer[0].CopyFrom(_tensor("w", location, **facts)))

    return make


def _short(size_bytes: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _at("weights.bin")(folder)
        os.truncate(folder / "weights.bin", size_bytes)

    return make


def _link(target: str, name: str = "weights.bin") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _at(name)(folder)
        (folder / "weights.bin").unlink()
        (folder / name.partition("/")[0]).unlink(missing_ok=True)
        (folder / name.partition("/")[0]).symlink_to(target)

    return make


def _pipe(folder: Path) -> None:
    _at("weights.bin")(folder)
    (folder / "weights.bin").unlink()
    os.mkfifo(folder / "weights.bin")


def _empty_pipe(folder: Path) -> None:
    """A weight of no values in a pipe: its size is right, and who reads it waits for ever."""
    _pipe(folder)

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((4, 3), np.float32), "w"))
        tensor = _tensor("none", "weights.bin")
        tensor.dims[:] = [0]
        model.graph.initializer.append(tensor)

    _changed(folder, change)


def _folder(folder: Path) -> None:
    _at("weights.bin")(folder)
    (folder / "weights.bin").unlink()
    (folder / "weights.bin").mkdir()


def _empty_folder(folder: Path) -> None:
    """The same with a folder in the place of the file."""
    _empty_pipe(folder)
    (folder / "weights.bin").unlink()
    (folder / "weights.bin").mkdir()


def _two_places(folder: Path) -> None:
    _at("weights.bin")(folder)

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].external_data.insert(
            0, onnx.StringStringEntryProto(key="location", value=f"../{OUTSIDE}/{SECRET}")
        )

    _changed(folder, change)


def _two_places_last(folder: Path) -> None:
    _at("weights.bin")(folder)
    _changed(
        folder,
        lambda model: (
            model.graph.initializer[0].external_data.add(key="location", value=f"../{OUTSIDE}/{SECRET}") and None
        ),
    )


def _itself(folder: Path) -> None:
    _at(FILE, offset="0", length="48")(folder)


def _also_inside(folder: Path) -> None:
    """Bytes in the file and a place outside of it."""
    _at("weights.bin")(folder)
    _changed(folder, lambda model: model.graph.initializer[0].__setattr__("raw_data", bytes(48)))


def _texts(folder: Path) -> None:
    _at("weights.bin")(folder)
    _changed(folder, lambda model: model.graph.initializer[0].__setattr__("data_type", TensorProto.STRING))


def _not_utf_8(folder: Path) -> None:
    _at("weights.bin")(folder)
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole.replace(b"weights.bin", b"weigh\xff\xfebin"))


def _elsewhere(where: str, location: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        def change(model: onnx.ModelProto) -> None:
            tensor = _tensor("t", location)
            constant = helper.make_node("Constant", [], ["unused"], "unused", value=tensor)
            if where == "branch":
                model.graph.node[3].attribute[0].g.initializer.append(tensor)
            elif where == "constant":
                model.graph.node.append(constant)
            elif where == "listed":
                constant.attribute[0].ClearField("t")
                constant.attribute[0].type = onnx.AttributeProto.TENSORS
                constant.attribute[0].tensors.append(tensor)
                model.graph.node.append(constant)
            elif where == "sparse":
                entry = model.graph.sparse_initializer.add(dims=[99])
                entry.values.CopyFrom(tensor)
                entry.indices.CopyFrom(numpy_helper.from_array(np.arange(12, dtype=np.int64), "places"))
            else:
                _in_function(model, tensor)

        _changed(folder, change)

    return make


def _in_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    """The weights of the last node are in a function that it calls."""
    tensor.dims[:] = [1, 3]
    tensor.external_data.add(key="length", value="12")
    nodes = [
        helper.make_node("Constant", [], ["v"], value=tensor),
        helper.make_node("Add", ["i", "v"], ["o"]),
    ]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("ai.onnx.ml", "f", ["i"], ["o"], nodes, opsets))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "f", "ai.onnx.ml"


_PLACES: dict[str, Callable[[Path], None]] = {
    "a link out of the folder": _link(f"../{OUTSIDE}/{SECRET}"),
    "a link to itself": _link("weights.bin"),
    "a link to the device without end": _link("/dev/zero"),
    "a folder that is a link out": _link(f"../{OUTSIDE}", f"sub/{SECRET}"),
    "a pipe": _pipe,
    "no values in a pipe": _empty_pipe,
    "a folder": _folder,
    "no values in a folder": _empty_folder,
    "two places, the first outside": _two_places,
    "two places, the last outside": _two_places_last,
    "the model itself": _itself,
    "inside as well": _also_inside,
    "texts": _texts,
    "a name that is not UTF-8": _not_utf_8,
}
