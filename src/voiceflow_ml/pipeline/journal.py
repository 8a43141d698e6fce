"""What a run has done so far, one file that is always whole; a step counts only for the inputs that it had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import hash_bytes, hash_file, write_text_atomic

JOURNAL_VERSION = 1
Outputs = Mapping[str, str]


@dataclass(frozen=True)
class StepRecord:
    """A step that was done.

    Attributes:
        name: of the step.
        inputs: hash of everything that it rests on, the outputs of the step before among it.
        outputs: what later steps rest on.
    """

    name: str
    inputs: str
    outputs: Outputs


class Journal:
    """The journal of a work folder.

    Args:
        path: the file; it need not be there.

    Raises:
        ConfigError: it is there, and no journal of this version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[str, StepRecord] = {}
        self._refused = ""
        if path.is_file():
            self._read()

    def done(self, name: str, inputs: str) -> Outputs | None:
        """The outputs of a step that was done with these inputs; None when it was not."""
        record = self._records.get(name)
        return record.outputs if record is not None and record.inputs == inputs else None

    def note(self, record: StepRecord) -> None:
        """Write down that a step was done; what was done after it with other inputs is forgotten."""
        kept = list(self._records)
        if record.name in kept:
            for later in kept[kept.index(record.name) :]:
                del self._records[later]
        self._records[record.name] = record
        self._refused = ""
        self._write()

    def refuse(self, reason: str) -> None:
        """Write down why the run stopped."""
        self._refused = reason
        self._write()

    def _write(self) -> None:
        content = {
            "version": JOURNAL_VERSION,
            "refused": self._refused,
            "steps": [asdict(record) for record in self._records.values()],
        }
        write_text_atomic(self._path, json.dumps(content, indent=1) + "\n")

    def _read(self) -> None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["version"] != JOURNAL_VERSION:
                raise ValueError(f"version {content['version']}")
            records = [StepRecord(**entry) for entry in content["steps"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path} is no journal of this release ({error}); remove it, and the run begins anew"
            ) from None
        self._records = {record.name: record for record in records}


def fingerprint(value: object) -> str:
    """Hash of a value of JSON, for what a step rests on."""
    return hash_bytes(json.dumps(value, sort_keys=True).encode())


def folder_hash(folder: Path) -> str:
    """Hash of all files of a folder, their names among it; that of a file for a file."""
    if folder.is_file():
        return hash_file(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return fingerprint([[path.relative_to(folder).as_posix(), hash_file(path)] for path in paths])
