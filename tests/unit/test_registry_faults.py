"""What can go wrong between two bytes: a publish that dies anywhere, a bit that flips anywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.contract_models import NAME
from tests.releases import TERMS, release
from voiceflow_ml.errors import IntegrityError, RegistryError
from voiceflow_ml.registry.fetch import fetch, load, verify
from voiceflow_ml.registry.manifest import MANIFEST_FILE
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.sealed import seal, unseal
from voiceflow_ml.registry.store import Store

FILES = 5
WRITES = FILES + 1
"""Writes of one publish: every file, then the manifest."""


class KilledError(BaseException):
    """The process is gone: no handler of ordinary errors sees this."""


class DyingStore(Store):
    """A store whose process dies before or after its n-th write."""

    def __init__(self, url: str, *, at: int, after: bool) -> None:
        super().__init__(url)
        self.at, self.after, self.writes = at, after, 0

    def create(self, path: str, data: bytes) -> None:
        self.writes += 1
        if self.writes == self.at and not self.after:
            raise KilledError
        super().create(path, data)
        if self.writes == self.at:
            raise KilledError


@pytest.fixture(name="old", scope="module")
def _old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(tmp_path_factory.mktemp("old"))


@pytest.fixture(name="new", scope="module")
def _new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(tmp_path_factory.mktemp("new"), shift=0.5)


def registry_at(folder: Path) -> Registry:
    return Registry(Store(str(folder)), NAME)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_a_publish_that_dies_anywhere_is_complete_or_invisible_and_can_be_repeated(
    at: int, after: bool, old: Path, new: Path, tmp_path: Path
) -> None:
    root = tmp_path / "registry"
    publish(registry_at(root), old, "1.0.0", TERMS)
    registry_at(root).promote("1.0.0", "prod", who="a", why="")
    with pytest.raises(KilledError):
        publish(Registry(DyingStore(str(root), at=at, after=after), NAME), new, "1.0.1", TERMS)

    complete = after and at == WRITES
    registry = registry_at(root)
    assert registry.versions() == ["1.0.0", *(["1.0.1"] if complete else [])]
    assert fetch(registry, "prod", tmp_path / "old").version == "1.0.0"
    if complete:
        assert verify(registry, "1.0.1").version == "1.0.1"
        with pytest.raises(RegistryError, match="is published already"):
            publish(registry, new, "1.0.1", TERMS)
    else:
        with pytest.raises(RegistryError, match=r"has no version 1\.0\.1"):
            verify(registry, "1.0.1")
        publish(registry, new, "1.0.1", TERMS)
    fetch(registry, "1.0.1", tmp_path / "new")
    assert (tmp_path / "new" / "tiny.onnx").read_bytes() == (new / "tiny.onnx").read_bytes()


def test_every_write_of_a_publish_was_hit(new: Path, tmp_path: Path) -> None:
    store = DyingStore(str(tmp_path), at=0, after=False)
    publish(Registry(store, NAME), new, "1.0.0", TERMS)
    assert store.writes == WRITES


def test_another_content_under_a_version_whose_publish_died(old: Path, new: Path, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        publish(Registry(DyingStore(str(tmp_path / "r"), at=WRITES, after=False), NAME), old, "1.0.0", TERMS)
    publish(registry_at(tmp_path / "r"), new, "1.0.0", TERMS)
    fetch(registry_at(tmp_path / "r"), "1.0.0", tmp_path / "out")
    assert (tmp_path / "out" / "tiny.onnx").read_bytes() == (new / "tiny.onnx").read_bytes()


def test_a_write_that_dies_half_way_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KilledError

    store = Store(str(tmp_path))
    monkeypatch.setattr("os.link", die)
    with pytest.raises(KilledError):
        store.create("a/x", b"content")
    assert (store.names("a"), list((tmp_path / "a").iterdir())) == ([], [])


def test_leftovers_of_a_process_that_was_killed_are_not_objects(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".abc.part").write_bytes(b"half")
    assert Store(str(tmp_path)).names("a") == []


def test_a_lost_answer_to_the_last_write_is_no_failure(new: Path, tmp_path: Path) -> None:
    class RetryingStore(Store):
        """The first write of the manifest arrives, its answer does not, and the client tries again."""

        def create(self, path: str, data: bytes) -> None:
            if "/versions/" in path:
                super().create(path, data)
            super().create(path, data)

    assert publish(Registry(RetryingStore(str(tmp_path)), NAME), new, "1.0.0", TERMS).version == "1.0.0"


def test_a_fetch_that_fails_leaves_nothing_and_one_that_is_repeated_checks(new: Path, tmp_path: Path) -> None:
    registry = registry_at(tmp_path / "r")
    publish(registry, new, "1.0.0", TERMS)
    fetch(registry, "1.0.0", tmp_path / "out")
    assert fetch(registry, "1.0.0", tmp_path / "out").version == "1.0.0"
    (tmp_path / "out" / "contract.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"contract\.json has 2 bytes"):
        fetch(registry, "1.0.0", tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").touch()
    with pytest.raises(RegistryError, match="holds something else"):
        fetch(registry, "1.0.0", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["x"]


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_any_flipped_bit_is_caught_at_load(new: Path, tmp_path: Path) -> None:
    publish(registry_at(tmp_path / "r"), new, "1.0.0", TERMS)
    folder = tmp_path / "out"
    fetch(registry_at(tmp_path / "r"), "1.0.0", folder)
    flips = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        # A step that is no multiple of eight visits every position within a byte.
        for bit in range(0, 8 * len(whole), 37):
            path.write_bytes(flipped(whole, bit))
            with pytest.raises(IntegrityError):
                load(folder)
            flips += 1
        path.write_bytes(whole)
    assert flips > 500
    assert load(folder).version == "1.0.0"


def test_every_single_bit_of_a_sealed_document_counts() -> None:
    data = seal({"version": "1.0.0", "why": "größer", "number": 17})
    assert unseal(data, "x") == {"version": "1.0.0", "why": "größer", "number": 17}
    for bit in range(8 * len(data)):
        with pytest.raises(IntegrityError, match="x is damaged"):
            unseal(flipped(data, bit), "x")


def test_a_promotion_that_was_changed_or_moved_is_found(new: Path, tmp_path: Path) -> None:
    registry = registry_at(tmp_path)
    publish(registry, new, "1.0.0", TERMS)
    registry.promote("1.0.0", "prod", who="a", why="")
    path = tmp_path / NAME / "channels" / "prod" / "000001.json"
    shutil.copy(path, path.with_name("000002.json"))
    with pytest.raises(IntegrityError, match="is promotion 1: it was moved"):
        registry.resolve("prod")
    path.with_name("000002.json").unlink()
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole.replace(b'"1.0.0"', b'"1.0.9"'))
    with pytest.raises(IntegrityError, match="is damaged"):
        registry.resolve("prod")


def test_a_manifest_that_was_exchanged_is_found(old: Path, new: Path, tmp_path: Path) -> None:
    for name, folder in (("r", old), ("s", new)):
        publish(registry_at(tmp_path / name), folder, "1.0.0", TERMS)
    registry = registry_at(tmp_path / "r")
    registry.promote("1.0.0", "prod", who="a", why="")
    path = tmp_path / "r" / NAME / "versions" / "1.0.0.json"
    path.unlink()
    shutil.copy(tmp_path / "s" / NAME / "versions" / "1.0.0.json", path)
    with pytest.raises(IntegrityError, match="is not the one that was promoted to prod"):
        registry.resolve("prod")
    path.rename(path.with_name("2.0.0.json"))
    with pytest.raises(IntegrityError, match=r"is about tiny 1\.0\.0: it was moved"):
        registry.manifest("2.0.0")


def test_a_file_too_many_is_found(new: Path, tmp_path: Path) -> None:
    publish(registry_at(tmp_path / "r"), new, "1.0.0", TERMS)
    fetch(registry_at(tmp_path / "r"), "1.0.0", tmp_path / "out")
    (tmp_path / "out" / "golden" / "more.npy").touch()
    with pytest.raises(IntegrityError, match=r"holds golden/more\.npy"):
        load(tmp_path / "out")
    (tmp_path / "out" / "tiny.onnx").unlink()
    with pytest.raises(IntegrityError, match=r"tiny\.onnx cannot be read"):
        load(tmp_path / "out")
    (tmp_path / "out" / MANIFEST_FILE).unlink()
    with pytest.raises(RegistryError, match="was not fetched from a registry"):
        load(tmp_path / "out")
