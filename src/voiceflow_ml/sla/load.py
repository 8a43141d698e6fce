"""Read sla.toml. Every error is one sentence: file, line, key, the bad value and a valid form."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError, quoted
from voiceflow_ml.hardware.targets import Catalogue
from voiceflow_ml.sla.explain import dotted, explain
from voiceflow_ml.sla.objectives import ModelSpec, Objective, Promise, Sla, Stage, StageRange
from voiceflow_ml.sla.places import Places
from voiceflow_ml.sla.waivers import attach_waivers

if TYPE_CHECKING:
    from voiceflow_ml.sla.schema import ObjectiveTable, SlaTable

_DECODER_PLACE = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)

_LONGEST_SENTENCE = 1_000
_MOST_LETTERS, _MOST_DOTS = 1_000_000, 200
_SAME_WAY = "put all limits of one model, stage and target into one [[objective]]"
_OTHER_WAY = "to measure it in two ways, declare the same file as a second model, under a name of its own"


def load_sla(path: Path) -> Sla:
    """Read and check one sla.toml.

    Args:
        path: the file.

    Raises:
        ConfigError: the file is missing, not TOML, or declares something that makes no sense.
    """
    return parse_sla(_read(path), path)


def parse_sla(text: str, path: Path) -> Sla:
    """Read and check the text of an sla.toml, of now or of some time ago.

    Args:
        text: the file's content.
        path: the file, as messages should call it; relative paths begin in its folder.

    Raises:
        ConfigError: the text is not TOML, or declares something that makes no sense.
    """
    try:
        return _parsed(text, path)
    except ConfigError as error:
        # Keys and values of the file stand in the sentences, whatever they hold and however long they are.
        sentences = [quoted(sentence, _LONGEST_SENTENCE) for sentence in str(error).split("\n")]
        raise ConfigError("\n".join(sentences)) from None


def _parsed(text: str, path: Path) -> Sla:
    _check_size(path, text)
    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: values are nested too deeply") from None
    except ValueError as error:
        raise ConfigError(_not_toml(path, str(error))) from None
    places = Places(path, text)
    catalogue, table = _validate(content, places)
    models = {
        name: ModelSpec(
            name=name,
            file=model.file,
            folder=path.resolve().parent,
            sha256=model.sha256,
            threads=model.threads,
            inputs=model.input_specs(),
            where=places.at(["models", name, "file"]),
            runtime=model.runtime(),
        )
        for name, model in table.models.items()
    }
    ranges = table.stages.ranges()
    promises = [_promise(entry, index, models, ranges, places) for index, entry in enumerate(table.objective)]
    _refuse_overlaps(promises)
    return Sla(path, models, attach_waivers(table.waiver, promises, places), catalogue)


def _read(path: Path) -> str:
    try:
        # Some editors begin a file with a byte order mark, which no TOML key does.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; write one, or name another with --sla-file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise ConfigError(f"{path}:{line}: not UTF-8 text: byte 0x{byte:02x}; save the file as UTF-8") from None


def _check_size(path: Path, text: str) -> None:
    if len(text) > _MOST_LETTERS:
        raise ConfigError(f"{path}: has {len(text)} letters; an sla.toml has {_MOST_LETTERS} at most")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MOST_DOTS:
            # The standard reader takes as long as the square of a key's parts.
            raise ConfigError(f"{path}:{number}: has {line.count('.')} dots; a line has {_MOST_DOTS} at most")


def _not_toml(path: Path, problem: str) -> str:
    """``sla.toml:8: not valid TOML: ...``, with the place in front where the reader tells it at the end."""
    found = _DECODER_PLACE.fullmatch(problem)
    if found is None:
        return f"{path}: not valid TOML: {problem[:1].lower()}{problem[1:]}"
    what = f"{found['what'][:1].lower()}{found['what'][1:]}"
    return f"{path}:{found['line']}: not valid TOML: {what} (column {found['column']})"


def _validate(content: dict[str, Any], places: Places) -> tuple[Catalogue, SlaTable]:
    # pydantic takes a fifth of a second to import: only a session that declares something pays for it.
    from pydantic import ValidationError  # noqa: PLC0415

    from voiceflow_ml.sla.schema import SlaTable, TargetsOnly  # noqa: PLC0415
    from voiceflow_ml.sla.target_tables import catalogue_with  # noqa: PLC0415

    try:
        catalogue = catalogue_with(TargetsOnly.model_validate(content).targets, places)
        return catalogue, SlaTable.model_validate(content, context=catalogue)
    except ValidationError as failure:
        sentences = [explain(error, content, places) for error in failure.errors()]
        raise ConfigError("\n".join(sentences)) from None


def _promise(
    entry: ObjectiveTable, index: int, models: dict[str, ModelSpec], ranges: tuple[StageRange, ...], places: Places
) -> Promise:
    loc: list[str | int] = ["objective", index]
    if entry.model not in models:
        known = ", ".join(models) or "none; add a [models.NAME] table"
        raise ConfigError(
            f"{places.at([*loc, 'model'])}: {dotted([*loc, 'model'])}: unknown model {entry.model!r}; "
            f"declared models: {known}"
        )
    stage = Stage(entry.stage)
    objectives = tuple(
        Objective(entry.model, stage, entry.target, quantile, limit_ns)
        for quantile, limit_ns in entry.limits_ns().items()
    )
    stages = ranges if stage is Stage.END_TO_END else ()
    return Promise(entry.model, stage, entry.target, objectives, places.at(loc), entry.measuring(), stages=stages)


def _refuse_overlaps(promises: list[Promise]) -> None:
    first: dict[str, Promise] = {}
    for promise in promises:
        earlier = first.setdefault(promise.label, promise)
        if earlier is not promise:
            raise ConfigError(
                f"{promise.where}: {promise.label} is already promised at {earlier.where}; "
                f"{_SAME_WAY if promise.measuring == earlier.measuring else _OTHER_WAY}"
            )
