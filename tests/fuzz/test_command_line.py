"""Every command with arguments of any kind: done, or refused in one piece; never a traceback."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voiceflow_ml import cli

_BUILT: Any = typer.main.get_command(cli.app)
# These go to a network, stay, or take their time where their arguments are right: they are given a wrong one always.
_ACTING = ("serve", "data", "gcp", "train", "load", "bench-swap", "pipeline", "calibrate", "learning-curve")
_WORDS = (
    "",
    " ",
    "x",
    "-1",
    "0",
    "1",
    "1e9",
    "nan",
    "inf",
    "99999999999999999999",
    "10ms",
    "0ms",
    "cpu",
    "cuda-t9",
    "a=b",
    "=",
    "missing",
    "folder",
    "a.onnx",
    "a.json",
    "a.toml",
    "a.md",
    "a.wav",
    "a.rttm",
    "../x",
    "file:///nothing",
    "gs:/",
    "a@b",
    "a@1.0.0",
    "1.0.0",
    "1.x",
    "http://127.0.0.1:1",
    "a" * 300,
    "\x1b[2J",
    "\udcff",
    "a\nb",
    "none",
    "P99",
    "{}",
    "-",
    "--",
)


def commands(group: Any = _BUILT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield from commands(command, (*path, name)) if hasattr(command, "commands") else [((*path, name), command)]


COMMANDS = dict(commands())


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    path = draw(st.sampled_from(sorted(COMMANDS)))
    words = list(path)
    for parameter in COMMANDS[path].params:
        words += draw(_given(parameter))
    return [*words, "--no-such-option"] if path[0] in _ACTING else words


def _given(parameter: Any) -> st.SearchStrategy[list[str]]:
    word = st.sampled_from(_WORDS)
    if parameter.param_type_name == "argument":
        return st.lists(word, min_size=1, max_size=1) | st.lists(word, max_size=2)
    name = parameter.opts[0]
    if parameter.is_flag:
        return st.sampled_from([[], [], [name]])
    least = st.just([]) if not parameter.required else word.map(lambda value: [name, value])
    return least | least | word.map(lambda value: [name, value])


def run(words: list[str]) -> tuple[object, str]:
    """Exit status and what was printed on stderr; an exception that is no exit goes through."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv, app, cli.app = sys.argv, ["voiceflow", *words], cli.app, _BUILT
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as ended:
        return ended.code or 0, err.getvalue()
    finally:
        sys.argv, cli.app = before, app
    return 0, err.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of every kind that hold nothing of use."""
    for name in ("a.onnx", "a.json", "a.toml", "a.md", "a.wav", "a.rttm", "x"):
        (tmp_path / name).write_bytes(b"\x08nothing of use\xff\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("VOICEFLOW_REGISTRY", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines())
def test_any_arguments(folder: Path, words: list[str]) -> None:
    status, told = run(words)
    assert status in (0, 1, cli.USAGE_EXIT_CODE), (status, told)
    assert "Traceback" not in told
    assert status != cli.USAGE_EXIT_CODE or told.strip()


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_an_option_that_there_is_not(path: tuple[str, ...], folder: Path) -> None:
    status, told = run([*path, "--no-such-option"])
    assert status == cli.USAGE_EXIT_CODE
    assert "--no-such-option" in told
