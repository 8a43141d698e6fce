"""Open what sla.toml declares: the model file, and values for its inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import ConfigError, DataError, ModelFileError
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.ort import InputInfo, OnnxModel, check_fit, open_onnx
from voiceflow_ml.models import shipped
from voiceflow_ml.sla.objectives import InputSpec, ModelSpec

BUILTIN = "builtin:"
_SYNTHETIC_SEED = 0


def open_declared(spec: ModelSpec, target: Target) -> OnnxModel:
    """Open a declared model on a target.

    Raises:
        ModelFileError: the file cannot be used; the message names the line that declares it.
        ConfigError: ``builtin:`` is followed by a name that this package does not carry.
    """
    path = _builtin(spec) if spec.file.startswith(BUILTIN) else spec.folder / spec.file
    try:
        return open_onnx(path, target, threads=spec.threads)
    except ModelFileError as error:
        form = f'file is a path relative to sla.toml, or "{BUILTIN}{shipped.MODEL_NAME}"'
        hint = "" if path.is_file() else f" ({form})"
        raise ModelFileError(f"{spec.where}: models.{spec.name}.file: {error}{hint}") from None


def declared_inputs(spec: ModelSpec, model: OnnxModel) -> tuple[list[Any], str]:
    """Make one array for each input of a model.

    Returns:
        The arrays in the model's order, and one phrase that says what they are.

    Raises:
        ConfigError: an input that the model does not have, one whose shape cannot be told, or values that
            the model does not take.
        DataError: an audio or array file that cannot be used.
    """
    names = [info.name for info in model.inputs]
    for name in spec.inputs:
        if name not in names:
            raise ConfigError(
                f"{spec.where}: models.{spec.name}.inputs: the model has no input {name!r}; it has: {', '.join(names)}"
            )
    made = []
    for info in model.inputs:
        try:
            made.append(_make_input(spec, info))
        except (ConfigError, DataError) as error:
            raise type(error)(f"{spec.where}: models.{spec.name}.inputs.{info.name}: {error}") from None
    return [array for array, _ in made], "; ".join(
        f"{info.name}: {what}" for info, (_, what) in zip(model.inputs, made, strict=True)
    )


def _builtin(spec: ModelSpec) -> Path:
    if spec.file != f"{BUILTIN}{shipped.MODEL_NAME}":
        raise ConfigError(
            f"{spec.where}: models.{spec.name}.file: {spec.file!r} is not built in; "
            f'valid: "{BUILTIN}{shipped.MODEL_NAME}", or a path relative to sla.toml'
        )
    return shipped.shipped_model_path()


def _make_input(spec: ModelSpec, info: InputInfo) -> tuple[Any, str]:
    declared = spec.inputs.get(info.name, InputSpec())
    made = _from_source(spec, declared, info) if declared.source else _synthetic(declared.shape or info.shape, info)
    check_fit(info, made[0])
    return made


def _from_source(spec: ModelSpec, declared: InputSpec, info: InputInfo) -> tuple[Any, str]:
    if declared.source == f"{BUILTIN}speech":
        path = shipped.shipped_speech_path()
    elif declared.source.startswith(BUILTIN):
        raise ConfigError(
            f'{declared.source!r} is not built in; valid: "{BUILTIN}speech", or a path relative to sla.toml'
        )
    else:
        path = spec.folder / declared.source
    if path.suffix.lower() == ".npy":
        return _read_npy(path), f"array {path.name}"
    if info.dtype.kind != "f":
        raise ConfigError(f"the model takes {info.dtype} here, which a WAV file does not hold; give a .npy file")
    samples, sample_rate_hz = read_wav(path)
    wanted = max(1, round(declared.seconds * sample_rate_hz))
    if samples.size < wanted:
        have_seconds = samples.size / sample_rate_hz
        raise DataError(f"{path} lasts {have_seconds:.2f} s, {declared.seconds:g} s are asked for: set seconds lower")
    what = f"speech {path.name}, first {declared.seconds:g} s at {sample_rate_hz} Hz"
    return samples[np.newaxis, :wanted].astype(info.dtype), what


def _read_npy(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not a .npy array of numbers: {error}") from None


def _synthetic(shape: tuple[int | str, ...], info: InputInfo) -> tuple[Any, str]:
    sizes = [axis for axis in shape if isinstance(axis, int)]
    if len(sizes) != len(shape):
        axes = ", ".join(str(axis) or "?" for axis in shape)
        # An open first axis is nearly always the batch, any other a length.
        sizes = [axis if isinstance(axis, int) else 1 if place == 0 else 16_000 for place, axis in enumerate(shape)]
        raise ConfigError(
            f"the model leaves axes open ([{axes}]); give a size for each, "
            f"such as {info.name} = {{ shape = {sizes} }}, or a source"
        )
    generator = np.random.default_rng(_SYNTHETIC_SEED)
    if info.dtype.kind == "f":
        values: Any = generator.standard_normal(sizes)
    else:
        values = generator.integers(0, 2, sizes)
    return values.astype(info.dtype), f"seeded synthetic {info.dtype} {sizes}"
