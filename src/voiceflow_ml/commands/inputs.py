"""``--input NAME=...``: values for the inputs of two models that must take the same ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError, DataError

if TYPE_CHECKING:
    from voiceflow_ml.inference.ort import InputInfo, OnnxModel
    from voiceflow_ml.sla.objectives import InputSpec

SPEECH = "builtin:speech"
FORMS = f"NAME={SPEECH}, NAME=1x48000 (a shape), NAME=speech.wav or NAME=values.npy"
_SHAPE = re.compile(r"[0-9]+(x[0-9]+)*", re.ASCII)


def parse_inputs(texts: Sequence[str]) -> dict[str, InputSpec]:
    """Read ``--input`` options: input name -> where its values come from.

    Raises:
        ConfigError: not of one of the four forms, or one input twice.
    """
    declared: dict[str, InputSpec] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value:
            raise ConfigError(f"--input {text!r} does not say where an input comes from; write {FORMS}")
        if name in declared:
            raise ConfigError(f"--input {text!r}: the input {name!r} is given twice; give it once")
        declared[name] = _parse_origin(text, value)
    return declared


def _parse_origin(text: str, value: str) -> InputSpec:
    from voiceflow_ml.sla.objectives import InputSpec  # noqa: PLC0415

    if _SHAPE.fullmatch(value):
        shape = tuple(int(size) for size in value.split("x"))
        if 0 in shape:
            raise ConfigError(f"--input {text!r} has an axis of size 0, and nothing to compute; give at least 1")
        return InputSpec(shape=shape)
    is_builtin, suffix = value.startswith("builtin:"), Path(value).suffix.lower()
    if value != SPEECH and (is_builtin or suffix not in (".wav", ".npy")):
        raise ConfigError(f"--input {text!r} is neither built in, nor a shape, nor a file; write {FORMS}")
    if suffix != ".wav":
        return InputSpec(source=value)
    return InputSpec(source=value, seconds=min(InputSpec().seconds, _duration_s(text, Path(value))))


def _duration_s(text: str, path: Path) -> float:
    from voiceflow_ml.audio import read_wav  # noqa: PLC0415

    try:
        samples, sample_rate_hz = read_wav(path)
    except DataError as error:
        raise DataError(f"--input {text!r}: {error}") from None
    return float(samples.size / sample_rate_hz)


def shared_inputs(baseline: OnnxModel, candidate: OnnxModel) -> tuple[InputInfo, ...]:
    """The inputs of two models, which must be the same; an axis is open where it is in both.

    Raises:
        ConfigError: other names, dtypes, numbers of axes, or sizes of a fixed axis.
    """
    old, new = ({info.name: info for info in model.inputs} for model in (baseline, candidate))
    shared = [_merged(old[name], new[name]) for name in new if name in old]
    if old.keys() != new.keys() or None in shared:
        raise ConfigError(
            f"the two models do not take the same inputs: the baseline takes {_listed(baseline)}, the candidate "
            f"takes {_listed(candidate)}; compare versions that can stand in for each other"
        )
    return tuple(info for info in shared if info is not None)


def _merged(one: InputInfo, other: InputInfo) -> InputInfo | None:
    """What fits both; None when nothing does."""
    from voiceflow_ml.inference.ort import InputInfo  # noqa: PLC0415

    if one.dtype != other.dtype or len(one.shape) != len(other.shape):
        return None
    axes = list(zip(one.shape, other.shape, strict=True))
    if any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in axes):
        return None
    return InputInfo(one.name, one.dtype, tuple(a if isinstance(a, int) else b for a, b in axes))


def _listed(model: OnnxModel) -> str:
    return ", ".join(f"{info.name} ({info.dtype} {_axes(info)})" for info in model.inputs)


def _axes(info: InputInfo) -> str:
    return f"[{', '.join(str(axis) or '?' for axis in info.shape)}]"


def make_inputs(inputs: Sequence[InputInfo], declared: Mapping[str, InputSpec]) -> tuple[dict[str, Any], str]:
    """Make one array for each input: as declared, or seeded synthetic values where the shape is fixed.

    Returns:
        Input name -> array, and one phrase that says what they are.

    Raises:
        ConfigError: an input that the models do not have, one whose shape cannot be told, or values that they
            do not take.
        DataError: an audio or array file that cannot be used.
    """
    names = [info.name for info in inputs]
    for name in declared:
        if name not in names:
            raise ConfigError(f"--input {name}=...: the models have no input {name!r}; they have: {', '.join(names)}")
    made = {info.name: _made(info, declared.get(info.name)) for info in inputs}
    phrase = "; ".join(f"{name}: {what}" for name, (_, what) in made.items())
    return {name: array for name, (array, _) in made.items()}, phrase


def _made(info: InputInfo, declared: InputSpec | None) -> tuple[Any, str]:
    from voiceflow_ml.inference.declared import likely_sizes, make_input  # noqa: PLC0415
    from voiceflow_ml.sla.objectives import InputSpec  # noqa: PLC0415

    if declared is None and not all(isinstance(axis, int) for axis in info.shape):
        sizes = "x".join(map(str, likely_sizes(info.shape)))
        raise ConfigError(
            f"the models leave axes of {info.name} open ({_axes(info)}); give a size for each, such as "
            f"--input {info.name}={sizes}, or a .wav or .npy file, or {SPEECH}"
        )
    try:
        return make_input(declared or InputSpec(), info, Path())
    except (ConfigError, DataError) as error:
        raise type(error)(f"--input {info.name}=...: {error}") from None
