"""Targets as the command line names them: those that ship, and those that the project's sla.toml states."""

from __future__ import annotations

from pathlib import Path

import pytest

from voiceflow_ml.errors import ConfigError, TargetError
from voiceflow_ml.hardware.targets import TARGETS, Catalogue, Target

_MARK = b"targets"


def add_remote_option(group: pytest.OptionGroup) -> None:
    """Declare ``--ray-address``."""
    group.addoption(
        "--ray-address",
        default="",
        metavar="ADDRESS",
        help="measure the targets that a Ray node may have (GPUs, and what sla.toml gives an accelerator_type) on "
        "nodes of this cluster, all at the same time: HOST:PORT, ray://HOST:PORT or auto. The CPU is measured here. "
        "Default: everything is measured here, without Ray.",
    )


def catalogue_of(sla_file: Path) -> Catalogue:
    """The catalogue that a project uses: that of its sla.toml, or the one that ships.

    Whatever is wrong with the file is no matter here: it is told where its promises are needed.
    """
    try:
        # Reading promises imports numpy, which a session without any must not pay for.
        if _MARK not in sla_file.read_bytes():
            return TARGETS
        from voiceflow_ml.sla.load import load_sla  # noqa: PLC0415

        return load_sla(sla_file).catalogue
    except (OSError, ConfigError):
        return TARGETS


def asked_gpu(name: str, catalogue: Catalogue) -> Target:
    """What ``--gpu=NAME`` asks for.

    Raises:
        pytest.UsageError: not in the catalogue; the message lists what is.
    """
    try:
        return catalogue.find_gpu(name)
    except TargetError as error:
        raise pytest.UsageError(f"--gpu: {error}; or auto") from None


def parse_targets(text: str) -> tuple[str, ...]:
    """Comma-separated names, as they stand."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def required_targets(names: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """What ``--require-targets`` asks for; errors as :func:`asked_gpu`."""
    try:
        return tuple(catalogue.find(name).name for name in names)
    except TargetError as error:
        raise pytest.UsageError(f"--require-targets: {error}") from None
