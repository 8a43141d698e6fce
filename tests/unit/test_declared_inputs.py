from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.onnx_models import save_graph, tiny_model, two_input_model
from voiceflow_ml.audio import write_wav
from voiceflow_ml.errors import ConfigError, DataError, ModelFileError
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.declared import cold_inputs, declared_inputs, open_declared
from voiceflow_ml.models.signal import WINDOW_SAMPLES
from voiceflow_ml.sla.objectives import InputSpec, ModelSpec

RATE_HZ = 8_000
RAMP = np.linspace(-0.5, 0.5, RATE_HZ, dtype=np.float32)


def spec(folder: Path, file: str = "two.onnx", **inputs: InputSpec) -> ModelSpec:
    return ModelSpec("m", file, folder, "", 1, inputs, where="sla.toml:4")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    tiny_model(tmp_path / "tiny.onnx")
    two_input_model(tmp_path / "two.onnx")
    write_wav(tmp_path / "second.wav", RAMP, RATE_HZ)
    np.save(tmp_path / "length.npy", np.array([7], dtype=np.int64))
    return tmp_path


def make(declared: ModelSpec) -> tuple[list[Any], str]:
    return declared_inputs(declared, open_declared(declared, CPU))


def test_sound_arrays_and_synthetic_values_fill_the_inputs_in_the_models_order(folder: Path) -> None:
    declared = spec(folder, length=InputSpec("length.npy"), audio=InputSpec("second.wav", seconds=0.5))
    (audio, length), what = make(declared)
    assert (audio.shape, audio.dtype) == ((1, RATE_HZ // 2), np.float32)
    np.testing.assert_allclose(audio[0], RAMP[: RATE_HZ // 2], atol=1 / 32768)
    assert length.tolist() == [7]
    assert what == "audio: speech second.wav, first 0.5 s at 8000 Hz; length: array length.npy"
    model = open_declared(declared, CPU)
    assert model(audio, length)[1].tolist() == [7]


def test_synthetic_values_are_the_same_every_time(folder: Path) -> None:
    declared = spec(folder, audio=InputSpec(shape=(1, 5)))
    (audio, length), what = make(declared)
    assert what == "audio: seeded synthetic float32 [1, 5]; length: seeded synthetic int64 [1]"
    np.testing.assert_array_equal(audio, make(declared)[0][0])
    assert len(np.unique(audio)) == 5
    assert (length.dtype, length.shape) == (np.int64, (1,))
    assert length[0] in (0, 1)


@pytest.mark.parametrize("dtype", ["INT32", "UINT8", "BOOL", "FLOAT16", "DOUBLE"])
def test_synthetic_values_have_the_models_type(tmp_path: Path, dtype: str) -> None:
    two_input_model(tmp_path / "two.onnx", second=TensorProto.DataType.Value(dtype))
    declared = spec(tmp_path, audio=InputSpec(shape=(1, 5)))
    model = open_declared(declared, CPU)
    arrays, _ = declared_inputs(declared, model)
    assert arrays[1].dtype == model.inputs[1].dtype
    model(*arrays)


def refusal(kind: type[Exception], declared: ModelSpec) -> str:
    with pytest.raises(kind) as caught:
        make(declared)
    return str(caught.value).replace(f"{declared.folder}/", "")


def test_an_open_axis_needs_a_size(folder: Path) -> None:
    assert refusal(ConfigError, spec(folder)) == (
        "sla.toml:4: models.m.inputs.audio: the model leaves axes open ([1, samples]); "
        "give a size for each, such as audio = { shape = [1, 16000] }, or a source"
    )
    assert refusal(ConfigError, spec(folder, "tiny.onnx")) == (
        "sla.toml:4: models.m.inputs.x: the model leaves axes open ([batch, 4]); "
        "give a size for each, such as x = { shape = [1, 4] }, or a source"
    )


def test_an_input_that_the_model_does_not_have(folder: Path) -> None:
    declared = spec(folder, sound=InputSpec("second.wav"))
    assert refusal(ConfigError, declared) == (
        "sla.toml:4: models.m.inputs: the model has no input 'sound'; it has: audio, length"
    )


def test_too_short_a_recording(folder: Path) -> None:
    assert refusal(DataError, spec(folder, audio=InputSpec("second.wav"))) == (
        "sla.toml:4: models.m.inputs.audio: second.wav lasts 1.00 s, 3 s are asked for: set seconds lower"
    )


def test_a_recording_of_less_than_a_sample_is_one_sample(folder: Path) -> None:
    (audio, _), _ = make(spec(folder, audio=InputSpec("second.wav", seconds=1e-9)))
    assert audio.shape == (1, 1)


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("absent.wav", DataError, "absent.wav: no such audio file"),
        ("tiny.onnx", DataError, "tiny.onnx: not a WAV file"),
        ("absent.npy", DataError, "absent.npy: cannot be read: No such file or directory"),
        ("builtin:music", ConfigError, "'builtin:music' is not built in; valid: \"builtin:speech\", or a path"),
    ],
)
def test_sources_that_are_not_there(folder: Path, source: str, kind: type[Exception], message: str) -> None:
    found = refusal(kind, spec(folder, audio=InputSpec(source)))
    assert found.startswith(f"sla.toml:4: models.m.inputs.audio: {message}")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_arrays_that_are_damaged(folder: Path, content: bytes) -> None:
    (folder / "audio.NPY").write_bytes(content)
    found = refusal(DataError, spec(folder, audio=InputSpec("audio.NPY")))
    assert found.startswith("sla.toml:4: models.m.inputs.audio: audio.NPY is not a .npy array of numbers: ")


def test_arrays_that_would_run_code_are_refused(folder: Path) -> None:
    np.save(folder / "audio.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "not a .npy array of numbers" in refusal(DataError, spec(folder, audio=InputSpec("audio.npy")))


def test_an_archive_of_arrays_is_not_an_array(folder: Path) -> None:
    np.savez(folder / "arrays.npz", a=np.ones(3))
    shutil.move(folder / "arrays.npz", folder / "audio.npy")
    assert "not a .npy array of numbers" in refusal(DataError, spec(folder, audio=InputSpec("audio.npy")))


def test_values_that_do_not_fit_the_model_name_the_declaration(folder: Path) -> None:
    np.save(folder / "audio.npy", np.zeros((1, 9)))
    assert refusal(ConfigError, spec(folder, audio=InputSpec("audio.npy"))) == (
        "sla.toml:4: models.m.inputs.audio: input 'audio' takes float32 [1, samples], got float64 [1, 9]"
    )
    assert refusal(ConfigError, spec(folder, audio=InputSpec(shape=(2, 3, 4)))) == (
        "sla.toml:4: models.m.inputs.audio: input 'audio' takes float32 [1, samples], got float32 [2, 3, 4]"
    )


def test_sound_is_not_rounded_to_whole_numbers(folder: Path) -> None:
    declared = spec(folder, audio=InputSpec(shape=(1, 5)), length=InputSpec("second.wav", seconds=0.1))
    assert refusal(ConfigError, declared) == (
        "sla.toml:4: models.m.inputs.length: the model takes int64 here, which a WAV file does not hold; "
        "give a .npy file"
    )


def test_a_model_that_is_not_there_names_the_line_and_the_valid_forms(folder: Path) -> None:
    assert refusal(ModelFileError, spec(folder, "no.onnx")) == (
        "sla.toml:4: models.m.file: model file no.onnx does not exist; give the path of an .onnx file "
        '(file is a path relative to sla.toml, or "builtin:fast-cnn")'
    )
    assert refusal(ConfigError, spec(folder, "builtin:slow-cnn")) == (
        "sla.toml:4: models.m.file: 'builtin:slow-cnn' is not built in; "
        'valid: "builtin:fast-cnn", or a path relative to sla.toml'
    )


def test_a_damaged_model_names_the_line_and_nothing_beside_the_point(folder: Path) -> None:
    assert refusal(ModelFileError, spec(folder, "second.wav")) == (
        "sla.toml:4: models.m.file: model file second.wav is not an ONNX model that can be loaded: "
        "Protobuf parsing failed"
    )


def make_cold(declared: ModelSpec) -> list[tuple[str, list[Any]]]:
    return cold_inputs(declared, open_declared(declared, CPU))


def cold_refusal(kind: type[Exception], declared: ModelSpec) -> str:
    with pytest.raises(kind) as caught:
        make_cold(declared)
    return str(caught.value).replace(f"{declared.folder}/", "")


def test_no_further_shape_is_no_cold_input(folder: Path) -> None:
    assert make_cold(spec(folder, audio=InputSpec(shape=(1, 5)))) == []
    # Nothing is read for it either.
    assert make_cold(spec(folder, audio=InputSpec("absent.wav"))) == []


def test_synthetic_values_in_further_shapes(folder: Path) -> None:
    audio = InputSpec(shape=(1, 5), cold_shapes=((1, 16_000), (1, 7)))
    declared = spec(folder, audio=audio, length=InputSpec("length.npy"))
    made = make_cold(declared)
    assert [label for label, _ in made] == ["audio float32 [1, 16000]", "audio float32 [1, 7]"]
    assert [[array.shape for array in arrays] for _, arrays in made] == [[(1, 16_000), (1,)], [(1, 7), (1,)]]
    assert [arrays[1].tolist() for _, arrays in made] == [[7], [7]], "an input that does not vary keeps its values"
    model = open_declared(declared, CPU)
    for _, arrays in made:
        assert model(*arrays)[0].shape == arrays[0].shape
    assert make(declared)[0][0].shape == (1, 5), "what is measured is the main shape"


def test_sound_in_further_lengths_begins_where_the_recording_begins(folder: Path) -> None:
    audio = InputSpec("second.wav", seconds=0.5, cold_seconds=(1.0, 0.25))
    made = make_cold(spec(folder, audio=audio))
    assert [label for label, _ in made] == ["audio float32 [1, 8000]", "audio float32 [1, 2000]"]
    for _, (samples, _) in made:
        np.testing.assert_allclose(samples[0], RAMP[: samples.size], atol=1 / 32768)


def open_axes_model(path: Path) -> None:
    """Write a model whose two inputs, ``audio`` [1, samples] and ``length`` [lengths], pass through."""
    axes: dict[str, tuple[int, list[int | str]]] = {
        "audio": (TensorProto.FLOAT, [1, "samples"]),
        "length": (TensorProto.INT64, ["lengths"]),
    }
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"same_{name}"]) for name in axes],
        "open-axes",
        [helper.make_tensor_value_info(name, *value) for name, value in axes.items()],
        [helper.make_tensor_value_info(f"same_{name}", *value) for name, value in axes.items()],
    )
    save_graph(path, graph)


