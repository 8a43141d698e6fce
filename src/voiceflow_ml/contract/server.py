"""Does a server, in whatever language, keep a contract? Asked from outside by the Open Inference Protocol v2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from voiceflow_ml.contract.golden import golden_problems, read_golden
from voiceflow_ml.contract.protocol import Server, read_outputs
from voiceflow_ml.contract.schema import Contract, Tensor
from voiceflow_ml.errors import ContractError
from voiceflow_ml.wire import DATATYPES, Arrays, infer_request

_OK = 200
_CLIENT_ERRORS = range(400, 500)


@dataclass(frozen=True)
class Check:
    """One thing that was asked of the server.

    Attributes:
        name: what was asked.
        problem: what is wrong; empty when it is right.
    """

    name: str
    problem: str = ""


Question = Callable[[], str]
"""Returns what is wrong; empty when it is right."""


def verify_server(server: Server, contract: Contract, folder: Path, *, reload: bool = False) -> tuple[Check, ...]:
    """Ask a server everything that its contract says.

    Args:
        server: the server.
        contract: what it must keep; its model's name is the one that is asked for.
        folder: where the golden files are.
        reload: also have it load the model again, and ask once more.

    Returns:
        Every check, in the order in which it was made.

    Raises:
        ContractError: the server cannot be reached at all, or a golden file cannot be used.
    """
    server.get("/v2/health/live")
    questions = [*_health(server, contract), *_inference(server, contract, folder), *_errors(server, contract, folder)]
    if reload:
        questions += _reload(server, contract, folder)
    return tuple(Check(name, _asked(question)) for name, question in questions)


def _asked(question: Question) -> str:
    try:
        return question()
    except ContractError as error:
        return str(error)


def _health(server: Server, contract: Contract) -> Iterator[tuple[str, Question]]:
    path = f"/v2/models/{quote(contract.model, safe='')}"
    for name, url in (("live", "/v2/health/live"), ("ready", "/v2/health/ready"), ("model ready", f"{path}/ready")):
        yield name, partial(_healthy, server, url)
    yield "metadata", lambda: _metadata(server, contract, path)
    yield "an unknown model is refused", lambda: _refused(server.get("/v2/models/no-such-model").status)


def _healthy(server: Server, path: str) -> str:
    return _status(server.get(path).status, path)


def _status(status: int, path: str) -> str:
    return "" if status == _OK else f"{path} answers {status}, expected {_OK}"


def _refused(status: int) -> str:
    return "" if status in _CLIENT_ERRORS else f"answers {status}, expected a status of 400 to 499"


def _metadata(server: Server, contract: Contract, path: str) -> str:
    answer = server.get(path)
    document = answer.document
    if answer.status != _OK or not isinstance(document, dict):
        return f"{path} answers {answer.status}, expected {_OK} and a JSON object"
    if document.get("name") != contract.model:
        return f"{path} is about {document.get('name')!r}"
    for kind, tensors in (("inputs", contract.inputs), ("outputs", contract.outputs)):
        given = document.get(kind)
        wanted = [_tensor_metadata(tensor) for tensor in tensors]
        if not isinstance(given, list) or [_known_fields(entry) for entry in given] != wanted:
            return f"{kind} are {given}, the contract says {wanted}"
    return ""


def _tensor_metadata(tensor: Tensor) -> dict[str, object]:
    shape = [axis if isinstance(axis, int) else -1 for axis in tensor.axes]
    return {"name": tensor.name, "datatype": DATATYPES.get(tensor.dtype, tensor.dtype), "shape": shape}


def _known_fields(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    return {name: entry.get(name) for name in ("name", "datatype", "shape")}


def _inference(server: Server, contract: Contract, folder: Path) -> Iterator[tuple[str, Question]]:
    for encoding, binary in (("binary", True), ("JSON", False)):
        yield f"golden pairs, {encoding}", partial(_golden, server, contract, folder, binary=binary)


def _golden(server: Server, contract: Contract, folder: Path, *, binary: bool) -> str:
    if not contract.golden:
        return "the contract has no golden pair, so nothing shows that the server runs this model"

    def run(inputs: Arrays) -> Arrays:
        answer = server.infer(contract.model, inputs, binary=binary)
        if answer.status != _OK:
            raise ContractError(f"infer answers {answer.status}: {answer.body[:200].decode(errors='replace')}")
        return read_outputs(answer)

    return "; ".join(golden_problems(contract, folder, run))


def _errors(server: Server, contract: Contract, folder: Path) -> Iterator[tuple[str, Question]]:
    if not contract.golden:
        return
    inputs, _ = read_golden(folder, contract.golden[0])
    name, array = next(iter(inputs.items()))
    rest = {other: value for other, value in inputs.items() if other != name}
    wrong_type = np.zeros(array.shape, dtype=np.int64 if array.dtype != np.int64 else np.float32)
    bad: dict[str, Arrays] = {
        "an unknown input is refused": {**rest, f"no-{name}": array},
        "another type is refused": {**rest, name: wrong_type},
        "another rank is refused": {**rest, name: array[None]},
        "no input is refused": {},
    }
    for what, wrong in bad.items():
        yield what, partial(_error_answer, server, contract.model, *infer_request(wrong, binary=False))
    body, headers = infer_request(inputs, binary=True)
    yield "a body that is cut off is refused", partial(_error_answer, server, contract.model, body[:-7], headers)
    yield "a body that is no JSON is refused", partial(_error_answer, server, contract.model, b"{", {})
    yield "it still answers rightly afterwards", partial(_golden, server, contract, folder, binary=True)


def _error_answer(server: Server, model: str, body: bytes, headers: dict[str, str]) -> str:
    answer = server.post(f"/v2/models/{quote(model, safe='')}/infer", body, headers)
    problem = _refused(answer.status)
    document = answer.document
    if not problem and not (isinstance(document, dict) and isinstance(document.get("error"), str)):
        problem = f"answers {answer.status} without an object that has the text 'error': {json.dumps(document)[:200]}"
    return problem


def _reload(server: Server, contract: Contract, folder: Path) -> Iterator[tuple[str, Question]]:
    path = f"/v2/repository/models/{quote(contract.model, safe='')}/load"
    yield "it loads the model again", lambda: _status(server.admin(path).status, path)
    yield "it answers rightly after loading", partial(_golden, server, contract, folder, binary=True)
