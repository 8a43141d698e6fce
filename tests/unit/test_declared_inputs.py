from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from tests.onnx_models import tiny_model, two_input_model
from voiceflow_ml.audio import write_wav
from voiceflow_ml.errors import ConfigError, DataError, ModelFileError
from voiceflow_ml.hardware.targets import CPU
from voiceflow_ml.inference.declared import declared_inputs, open_declared
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
