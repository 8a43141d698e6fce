"""The command line, read once into frozen settings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import pytest

from voiceflow_ml.errors import ConfigError, UnitError
from voiceflow_ml.hardware.git import GIT
from voiceflow_ml.hardware.targets import CPU, TARGETS, Catalogue, Target
from voiceflow_ml.pytest_plugin import hang, known_targets
from voiceflow_ml.pytest_plugin.claims import add_claims_option
from voiceflow_ml.pytest_plugin.integrity import add_base_option
from voiceflow_ml.units import parse_duration_ns

AUTO = "auto"
T = TypeVar("T")


class Policy(StrEnum):
    """What a verdict other than MET does to the test."""

    STRICT = "strict"
    LENIENT = "lenient"
    REPORT_ONLY = "report-only"


@dataclass(frozen=True)
class Settings:
    """What the command line asks of this run.

    Attributes:
        catalogue: the targets that there are: those that ship, and those that sla.toml states.
        gpus: GPU targets that were asked for.
        sla_file: the sla.toml that ``@pytest.mark.sla("name")`` looks names up in.
        confidence: confidence of every verdict.
        time_budget_ns: no measurement starts a new block after this.
        span_ns: every measurement is spread over this; None is as long as is fit.
        report_folder: where the report and the result files go.
        policy: what a verdict other than MET does to the test.
        required_targets: the run fails when one of these has no verdict.
        baselines: model name -> the file or ``git:REF`` that it is compared with; ``""`` is for every model.
        working_folder: where pytest was started; relative paths on the command line begin there.
        ray_address: of the Ray cluster that has the targets which are not here; empty for none.
    """

    catalogue: Catalogue
    gpus: tuple[Target, ...]
    sla_file: Path
    confidence: float
    time_budget_ns: int
    span_ns: int | None
    report_folder: Path
    policy: Policy
    required_targets: tuple[str, ...]
    baselines: Mapping[str, str]
    working_folder: Path
    ray_address: str

    def selects(self, target_name: str) -> bool:
        """Whether tests for this target run: the CPU always, a GPU when it was asked for."""
        return target_name == CPU.name or any(gpu.name == target_name for gpu in self.gpus)

    def baseline_of(self, model: str) -> str | None:
        """What a model is compared with, or None."""
        return self.baselines.get(model, self.baselines.get("", None))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; each help text says the valid values and the default."""
    group = parser.getgroup("voiceflow-ml", "latency promises as verdicts (voiceflow-ml)")
    _add_what_is_measured(group)
    _add_baseline(group)
    _add_how_it_is_measured(group)
    _add_what_follows(group)
    add_base_option(group)
    hang.add_hang_option(group)
    known_targets.add_remote_option(group)
    add_claims_option(group)


def _add_what_is_measured(group: pytest.OptionGroup) -> None:
    gpu_names = ", ".join(target.gpu_name for target in TARGETS.gpus)
    group.addoption(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME",
        help=f"also run tests for this GPU; may repeat; an absent GPU is an error. One of: {gpu_names}; "
        "one that sla.toml states; or auto: whichever of them this machine has.",
    )
    group.addoption(
        "--sla-file",
        metavar="FILE",
        help="the promises that @pytest.mark.sla looks up. Default: sla.toml in the root folder.",
    )


def _add_baseline(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--sla-baseline",
        action="append",
        default=[],
        metavar="[MODEL=]FILE|git:REF",
        type=_argument(_parse_baseline),
        help="also compare with an earlier version, measured in turns in this session: an .onnx file, or git:main "
        "for the model's own file at that ref. SLOWER fails the test. With several models name which one a file is "
        "for: fast-cnn=old.onnx. May repeat.",
    )


def _add_how_it_is_measured(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--sla-confidence",
        default=0.99,
        metavar="FRACTION",
        type=_argument(_parse_confidence),
        help="confidence of every verdict, between 0.5 and 1. Default: 0.99.",
    )
    group.addoption(
        "--sla-time-budget",
        default="300s",
        metavar="DURATION",
        type=_argument(parse_duration_ns),
        help="longest time that one measurement may take, such as 60s. Default: 300s.",
    )
    group.addoption(
        "--sla-span",
        default=None,
        metavar="DURATION",
        type=_argument(_parse_span),
        help="time that each measurement is spread over, by random gaps; 0s takes all samples back to back, which "
        "judges a moment and not a service. Default: 20 times its own length, from 10s to 100s.",
    )


