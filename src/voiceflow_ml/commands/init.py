"""``voiceflow init``: an sla.toml, a hardware test and a workflow, from the ``.onnx`` files that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voiceflow_ml.commands.found_models import FoundModel, find_models
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.files import write_text_atomic

if TYPE_CHECKING:
    from voiceflow_ml.inference.ort import InputInfo

SLA_FILE = Path("sla.toml")
TEST_FILE = Path("tests/hardware/test_latency.py")
WORKFLOW_FILE = Path(".github/workflows/latency.yml")
# File -> its template; the workflow is written as it is, because GitHub's own ${{ }} would be a template's.
_SOURCES = {SLA_FILE: "sla.toml.j2", TEST_FILE: "test_latency.py.j2", WORKFLOW_FILE: "latency.yml"}
# Placeholders for open axes: of token ids and the like, and of what has two of them, such as a picture.
_TOKENS = 128
_SIDE = 224

_PACKAGE = Path(__file__).parents[1]
# As for the reports: the wheel carries a copy of what a source checkout has in reports/templates.
_TEMPLATE_FOLDERS = (_PACKAGE / "reporting/templates/init", _PACKAGE.parents[1] / "reports/templates/init")


@dataclass(frozen=True)
class _InputText:
    """One input, as finished text: a comment, a line of sla.toml (or none), and Python that makes its values."""

    comment: str
    declaration: str
    values: str


@dataclass(frozen=True)
class _ModelText:
    """One model, as finished text. ``quoted_*`` are literals of TOML and of Python alike."""

    name: str
    function: str
    quoted_name: str
    quoted_file: str
    inputs: tuple[_InputText, ...]


def init_command(
    folder: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
) -> None:
    """Write a commented sla.toml, a hardware test and a workflow into FOLDER, from the .onnx files there."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: not a folder; give the folder of the project that makes the promises")
    models, skipped = find_models(folder)
    for sentence in skipped:
        typer.echo(f"skipped: {sentence}", err=True)
    for model in models:
        typer.echo(f"found {model.file} ({_signature(model)})")
    if not models:
        typer.echo(f"found no model to open: {SLA_FILE} promises about the built-in one, to be replaced by yours")
    for file, text in _drafts(models).items():
        typer.echo(_write(folder, file, text, force=force, dry_run=dry_run))
    if _is_inside_a_repository(folder):
        typer.echo(f"GitHub reads workflows in the root of a repository only: move {WORKFLOW_FILE} there")
    typer.echo("next: pytest sla.toml --sla-policy=report-only")
    typer.echo("then: voiceflow calibrate reports/results/SESSION, which proposes limits from that run")


def _drafts(models: list[FoundModel]) -> dict[Path, str]:
    """File -> its text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    loader = FileSystemLoader(_TEMPLATE_FOLDERS)
    environment = Environment(  # noqa: S701 - TOML and Python; every name is a quoted literal # nosec B701
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    texts = [_model_text(model) for model in models]
    return {
        file: environment.get_template(source).render(models=texts)
        if source.endswith(".j2")
        else loader.get_source(environment, source)[0]
        for file, source in _SOURCES.items()
    }


def _write(folder: Path, file: Path, text: str, *, force: bool, dry_run: bool) -> str:
    """Write one file; the sentence that says what became of it."""
    path = folder / file
    is_there = path.exists() or path.is_symlink()
    if is_there and not force:
        return f"left alone: {file}, which is there already (--force replaces it)"
    if dry_run:
        return f"would {'replace' if is_there else 'write'} {file}"
    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}; make room for it") from None
    return f"{'replaced' if is_there else 'wrote'} {file}"


def _is_inside_a_repository(folder: Path) -> bool:
    """Whether the folder is a part of a repository that begins further up."""
    here = folder.resolve()
    return not (here / ".git").exists() and any((parent / ".git").exists() for parent in here.parents)


def _signature(model: FoundModel) -> str:
    return ", ".join(_input_signature(info) for info in model.inputs) or "no inputs"


def _input_signature(info: InputInfo) -> str:
    axes = ", ".join(str(axis) or "?" for axis in info.shape)
    return f"{_printable(info.name)}: {info.dtype} [{_printable(axes)}]"


def _model_text(model: FoundModel) -> _ModelText:
    return _ModelText(
        name=model.name,
        function=re.sub(r"\W", "_", model.name, flags=re.ASCII).lower(),
        quoted_name=_quoted(model.name),
        quoted_file=_quoted(model.file),
        inputs=tuple(
            _input_text(info, sizes) for info, sizes in zip(model.inputs, _placeholder_sizes(model.inputs), strict=True)
        ),
    )


def _placeholder_sizes(inputs: Iterable[InputInfo]) -> list[list[int]]:
    """A size for each axis of each input; an open axis has the same one wherever it is named the same."""
    from voiceflow_ml.inference.declared import likely_sizes  # noqa: PLC0415

    named: dict[str, int] = {}
    sizes = []
    for info in inputs:
        guesses = likely_sizes(info.shape)
        lengths = [place for place, axis in enumerate(info.shape) if place and isinstance(axis, str)]
        if info.dtype.kind != "f" or len(lengths) > 1:
            # Not sound: many tokens are more than most models take, and a long side twice is a huge picture.
            size = _TOKENS if info.dtype.kind != "f" else _SIDE
            guesses = [size if place in lengths else guess for place, guess in enumerate(guesses)]
        # Axes without a name have nothing in common.
        sizes.append(
            [
                named.setdefault(axis, guess) if isinstance(axis, str) and axis else guess
                for axis, guess in zip(info.shape, guesses, strict=True)
            ]
        )
    return sizes


def _input_text(info: InputInfo, sizes: list[int]) -> _InputText:
    notes = [_input_signature(info)]
    guessed = [
        f"{_printable(axis) or '?'} = {size}"
        for axis, size in zip(info.shape, sizes, strict=True)
        if isinstance(axis, str)
    ]
    if guessed:
        notes.append(f"PLACEHOLDER: {', '.join(guessed)}, until you write the sizes that your callers send")
    is_float = info.dtype.kind == "f"
    if not is_float:
        notes.append("the values are 0 and 1; a .npy file gives others")
    # A shape that sla.toml cannot hold (no axis, or an empty one) is fixed: the model itself tells it.
    key = info.name if re.fullmatch(r"[A-Za-z0-9_-]+", info.name) else _quoted(info.name)
    declared = f"{key} = {{ shape = {sizes} }}" if sizes and all(sizes) else ""
    drawn = f"standard_normal({sizes})" if is_float else f"integers(0, 2, {sizes})"
    return _InputText("; ".join(notes), declared, f'generator.{drawn}.astype("{info.dtype}")')


def _quoted(text: str) -> str:
    """A literal that means the same in TOML and in Python."""
    # JSON's, but JSON lets DEL stand as it is, and TOML does not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _printable(text: str) -> str:
    """Text that may stand in a comment: whatever is not printable becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)
