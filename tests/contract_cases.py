"""A small contract, and pairs of contracts with what each difference asks of the next version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from voiceflow_ml.contract import Contract, Golden, Promise, Signal, Tensor

AUDIO = Tensor("audio", "float32", ("batch", "samples"), meaning="mono, in [-1, 1]")
LOGITS = Tensor("powerset_logits", "float32", ("batch", "frames", 7))
EMBEDDINGS = Tensor("embeddings", "float32", ("batch", 3, 192))
BASE = Contract(
    model="fast-cnn",
    inputs=(AUDIO,),
    outputs=(LOGITS, EMBEDDINGS),
    opset={"": 20},
    ir_version=10,
    computation_sha256="a" * 64,
    signal=Signal(16_000, 48_000, 320),
    classes=("", "0", "1", "2", "0+1", "0+2", "1+2"),
    preprocessing=("mono", "float32 in [-1, 1]"),
    postprocessing=("argmax over classes",),
    golden=(Golden("one", {"audio": "golden/one.npy"}, {}, {"golden/one.npy": "b" * 64}, {}),),
    sla=(Promise("model-inference", "cpu", "P99", 10_000_000),),
    licence="MIT",
    training_data={"speech": "1"},
)


@dataclass(frozen=True)
class Case:
    """One pair: what is done to the base, the level, and a part of the reason."""

    name: str
    change: Callable[[Contract], Contract]
    level: str
    reason: str


def _input(**fields: object) -> Callable[[Contract], Contract]:
    return lambda base: replace(base, inputs=(replace(base.inputs[0], **fields),))  # type: ignore[arg-type]


def _output(**fields: object) -> Callable[[Contract], Contract]:
    return lambda base: replace(base, outputs=(replace(base.outputs[0], **fields), base.outputs[1]))  # type: ignore[arg-type]


def _with(**fields: object) -> Callable[[Contract], Contract]:
    return lambda base: replace(base, **fields)  # type: ignore[arg-type]


def _added_input(*, optional: bool) -> Callable[[Contract], Contract]:
    extra = Tensor("gain", "float32", ("batch",), optional=optional)
    return lambda base: replace(base, inputs=(*base.inputs, extra))


_NEW = Tensor("activity", "float32", ("batch", "frames", 3))

CASES = (
    Case("nothing", lambda base: base, "none", ""),
    Case("input renamed", _input(name="waveform"), "major", "input 'audio' is called 'waveform' now"),
    Case("output renamed", _output(name="logits"), "major", "output 'powerset_logits' is called 'logits' now"),
    Case("outputs reordered", _with(outputs=(EMBEDDINGS, LOGITS)), "major", "outputs come as ['embeddings'"),
    Case("output removed", _with(outputs=(LOGITS,)), "major", "output 'embeddings' is gone"),
    Case("output added last", _with(outputs=(LOGITS, EMBEDDINGS, _NEW)), "minor", "output 'activity' is new"),
    Case("output added first", _with(outputs=(_NEW, LOGITS, EMBEDDINGS)), "major", "outputs come as ['activity'"),
    Case("input added", _added_input(optional=False), "major", "input 'gain' is new and required"),
    Case("optional input added", _added_input(optional=True), "minor", "optional input 'gain' is new"),
    Case("input dtype", _input(dtype="float16"), "major", "input 'audio' is float16, was float32"),
    Case("output dtype", _output(dtype="float16"), "major", "output 'powerset_logits' is float16, was float32"),
    Case("input rank", _input(axes=("batch", 1, "samples")), "major", "input 'audio' has 3 axes, had 2"),
    Case("output rank", _output(axes=("batch", "frames")), "major", "output 'powerset_logits' has 2 axes, had 3"),
    Case("input dynamic to fixed", _input(axes=("batch", 48_000)), "major", "is fixed to 48000, was dynamic (samples)"),
    Case(
        "output fixed to dynamic",
        _with(outputs=(LOGITS, replace(EMBEDDINGS, axes=("batch", 3, "dim")))),
        "major",
        "is dynamic (dim), was 192",
    ),
    Case("output dynamic to fixed", _output(axes=("batch", 150, 7)), "minor", "is fixed to 150, was dynamic (frames)"),
    Case(
        "embedding size",
        _with(outputs=(LOGITS, replace(EMBEDDINGS, axes=("batch", 3, 256)))),
        "major",
        "axis 2 of output 'embeddings' is 256, was 192",
    ),
    Case("axis renamed", _input(axes=("n", "samples")), "patch", "is named 'n', was 'batch'"),
    Case("axes tied", _input(axes=("batch", "batch")), "major", "must be of one size now"),
    Case("class count", _with(classes=("", "0", "1")), "major", "3 classes, were 7"),
    Case("class order", _with(classes=("0", "", "1", "2", "0+1", "0+2", "1+2")), "major", "the classes mean"),
    Case(
        "hop", _with(signal=Signal(16_000, 48_000, 160)), "major", "hop is 160 samples, was 320 (100 frames/s, were 50"
    ),
    Case("sample rate", _with(signal=Signal(8_000, 48_000, 320)), "major", "sample rate is 8000 Hz, was 16000 Hz"),
    Case("window", _with(signal=Signal(16_000, 80_000, 320)), "minor", "trained on 80000 samples, was 48000"),
    Case("signal dropped", _with(signal=None), "major", "the signal is not described any more"),
    Case("preprocessing", _with(preprocessing=("mono",)), "major", "preprocessing is ['mono']"),
    Case("postprocessing", _with(postprocessing=("softmax",)), "major", "postprocessing is ['softmax']"),
    Case("opset raised", _with(opset={"": 21}), "minor", "opset of ai.onnx is 21, was 20"),
    Case("opset lowered", _with(opset={"": 18}), "patch", "opset of ai.onnx is 18, was 20"),
    Case("domain added", _with(opset={"": 20, "com.microsoft": 1}), "minor", "needs operators of com.microsoft"),
    Case("format raised", _with(ir_version=11), "minor", "file format (IR) is 11, was 10"),
    Case("weights only", _with(computation_sha256="c" * 64), "patch", "graph or weights differ"),
    Case("metadata only", _with(training_data={"speech": "2"}), "patch", "the training data is described differently"),
    Case("meaning only", _input(meaning="mono"), "patch", "audio is described differently"),
    Case("golden only", _with(golden=()), "patch", "golden pairs or their tolerances differ"),
    Case("licence", _with(licence="Apache-2.0"), "major", "the licence is 'Apache-2.0', was 'MIT'"),
    Case("name", _with(model="slow-cnn"), "major", "the model is called 'slow-cnn', was 'fast-cnn'"),
    Case(
        "promise weaker",
        _with(sla=(Promise("model-inference", "cpu", "P99", 20_000_000),)),
        "major",
        "is promised within 20000000 ns, was 10000000 ns",
    ),
    Case(
        "promise tighter",
        _with(sla=(Promise("model-inference", "cpu", "P99", 5_000_000),)),
        "minor",
        "is promised within 5000000 ns",
    ),
    Case("promise dropped", _with(sla=()), "major", "model-inference · cpu · P99 is not promised any more"),
)

FIXED = replace(BASE, inputs=(replace(AUDIO, axes=(1, 48_000)),))
"""The base with nothing dynamic in its input."""