def test_inputs_that_vary_vary_together(folder: Path) -> None:
    open_axes_model(folder / "open.onnx")
    declared = spec(
        folder,
        "open.onnx",
        audio=InputSpec("second.wav", seconds=0.5, cold_seconds=(1.0, 0.5)),
        length=InputSpec(shape=(1,), cold_shapes=((2,), (3,))),
    )
    made = make_cold(declared)
    assert [label for label, _ in made] == [
        "audio float32 [1, 8000]; length int64 [2]",
        "audio float32 [1, 4000]; length int64 [3]",
    ]
    assert [[array.shape for array in arrays] for _, arrays in made] == [[(1, 8_000), (2,)], [(1, 4_000), (3,)]]


def test_inputs_with_unequal_numbers_of_further_shapes(folder: Path) -> None:
    declared = spec(
        folder,
        audio=InputSpec(shape=(1, 5), cold_shapes=((1, 6), (1, 7))),
        length=InputSpec(shape=(1,), cold_shapes=((2,),)),
    )
    assert cold_refusal(ConfigError, declared) == (
        "cold_shapes and cold_seconds are tried together, the first of each input and so on, got audio 2, length 1; "
        "give equally many for each input that has any"
    )


TWICE = (
    "comes twice, and only the first inference of a shape is a cold start: take it out of cold_shapes or cold_seconds"
)


