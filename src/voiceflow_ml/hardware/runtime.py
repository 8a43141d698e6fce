"""How a model is run on its target: execution provider, its options, boundary, spinning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.hardware.cuda_provider import CUDA_PROVIDERS
from voiceflow_ml.hardware.targets import Target


class Boundary(StrEnum):
    """What lies between the two clock reads."""

    HOST_TO_HOST = "host-to-host"
    DEVICE_ONLY = "device-only"


PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": CUDA_PROVIDERS,
    # What TensorRT does not take stays on the same GPU, under the CUDA provider.
    "tensorrt": ("TensorrtExecutionProvider", *CUDA_PROVIDERS),
    "openvino": ("OpenVINOExecutionProvider",),
}
"""Words of ``provider`` in sla.toml -> execution providers that count, in ONNX Runtime's names."""

_ON_CPU = ("cpu", "openvino")


@dataclass(frozen=True)
class RuntimeOptions:
    """How a model is run.

    Attributes:
        provider: a word of :data:`PROVIDERS`; empty for the target's own.
        provider_options: in place of the target's, option by option.
        boundary: whether copies to and from the device are in the latency.
        spinning: whether idle worker threads of the runtime burn their core while they wait.
    """

    provider: str = ""
    provider_options: Mapping[str, str] = field(default_factory=dict)
    boundary: Boundary = Boundary.HOST_TO_HOST
    spinning: bool = False


def with_provider(target: Target, options: RuntimeOptions) -> Target:
    """The target with the providers that a model asks for, and their options.

    Raises:
        ConfigError: a provider that is not known, or that does not run on this target.
    """
    if not options.provider and not options.provider_options:
        return target
    own = {**target.provider_options, **options.provider_options}
    if not options.provider:
        return replace(target, provider_options=own)
    if options.provider not in PROVIDERS:
        raise ConfigError(f"unknown provider {options.provider!r}; valid: {', '.join(PROVIDERS)}")
    if (options.provider in _ON_CPU) == target.is_cuda:
        fitting = ", ".join(name for name in PROVIDERS if (name in _ON_CPU) != target.is_cuda)
        raise ConfigError(f"provider {options.provider!r} does not run on {target.name}; valid there: {fitting}")
    # Options of one provider mean nothing to another.
    shipped = own if options.provider == "cuda" else dict(options.provider_options)
    return replace(target, providers=PROVIDERS[options.provider], provider_options=shipped)