def _add_what_follows(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--sla-report",
        default="reports",
        metavar="FOLDER",
        help="where PERFORMANCE_ANALYSIS.md and results/ are written. Default: reports in the root folder.",
    )
    group.addoption(
        "--sla-policy",
        default=None,
        choices=[policy.value for policy in Policy],
        help="strict: a test passes only when MET. lenient: INCONCLUSIVE is an expected failure, the rest "
        "fails. report-only: nothing fails. Default: strict where CI is set, else lenient.",
    )
    group.addoption(
        "--require-targets",
        default=(),
        metavar="TARGETS",
        type=_argument(known_targets.parse_targets),
        help="comma-separated targets, such as cpu,cuda-t4: fail unless each has a verdict (INVALID is none).",
    )


def read_settings(config: pytest.Config, present_gpus: Callable[[Catalogue], tuple[Target, ...]]) -> Settings:
    """Read the options into settings.

    Args:
        config: pytest's configuration.
        present_gpus: asked, at most once, which GPU targets of a catalogue this machine has.

    Raises:
        pytest.UsageError: a target that the project's catalogue does not have.
    """
    given = config.getoption("--sla-file")
    sla_file = config.invocation_params.dir / given if given else config.rootpath / "sla.toml"
    catalogue, ray_address = known_targets.catalogue_of(sla_file), config.getoption("--ray-address")
    catalogue = catalogue.on_ray() if ray_address else catalogue
    names: list[str] = config.getoption("--gpu")
    gpus = [known_targets.asked_gpu(name, catalogue) for name in names if name != AUTO]
    if AUTO in names:
        gpus += present_gpus(catalogue)
    policy = config.getoption("--sla-policy")
    if policy is None:
        policy = Policy.STRICT if os.environ.get("CI", "").lower() in {"1", "true"} else Policy.LENIENT
    return Settings(
        catalogue=catalogue,
        gpus=tuple(dict.fromkeys(gpus)),
        sla_file=sla_file,
        confidence=config.getoption("--sla-confidence"),
        time_budget_ns=config.getoption("--sla-time-budget"),
        span_ns=config.getoption("--sla-span"),
        report_folder=config.rootpath / config.getoption("--sla-report"),
        policy=Policy(policy),
        required_targets=known_targets.required_targets(config.getoption("--require-targets"), catalogue),
        baselines=_join_baselines(config.getoption("--sla-baseline")),
        working_folder=config.invocation_params.dir,
        ray_address=ray_address,
    )


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Let argparse print our sentence, and not its own words for a ValueError."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def _parse_confidence(text: str) -> float:
    try:
        confidence = float(text)
    except ValueError:
        confidence = 0.0
    if not 0.5 <= confidence < 1:
        raise ConfigError(f"{text!r} is not a confidence: write a number from 0.5 to below 1, such as 0.99")
    return confidence


def _parse_span(text: str) -> int:
    try:
        return parse_duration_ns(text, allow_zero=True)
    except UnitError as error:
        raise UnitError(f"{error}; or 0s for no gaps") from None


def _parse_baseline(text: str) -> tuple[str, str]:
    """``"fast-cnn=old.onnx"`` -> model and reference; no model for every one. A path may hold an equals sign."""
    model, equals, reference = text.partition("=")
    if not equals or "/" in model or model.startswith(GIT):
        model, reference = "", text
    if not reference.removeprefix(GIT):
        raise ConfigError(f"{text!r} names no baseline: write old.onnx, git:main, or fast-cnn=old.onnx")
    return model, reference


def _join_baselines(given: list[tuple[str, str]]) -> Mapping[str, str]:
    baselines: dict[str, str] = {}
    for model, reference in given:
        if model in baselines:
            whose = f"for {model}" if model else "for every model"
            raise pytest.UsageError(f"--sla-baseline is given twice {whose}: {baselines[model]} and {reference}")
        baselines[model] = reference
    return baselines
