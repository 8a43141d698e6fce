"""Tensors on the wire: bodies of the Open Inference Protocol v2, with binary tensors after the JSON.

The protocol: https://github.com/kserve/open-inference-protocol; tensors in binary after the JSON of a body, as in its
binary data extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.errors import AnswerError

Arrays = Mapping[str, NDArray[np.generic]]

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""numpy's name of a type -> the protocol's."""
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
"""The protocol's name of a type -> numpy's."""
JSON_LENGTH_HEADER = "Inference-Header-Content-Length"
"""Carries the length of the JSON in front of binary tensors."""


@dataclass(frozen=True)
class InferAnswer:
    """What a model answered.

    Attributes:
        model: its name.
        version: which version answered; empty when the server does not say.
        outputs: arrays by tensor name; those of a binary answer are read-only views of its body.
    """

    model: str
    version: str
    outputs: Arrays


def infer_request(inputs: Arrays, *, binary: bool) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an inference request.

    Args:
        inputs: arrays by tensor name.
        binary: raw tensors behind the JSON, and asked for in the answer; numbers in the JSON otherwise.
    """
    entries, blobs = [], []
    for name, array in inputs.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": DATATYPES[str(array.dtype)]}
        if binary:
            blobs.append(np.ascontiguousarray(array).tobytes())
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    document = json.dumps({"inputs": entries, **({"parameters": {"binary_data_output": True}} if binary else {})})
    encoded = document.encode()
    return encoded + b"".join(blobs), {JSON_LENGTH_HEADER: str(len(encoded))} if binary else {}


def read_infer_answer(body: bytes, json_bytes: int | None = None) -> InferAnswer:
    """The answer to an inference.

    Args:
        body: all of the answer's body.
        json_bytes: length of the JSON in front of binary tensors; None when there are none.

    Raises:
        AnswerError: the answer is not one of the protocol.
    """
    outputs = {}
    position = json_bytes or 0
    try:
        document = json.loads(body[:json_bytes])
        for entry in document["outputs"]:
            dtype, shape = np.dtype(DTYPES[entry["datatype"]]), [int(size) for size in entry["shape"]]
            size = entry.get("parameters", {}).get("binary_data_size")
            if size is None:
                array = np.array(entry["data"], dtype=dtype)
            else:
                array = np.frombuffer(body[position : position + size], dtype=dtype)
                position += size
            outputs[str(entry["name"])] = array.reshape(shape)
        return InferAnswer(str(document.get("model_name", "")), str(document.get("model_version", "")), outputs)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise AnswerError(f"the answer to an inference is not of the protocol ({error!r})") from None
