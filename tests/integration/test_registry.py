"""The registry on a folder, on Google Cloud Storage and on S3: the same tests on all three."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract_models import NAME
from tests.releases import TERMS, release
from tests.stores import OpenStore, _gcs_url, _open_store, _s3_url  # noqa: F401 - fixtures
from voiceflow_ml.errors import IntegrityError, RegistryError
from voiceflow_ml.registry.fetch import fetch, load, verify
from voiceflow_ml.registry.manifest import Manifest
from voiceflow_ml.registry.publish import publish
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import AlreadyThereError, NotThereError, Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(name="open_registry")
def _open_registry(open_store: OpenStore) -> Callable[[], Registry]:
    return lambda: Registry(open_store(), NAME, now=lambda: NOON)


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run works in threads that start together: what each returned, or the error it raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        gate.wait()
        try:
            return work()
        except RegistryError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


class TestRegistry:
    def test_an_object_is_written_once(self, open_store: OpenStore) -> None:
        store = open_store()
        store.create("a/b.json", b"first")
        with pytest.raises(AlreadyThereError, match=r"a/b\.json is there already, and nothing is ever overwritten"):
            store.create("a/b.json", b"second")
        assert open_store().read("a/b.json") == b"first"
        assert (store.names("a"), store.folders(""), store.names("nothing")) == (["b.json"], ["a"], [])
        with pytest.raises(NotThereError, match="is not there"):
            store.read("a/c.json")

    def test_of_many_writers_of_one_name_exactly_one_wins(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(8)]
        outcomes = at_once(*(lambda n=n, s=s: s.create("x", bytes([n]) * 100) for n, s in enumerate(stores)))
        winners = [number for number, outcome in enumerate(outcomes) if outcome is None]
        assert len(winners) == 1
        assert open_store().read("x") == bytes(winners) * 100

    def test_from_release_to_promoted_version_and_back(
        self, open_registry: Callable[[], Registry], tmp_path: Path
    ) -> None:
        first = release(tmp_path / "first")
        manifest = publish(open_registry(), first, "1.0.0", TERMS)
        assert set(manifest.files) == {
            "tiny.onnx",
            "tiny.json",
            "contract.json",
            "golden/ramp.x.npy",
            "golden/ramp.y.npy",
        }
        publish(open_registry(), release(tmp_path / "second", shift=0.5), "1.0.1", TERMS)
        registry = open_registry()
        assert registry.versions() == ["1.0.0", "1.0.1"]
        registry.promote("1.0.0", "prod", who="a", why="first")
        promotion = registry.promote("1.0.1", "prod", who="b", why="better")
        assert (promotion.number, promotion.version, promotion.when) == (2, "1.0.1", "2026-01-01T12:00:00+00:00")
        assert [(entry.version, entry.channels) for entry in registry.list()] == [("1.0.0", ()), ("1.0.1", ("prod",))]

        back = open_registry().rollback("prod", who="c", why="worse after all")
        assert (back.number, back.version, back.kind) == (3, "1.0.0", "rollback")
        fetched = fetch(open_registry(), "prod", tmp_path / "fetched")
        assert fetched.version == "1.0.0"
        assert (tmp_path / "fetched" / "tiny.onnx").read_bytes() == (first / "tiny.onnx").read_bytes()
        assert load(tmp_path / "fetched") == fetched == manifest
        assert [entry.why for entry in registry.channel("prod").history()] == ["first", "better", "worse after all"]
        with pytest.raises(RegistryError, match="has nothing to go back to"):
            registry.rollback("prod", who="c", why="")

    def test_two_publishers_of_one_version_exactly_one_wins(
        self, open_registry: Callable[[], Registry], tmp_path: Path
    ) -> None:
        folders = [release(tmp_path / str(number), shift=number / 10) for number in range(2)]
        outcomes = at_once(*(lambda f=f: publish(open_registry(), f, "1.0.0", TERMS) for f in folders))
        won = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Manifest)]
        assert len(won) == 1
        assert isinstance(outcomes[1 - won[0]], RegistryError)
        fetch(open_registry(), "1.0.0", tmp_path / "fetched")
        assert (tmp_path / "fetched/tiny.onnx").read_bytes() == (folders[won[0]] / "tiny.onnx").read_bytes()

    def test_promotions_at_the_same_time_are_all_kept(
        self, open_registry: Callable[[], Registry], tmp_path: Path
    ) -> None:
        publish(open_registry(), release(tmp_path / "a"), "1.0.0", TERMS)
        registries = [open_registry() for _ in range(8)]
        at_once(*(lambda n=n, r=r: r.promote("1.0.0", "prod", who=str(n), why="") for n, r in enumerate(registries)))
        history = open_registry().channel("prod").history()
        assert [entry.number for entry in history] == list(range(1, 9))
        assert {entry.who for entry in history} == {str(number) for number in range(8)}

    def test_a_yanked_version_is_not_promoted_any_more(
        self, open_registry: Callable[[], Registry], tmp_path: Path
    ) -> None:
        registry = open_registry()
        publish(registry, release(tmp_path / "a"), "1.0.0", TERMS)
        publish(registry, release(tmp_path / "b", shift=0.1), "1.0.1", TERMS)
        registry.promote("1.0.0", "prod", who="a", why="")
        with pytest.raises(RegistryError, match=r"tiny 1\.0\.0 is in use in prod; promote another there first"):
            registry.yank("1.0.0", who="a", why="leaks")
        registry.promote("1.0.1", "prod", who="a", why="")
        registry.yank("1.0.0", who="a", why="leaks")
        with pytest.raises(RegistryError, match=r"was yanked \(leaks\); promote another version"):
            registry.promote("1.0.0", "canary", who="a", why="")
        with pytest.raises(RegistryError, match=r"going back leads to 1\.0\.0, which was yanked"):
            registry.rollback("prod", who="a", why="")
        assert [entry.yanked for entry in open_registry().list()] == ["leaks", ""]
        assert fetch(registry, "1.0.0", tmp_path / "fetched").version == "1.0.0"
        with pytest.raises(RegistryError, match="was yanked before"):
            registry.yank("1.0.0", who="a", why="again")

    def test_what_is_verified_is_what_was_published(
        self, open_registry: Callable[[], Registry], tmp_path: Path
    ) -> None:
        manifest = publish(open_registry(), release(tmp_path / "a"), "1.0.0", TERMS)
        assert verify(open_registry(), "1.0.0") == manifest

    def test_what_is_not_there_is_one_sentence(self, open_registry: Callable[[], Registry], tmp_path: Path) -> None:
        registry = open_registry()
        with pytest.raises(RegistryError, match=r"tiny has no version 9\.0\.0; the latest are: none"):
            fetch(registry, "9.0.0", tmp_path / "x")
        with pytest.raises(RegistryError, match="no channel 'prod' with a promotion"):
            fetch(registry, "prod", tmp_path / "x")
        assert not (tmp_path / "x").exists()


def test_a_store_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="is not an address of a registry"):
        Store("nonsense://bucket/x")
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=r"cannot write .*/x: "):
        Store(f"{tmp_path}/file").create("x", b"")


def test_a_store_that_does_not_answer_is_one_sentence() -> None:
    store = Store(
        "s3://bucket/x",
        endpoint_url="http://127.0.0.1:9",
        key="a",
        secret="b",
        config_kwargs={"retries": {"max_attempts": 0}, "connect_timeout": 1},
    )
    with pytest.raises(RegistryError, match=r"cannot read s3://bucket/x/a: .*connect"):
        store.read("a")


def test_a_damaged_file_in_the_registry_is_found_when_it_is_fetched(tmp_path: Path) -> None:
    registry = Registry(Store(f"{tmp_path}/registry"), NAME)
    manifest = publish(registry, release(tmp_path / "a"), "1.0.0", TERMS)
    for number, (name, entry) in enumerate(manifest.files.items()):
        path = tmp_path / "registry" / NAME / entry.path
        whole = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(IntegrityError, match=rf"^{name} is damaged"):
            fetch(registry, "1.0.0", tmp_path / f"out{number}")
        assert not list(tmp_path.glob("*out*"))
        path.write_bytes(whole)
