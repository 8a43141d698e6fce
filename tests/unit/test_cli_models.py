from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.speech_data import write_data_dir
from voiceflow_ml import cli
from voiceflow_ml.models.shipped import shipped_model_path
from voiceflow_ml.training.checkpoint import load_checkpoint
from voiceflow_ml.training.presets import transformer_run


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["voiceflow", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    return message


def test_help_names_the_commands_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from voiceflow_ml.cli import app; "
        "print(CliRunner().invoke(app, ['--help']).output); "
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'scipy', 'soundfile', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("data", "train", "export", "evaluate-segmentation", "diarize", "evaluate "):
        assert name in done.stdout
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (("data", "prepare"), "soundfile", "train"),
        (("data", "simulate", "--out", "out"), "scipy", "train"),
        (("train", "fast-cnn"), "torch", "train"),
        (("train", "transformer"), "transformers", "train"),
        (("export", "checkpoint.pt", "--out", "out"), "torch", "export"),
        (("contract", "check", str(shipped_model_path())), "onnx", "export"),
        (("list", "fast-cnn", "--registry", "file:///nowhere"), "fsspec", "registry"),
        (("evaluate-segmentation", str(shipped_model_path())), "onnxruntime", "export"),
        (("diarize", "a.wav"), "onnxruntime", "diarize"),
        (("diarize", "a.wav"), "soxr", "diarize"),
        (("evaluate", "."), "pyannote", "evaluate"),
    ],
)
def test_a_missing_extra_is_one_sentence_with_the_line_that_installs_it(
    arguments: tuple[str, ...], module: str, extra: str
) -> None:
    code = "import sys; sys.modules[sys.argv.pop(1)] = None; from voiceflow_ml.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, module, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f'voiceflow: this command needs {module}, which is not installed; run: pip install "voiceflow-ml[{extra}]"'
    )


def test_evaluating_a_model_writes_the_scores_into_its_card(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data", split="dev")
    card = tmp_path / "card.json"
    card.write_text("{}")
    output = run(
        "evaluate-segmentation",
        str(shipped_model_path()),
        *("--data", str(data_dir), "--split", "dev", "--conversations", "1", "--card", str(card)),
    )
    assert output.startswith("dev: local DER ")
    scores = json.loads(card.read_text())["evaluation"]
    assert scores["conversations_per_split"] == 1
    assert scores["dev"]["windows"] == 10


def test_training_leaves_a_checkpoint_a_curve_and_a_picture_and_goes_on(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    out = tmp_path / "run"
    command = ("train", "fast-cnn", "--preset", "small", "--data", str(data_dir), "--out", str(out))
    options = ("--steps", "2", "--seed", "3", "--precision", "fp32", "--device", "cpu", "--validate-every", "0")
    output = run(*command, *options, "--minutes", "0")
    assert output.splitlines()[-1] == f"checkpoint: {out / 'checkpoint.pt'}"
    assert load_checkpoint(out / "checkpoint.pt").step == 1
    assert "step 2/2  loss " in run(*command, *options)
    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert (checkpoint.step, checkpoint.config.seed, checkpoint.config.architecture) == (2, 3, "fast-cnn")
    assert (out / "learning-curve.csv").read_text().startswith("step,seconds,loss,")
    before = (out / "learning-curve.svg").read_bytes()
    assert before.startswith(b"<svg")
    assert run("train", "plot", str(out)).strip() == str(out / "learning-curve.svg")
    assert (out / "learning-curve.svg").read_bytes() == before


def test_the_transformer_is_trained_by_the_same_command(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data")
    options = ("--data", str(data_dir), "--out", str(tmp_path / "run"), "--steps", "1", "--validate-every", "0")
    run("train", "transformer", "--preset", "small", "--head", "linear", *options)
    config = load_checkpoint(tmp_path / "run" / "checkpoint.pt").config
    assert config == replace(transformer_run("small", head="linear"), steps=1, validate_every=0)


def test_simulated_conversations_are_files_that_a_second_run_keeps(tmp_path: Path) -> None:
    data_dir = write_data_dir(tmp_path / "data", split="dev")
    out = tmp_path / "out"
    command = ("data", "simulate", "--data", str(data_dir), "--out", str(out))
    options = ("--split", "dev", "--count", "3", "--seconds", "2", "--seed", "4", "--speakers", "2")
    assert str(out / "manifest.json") in run(*command, *options)
    names = [f"dev-{number:04d}.{kind}" for number in range(3) for kind in ("rttm", "wav")]
    assert sorted(path.name for path in out.iterdir()) == [*names, "manifest.json"]
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("dev-*")}
    run(*command, *options)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("dev-*")} == before


def test_user_errors_are_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none")
    assert "voiceflow data prepare" in refused(monkeypatch, capsys, "train", "fast-cnn", "--data", missing)
    assert "no learning curve here" in refused(monkeypatch, capsys, "train", "plot", str(tmp_path))
    transformer = ("train", "transformer", "--data", missing)
    assert "give a folder with config.json" in refused(monkeypatch, capsys, *transformer, "--pretrained", missing)
    assert "no such checkpoint" in refused(monkeypatch, capsys, "export", missing, "--out", str(tmp_path))
    assert "no such model file" in refused(monkeypatch, capsys, "evaluate-segmentation", missing)
    model = str(shipped_model_path())
    assert "valid splits are dev and test" in refused(
        monkeypatch, capsys, "evaluate-segmentation", model, "--split", "train"
    )
    assert "unknown speech package" in refused(monkeypatch, capsys, "data", "prepare", "--package", "x")
    simulate = ("data", "simulate", "--out", str(tmp_path / "out"))
    assert "voiceflow data prepare" in refused(monkeypatch, capsys, *simulate, "--data", missing)
    assert "a number such as 3, or a range such as 2..4" in refused(monkeypatch, capsys, *simulate, "--speakers", "2-4")
    assert "must be a range such as 2..4, got 4..2" in refused(monkeypatch, capsys, *simulate, "--speakers", "4..2")
    assert "is not prepared" in refused(
        monkeypatch, capsys, "data", "sample", "--data", missing, "--out", str(tmp_path)
    )
