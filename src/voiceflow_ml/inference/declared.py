"""Open what sla.toml declares: the model file, and values for its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voiceflow_ml.audio import read_wav
from voiceflow_ml.errors import ConfigError, DataError, ModelFileError
from voiceflow_ml.hardware.targets import Target
from voiceflow_ml.inference.ort import InputInfo, OnnxModel, check_fit, open_onnx
from voiceflow_ml.models import shipped
from voiceflow_ml.sla.objectives import InputSpec, ModelSpec, cold_variants

BUILTIN = "builtin:"
_SYNTHETIC_SEED = 0


def open_declared(spec: ModelSpec, target: Target) -> OnnxModel:
    """Open a declared model on a target.

    Raises:
        ModelFileError: the file cannot be used; the message names the line that declares it.
        ConfigError: ``builtin:`` is followed by a name that this package does not carry, or the provider does not
            go with the target.
    """
    path = _builtin(spec) if spec.file.startswith(BUILTIN) else spec.folder / spec.file
    try:
        return open_onnx(path, target, threads=spec.threads, options=spec.runtime)
    except ConfigError as error:
        raise ConfigError(f"{spec.where}: models.{spec.name}: {error}") from None
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
    _refuse_unknown_names(spec, model)
    made = [_make_input(spec, info) for info in model.inputs]
    return [array for array, _ in made], "; ".join(
        f"{info.name}: {what}" for info, (_, what) in zip(model.inputs, made, strict=True)
    )


def cold_inputs(spec: ModelSpec, model: OnnxModel) -> list[tuple[str, list[Any]]]:
    """Make the arrays of the further shapes whose first inference is timed apart.

    Returns:
        For each of them a label of the inputs that vary, such as ``"audio float32 [1, 16000]"``, and one
        array for each input of the model, in the model's order; inputs that do not vary keep their values.
        Empty when none is declared.

    Raises:
        ConfigError: as :func:`declared_inputs`; or shapes that the model has seen by then, so that their
            first inference is not a cold one.
        DataError: an audio or array file that cannot be used.
    """
    _refuse_unknown_names(spec, model)
    variants = cold_variants(spec.inputs)
    if not variants:
        return []
    made: list[tuple[str, list[Any]]] = []
    shapes = [_shapes_of(_make_input(spec, info)[0] for info in model.inputs)]
    for variant in range(variants):
        arrays = [_make_input(spec, info, variant)[0] for info in model.inputs]
        label = "; ".join(
            f"{info.name} {array.dtype} {list(array.shape)}"
            for info, array in zip(model.inputs, arrays, strict=True)
            if info.name in spec.inputs and spec.inputs[info.name].cold_variants
        )
        if _shapes_of(arrays) in shapes:
            raise ConfigError(
                f"{spec.where}: models.{spec.name}.inputs: {label} comes twice, and only the first inference of a "
                "shape is a cold start: take it out of cold_shapes or cold_seconds"
            )
        shapes.append(_shapes_of(arrays))
        made.append((label, arrays))
    return made


def _shapes_of(arrays: Iterable[Any]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _refuse_unknown_names(spec: ModelSpec, model: OnnxModel) -> None:
    names = [info.name for info in model.inputs]
    for name in spec.inputs:
        if name not in names:
            raise ConfigError(
                f"{spec.where}: models.{spec.name}.inputs: the model has no input {name!r}; it has: {', '.join(names)}"
            )


def _builtin(spec: ModelSpec) -> Path:
    if spec.file != f"{BUILTIN}{shipped.MODEL_NAME}":
        raise ConfigError(
            f"{spec.where}: models.{spec.name}.file: {spec.file!r} is not built in; "
            f'valid: "{BUILTIN}{shipped.MODEL_NAME}", or a path relative to sla.toml'
        )
    return shipped.shipped_model_path()


def _make_input(spec: ModelSpec, info: InputInfo, variant: int | None = None) -> tuple[Any, str]:
    """One input's array and what it is: as it is measured, or in one of its further shapes (from 0)."""
    declared, place = spec.inputs.get(info.name, InputSpec()), info.name
    if variant is not None and declared.cold_shapes:
        declared = replace(declared, shape=declared.cold_shapes[variant])
        place = f"{info.name}.cold_shapes[{variant + 1}]"
    elif variant is not None and declared.cold_seconds:
        declared = replace(declared, seconds=declared.cold_seconds[variant])
        place = f"{info.name}.cold_seconds[{variant + 1}]"
    try:
        return make_input(declared, info, spec.folder)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{spec.where}: models.{spec.name}.inputs.{place}: {error}") from None


def make_input(declared: InputSpec, info: InputInfo, folder: Path) -> tuple[Any, str]:
    """Make the array of one input.

    Args:
        declared: where its values come from.
        info: the model's input.
        folder: relative paths are relative to this folder.

    Returns:
        The array, and one phrase that says what it is.

    Raises:
        ConfigError: a shape that cannot be told, or values that the model does not take.
        DataError: an audio or array file that cannot be used.
    """
    made = _from_source(declared, info, folder) if declared.source else _synthetic(declared.shape or info.shape, info)
    check_fit(info, made[0])
    return made


def _from_source(declared: InputSpec, info: InputInfo, folder: Path) -> tuple[Any, str]:
    if declared.source == f"{BUILTIN}speech":
        path = shipped.shipped_speech_path()
    elif declared.source.startswith(BUILTIN):
        raise ConfigError(
            f'{declared.source!r} is not built in; valid: "{BUILTIN}speech", or a path relative to sla.toml'
        )
    else:
        path = folder / declared.source
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
        raise ConfigError(
            f"the model leaves axes open ([{axes}]); give a size for each, "
            f"such as {info.name} = {{ shape = {likely_sizes(shape)} }}, or a source"
        )
    generator = np.random.default_rng(_SYNTHETIC_SEED)
    if info.dtype.kind == "f":
        values: Any = generator.standard_normal(sizes)
    else:
        values = generator.integers(0, 2, sizes)
    return values.astype(info.dtype), f"seeded synthetic {info.dtype} {sizes}"


def likely_sizes(shape: tuple[int | str, ...]) -> list[int]:
    """A size for each axis of a shape, to show how one is given: an open axis is a batch of 1, or 16 000 long."""
    # An open first axis is nearly always the batch, any other a length.
    return [axis if isinstance(axis, int) else 1 if place == 0 else 16_000 for place, axis in enumerate(shape)]
