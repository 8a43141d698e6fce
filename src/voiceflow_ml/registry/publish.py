"""Publish a release: gates first, then its files, then the manifest, which makes it a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voiceflow_ml.contract.check import check_model
from voiceflow_ml.contract.diff import ContractDiff, diff
from voiceflow_ml.contract.document import from_json
from voiceflow_ml.contract.schema import CONTRACT_FILE, Contract
from voiceflow_ml.errors import IntegrityError, RegistryError
from voiceflow_ml.files import hash_bytes
from voiceflow_ml.registry.gates import Tolerances, check_scores, check_step, check_verdicts, check_waivers
from voiceflow_ml.registry.manifest import Manifest, PublishedFile
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.release import Release, read_release
from voiceflow_ml.registry.store import AlreadyThereError
from voiceflow_ml.registry.versions import base_of, parse_version
from voiceflow_ml.results.record import Result

Say = Callable[[str], None]
Card = Callable[[Path, tuple[str, ...]], str]
"""Folder of a release and the line of each promise -> text of its card."""
CARD_FILE = "MODEL_CARD.md"
_HASH_CHARACTERS = 16


@dataclass(frozen=True)
class Terms:
    """What a publish is held to.

    Attributes:
        who: who publishes.
        channel: its version in use is what scores are compared with.
        results: finished tests that may hold the verdicts.
        waived: gate -> why the release is let through without.
        tolerances: how much worse scores may be.
        card: writes the card that is published, now that the verdicts are known; None publishes the one there is.
    """

    who: str
    channel: str = "prod"
    results: Sequence[Result] = ()
    waived: Mapping[str, str] = field(default_factory=dict)
    tolerances: Tolerances = field(default_factory=Tolerances)
    card: Card | None = None


def publish(registry: Registry, folder: Path, version: str, terms: Terms, say: Say = lambda _: None) -> Manifest:
    """Publish a folder that ``voiceflow export`` wrote.

    Args:
        registry: of the model.
        folder: the release.
        version: its semantic version.
        terms: what it is held to.
        say: told what is being done.

    Returns:
        The manifest of the new version.

    Raises:
        RegistryError: a gate refuses it, or the version is there already.
        ContractError, ModelFileError: a model of the release is unfit, or breaks its contract.
    """
    version = str(parse_version(version))
    release = read_release(folder)
    if release.contract.model != registry.model:
        raise RegistryError(f"{folder} is a release of {release.contract.model}, not of {registry.model}")
    published = registry.versions()
    if version in published:
        raise RegistryError(f"{registry.model} {version} is published already, and a version never changes")
    check_waivers(terms.waived, release.contract)
    for path in release.models:
        say(f"checking {path.name} against its contract")
        check_model(path)
    base, found = _compare(registry, release, version, published)
    verdicts = check_verdicts(release, terms.results, terms.waived)
    check_scores(release, _in_use(registry, terms.channel), terms.channel, terms.tolerances, terms.waived)
    content = {name: path.read_bytes() for name, path in release.files.items()}
    if terms.card is not None:
        content[CARD_FILE] = terms.card(folder, verdicts).encode()
    manifest = Manifest(
        model=registry.model,
        version=version,
        files=_upload(registry, content, version, say),
        base=base or "",
        level=str(found.level),
        changes=tuple(f"{change.level}: {change.reason}" for change in found.changes),
        verdicts=verdicts,
        scores=release.scores,
        scored_on=release.scored_on,
        waived=dict(terms.waived),
        published_by=terms.who,
        published_at=registry.time(),
    )
    _commit(registry, manifest)
    return manifest


def _compare(
    registry: Registry, release: Release, version: str, published: list[str]
) -> tuple[str | None, ContractDiff]:
    base = base_of(version, published)
    if base is None:
        return None, ContractDiff(())
    found = diff(published_contract(registry, base), release.contract)
    check_step(base, version, found)
    return base, found


def published_contract(registry: Registry, version: str) -> Contract:
    """The contract of a published version.

    Raises:
        RegistryError: no such version.
        IntegrityError: it is damaged.
    """
    manifest, _ = registry.manifest(version)
    entry = manifest.files.get(CONTRACT_FILE)
    if entry is None:
        raise IntegrityError(f"{registry.model} {version} has no {CONTRACT_FILE}")
    path = f"{registry.model}/{entry.path}"
    data = registry.store.read(path)
    if hash_bytes(data) != entry.sha256:
        raise IntegrityError(f"{registry.store.url}/{path} is damaged: its hash is not that of the manifest")
    return from_json(data, f"{registry.store.url}/{path}")


def _in_use(registry: Registry, channel: str) -> Manifest | None:
    promotion = registry.channel(channel).current()
    return registry.manifest(promotion.version)[0] if promotion else None


def _upload(registry: Registry, content: Mapping[str, bytes], version: str, say: Say) -> dict[str, PublishedFile]:
    entries = {}
    for name, data in content.items():
        sha256 = hash_bytes(data)
        place = f"files/{version}/{sha256[:_HASH_CHARACTERS]}/{name.rpartition('/')[2]}"
        say(f"writing {name} ({len(data)} bytes)")
        try:
            registry.store.create(f"{registry.model}/{place}", data)
        except AlreadyThereError:
            # A publish that died, or that runs beside this one, wrote the same content: names hold hashes.
            if hash_bytes(registry.store.read(f"{registry.model}/{place}")) != sha256:
                raise IntegrityError(
                    f"{registry.store.url}/{registry.model}/{place} is damaged; publish under another version"
                ) from None
        entries[name] = PublishedFile(sha256, len(data), place)
    return entries


def _commit(registry: Registry, manifest: Manifest) -> None:
    path = registry.manifest_path(manifest.version)
    try:
        registry.store.create(path, manifest.to_bytes())
    except AlreadyThereError:
        # The answer to a write that did arrive can get lost, and the client tries again by itself.
        if registry.store.read(path) != manifest.to_bytes():
            raise RegistryError(
                f"{manifest.model} {manifest.version} was published by somebody else meanwhile; take another version"
            ) from None
