"""How ONNX Runtime's CUDA provider is set up: every option, its value and the reason, in this one place.

Targets carry these options; ``provider_options`` of a model or of a target in ``sla.toml`` replace them one by one,
and the result of a run names those it was made with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CUDA_PROVIDERS = ("CUDAExecutionProvider", "CudaPluginExecutionProvider")
"""The plugin build of ONNX Runtime's CUDA provider registers under the second name."""


@dataclass(frozen=True)
class ProviderOption:
    """One option of the provider.

    Attributes:
        name: as ONNX Runtime names it.
        value: what it is given.
        reason: why.
    """

    name: str
    value: str
    reason: str


CUDA_PROVIDER_OPTIONS = (
    ProviderOption(
        "cudnn_conv_algo_search",
        "EXHAUSTIVE",
        "windows have one shape, and a warm-up pays for the search before anything is timed or served; where shapes "
        "vary, HEURISTIC: each new shape would be searched again",
    ),
    ProviderOption(
        "arena_extend_strategy",
        "kNextPowerOfTwo",
        "fewer and larger allocations from the driver; after the warm-up of a fixed shape there are none at all",
    ),
    ProviderOption(
        "do_copy_in_default_stream",
        "1",
        "copies and kernels in one stream cannot race; a second stream gains nothing for one small input",
    ),
    ProviderOption(
        "enable_cuda_graph",
        "0",
        "a captured graph needs inputs at fixed device addresses, which a call from host memory does not have",
    ),
    ProviderOption(
        "use_tf32",
        "1",
        "a T4 has no TF32 and ignores it; on later GPUs it is the default that users get, and a result says so",
    ),
)
"""Values are ONNX Runtime's own defaults, written out: what is not said cannot be compared."""

CUDA_OPTIONS: Mapping[str, str] = {option.name: option.value for option in CUDA_PROVIDER_OPTIONS}
"""The same as ONNX Runtime takes them."""
