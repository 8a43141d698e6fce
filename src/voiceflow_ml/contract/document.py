"""``contract.json`` as text: written the same way every time, read with errors that name the place."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.contract.schema import CONTRACT_FILE, SCHEMA_VERSION, Contract
from voiceflow_ml.errors import ContractError, quoted

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_LARGEST_BYTES = 4 << 20


def to_json(contract: Contract) -> str:
    """The document, its keys in a fixed order."""
    return json.dumps({"schema_version": contract.schema_version, **asdict(contract)}, indent=1, sort_keys=True) + "\n"


def from_json(text: str | bytes, source: str) -> Contract:
    """Read a document.

    Args:
        text: what :func:`to_json` wrote.
        source: where it comes from, for messages.

    Raises:
        ContractError: not JSON, another version, or a field that is missing, unknown or of another kind.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{source} is not JSON: {quoted(error)}") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"{source} is not a contract of version {SCHEMA_VERSION} (schema_version is {quoted(repr(version), 40)}); "
            "export the model again with this release"
        )
    try:
        contract = _adapter().validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{source}: {quoted(place)}: {quoted(first['msg'])}") from None
    problem = _problem(contract)
    if problem:
        raise ContractError(f"{source}: {problem}")
    return contract


def _problem(contract: Contract) -> str:
    """What makes no sense, though every field is of the right kind; empty for nothing."""
    for tensor in (*contract.inputs, *contract.outputs):
        if any(isinstance(axis, int) and axis < 0 for axis in tensor.axes):
            return f"{quoted(tensor.name, 80)!r} has an axis of less than nothing: {quoted(list(tensor.axes), 100)}"
    for what, tensors in (("inputs", contract.inputs), ("outputs", contract.outputs)):
        twice = next((name for name, times in Counter(tensor.name for tensor in tensors).items() if times > 1), None)
        if twice is not None:
            return f"two {what} are called {quoted(twice, 80)!r}"
    signal = contract.signal
    if signal is not None and min(signal.sample_rate_hz, signal.window_samples, signal.frame_samples) < 1:
        return f"sample rate, window and frame of the signal must be at least 1, got {quoted(asdict(signal))}"
    try:
        to_json(contract).encode()
        json.dumps(asdict(contract), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "a text in it is no Unicode (it holds half of a surrogate pair)"
    return ""


def read_contract(path: Path) -> Contract:
    """Read ``contract.json``, or the one in a folder.

    Raises:
        ContractError: it is missing, too large, or not a contract.
    """
    file = path / CONTRACT_FILE if path.is_dir() else path
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise ContractError(f"{file} has {file.stat().st_size} bytes; a contract has at most {_LARGEST_BYTES}")
        return from_json(file.read_bytes(), str(file))
    except OSError as error:
        raise ContractError(f"{file} cannot be read: {error.strerror or error}") from None


def json_schema() -> dict[str, Any]:
    """JSON Schema of the document, for other languages."""
    return _adapter().json_schema()


@cache
def _adapter() -> TypeAdapter[Contract]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(Contract)
