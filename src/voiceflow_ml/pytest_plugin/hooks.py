"""pytest's hooks, in the order in which a session calls them."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from voiceflow_ml.errors import ConfigError, VoiceflowError
from voiceflow_ml.hardware.targets import Catalogue, Target
from voiceflow_ml.pytest_plugin import benchmark_bridge, outcomes
from voiceflow_ml.pytest_plugin.claims import add_documents, write_claims
from voiceflow_ml.pytest_plugin.comparing import baseline_problems
from voiceflow_ml.pytest_plugin.elsewhere import present_elsewhere, refuse_absent_elsewhere
from voiceflow_ml.pytest_plugin.integrity import integrity_lines
from voiceflow_ml.pytest_plugin.ledger import Ledger
from voiceflow_ml.pytest_plugin.markers import assign, register_markers
from voiceflow_ml.pytest_plugin.options import read_settings
from voiceflow_ml.pytest_plugin.state import (
    ASSIGNMENT,
    FAILED,
    FAILED_PROPERTY,
    LEDGER,
    PLAN_PROPERTY,
    PLAN_TO_SEND,
    RESULT_PROPERTY,
    SETTINGS,
    SLAS,
    TODAY,
    is_worker,
    planned_from,
    sla_at,
)

if TYPE_CHECKING:
    from voiceflow_ml.hardware.gpu import GpuProbe
    from voiceflow_ml.sla.objectives import Sla


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings, and stop at once when a GPU that was asked for is not here."""
    settings = read_settings(config, lambda catalogue: _present_gpus(config, catalogue))
    register_markers(config, settings.catalogue)
    config.stash[SETTINGS] = settings
    config.stash[TODAY] = datetime.now(UTC).date()
    add_documents(config)
    only_looking = config.option.help or config.option.version or config.option.collectonly
    if not only_looking and not is_worker(config):
        _refuse_absent_gpus(tuple(gpu for gpu in settings.gpus if not gpu.elsewhere))
        refuse_absent_elsewhere(config, settings)
    if not config.option.collectonly and not is_worker(config):
        ledger = Ledger(config)
        config.stash[LEDGER] = ledger
        # pytest_runtest_logreport is not told its configuration, so the ledger listens itself.
        config.pluginmanager.register(ledger, "voiceflow_ml.ledger")


def _present_gpus(config: pytest.Config, catalogue: Catalogue) -> tuple[Target, ...]:
    if config.getoption("--ray-address"):
        return present_elsewhere(config, catalogue)
    from voiceflow_ml.hardware.probe import probe_gpus  # noqa: PLC0415

    found = probe_gpus()
    return tuple(target for target in catalogue.gpus if found.has(target))


def _refuse_absent_gpus(wanted: tuple[Target, ...]) -> None:
    if not wanted:
        return
    from voiceflow_ml.hardware.probe import probe_gpus  # noqa: PLC0415

    found = probe_gpus()
    for target in wanted:
        if not found.has(target):
            raise pytest.UsageError(
                f"--gpu={target.gpu_name} asks for {target.device_name!r}, found: {found.describe()}; "
                f"run on a machine that has one, or drop --gpu={target.gpu_name}"
            )
    _pin_only_gpu(found, wanted)


def _pin_only_gpu(found: GpuProbe, wanted: tuple[Target, ...]) -> None:
    """With one GPU target, let CUDA see the GPU that it names first."""
    if len(wanted) == 1:
        from voiceflow_ml.hardware.gpu_choice import pin  # noqa: PLC0415

        pin(found, wanted[0], os.environ)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Attach to a hardware test what it is to measure."""
    assign(item)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the plan down before the first test runs, so that a killed run knows what it did not do."""
    config = session.config
    assigned = [item for item in session.items if ASSIGNMENT in item.stash]
    if not assigned or config.option.collectonly:
        return
    from voiceflow_ml.results.record import plan_to_json  # noqa: PLC0415

    problems = baseline_problems(config.stash[SETTINGS], [item.stash[ASSIGNMENT].promise.model for item in assigned])
    # From a worker of pytest-xdist no usage error arrives: its controller finds the same when it has the plan.
    if problems and not is_worker(config):
        raise pytest.UsageError(problems[0])
    planned = tuple(item.stash[ASSIGNMENT].planned(item) for item in assigned)
    slas = _slas_in_play(config)
    declared = tuple(planned_from(promise, config.rootpath) for sla in slas for promise in sla.promises)
    integrity = _integrity(config, slas)
    if is_worker(config):
        benchmark_bridge.keep_quiet_about_ours(config, session.items)
        config.stash[PLAN_TO_SEND] = plan_to_json(planned, declared, integrity)
    else:
        config.stash[LEDGER].begin(planned, declared, integrity)


def _slas_in_play(config: pytest.Config) -> list[Sla]:
    """The sla.toml files that tests referred to; else the project's own, whose promises then have no test."""
    path = config.stash[SETTINGS].sla_file
    if not config.stash.get(SLAS, {}) and path.is_file():
        try:
            sla_at(config, path)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from None
    return list(config.stash.get(SLAS, {}).values())


def _integrity(config: pytest.Config, slas: Sequence[Sla]) -> tuple[str, ...]:
    """What was loosened since the base; a base that cannot be found stops the run."""
    try:
        return integrity_lines(config, config.stash[SETTINGS].sla_file, slas)
    except ConfigError as error:
        if is_worker(config):
            # No usage error arrives from there, so it is told where the loosened promises would be.
            return (f"not compared with the base: {error}",)
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Start afresh, and turn this package's errors in fixtures of hardware tests into one sentence."""
    outcomes.forget(item)
    return (yield from _one_sentence(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run the test, then make its verdict its outcome."""
    returned = yield from _one_sentence(item)
    outcomes.enforce(item)
    return returned


def _one_sentence(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    except VoiceflowError as error:
        if ASSIGNMENT not in item.stash:
            raise
        message = str(error)
    # Outside of the except clause: pytest prints a chain of exceptions in full.
    pytest.fail(message, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a finished test's result, and once the session's plan, travel on its report."""
    report = yield
    plan = item.config.stash.get(PLAN_TO_SEND, None)
    if plan is not None:
        report.user_properties.append((PLAN_PROPERTY, plan))
        del item.config.stash[PLAN_TO_SEND]
    result = outcomes.result_of(item, report)
    if result is not None:
        report.user_properties.append((RESULT_PROPERTY, result.to_json()))
        # Later reports of this item carry its own properties: JUnit writes those of the teardown.
        item.user_properties.extend(outcomes.flat_properties(result))
    if report.failed and FAILED in item.stash and report.when == "call":
        report.user_properties.append((FAILED_PROPERTY, str(item.stash[FAILED])))
    return report


# First of all plugins: pytest's own junit.xml raises where it cannot be written, and nobody is asked after that.
@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the final report; a run that measured nothing, or lost a result, is not green."""
    ledger = session.config.stash.get(LEDGER, None)
    if ledger is not None:
        session.exitstatus = ledger.finish(exitstatus)
    write_claims(session.config)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print one line for each objective, and where the report is."""
    ledger = config.stash.get(LEDGER, None)
    if ledger is not None:
        ledger.summarize(terminalreporter)
