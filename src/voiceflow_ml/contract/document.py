"""``contract.json`` as text: written the same way every time, read with errors that name the place."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.contract.schema import CONTRACT_FILE, SCHEMA_VERSION, Contract
from voiceflow_ml.errors import ContractError

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
        raise ContractError(f"{source} is not JSON: {error}") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise ContractError(
            f"{source} is not a contract of version {SCHEMA_VERSION} (schema_version is {version!r}); "
            "export the model again with this release"
        )
    try:
        return _adapter().validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ContractError(f"{source}: {place}: {first['msg']}") from None


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
