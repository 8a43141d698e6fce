"""Commands of the documents, each given to the parser of its own program; nothing is run."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
from packaging.requirements import InvalidRequirement, Requirement

from tests.code_blocks.blocks import ROOT, BlockError
from tests.code_blocks.shell import Command
from voiceflow_ml.cli import app
from voiceflow_ml.service.settings import ENVIRONMENT_PREFIX, ServeSettings

ParsePytest = Callable[..., object]

# Not ours, and without a parser that could be asked here. Files that they name must exist all the same.
FOREIGN = {
    "cat": "of every system",
    "cd": "of the shell",
    "cp": "of every system",
    "curl": "its address is held to the server's routes",
    "docker": "not installed where tests run",
    "gcloud": "not installed where tests run",
    "git": "of every system",
    "ls": "of every system",
    "mkdir": "of every system",
    "ray": "takes as long to import as all other blocks together",
}
_OURS_IN_ENVIRONMENT = re.compile(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+\b")
_LEFT_OUT = "..."


def check_command(command: Command, parse_pytest: ParsePytest) -> None:
    """Have the program's own parser read a command.

    Args:
        command: what a document says to type.
        parse_pytest: makes a configuration of pytest of arguments, or raises.

    Raises:
        BlockError: the program does not take that; or nothing here knows the program.
    """
    _check_variables(command)
    if not command.words:
        return
    program, arguments = PurePath(command.words[0]).name, list(command.words[1:])
    if program in FOREIGN:
        _check_foreign(program, arguments)
    elif program == "pytest":
        _check_pytest(arguments, parse_pytest)
    elif program in PARSERS:
        PARSERS[program](arguments)
    elif not (ROOT / command.words[0]).is_file():
        raise BlockError(f"nothing checks {program!r}: add it to PARSERS or FOREIGN in tests/code_blocks/programs.py")


def _check_variables(command: Command) -> None:
    for name in command.variables:
        known = name.removeprefix(ENVIRONMENT_PREFIX).lower() in ServeSettings.model_fields
        if name.startswith(ENVIRONMENT_PREFIX) and not known and name not in _named_in_source():
            raise BlockError(f"{name} is set, and nothing in src/ reads it")


@cache
def _named_in_source() -> frozenset[str]:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    return frozenset(name for text in texts for name in _OURS_IN_ENVIRONMENT.findall(text))


def check_voiceflow(arguments: Sequence[str]) -> None:
    """Parse with Typer; three dots stand for whatever else a command needs."""
    command, words, rest = find_command(arguments)
    left_out = _LEFT_OUT in rest
    try:
        command.make_context(" ".join(words), [word for word in rest if word != _LEFT_OUT])
    except Exception as error:
        # Typer's errors are classes of its own copy of click, which has no public name.
        if left_out and type(error).__name__ == "MissingParameter":
            return
        said = error.format_message() if hasattr(error, "format_message") else error
        raise BlockError(f"{' '.join(words)} does not take {' '.join(rest)!r}: {said}") from error


def find_command(arguments: Sequence[str]) -> tuple[Any, list[str], list[str]]:
    """The command that arguments begin with: the command, its words, and what is left.

    Raises:
        BlockError: there is none of that name.
    """
    command = _root()
    words, rest = ["voiceflow"], list(arguments)
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            raise BlockError(f"{' '.join([*words, *rest[:1]])} is no command; there are: {', '.join(command.commands)}")
        command = command.commands[rest[0]]
        words.append(rest.pop(0))
    return command, words, rest


@cache
def _root() -> Any:
    return typer.main.get_command(app)


def _check_pytest(arguments: Sequence[str], parse: ParsePytest) -> None:
    try:
        parse(*(word for word in arguments if word != _LEFT_OUT))
    except (pytest.UsageError, SystemExit) as error:
        raise BlockError(f"pytest does not take {' '.join(arguments)!r}: {error}") from error


def _check_make(arguments: Sequence[str]) -> None:
    done = subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BlockError(f"make {' '.join(arguments)}: {done.stderr.strip()}")


def _check_python(arguments: Sequence[str]) -> None:
    if arguments[:1] != ["-m"]:
        _check_script(ROOT / arguments[0], arguments[1:])
        return
    name = arguments[1]
    if name in sys.stdlib_module_names:
        return
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{name}.__main__")
    if spec is None or spec.origin is None:
        raise BlockError(f"python -m {name}: there is no such module to run")
    _check_script(Path(spec.origin), arguments[2:])


def _check_script(path: Path, arguments: Sequence[str]) -> None:
    """The options of a script are literals in it, or in its package."""
    if not path.is_file():
        raise BlockError(f"python {path}: there is no such file")
    files = path.parent.glob("*.py") if path.name == "__main__.py" else [path]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for option in (word.partition("=")[0] for word in arguments if word.startswith("-")):
        if f'"{option}"' not in text:
            raise BlockError(f"{path.relative_to(ROOT)} has no option {option}")


def _check_pip(arguments: Sequence[str]) -> None:
    """Of what is installed: a requirement that can be read, an extra that there is, a folder of this project."""
    parser = argparse.ArgumentParser(prog="pip", exit_on_error=False)
    parser.add_argument("command", choices=["install", "uninstall", "wheel"])
    for flag in ("-e", "--editable", "--no-deps", "-y", "--yes", "-q", "--quiet", "-U", "--upgrade"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--wheel-dir")
    parser.add_argument("what", nargs="+")
    try:
        given, unknown = parser.parse_known_intermixed_args(list(arguments))
    except argparse.ArgumentError as error:
        raise BlockError(f"pip {' '.join(arguments)}: {error}") from error
    if unknown:
        raise BlockError(
            f"pip {given.command}: {' '.join(unknown)} is not among what is known here: add it to _check_pip"
        )
    for what in given.what:
        text = f"voiceflow-ml{what.removeprefix('.')}" if what.startswith(".") else what
        _check_requirement(text)


def _check_requirement(text: str) -> None:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise BlockError(f"pip cannot install {text!r}: {error}") from error
    if requirement.name == "voiceflow-ml" and not requirement.extras <= _extras():
        raise BlockError(f"{text}: the extras of this package are {', '.join(sorted(_extras()))}")


@cache
def _extras() -> frozenset[str]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return frozenset(table["project"]["optional-dependencies"])


def _check_foreign(program: str, arguments: Sequence[str]) -> None:
    if program == "curl":
        for address in (word for word in arguments if word.startswith("http://127.0.0.1")):
            _check_address(address)
    if program == "docker":
        named = [after for word, after in pairwise(arguments) if word in ("--file", "-f")]
        missing = [name for name in named if not (ROOT / name).is_file()]
        if missing:
            raise BlockError(f"docker is given {', '.join(missing)}, which the repository does not have")


def _check_address(address: str) -> None:
    path = urlsplit(address).path
    if not any(re.fullmatch(pattern, path) for pattern in _routes()):
        raise BlockError(f"the server has no route {path}")


@cache
def _routes() -> tuple[str, ...]:
    """Routes of the server as expressions, from where they are registered."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src/voiceflow_ml/service").glob("*.py")]
    found = {route for text in texts for route in re.findall(r'"(/(?:v1|v2|health|ready|metrics)[^"\s]*)"', text)}
    return tuple(re.sub(r"\{[^}]*\}", "[^/]+", route) for route in found)


PARSERS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "voiceflow": check_voiceflow,
    "make": _check_make,
    "python": _check_python,
    "pip": _check_pip,
}
