"""Create, watch, delete: a run leaves nothing behind, however it ends."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from voiceflow_ml.errors import CloudError, ConfigError
from voiceflow_ml.files import hash_file
from voiceflow_ml.gcp.api import Compute, Machine
from voiceflow_ml.gcp.failures import NameTakenError, ZoneExhaustedError
from voiceflow_ml.gcp.plan import Plan
from voiceflow_ml.gcp.requests import delete_request, insert_request
from voiceflow_ml.gcp.state import State, read_state, write_state
from voiceflow_ml.gcp.watch import Ending, Say, Watch
from voiceflow_ml.latency.clock import Clock
from voiceflow_ml.registry.store import AlreadyThereError, Store
from voiceflow_ml.units import NS_PER_S

_SWEEP_PASSES = 30
_SETTLE_NS = 10 * NS_PER_S
_EMPTY_PASSES = 2


@dataclass(frozen=True)
class Site:
    """What a run works with.

    Attributes:
        compute: Compute Engine.
        store: where artefacts and results are.
        clock: for pauses.
        say: is told each step.
    """

    compute: Compute
    store: Store
    clock: Clock
    say: Say


def up(plan: Plan, folder: Path, site: Site, state_file: Path) -> Ending:
    """Run a plan once: upload, create, watch, delete.

    Args:
        plan: what to run.
        folder: the artefacts; they must be what the plan hashed.
        site: what to run it with.
        state_file: where the state is kept.

    Returns:
        What the machine wrote at its end. The machine is deleted then, unless the plan serves.

    Raises:
        ConfigError: the plan was begun before, here or elsewhere, or an artefact changed.
        CloudError: see ``failures``; what was made has been deleted.
    """
    state = read_state(plan, state_file)
    if state.phase != "planned":
        raise ConfigError(
            f"run {plan.run_id} was begun before and is {state.phase}; a plan is for one run: plan again, and "
            f"voiceflow gcp sweep --project {plan.project} --run-id {plan.run_id} deletes what may be left of it"
        )
    _check_files(plan, folder)
    _claim(plan, site.store)
    _upload(plan, folder, site)
    with _nothing_left(plan, site, state_file) as made:
        zone = _create(plan, site, state_file, made)
        write_state(replace(made.state, phase="running"), state_file)
        ending = Watch(plan, zone, site.compute, site.store, site.clock, site.say).until_ended()
        if not plan.serve:
            _delete(plan.project, Machine(zone, plan.machine, plan.run_id, ""), site)
    phase = "serving" if plan.serve else "ended"
    write_state(replace(made.state, phase=phase, why=ending.sentence), state_file)
    return ending


def sweep(project: str, site: Site, run_id: str = "") -> tuple[Machine, ...]:
    """Delete every machine of a run, or of all runs, found by its label.

    A machine that is still being made shows late: it is looked for until two looks in a row find nothing.

    Returns:
        What was deleted.

    Raises:
        CloudError: Compute Engine does not answer, or something stays.
    """
    gone: dict[tuple[str, str], Machine] = {}
    empty = 0
    for _ in range(_SWEEP_PASSES):
        found = site.compute.labelled(run_id)
        for machine in found:
            _delete(project, machine, site)
            gone[machine.zone, machine.name] = machine
        empty = 0 if found else empty + 1
        if empty == _EMPTY_PASSES:
            return tuple(gone.values())
        site.clock.sleep_ns(_SETTLE_NS)
    raise CloudError(f"machines keep appearing in {project}: another `up` is at work; name one with --run-id")


@dataclass
class _Made:
    """The state of the run so far, and whether a machine was asked for."""

    state: State
    asked: bool = False


def _check_files(plan: Plan, folder: Path) -> None:
    for each in plan.artefacts:
        path = folder / each.name
        if not path.is_file() or hash_file(path) != each.sha256:
            raise ConfigError(f"{path} is not what was planned (SHA-256 {each.sha256[:12]}...); plan again")


def _claim(plan: Plan, store: Store) -> None:
    """Take the run: an object that is written once decides between two `up` at one time, wherever they are."""
    claim = {"host": socket.gethostname(), "pid": os.getpid(), "plan": plan.sha256}
    try:
        store.create(f"{plan.folder}/claim.json", json.dumps(claim).encode())
    except AlreadyThereError:
        raise ConfigError(
            f"run {plan.run_id} was begun by another `up` ({store.url}/{plan.folder}/claim.json says where); plan again"
        ) from None


def _upload(plan: Plan, folder: Path, site: Site) -> None:
    for each in plan.artefacts:
        site.store.create(f"{plan.folder}/artefacts/{each.name}", (folder / each.name).read_bytes())
    site.say(f"uploaded {len(plan.artefacts)} files to {site.store.url}/{plan.folder}/artefacts")


def _create(plan: Plan, site: Site, state_file: Path, made: _Made) -> str:
    exhausted: list[str] = []
    for zone in plan.zones:
        # Before the request: a crash in between leaves a name to look for.
        made.asked = True
        made.state = replace(made.state, phase="creating", zone=zone)
        write_state(made.state, state_file)
        site.say(f"asking for {plan.machine} in {zone}")
        try:
            site.compute.insert(insert_request(plan, zone))
        except ZoneExhaustedError as error:
            site.say(str(error))
            exhausted.append(zone)
            continue
        site.say(f"{plan.machine} is up in {zone}")
        return zone
    raise ZoneExhaustedError(f"no T4 is to be had now in {', '.join(exhausted)}; try later, or plan with more --zone")


@contextmanager
def _nothing_left(plan: Plan, site: Site, state_file: Path) -> Iterator[_Made]:
    made = _Made(State(plan.run_id, plan.sha256))
    try:
        yield made
    except NameTakenError:
        # The machine is another's.
        write_state(replace(made.state, phase="ended", why="the name was taken"), state_file)
        raise
    except BaseException as error:
        _clean_up(plan, site, made)
        why = str(error).partition("\n")[0] or type(error).__name__
        write_state(replace(made.state, phase="ended", why=why), state_file)
        raise


def _clean_up(plan: Plan, site: Site, made: _Made) -> None:
    """Delete what there is; where that fails, say how to do it by hand, and let the first error be the one raised."""
    if not made.asked:
        return
    command = f"voiceflow gcp sweep --project {plan.project} --run-id {plan.run_id} --yes"
    try:
        site.say(f"cleaning up: looking for machines of run {plan.run_id}")
        # By label and more than once: of a request that was cut off nobody knows whether it arrived.
        sweep(plan.project, site, plan.run_id)
    except (CloudError, KeyboardInterrupt) as error:
        site.say(
            f"{plan.machine} may still be there ({error or 'interrupted'}); run: {command} (Compute Engine deletes it "
            f"by itself after {plan.max_run_s} s of running)"
        )


def _delete(project: str, machine: Machine, site: Site) -> None:
    there = site.compute.delete(delete_request(project, machine.zone, machine.name))
    site.say(f"{'deleted' if there else 'gone already:'} {machine.name} in {machine.zone}")
