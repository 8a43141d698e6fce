"""Versions that must not be served: each a real folder, or a real registry, with one thing wrong.

The version in use is ``tests.contract_models.contracted_model``: float32 ``x`` [batch, 4] -> ``y`` [batch, 3].
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.contract_models import NAME, contracted_model, save_contract
from tests.releases import TERMS, release, with_contract
from voiceflow_ml.contract import Promise, Signal, read_contract
from voiceflow_ml.contract.check import onnx_run
from voiceflow_ml.contract.from_model import embed_contract, stated_contract
from voiceflow_ml.contract.golden import write_golden
from voiceflow_ml.contract.schema import METADATA_KEY
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.service.swaps import Refusal

Weights = NDArray[np.float32]
Graph = Callable[[onnx.ModelProto], None]
SIGNAL = Signal(16_000, 48_000, 320)
PROMISED = (Promise("model-inference", "cpu", "P99", 10_000_000),)


@dataclass(frozen=True)
class Bad:
    """One bad version.

    Attributes:
        name: what is wrong.
        make: writes it below a folder, with a registry at hand, and returns the source to load.
        code: of the refusal.
        reason: a part of its sentence.
        step: where the load stops.
    """

    name: str
    make: Callable[[Path, Registry], str]
    code: str
    reason: str
    step: str


def good_folder(folder: Path, *, shift: float = 0.0) -> Path:
    """A version like the one in use."""
    contracted_model(folder, promised=PROMISED, shift=shift)
    return with_contract(folder, signal=SIGNAL)


def _written(change: Callable[[Path], None]) -> Callable[[Path, Registry], str]:
    """A good folder, changed on the disk."""

    def make(folder: Path, registry: Registry) -> str:
        change(good_folder(folder))
        return str(folder)

    return make


def _graph(change: Graph, *, restated: bool = False) -> Callable[[Path, Registry], str]:
    """A good folder, its graph changed; its contract says so where it is stated anew, and is kept as it was else."""

    def make(folder: Path, registry: Registry) -> str:
        path = good_folder(folder) / f"{NAME}.onnx"
        model = onnx.load(path, load_external_data=False)
        change(model)
        if restated:
            _restate(folder, model)
        else:
            path.write_bytes(model.SerializeToString())
        return str(folder)

    return make


def _restate(folder: Path, model: onnx.ModelProto) -> None:
    path, old = folder / f"{NAME}.onnx", read_contract(folder)
    path.write_bytes(model.SerializeToString())
    stated = stated_contract(model, NAME, folder, {})
    feeds = {}
    for tensor in stated.inputs:
        sizes = [2 if isinstance(axis, str) else axis for axis in tensor.axes]
        feeds[tensor.name] = np.linspace(-1, 1, int(np.prod(sizes))).reshape(sizes).astype(tensor.dtype)
    outputs = onnx_run(path)(feeds)
    golden = write_golden(folder, "ramp", feeds, outputs, dict.fromkeys(outputs, 1e-5))
    save_contract(path, replace(stated, golden=(golden,), sla=old.sla, licence=old.licence, signal=old.signal))


def _rename_output(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = model.graph.output[0].name = "z"


def _another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("gain", TensorProto.FLOAT, ["batch", 3]))
    model.graph.node[-1].output[0] = "quiet"
    model.graph.node.append(helper.make_node("Mul", ["quiet", "gain"], ["y"], "louder"))


def _double(model: onnx.ModelProto) -> None:
    weights = numpy_helper.to_array(model.graph.initializer[0]).astype(np.float64)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE


def _static_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2


def _four_classes(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 4), np.float32), "w"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4


def _weights(change: Callable[[Weights], Weights]) -> Graph:
    def apply(model: onnx.ModelProto) -> None:
        changed = change(numpy_helper.to_array(model.graph.initializer[0]).copy())
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed.astype(np.float32), "w"))

    return apply


def _log_of_silence(model: onnx.ModelProto) -> None:
    """Finite wherever there is sound; minus infinity in silence."""
    model.graph.node[-1].output[0] = "clipped"
    model.graph.node.extend(
        [
            helper.make_node("ReduceSumSquare", ["x"], ["power"], "power", keepdims=1, axes=[1]),
            helper.make_node("Log", ["power"], ["level"], "level"),
            helper.make_node("Add", ["clipped", "level"], ["y"], "add"),
        ]
    )


def _opset(version: int, domain: str = "") -> Graph:
    def apply(model: onnx.ModelProto) -> None:
        for entry in model.opset_import:
            if entry.domain == domain:
                entry.version = version

    return apply


def _opset_99(folder: Path, registry: Registry) -> str:
    """The contract says the same, so nothing but the runtime can refuse it."""
    path = good_folder(folder) / f"{NAME}.onnx"
    contract = replace(read_contract(folder), opset={"": 99})
    model = onnx.load(path)
    model.opset_import[0].version = 99
    embed_contract(model, contract)
    path.write_bytes(model.SerializeToString())
    (folder / "contract.json").write_text(_json_of(model))
    return str(folder)


def _json_of(model: onnx.ModelProto) -> str:
    return next(str(entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY)


def _foreign_domain(model: onnx.ModelProto) -> None:
    model.graph.node[-1].domain = "com.example.private"
    model.opset_import.append(helper.make_opsetid("com.example.private", 1))


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Reluctant"


def _external(location: str) -> Graph:
    def apply(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return apply


def _external_in_subgraph(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["unused"], value=numpy_helper.from_array(np.ones(4, np.float32)))
    tensor = constant.attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/hostname")
    model.graph.node.append(constant)


def _linked_weights(folder: Path, registry: Registry) -> str:
    """A link in the folder that leads out of it."""
    source = _graph(_external("weights.bin"))(folder, registry)
    outside = folder.parent / "outside.bin"
    np.ones((4, 3), np.float32).tofile(outside)
    (folder / "weights.bin").symlink_to(outside)
    return source


def _cut(folder: Path) -> None:
    path = folder / f"{NAME}.onnx"
    path.write_bytes(path.read_bytes()[:-40])


def _bytes(content: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / f"{NAME}.onnx").write_bytes(content)

    return write


def _golden_bit(folder: Path) -> None:
    file = next((folder / "golden").glob("*.y.npy"))
    flip_bit(file, -3)


def flip_bit(file: Path, place: int) -> None:
    """Change one bit of a file."""
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.chmod(0o644)
    file.write_bytes(content)


def _published_flip(folder: Path, registry: Registry) -> str:
    publish(registry, good_folder(folder), "1.0.0", TERMS_WAIVED)
    manifest, _ = registry.manifest("1.0.0")
    stored = Path(registry.store.url.removeprefix("file://")) / NAME / manifest.files[f"{NAME}.onnx"].path
    flip_bit(stored, -50)
    return "1.0.0"


def _yanked(folder: Path, registry: Registry) -> str:
    publish(registry, good_folder(folder), "1.0.0", TERMS_WAIVED)
    registry.yank("1.0.0", who="somebody", why="wrong labels")
    return "1.0.0"


TERMS_WAIVED = replace(TERMS, waived={"sla:cpu": "not measured here"})


def _source(source: str) -> Callable[[Path, Registry], str]:
    """A source that does not exist."""
    return lambda *_: source


def _contract(**fields: object) -> Callable[[Path, Registry], str]:
    def make(folder: Path, registry: Registry) -> str:
        with_contract(good_folder(folder), **fields)
        return str(folder)

    return make


def _another_model(folder: Path, registry: Registry) -> str:
    with_contract(good_folder(folder), model="other")
    (folder / f"{NAME}.onnx").rename(folder / "other.onnx")
    return str(folder)


def _other_contract_inside(folder: Path) -> None:
    path = folder / f"{NAME}.onnx"
    model = onnx.load(path)
    embed_contract(model, replace(read_contract(folder), licence="proprietary"))
    onnx.save(model, path)


def _golden_outside(folder: Path, registry: Registry) -> str:
    contract = read_contract(good_folder(folder))
    pair = replace(contract.golden[0], inputs={"x": "../x.npy"})
    with_contract(folder, golden=(pair,))
    return str(folder)


FETCH, CONTRACT, OPEN, WARM_UP, GOLDEN = "fetch and hash", "contract", "open", "warm-up", "golden parity"
BAD = (
    Bad("empty file", _written(_bytes(b"")), "unreadable-file", "is empty", FETCH),
    Bad("truncated file", _written(_cut), "unreadable-file", "cut off or damaged", FETCH),
    Bad("text instead of a model", _written(_bytes(b"<html>504</html>")), "unreadable-file", "tiny.onnx is", FETCH),
    Bad(
        "no model file",
        _written(lambda folder: (folder / f"{NAME}.onnx").unlink()),
        "unreadable-file",
        "tiny.onnx is missing",
        FETCH,
    ),
    Bad(
        "no contract",
        _written(lambda folder: (folder / "contract.json").unlink()),
        "no-contract",
        "contract.json cannot be read",
        FETCH,
    ),
    Bad("flipped bit", _published_flip, "hash-mismatch", "its hash is not the published one", FETCH),
    Bad("yanked version", _yanked, "yanked", "was yanked: wrong labels", FETCH),
    Bad("unknown version", _source("9.9.9"), "not-found", "has no version 9.9.9", FETCH),
    Bad("unknown channel", _source("beta"), "not-found", "has no channel 'beta'", FETCH),
    Bad("unknown folder", _source("./nothing"), "not-found", "is not a folder", FETCH),
    Bad("another model", _another_model, "wrong-model", "it is a other, and tiny is served here", FETCH),
    Bad("weights outside of the folder", _graph(_external("../w.bin")), "external-data", "'../w.bin', outside", FETCH),
    Bad("weights at an absolute path", _graph(_external("/w.bin")), "external-data", "'/w.bin', outside", FETCH),
    Bad("weights of a node outside", _graph(_external_in_subgraph), "external-data", "'/etc/hostname'", FETCH),
    Bad("weights behind a link", _linked_weights, "external-data", "weights.bin' lies outside", FETCH),
    Bad("golden file outside", _golden_outside, "unreadable-file", "x.npy' lies outside", FETCH),
    Bad(
        "another contract inside",
        _written(_other_contract_inside),
        "contract-broken",
        "is not the contract.json beside it",
        FETCH,
    ),
    Bad("opset other than stated", _graph(_opset(18)), "opset", "the file has opset {'': 18}", CONTRACT),
    Bad("opset of the future", _opset_99, "opset", "pset", OPEN),
    Bad("operators of a private domain", _graph(_foreign_domain), "unknown-operator", "com.example.private", CONTRACT),
    Bad("unknown operator", _graph(_unknown_operator), "unknown-operator", "No Op registered for Reluctant", OPEN),
    Bad(
        "input more", _graph(_another_input, restated=True), "contract-changed", "'gain' is new and required", CONTRACT
    ),
    Bad("output renamed", _graph(_rename_output, restated=True), "contract-changed", "'z' now", CONTRACT),
    Bad("type changed", _graph(_double, restated=True), "contract-changed", "is float64, was float32", CONTRACT),
    Bad("batch fixed", _graph(_static_batch, restated=True), "contract-changed", "fixed to 2, was dynamic", CONTRACT),
    Bad("class more", _graph(_four_classes, restated=True), "contract-changed", "is 4, was 3", CONTRACT),
    Bad("another sample rate", _contract(signal=Signal(8_000, 24_000, 160)), "contract-changed", "8000 Hz", CONTRACT),
    Bad("promise gone", _contract(sla=()), "contract-changed", "is not promised any more", CONTRACT),
    Bad("output renamed in secret", _graph(_rename_output), "contract-broken", "is called 'z' now", OPEN),
    Bad("type changed in secret", _graph(_double), "contract-broken", "is float64, was float32", OPEN),
    Bad("batch fixed in secret", _graph(_static_batch), "contract-broken", "is fixed to 2", OPEN),
    Bad("NaN in the weights", _graph(_weights(lambda w: w * np.nan)), "not-finite", "holds a NaN", WARM_UP),
    Bad("infinite in silence", _graph(_log_of_silence), "not-finite", "for silence", WARM_UP),
    Bad("other weights", _graph(_weights(lambda w: w + 0.01)), "golden-mismatch", "differs by", GOLDEN),
    Bad("damaged golden file", _written(_golden_bit), "golden-mismatch", "its hash differs", WARM_UP),
)
"""A version that is too slow needs another clock, and one that is overtaken another thread: see the slot's tests."""


def published(folder: Path, registry: Registry, *versions: str) -> None:
    """Publish good versions, each with its own weights."""
    for place, version in enumerate(versions):
        path = release(folder / version, shift=0.1 * place)
        publish(registry, path, version, TERMS)


OTHERWISE = {
    "cannot-run": "it does not run on its own inputs",
    "too-slow": "more CPU time than promised, or than twice that of the version in use; a speed that stays open",
    "crashed": "the least integer divided by -1, which ends a process on x86-64; a process killed for its memory",
    "overtaken": "a rollback while it was loaded",
    "failed": "whatever else goes wrong",
}
"""Codes whose versions need more than a folder: another clock, another thread, a process of their own."""


def refusal_rows() -> list[str]:
    """The rows of the table in docs/hot-reload.md: code, step, and the bad versions that a test has for it."""
    rows = []
    for code in Refusal:
        found = [bad for bad in BAD if bad.code == code]
        steps = ", ".join(dict.fromkeys(bad.step for bad in found)) or "-"
        names = ", ".join(bad.name for bad in found) or OTHERWISE[code]
        rows.append(f"| `{code}` | {steps} | {names} |")
    return rows


if __name__ == "__main__":
    sys.stdout.write("\n".join(refusal_rows()) + "\n")