@pytest.mark.parametrize("shapes", [((1, 5),), ((1, 6), (1, 5)), ((1, 5), (1, 5))])
def test_a_shape_that_the_model_has_seen_is_not_cold(folder: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    assert cold_refusal(ConfigError, spec(folder, audio=InputSpec(shape=(1, 5), cold_shapes=shapes))) == (
        f"sla.toml:4: models.m.inputs: audio float32 [1, 5] {TWICE}"
    )


def test_lengths_of_equally_many_samples_are_one_shape(folder: Path) -> None:
    audio = InputSpec("second.wav", seconds=0.5, cold_seconds=(0.25, 0.250_01))
    assert cold_refusal(ConfigError, spec(folder, audio=audio)) == (
        f"sla.toml:4: models.m.inputs: audio float32 [1, 2000] {TWICE}"
    )


COLD_REFUSALS: list[tuple[InputSpec, type[Exception], str]] = [
    (
        InputSpec(shape=(1, 5), cold_shapes=((1, 6), (2, 5))),
        ConfigError,
        "audio.cold_shapes[2]: input 'audio' takes float32 [1, samples], got float32 [2, 5]",
    ),
    (
        InputSpec(shape=(1, 5), cold_shapes=((6,),)),
        ConfigError,
        "audio.cold_shapes[1]: input 'audio' takes float32 [1, samples], got float32 [6]",
    ),
    (
        InputSpec("second.wav", seconds=1.0, cold_seconds=(0.5, 2.5)),
        DataError,
        "audio.cold_seconds[2]: second.wav lasts 1.00 s, 2.5 s are asked for: set seconds lower",
    ),
    (
        InputSpec("absent.wav", cold_seconds=(0.5,)),
        DataError,
        "audio: absent.wav: no such audio file",
    ),
]


@pytest.mark.parametrize(("audio", "kind", "message"), COLD_REFUSALS)
def test_further_shapes_that_cannot_be_made(
    folder: Path, audio: InputSpec, kind: type[Exception], message: str
) -> None:
    assert cold_refusal(kind, spec(folder, audio=audio)) == f"sla.toml:4: models.m.inputs.{message}"


def test_a_model_of_one_shape_takes_no_other(folder: Path) -> None:
    declared = spec(folder, audio=InputSpec(shape=(1, 5)), length=InputSpec(shape=(1,), cold_shapes=((2,),)))
    assert cold_refusal(ConfigError, declared) == (
        "sla.toml:4: models.m.inputs.length.cold_shapes[1]: input 'length' takes int64 [1], got int64 [2]"
    )


def test_a_cold_input_that_the_model_does_not_have(folder: Path) -> None:
    assert cold_refusal(ConfigError, spec(folder, sound=InputSpec(shape=(1, 5), cold_shapes=((1, 6),)))) == (
        "sla.toml:4: models.m.inputs: the model has no input 'sound'; it has: audio, length"
    )


def test_the_shipped_model_takes_the_shipped_speech(tmp_path: Path) -> None:
    declared = spec(tmp_path, "builtin:fast-cnn", audio=InputSpec("builtin:speech"))
    model = open_declared(declared, CPU)
    arrays, what = declared_inputs(declared, model)
    assert [array.shape for array in arrays] == [(1, WINDOW_SAMPLES)]
    assert what == "audio: speech speech.wav, first 3 s at 16000 Hz"
    assert np.ptp(arrays[0]) > 0.01
    logits, _ = model(*arrays)
    assert np.isfinite(logits).all()
    (finding,) = model.findings()
    assert "ran on CPUExecutionProvider" in finding.fact
