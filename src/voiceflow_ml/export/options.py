"""What an export is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voiceflow_ml.contract.schema import Promise
from voiceflow_ml.errors import ConfigError

DYNAMIC_INT8 = ("dynamic", "int8-dynamic", "dynamic-int8", "qint8")


class Precision(StrEnum):
    """How a variant computes."""

    FP32 = "fp32"
    """As trained: the portable file, which the contract is about."""
    FP16 = "fp16"
    """Half precision outside of the front end. For GPUs: on a CPU it gains nothing."""
    INT8 = "int8"
    """Static quantisation, activations unsigned and weights signed, per channel. For CPUs with int8 dot products."""


def parse_precisions(text: str) -> tuple[Precision, ...]:
    """Read ``"fp32,int8"``; fp32 is always among them, and first.

    Raises:
        ConfigError: one that is not known; dynamic int8 with the reason why there is none.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name in DYNAMIC_INT8:
            raise ConfigError(
                f"precision {name!r}: dynamic int8 convolutions cannot be run by ONNX Runtime up to 1.23 and are "
                "slower than fp32 after; int8 is quantised statically here"
            )
        if name not in list(Precision):
            raise ConfigError(f"unknown precision {name!r}; the precisions are: {', '.join(Precision)}")
    return tuple(precision for precision in Precision if precision is Precision.FP32 or precision in names)


@dataclass(frozen=True)
class ExportOptions:
    """What an export is asked for.

    Attributes:
        precisions: variants to write; fp32 is written in any case.
        tune: whether rewritten graphs are tried against the plain one, measured in turns, and kept when faster.
        promises: the latency that the model is made for.
        licence: SPDX expression of the weights' licence.
    """

    precisions: Sequence[Precision] = (Precision.FP32,)
    tune: bool = False
    promises: tuple[Promise, ...] = ()
    licence: str = "MIT"
