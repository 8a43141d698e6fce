"""Which software both ends must agree on: what differs would be measured with, or break the way between them."""

from __future__ import annotations

import platform
from collections.abc import Mapping

import voiceflow_ml
from voiceflow_ml.hardware.software import ort_builds, version_of

_NONE = "none"


def own_versions() -> dict[str, str]:
    """Versions of this process: Python by major and minor, the others in full."""
    return {
        "voiceflow-ml": voiceflow_ml.__version__,
        "ray": version_of("ray") or _NONE,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        # Of whichever build: the GPU's on one end and the CPU's on the other are the same code.
        "onnxruntime": ", ".join(sorted(set(ort_builds().values()))) or _NONE,
    }


def mismatch(here: Mapping[str, str], there: Mapping[str, str], node: str) -> str:
    """What differs between two ends, in one sentence; empty when nothing does.

    Args:
        here: versions of this process.
        there: versions of the other one.
        node: what the other machine is called.
    """
    differing = [name for name in here if here[name] != there.get(name, _NONE)]
    if not differing:
        return ""
    listed = "; ".join(f"{name} {there.get(name, _NONE)} there, {here[name]} here" for name in differing)
    return f"{node} runs other software than this session ({listed}); install the same on both"
