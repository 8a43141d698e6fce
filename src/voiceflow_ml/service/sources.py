"""Where a version comes from: brought into a folder of the loader's own, with every hash that is known checked there.

What is checked is what is opened: nobody else writes into that folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voiceflow_ml.contract import Contract, read_contract
from voiceflow_ml.contract.document import from_json
from voiceflow_ml.contract.schema import CONTRACT_FILE, METADATA_KEY
from voiceflow_ml.errors import ContractError, IntegrityError, ModelFileError, RegistryError, quoted
from voiceflow_ml.files import hash_file
from voiceflow_ml.inference.ort import LARGEST_FILE_BYTES
from voiceflow_ml.models.shipped import MODEL_NAME, shipped_model_card_path, shipped_model_path
from voiceflow_ml.registry.manifest import MANIFEST_FILE, is_inside
from voiceflow_ml.service.onnx_header import OnnxHeader, read_header
from voiceflow_ml.service.swaps import LoadRefused, Refusal

if TYPE_CHECKING:
    from voiceflow_ml.registry.registry import Registry

BUILTIN = f"builtin:{MODEL_NAME}"
LARGEST_VERSION_BYTES = 8 << 30
_DIGEST_CHARACTERS = 12
_LONGEST_SHOWN = 100


@dataclass(frozen=True)
class Staged:
    """A version in the loader's folder, not opened yet.

    Attributes:
        path: its model file.
        contract: what it claims to keep.
        header: what the file states.
        version: its version; of one that no registry knows, where it comes from and the beginning of its hash.
        digest: SHA-256 of the model file.
        golden_folder: where its golden files are; None where it has none.
        note: what was done, in words.
    """

    path: Path
    contract: Contract
    header: OnnxHeader
    version: str
    digest: str
    golden_folder: Path | None
    note: str


def shown(source: str) -> str:
    """A source as everybody may see it: of a folder only its name."""
    return (Path(source).name if "/" in source else source)[:_LONGEST_SHOWN]


def stage(source: str, model: str, registry: Registry | None, folder: Path) -> Staged:
    """Bring a version into a folder.

    Args:
        source: a version (``1.4.0``), a channel (``prod``), the path of a folder (with a ``/`` in it), or
            ``builtin:fast-cnn``.
        model: the model that is served.
        registry: of that model; None where the server has none.
        folder: an empty folder of the loader's own.

    Raises:
        LoadRefused: it is not to be had, not what was published, or not readable.
    """
    hidden = [f"{folder}/version", str(folder), *([registry.store.url] if registry is not None else [])]
    try:
        if source == BUILTIN:
            return _shipped(model)
        if "/" in source:
            return _copied(Path(source), model, folder)
        return _fetched(source, model, registry, folder)
    except IntegrityError as error:
        raise LoadRefused(Refusal.HASH, _plain(error, [*hidden, source])) from None
    except RegistryError as error:
        raise LoadRefused(Refusal.NOT_FOUND, _plain(error, [*hidden, source])) from None
    except ContractError as error:
        raise LoadRefused(Refusal.NO_CONTRACT, _plain(error, [*hidden, source])) from None
    except ModelFileError as error:
        raise LoadRefused(Refusal.UNREADABLE, _plain(error, [*hidden, source])) from None
    except OSError as error:
        raise LoadRefused(
            Refusal.UNREADABLE, f"{shown(source)} cannot be read: {error.strerror or type(error).__name__}"
        ) from None


def _plain(error: Exception, hidden: list[str]) -> str:
    """The sentence without folders and addresses of this machine, which everybody may read in the swap history."""
    sentence = str(error)
    for place in hidden:
        sentence = sentence.replace(f"{place.rstrip('/')}/", "")
    return sentence


def _fetched(source: str, model: str, registry: Registry | None, folder: Path) -> Staged:
    if registry is None:
        raise LoadRefused(
            Refusal.NOT_FOUND,
            f"{source!r} is a version or a channel, and this server has no registry; start it with one, "
            f"or name a folder (./{source}) or {BUILTIN}",
        )
    from voiceflow_ml.registry.fetch import fetch  # noqa: PLC0415

    version = _version_of(registry, source)
    reason = registry.yanked(version)
    if reason:
        raise LoadRefused(Refusal.YANKED, f"{model} {version} was yanked: {reason}; load another version")
    manifest, _ = registry.manifest(version)
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    if size_bytes > LARGEST_VERSION_BYTES:
        raise LoadRefused(
            Refusal.UNREADABLE, f"{model} {version} has {size_bytes} bytes; at most {LARGEST_VERSION_BYTES} are taken"
        )
    # By what was asked for, so that a channel's own hash of the manifest is checked, too.
    manifest = fetch(registry, source, folder / "version")
    if manifest.version != version:
        raise LoadRefused(Refusal.NOT_FOUND, f"{source} was changed from {version} to {manifest.version}; try again")
    return _staged(folder / "version", model, version, f"{len(manifest.files)} files, hashes as published")


def _version_of(registry: Registry, source: str) -> str:
    if source[:1].isdecimal():
        return source
    promotion = registry.channel(source).current()
    if promotion is None:
        raise RegistryError(f"{registry.model} has no channel {source!r} with a promotion")
    return promotion.version


def _copied(source: Path, model: str, folder: Path) -> Staged:
    if not source.is_dir():
        raise LoadRefused(Refusal.NOT_FOUND, f"{source.name} is not a folder; name one that voiceflow export wrote")
    contract = read_contract(source / CONTRACT_FILE)
    _check_model(contract, model)
    name = f"{model}.onnx"
    golden = {file for pair in contract.golden for file in (*pair.inputs.values(), *pair.outputs.values())}
    _copy(source, folder, (CONTRACT_FILE, name, *golden), Refusal.UNREADABLE)
    header = read_header(folder / name)
    _copy(source, folder, _checked_external(header), Refusal.EXTERNAL_DATA)
    note = "copied; no registry vouches for its hash"
    if (source / MANIFEST_FILE).is_file():
        from voiceflow_ml.registry.fetch import load  # noqa: PLC0415

        manifest = load(source)
        for file in ({CONTRACT_FILE, name, *golden}) & set(manifest.files):
            if hash_file(folder / file) != manifest.files[file].sha256:
                raise IntegrityError(f"{file} was changed while it was copied")
        return _staged(folder, model, manifest.version, f"{len(manifest.files)} files, hashes as published", header)
    return _staged(folder, model, "", note, header)


def _copy(source: Path, folder: Path, names: Iterable[str], refusal: Refusal) -> None:
    for name in names:
        file, shown_name = source / name, quoted(name, 100)
        if not _lies_inside(source, name):
            raise LoadRefused(refusal, f"{shown_name!r} lies outside of the folder of the model")
        if not file.is_file():
            raise LoadRefused(refusal, f"{shown_name} is missing; export or fetch the model again")
        most_bytes = LARGEST_FILE_BYTES if name.endswith(".onnx") else LARGEST_VERSION_BYTES
        if file.stat().st_size > most_bytes:
            raise LoadRefused(Refusal.UNREADABLE, f"{shown_name} is larger than {most_bytes} bytes")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)


def _lies_inside(source: Path, name: str) -> bool:
    try:
        return is_inside(name) and source.resolve() in (source / name).resolve().parents
    except (OSError, RuntimeError):  # a name too long, or links in a circle
        return False


def _shipped(model: str) -> Staged:
    path = shipped_model_path()
    if model != MODEL_NAME:
        raise LoadRefused(Refusal.WRONG_MODEL, f"{BUILTIN} is a {MODEL_NAME}, and {model} is served here")
    digest = hash_file(path)
    if digest != json.loads(shipped_model_card_path().read_bytes())["sha256"]:
        raise IntegrityError(f"{path.name} is damaged: its hash is not that of its card; install voiceflow-ml again")
    header = read_header(path)
    contract = from_json(header.metadata.get(METADATA_KEY, ""), f"{path.name}: {METADATA_KEY}")
    note = "hash as on its card"
    return Staged(path, contract, header, f"builtin-{digest[:_DIGEST_CHARACTERS]}", digest, None, note)


def _staged(folder: Path, model: str, version: str, note: str, header: OnnxHeader | None = None) -> Staged:
    contract = read_contract(folder / CONTRACT_FILE)
    _check_model(contract, model)
    path = folder / f"{model}.onnx"
    header = header or read_header(path)
    _checked_external(header)
    embedded = header.metadata.get(METADATA_KEY)
    if embedded is not None and from_json(embedded, f"{path.name}: {METADATA_KEY}") != contract:
        raise LoadRefused(
            Refusal.CONTRACT_BROKEN, f"the contract inside {path.name} is not the {CONTRACT_FILE} beside it"
        )
    digest = hash_file(path)
    golden_folder = folder if contract.golden else None
    version = version or f"folder-{digest[:_DIGEST_CHARACTERS]}"
    _check_name("version", version)
    return Staged(path, contract, header, version, digest, golden_folder, note)


def _check_model(contract: Contract, model: str) -> None:
    _check_name("model", model)
    if contract.model != model:
        raise LoadRefused(Refusal.WRONG_MODEL, f"it is a {contract.model}, and {model} is served here")


def _check_name(what: str, name: str) -> None:
    # It stands in headers of answers, in the log and in metrics.
    if not name.isprintable() or not 0 < len(name) <= _LONGEST_SHOWN:
        raise LoadRefused(
            Refusal.NO_CONTRACT, f"{name[:_LONGEST_SHOWN]!r} is no name of a {what}: 1 to {_LONGEST_SHOWN} letters"
        )


def _checked_external(header: OnnxHeader) -> tuple[str, ...]:
    for name in header.external_files:
        if not is_inside(name):
            raise LoadRefused(
                Refusal.EXTERNAL_DATA, f"the model has weights at {name!r}, outside of its folder; export it again"
            )
    return header.external_files
