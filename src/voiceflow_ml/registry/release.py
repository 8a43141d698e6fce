"""A folder that is to be published, or was fetched: its files, its contract and its scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceflow_ml.contract.document import read_contract
from voiceflow_ml.contract.schema import CONTRACT_FILE, Contract
from voiceflow_ml.errors import RegistryError
from voiceflow_ml.files import hash_file
from voiceflow_ml.registry.manifest import MANIFEST_FILE

SCORED_SPLITS = ("dev", "test")


@dataclass(frozen=True)
class Release:
    """What an export left behind.

    Attributes:
        folder: where it lies.
        contract: its contract.
        files: name in the release, with ``/`` between parts -> file.
        scores: error rates, by name, in percent.
        scored_on: what the scores are about; empty when there are none.
    """

    folder: Path
    contract: Contract
    files: Mapping[str, Path]
    scores: Mapping[str, float]
    scored_on: str

    @property
    def models(self) -> tuple[Path, ...]:
        """Every ``.onnx`` file, the one that the contract is about first."""
        others = sorted(path for name, path in self.files.items() if name.endswith(".onnx") and path != self.primary)
        return (self.primary, *others)

    @property
    def primary(self) -> Path:
        """The file that the contract is about."""
        return self.files[f"{self.contract.model}.onnx"]


def read_release(folder: Path) -> Release:
    """Read a folder that ``voiceflow export`` wrote.

    Raises:
        ContractError: it has no contract, or one that cannot be read.
        RegistryError: the model of the contract is missing, or its record cannot be read.
    """
    contract = read_contract(folder / CONTRACT_FILE)
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    files.pop(MANIFEST_FILE, None)
    if f"{contract.model}.onnx" not in files:
        raise RegistryError(f"{folder} holds a contract of {contract.model} but no {contract.model}.onnx")
    record = files.get(f"{contract.model}.json")
    scores, scored_on = _scores(record) if record else ({}, "")
    if record:
        _check_hashes(record, files)
    return Release(folder, contract, files, scores, scored_on)


def _scores(record: Path) -> tuple[dict[str, float], str]:
    try:
        evaluation: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")).get("evaluation", {})
        scores = {
            f"local DER, {split}": float(evaluation[split]["local_der_percent"])
            for split in SCORED_SPLITS
            if split in evaluation
        }
        about = [
            str(evaluation[key]) for key in ("what", "conversations_per_split", "data_sha256") if key in evaluation
        ]
        whole = evaluation.get("recordings", {"folders": {}})
        scores |= {
            f"DER, {folder}": float(counts["der_percent"])
            for folder, counts in whole["folders"].items()
            if "der_percent" in counts
        }
        about += [str(whole[key]) for key in ("what", "sha256") if key in whole]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{record} is not a readable export record ({error!r})") from None
    return scores, "; ".join(about) if scores else ""


def _check_hashes(record: Path, files: Mapping[str, Path]) -> None:
    """Refuse files that are not those of the record: left from another export, or changed after it.

    Raises:
        RegistryError: a model file that the record knows by another hash, or does not know; a record that cannot be
            read. One that names no variants says nothing about files.
    """
    try:
        variants = json.loads(record.read_text(encoding="utf-8")).get("variants", {})
        known = {entry["path"]: entry["sha256"] for entry in variants.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{record} is not a readable export record ({error!r})") from None
    for name, path in files.items():
        if known and name.endswith(".onnx") and known.get(name) != hash_file(path):
            what = "is not the file that" if name in known else "is none of the variants that"
            raise RegistryError(f"{path} {what} {record.name} is about; export again, or take it out of the folder")
