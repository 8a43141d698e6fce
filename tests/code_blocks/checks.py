"""How a block is checked, by its language. A language that is not here fails, so that nothing goes unchecked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tests.code_blocks.blocks import ROOT, Block, BlockError
from tests.code_blocks.output import check_numbers, check_output
from tests.code_blocks.programs import check_command, find_command
from tests.code_blocks.python_blocks import RunPytest, check_python
from tests.code_blocks.shell import read_console
from voiceflow_ml.claims.directives import read_directives
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import read_document
from voiceflow_ml.claims.settings import read_settings as read_claims_settings
from voiceflow_ml.errors import VoiceflowError
from voiceflow_ml.service.settings import ServeSettings
from voiceflow_ml.service.settings import read_settings as read_serve_settings
from voiceflow_ml.sla.load import load_sla

# Output in these documents quotes a committed example, number for number.
QUOTED = {"README.md": ROOT / "docs/examples/PERFORMANCE_ANALYSIS.md"}
# What a fragment of an sla.toml is completed by, where it does not say it itself.
_MODELS = '\n[models.fast-cnn]\nfile = "builtin:fast-cnn"\ninputs.audio = "builtin:speech"\n'
_OBJECTIVES = '\n[[objective]]\nmodel = "{model}"\ntarget = "cpu"\np99 = "10ms"\n'
_SLA_KEYS = {"version", "models", "objective", "waiver", "targets", "stages"}


@dataclass(frozen=True)
class Tools:
    """What checks need of the test that runs them.

    Attributes:
        folder: an empty folder.
        parse_pytest: a configuration of pytest from arguments, or an error.
        run_pytest: runs pytest in the folder; returns what went wrong, empty for nothing.
    """

    folder: Path
    parse_pytest: Callable[..., pytest.Config]
    run_pytest: RunPytest


def check(block: Block, tools: Tools) -> None:
    """Check one block.

    Raises:
        BlockError: what is wrong with it, or that nothing can check it.
    """
    if block.language not in CHECKS:
        raise BlockError(
            f"nothing checks a block of {block.language or 'no language'}: write one of {', '.join(CHECKS)} behind its "
            "fence, or add a check to tests/code_blocks/checks.py"
        )
    CHECKS[block.language](block, tools)


def _console(block: Block, tools: Tools) -> None:
    commands, printed = read_console(block.text)
    if not commands:
        raise BlockError("a console without a command: text is the language of output")
    exported: dict[str, str] = {}
    for command in commands:
        if not command.words:
            exported |= command.variables
        with patch.dict(os.environ, exported | dict(command.variables)):
            check_command(command, tools.parse_pytest)
    for line in printed:
        check_output(line)


def _text(block: Block, tools: Tools) -> None:
    """Output; or, by its title, a picture of the layers."""
    if block.title == "layers":
        _layers(block, tools)
        return
    for line in filter(str.strip, block.text.splitlines()):
        check_output(line)
        if block.document in QUOTED:
            check_numbers(line, QUOTED[block.document])


def _usage(block: Block, _: Tools) -> None:
    """What ``--help`` would say: commands, options and choices there are."""
    for line in re.sub(r"\n +", " ", block.text).splitlines():
        command, words, _rest = find_command(re.sub(r"\[.*", "", line).split()[1:])
        options = {name: parameter for parameter in command.params for name in parameter.opts}
        for option, choices in re.findall(r"\[(--[\w-]+) ?([^]]*)\]", line):
            if option not in options:
                raise BlockError(f"{' '.join(words)} has no option {option}")
            if "|" in choices:
                _check_choices(f"{' '.join(words)} {option}", options[option], choices.split("|"))


def _check_choices(what: str, parameter: object, choices: list[str]) -> None:
    shown = repr(vars(parameter)) + repr(vars(getattr(parameter, "type_descriptor", parameter)))
    missing = [choice for choice in choices if f"'{choice}'" not in shown]
    if missing:
        raise BlockError(f"{what} does not take {', '.join(missing)}")


def _layers(block: Block, _: Tools) -> None:
    """Packages from the top down, as import-linter holds them; what a line says of them stands two spaces apart."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [re.findall(r"\w+", layer) for layer in table["tool"]["importlinter"]["contracts"][0]["layers"]]
    names = {name for layer in declared for name in layer}
    drawn = [
        [word for word in re.split(r" \| | {2,}", line.strip()) if word in names] for line in block.text.splitlines()
    ]
    order = {name: index for index, layer in enumerate(drawn) for name in layer}
    if unknown := names - set(order) - {"commands"}:
        raise BlockError(f"the layers lack {', '.join(sorted(unknown))}")
    places = [[order[name] for name in layer if name in order] for layer in declared]
    for (above, upper), (below, lower) in pairwise(zip(declared, places, strict=True)):
        if upper and lower and max(upper) > min(lower):
            raise BlockError(f"pyproject.toml has {', '.join(above)} above {', '.join(below)}")


