"""``[targets.NAME]`` tables of sla.toml, for pydantic: targets that a project adds, or states otherwise."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.cuda_provider import CUDA_OPTIONS, CUDA_PROVIDERS
from voiceflow_ml.hardware.peaks import Peaks
from voiceflow_ml.hardware.targets import CPU, TARGETS, Catalogue, Target
from voiceflow_ml.sla.places import Places

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")
_PREFIX = "cuda-"
_MIB = 2**20

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TargetTable(BaseModel):
    """One ``[targets.NAME]`` table; what it leaves out is as in the catalogue, where that has the name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_name: Annotated[str, Field(min_length=1)] | None = None
    compute_capability: str | None = None
    pci_device_ids: tuple[str, ...] | None = None
    memory_gb: Annotated[int, Field(strict=True, ge=1)] | None = None
    boost_clock_mhz: Annotated[int, Field(strict=True, ge=1)] | None = None
    memory_gb_per_s: Positive | None = None
    cache_mib: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    tflops: dict[str, Positive] = {}
    source: Annotated[str, Field(min_length=1)] | None = None
    providers: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    provider_options: dict[str, str | int | bool] = {}
    accelerator_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] | None = None

    @field_validator("compute_capability")
    @classmethod
    def _two_numbers(cls, value: str) -> str:
        if re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,3}", value) is None:
            raise ConfigError(f'must be two numbers in quotes, got {value!r}; write compute_capability = "8.9"')
        return value

    @field_validator("pci_device_ids")
    @classmethod
    def _hexadecimal(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            _pci_id(text)
        return value

    @field_validator("tflops")
    @classmethod
    def _known_precisions(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name not in PRECISIONS:
                raise ConfigError(f"unknown precision {name!r}; valid: {', '.join(PRECISIONS)}")
        return value


def _pci_id(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        raise ConfigError(f'{text!r} is not a PCI device id; write pci_device_ids = ["0x1EB8"]') from None


def catalogue_with(tables: dict[str, TargetTable], places: Places) -> Catalogue:
    """The catalogue that ships with a project's tables put in.

    Raises:
        ConfigError: a name that is neither ``cpu`` nor begins with ``cuda-``, or a new target without what it needs.
    """
    return TARGETS.with_targets(_target(name, table, places) for name, table in tables.items())


def _target(name: str, table: TargetTable, places: Places) -> Target:
    where = places.at(["targets", name])
    known = TARGETS.get(name)
    if known is None and (not name.startswith(_PREFIX) or name != name.lower() or name == _PREFIX):
        raise ConfigError(
            f'{where}: targets.{name}: a target is "cpu" or begins with "{_PREFIX}", in small letters; '
            "write, for example, [targets.cuda-l40s]"
        )
    if known is None:
        missing = [key for key in ("device_name", "compute_capability") if getattr(table, key) is None]
        if missing:
            raise ConfigError(f"{where}: targets.{name}: a new target needs {' and '.join(missing)}")
        known = Target(name, "", None, CUDA_PROVIDERS, provider_options=CUDA_OPTIONS)
    elif known == CPU and (table.device_name or table.compute_capability or table.pci_device_ids):
        raise ConfigError(f"{where}: targets.cpu: a CPU has no device_name, compute_capability or pci_device_ids")
    return _stated(known, table, where)


def _stated(known: Target, table: TargetTable, where: str) -> Target:
    capability = known.compute_capability
    if table.compute_capability is not None:
        major, minor = table.compute_capability.split(".")
        capability = (int(major), int(minor))
    pci = known.pci_device_ids
    if table.pci_device_ids is not None:
        pci = frozenset(_pci_id(text) for text in table.pci_device_ids)
    options = {key: option_text(value) for key, value in table.provider_options.items()}
    return replace(
        known,
        device_name=table.device_name or known.device_name,
        compute_capability=capability,
        providers=table.providers or known.providers,
        pci_device_ids=pci,
        memory_gb=table.memory_gb or known.memory_gb,
        boost_clock_mhz=table.boost_clock_mhz or known.boost_clock_mhz,
        peaks=_peaks(known.peaks, table, where),
        provider_options={**known.provider_options, **options},
        stated_at=where,
        accelerator_type=table.accelerator_type or known.accelerator_type,
    )


def _peaks(known: Peaks, table: TargetTable, where: str) -> Peaks:
    if not table.tflops and table.memory_gb_per_s is None and table.cache_mib is None:
        return known
    return Peaks(
        flops_per_s={**known.flops_per_s, **{name: value * 1e12 for name, value in table.tflops.items()}},
        bytes_per_s=known.bytes_per_s if table.memory_gb_per_s is None else table.memory_gb_per_s * 1e9,
        cache_bytes=known.cache_bytes if table.cache_mib is None else round(table.cache_mib * _MIB),
        source=table.source or f"as {where} states them",
    )


def option_text(value: str | int | bool) -> str:
    """ONNX Runtime takes text for everything; true and false are 1 and 0 there."""
    return str(int(value)) if isinstance(value, bool) else str(value)
