"""What a thread does for an inference: those that wait at the same time may share one run of the model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.service.refusals import RequestError
from voiceflow_ml.service.v2_answer import write_infer
from voiceflow_ml.service.v2_request import InferRequest, read_infer
from voiceflow_ml.service.version import LoadedVersion
from voiceflow_ml.service.work import SharedWork
from voiceflow_ml.wire import Arrays

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Inference:
    """The answer to one request.

    Attributes:
        body: all of it.
        json_bytes: length of the JSON in front of binary tensors; None when there are none.
        inference_ns: how long the model ran; of a run that was shared the whole of it, for that is what it took.
    """

    body: bytes
    json_bytes: int | None
    inference_ns: int


class InferWork(SharedWork):
    """One inference.

    Args:
        version: that is to answer.
        body: of the request.
        json_bytes: length of the JSON in front of its binary tensors; None when there are none.
        most_bytes: largest size of its inputs.
    """

    def __init__(self, version: LoadedVersion, body: bytes, json_bytes: int | None, most_bytes: int) -> None:
        self._version, self._body, self._json_bytes, self._most_bytes = version, body, json_bytes, most_bytes
        # Bodies of one length almost always hold inputs of one shape; where they do not, nothing is shared.
        self.key = (version, len(body), json_bytes) if version.takes_batches else self

    def __call__(self) -> Inference:
        """Answer it alone; errors as of :func:`read_infer` and of the model."""
        (answer,) = self._answers([self._read()])
        return answer

    def together(self, works: Sequence[InferWork]) -> list[Inference | Exception]:
        """Answer several by one run of the model for all whose inputs are shaped like those of the first."""
        found = [work._read_or_error() for work in works]
        requests = [one for one in found if isinstance(one, InferRequest)]
        shared = [one for one in requests if _row_shapes(one) == _row_shapes(requests[0])]
        answers = {id(one): answer for one, answer in zip(shared, self._answers(shared) if shared else [], strict=True)}

        def outcome(one: InferRequest | RequestError) -> Inference | Exception:
            if isinstance(one, RequestError):
                return one
            return answers[id(one)] if id(one) in answers else self._answers([one])[0]

        return [outcome(one) for one in found]

    def _read(self) -> InferRequest:
        return read_infer(self._body, self._json_bytes, self._version.contract, most_bytes=self._most_bytes)

    def _read_or_error(self) -> InferRequest | RequestError:
        try:
            return self._read()
        except RequestError as error:
            return error

    def _answers(self, requests: Sequence[InferRequest]) -> list[Inference]:
        """One run of the model for all of them."""
        inputs = requests[0].inputs if len(requests) == 1 else _joined([request.inputs for request in requests])
        begun_ns = time.perf_counter_ns()
        outputs = self._version.run(inputs)
        inference_ns = time.perf_counter_ns() - begun_ns
        model, version = self._version.model, self._version.version
        parts = [outputs] if len(requests) == 1 else _split(outputs, [_rows(request) for request in requests])
        return [
            Inference(*write_infer(request, part, model=model, version=version), inference_ns)
            for request, part in zip(requests, parts, strict=True)
        ]


def _row_shapes(request: InferRequest) -> Shapes:
    return {name: array.shape[1:] for name, array in request.inputs.items()}


def _rows(request: InferRequest) -> int:
    return int(next(iter(request.inputs.values())).shape[0])


def _joined(inputs: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}


def _split(outputs: Arrays, rows: Sequence[int]) -> list[Arrays]:
    edges = np.cumsum(rows)[:-1]
    cut: dict[str, list[NDArray[np.generic]]] = {name: np.split(array, edges) for name, array in outputs.items()}
    return [{name: parts[place] for name, parts in cut.items()} for place in range(len(rows))]