def _python(block: Block, tools: Tools) -> None:
    check_python(block, tools.folder, tools.run_pytest)


def _toml(block: Block, tools: Tools) -> None:
    try:
        table = tomllib.loads(block.text)
    except tomllib.TOMLDecodeError as error:
        raise BlockError(f"not TOML: {error}") from error
    try:
        if set(table) == {"tool"}:
            (tools.folder / "pyproject.toml").write_text(block.text, encoding="utf-8")
            read_claims_settings(tools.folder)
        elif set(table) <= _SLA_KEYS:
            _load_sla(block.text, table, tools.folder)
        elif set(table) <= set(ServeSettings.model_fields):
            (tools.folder / "serve.toml").write_text(block.text, encoding="utf-8")
            read_serve_settings({}, tools.folder / "serve.toml")
        else:
            raise BlockError(f"no loader takes the keys {', '.join(table)}: add it to tests/code_blocks/checks.py")
    except VoiceflowError as error:
        raise BlockError(str(error)) from error


def _load_sla(text: str, table: Mapping[str, object], folder: Path) -> None:
    models = table.get("models", {"fast-cnn": {}})
    name = next(iter(models)) if isinstance(models, dict) else ""
    head = "" if "version" in table else "version = 1\n"
    tail = "" if "models" in table else _MODELS
    tail += "" if "objective" in table else _OBJECTIVES.format(model=name)
    path = folder / "sla.toml"
    path.write_text(f"{head}{text}{tail}", encoding="utf-8")
    load_sla(path)


def _json(block: Block, _: Tools) -> None:
    try:
        json.loads(block.text)
    except json.JSONDecodeError as error:
        raise BlockError(f"not JSON: {error}") from error


def _yaml(block: Block, tools: Tools) -> None:
    """Any YAML can be read; a workflow is one by GitHub's schema."""
    try:
        content = YAML(typ="safe").load(block.text)
    except YAMLError as error:
        raise BlockError(f"not YAML: {error}") from error
    if isinstance(content, dict) and "jobs" in content:
        path = tools.folder / "workflow.yml"
        path.write_text(block.text, encoding="utf-8")
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BlockError(f"no workflow: {done.stdout}{done.stderr}")


def _xml(block: Block, _: Tools) -> None:
    try:
        ElementTree.fromstring(f"<block>{block.text}</block>")
    except ElementTree.ParseError as error:
        raise BlockError(f"not XML: {error}") from error


def _markdown(block: Block, _: Tools) -> None:
    """Comments about claims are understood."""
    names = Names(models=("fast-cnn",))
    for directive in read_directives(read_document(block.text), names):
        if directive.problem:
            raise BlockError(directive.problem)


def _diff(block: Block, _: Tools) -> None:
    """A change of the file in the block's title: what it keeps and takes away is there."""
    path = ROOT / block.title
    if not block.title or not path.is_file():
        raise BlockError('the title of a diff is the file that it changes: ```diff title="src/..."')
    there = path.read_text(encoding="utf-8").splitlines()
    before = [line[1:] for line in block.text.splitlines() if not line.startswith("+")]
    missing = [line for line in before if line.strip() and line not in there]
    if missing:
        raise BlockError(f"{block.title} has no line {missing[0]!r}")


def _mermaid(block: Block, _: Tools) -> None:
    """A flow chart of plain arrows, which GitHub draws; nothing is installed here that draws it."""
    head, *lines = [line.strip() for line in block.text.splitlines() if line.strip()]
    if not re.fullmatch(r"flowchart (?:LR|TD|TB)", head):
        raise BlockError(f"{head!r} begins no flow chart that is checked here: write flowchart LR")
    node = r'\w+(?:\["?[^"\]]+"?\])?'
    for line in lines:
        if not re.fullmatch(rf"{node}(?: -->(?:\|[^|]+\|)? {node})*", line):
            raise BlockError(f"{line!r} is no arrow between nodes: write A --> B")


CHECKS: Mapping[str, Callable[[Block, Tools], None]] = {
    "console": _console,
    "sh": _console,
    "text": _text,
    "usage": _usage,
    "python": _python,
    "toml": _toml,
    "json": _json,
    "yaml": _yaml,
    "xml": _xml,
    "markdown": _markdown,
    "diff": _diff,
    "mermaid": _mermaid,
}
