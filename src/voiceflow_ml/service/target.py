"""Where a server runs its model: the hardware that was named, or no server."""

from __future__ import annotations

import os

from voiceflow_ml.errors import TargetError
from voiceflow_ml.hardware.gpu_choice import first_cuda_device, pin
from voiceflow_ml.hardware.probe import probe_gpus
from voiceflow_ml.hardware.targets import Target, find_target


def serving_target(name: str) -> Target:
    """The target of that name, when this machine has it.

    Where the machine has several GPUs, the process is held to the first that the target names.

    Raises:
        TargetError: a target nobody knows, or a GPU that is not what CUDA would use here.
    """
    target = find_target(name)
    if not target.is_cuda:
        return target
    found = probe_gpus()
    pin(found, target, os.environ)
    choice = first_cuda_device(found, os.environ)
    if choice.gpu is None:
        raise TargetError(f"target {name}: {choice.problem}; {choice.remedy}, or serve with target = cpu")
    if not choice.gpu.is_a(target):
        raise TargetError(
            f"target {name} needs a {target.device_name}, and CUDA's first device here is a {choice.gpu.name}; "
            "name the target that it is (voiceflow targets), or serve with target = cpu"
        )
    return target
