"""A channel is followed: each promotion is loaded once, and a registry that fails is asked again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.bad_models import published
from tests.contract_models import NAME
from tests.unit.test_slot_refusals import PLAN, ticks
from voiceflow_ml.errors import RegistryError
from voiceflow_ml.registry.registry import Registry
from voiceflow_ml.registry.store import Store
from voiceflow_ml.service.loading import Loader
from voiceflow_ml.service.slot import ModelSlot
from voiceflow_ml.service.swaps import Kind, LoadRefused, LoadUnderWay
from voiceflow_ml.service.trial import Here
from voiceflow_ml.service.watching import ChannelWatch


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Registry:
    registry = Registry(Store(f"file://{tmp_path}/registry"), NAME)
    published(tmp_path, registry, "1.0.0", "1.0.1")
    return registry


@pytest.fixture(name="slot")
def _slot(registry: Registry) -> ModelSlot:
    return ModelSlot(Loader(NAME, registry, trial=Here(PLAN, thread_time_ns=ticks(1_000))))


def promote(registry: Registry, version: str) -> None:
    registry.promote(version, "prod", who="somebody", why="a test")


def test_each_promotion_is_loaded_once(slot: ModelSlot, registry: Registry) -> None:
    watch = ChannelWatch(slot, registry, "prod")
    assert watch.check() is None
    promote(registry, "1.0.0")
    record = watch.check()
    assert record is not None
    assert (record.kind, record.source, record.after) == (Kind.LOADED, "prod", "1.0.0")
    assert watch.check() is None
    promote(registry, "1.0.1")
    assert watch.check() is not None
    # What a person takes back here stays taken back.
    slot.rollback()
    assert watch.check() is None
    assert slot.status().version == "1.0.0"
    # A rollback in the registry is a promotion like any other.
    registry.rollback("prod", who="somebody", why="a test")
    assert watch.check() is not None


def test_after_a_start_from_the_channel_only_later_promotions_count(slot: ModelSlot, registry: Registry) -> None:
    promote(registry, "1.0.0")
    slot.load("prod")
    watch = ChannelWatch(slot, registry, "prod")
    watch.start_at_current()
    assert watch.check() is None
    assert len(slot.history()) == 1


def test_a_refused_promotion_is_not_tried_again(slot: ModelSlot, registry: Registry, tmp_path: Path) -> None:
    promote(registry, "1.0.0")
    watch = ChannelWatch(slot, registry, "prod")
    manifest, _ = registry.manifest("1.0.0")
    stored = tmp_path / "registry" / NAME / manifest.files["contract.json"].path
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes() + b" ")
    with pytest.raises(LoadRefused, match=r"contract\.json has \d+ bytes"):
        watch.check()
    assert watch.check() is None


def test_a_load_under_way_only_puts_it_off(
    slot: ModelSlot, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(registry, "1.0.0")
    watch = ChannelWatch(slot, registry, "prod")

    def busy(source: str) -> None:
        raise LoadUnderWay("busy")

    with monkeypatch.context() as patch:
        patch.setattr(slot, "load", busy)
        assert watch.check() is None
    assert watch.check() is not None


def test_a_registry_that_fails_is_asked_again(
    slot: ModelSlot, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(registry, "1.0.0")
    watch, stop = ChannelWatch(slot, registry, "prod"), threading.Event()
    current, asked = watch._channel.current, 0

    def failing_once() -> object:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RegistryError("the network is down")
        if asked > 2:
            stop.set()
        return current()

    monkeypatch.setattr(watch._channel, "current", failing_once)
    watch.run(stop, 0.001)
    assert slot.status().version == "1.0.0"
