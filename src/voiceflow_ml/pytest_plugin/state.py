"""What the plugin remembers, each under a typed key; and the keys under which facts travel on reports."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from voiceflow_ml.hardware.targets import Target
    from voiceflow_ml.pytest_plugin.exit_status import Failed
    from voiceflow_ml.pytest_plugin.ledger import Ledger
    from voiceflow_ml.pytest_plugin.options import Settings
    from voiceflow_ml.results.measurement import Measurement
    from voiceflow_ml.results.record import Planned
    from voiceflow_ml.sla.objectives import Promise, Sla


@dataclass(frozen=True)
class Assignment:
    """What one item is to measure, and against what.

    Attributes:
        promise: what is judged.
        target: where it is to run.
        prepare: given the target, returns what is to be measured, ``(model_or_callable, *inputs)``; None when
            only the test itself knows.
    """

    promise: Promise
    target: Target
    prepare: Callable[[Target], object] | None = None

    def planned(self, item: pytest.Item) -> Planned:
        """The plan entry of this assignment."""
        return planned_from(self.promise, item.config.rootpath, item.nodeid)


def planned_from(promise: Promise, root: Path, node_id: str = "") -> Planned:
    """A promise as a plan entry; without a node id for a promise that no test covers.

    Args:
        promise: the promise.
        root: the folder that pytest's own names begin in.
        node_id: pytest's id of the test.
    """
    from voiceflow_ml.results.record import Planned  # noqa: PLC0415

    return Planned(
        node_id=node_id,
        model=promise.model,
        stage=str(promise.stage),
        target=promise.target,
        limits_ns={objective.statistic: objective.limit_ns for objective in promise.objectives},
        waivers={
            statistic: {"owner": waiver.owner, "reason": waiver.reason, "expires": waiver.expires.isoformat()}
            for waiver in promise.waivers
            for statistic in waiver.statistics
        },
        where=_from_root(promise.where, root),
        stages={str(entry.stage): {"low_ns": entry.low_ns, "high_ns": entry.high_ns} for entry in promise.stages},
    )


def _from_root(where: str, root: Path) -> str:
    """A place relative to the root folder: a report is read on other machines than it was made on."""
    return Path(os.path.relpath(where, root)).as_posix() if Path(where).is_absolute() else where


SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
# The day that waivers are judged by, read once.
TODAY: pytest.StashKey[date] = pytest.StashKey()
LEDGER: pytest.StashKey[Ledger] = pytest.StashKey()
# sla.toml files read so far in this session, by path.
SLAS: pytest.StashKey[dict[Path, Sla]] = pytest.StashKey()
# The session's plan, waiting for the first report to carry it from an xdist worker to its controller.
PLAN_TO_SEND: pytest.StashKey[str] = pytest.StashKey()

ASSIGNMENT: pytest.StashKey[Assignment] = pytest.StashKey()
MEASUREMENT: pytest.StashKey[Measurement] = pytest.StashKey()
# A measurement taken in turns with those of other tests, or what kept it from being taken, until its test runs.
MEASURED_AHEAD: pytest.StashKey[Measurement | BaseException] = pytest.StashKey()
STARTED_AT: pytest.StashKey[str] = pytest.StashKey()
# What failed the test, once its verdicts have.
FAILED: pytest.StashKey[Failed] = pytest.StashKey()

RESULT_PROPERTY = "voiceflow_ml.result"
PLAN_PROPERTY = "voiceflow_ml.plan"
FAILED_PROPERTY = "voiceflow_ml.failed"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of pytest-xdist's workers."""
    return hasattr(config, "workerinput")


def sla_at(config: pytest.Config, path: Path) -> Sla:
    """The SLA declared in a file, read at first use; errors as in ``load_sla``."""
    from voiceflow_ml.sla.load import load_sla  # noqa: PLC0415

    known = config.stash.setdefault(SLAS, {})
    if path not in known:
        sla = load_sla(path)
        on_ray = bool(config.stash[SETTINGS].ray_address)
        known[path] = replace(sla, catalogue=sla.catalogue.on_ray()) if on_ray else sla
    return known[path]
