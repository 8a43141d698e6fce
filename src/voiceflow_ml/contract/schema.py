"""``contract.json``: the records that it holds.

History of the format:

* version 1: first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SCHEMA_VERSION = 1
CONTRACT_FILE = "contract.json"
METADATA_KEY = "voiceflow.contract"
"""Key of the same document in the metadata of an ONNX file."""

# Unknown fields are refused: a misspelt promise must not be a promise that nobody checks.
_STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Tensor:
    """An input or an output.

    Attributes:
        name: its name in the graph.
        dtype: numpy's name of its type, such as ``"float32"``.
        axes: a size where the axis is fixed, a name where it is dynamic. Axes of one name are of one size.
        optional: for an input: it may be left out.
        meaning: what the values are, in words.
    """

    __pydantic_config__ = _STRICT

    name: str
    dtype: str
    axes: tuple[int | str, ...]
    optional: bool = False
    meaning: str = ""

    def describe(self) -> str:
        """``"float32 [batch, samples]"``."""
        return f"{self.dtype} [{', '.join(str(axis) for axis in self.axes)}]"


@dataclass(frozen=True)
class Signal:
    """The signal that goes in, and how the outputs are laid out in time.

    Attributes:
        sample_rate_hz: of the input.
        window_samples: the length that the model was trained on.
        frame_samples: input samples per output frame (the hop).
    """

    __pydantic_config__ = _STRICT

    sample_rate_hz: int
    window_samples: int
    frame_samples: int

    @property
    def frame_rate_hz(self) -> float:
        """Output frames per second."""
        return self.sample_rate_hz / self.frame_samples


@dataclass(frozen=True)
class Golden:
    """Inputs, and the outputs that the trained network gives for them.

    Attributes:
        name: what the pair is called in messages.
        inputs: tensor name -> ``.npy`` file, relative to the contract.
        outputs: the same for outputs.
        sha256: file -> its hash, for every file above.
        max_abs_error: output name -> largest difference that is let pass.
    """

    __pydantic_config__ = _STRICT

    name: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    sha256: Mapping[str, str]
    max_abs_error: Mapping[str, float]


@dataclass(frozen=True)
class Promise:
    """One latency objective: a statistic of a stage on a target stays within a limit in nanoseconds."""

    __pydantic_config__ = _STRICT

    stage: str
    target: str
    statistic: str
    limit_ns: int


@dataclass(frozen=True)
class Contract:
    """Everything that a caller may rely on.

    Attributes:
        model: its name.
        inputs: in the order of the graph.
        outputs: in the order of the graph.
        opset: operator set of each domain, ``""`` being ONNX's own.
        ir_version: version of the file format.
        computation_sha256: hash of graph and weights without names of authors, notes and metadata.
        signal: None for a model that takes no signal.
        classes: what each class of the class output is: the local speakers who talk, joined by ``+``.
        preprocessing: what a caller does before, one step a line.
        postprocessing: what a caller does after.
        golden: pairs that any runtime must reproduce.
        sla: the promises that the model is made for.
        licence: SPDX expression of the weights' licence.
        training_data: where the data came from: source -> version and licence.
        schema_version: of this document.
    """

    __pydantic_config__ = _STRICT

    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    opset: Mapping[str, int]
    ir_version: int
    computation_sha256: str
    signal: Signal | None = None
    classes: tuple[str, ...] = ()
    preprocessing: tuple[str, ...] = ()
    postprocessing: tuple[str, ...] = ()
    golden: tuple[Golden, ...] = ()
    sla: tuple[Promise, ...] = ()
    licence: str = ""
    training_data: Mapping[str, str] = field(default_factory=dict)
    schema_version: Literal[1] = 1
