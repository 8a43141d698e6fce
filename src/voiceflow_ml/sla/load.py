"""Read sla.toml. Every error is one sentence: file, line, key, the bad value and a valid form."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.objectives import ModelSpec, Objective, Promise, Sla, Stage
from voiceflow_ml.sla.places import Key, Places
from voiceflow_ml.sla.waivers import attach_waivers

if TYPE_CHECKING:
    from voiceflow_ml.sla.schema import ObjectiveTable, SlaTable

_DECODER_PLACE = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)

# pydantic's kinds of error, in the words of someone who writes TOML.
_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be a table",
    "string_too_short": "must not be empty",
    "string_type": "must be text in quotes",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
}
_EXAMPLES = {
    "clock": 'clock = "adjusted"',
    "cold_seconds": "cold_seconds = [1.0, 0.5]",
    "cold_shapes": "cold_shapes = [[1, 16000], [1, 8000]]",
    "expires": "expires = 2026-12-31",
    "file": 'file = "model.onnx"',
    "inputs": '[models.NAME.inputs] with audio = "builtin:speech"',
    "mode": 'mode = "back-to-back"',
    "model": 'model = "fast-cnn"',
    "models": "[models.NAME]",
    "objective": "[[objective]]",
    "owner": 'owner = "ann@example.org"',
    "reason": 'reason = "waits for the new kernel"',
    "seconds": "seconds = 3.0",
    "sha256": "the output of sha256sum",
    "shape": "shape = [1, 48000]",
    "source": 'source = "speech.wav"',
    "stage": 'stage = "model-inference"',
    "statistic": 'statistic = "p99"',
    "target": 'target = "cpu"',
    "threads": "threads = 1",
    "version": "version = 1",
    "waiver": "[[waiver]]",
}
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
        content = tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: values are nested too deeply") from None
    except ValueError as error:
        raise ConfigError(_not_toml(path, str(error))) from None
    places = Places(path, text)
    table = _validate(content, places)
    models = {
        name: ModelSpec(
            name=name,
            file=model.file,
            folder=path.resolve().parent,
            sha256=model.sha256,
            threads=model.threads,
            inputs=model.input_specs(),
            where=places.at(["models", name, "file"]),
        )
        for name, model in table.models.items()
    }
    promises = [_promise(entry, index, models, places) for index, entry in enumerate(table.objective)]
    _refuse_overlaps(promises)
    return Sla(path=path, models=models, promises=attach_waivers(table.waiver, promises, places))


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


def _not_toml(path: Path, problem: str) -> str:
    """``sla.toml:8: not valid TOML: ...``, with the place in front where the reader tells it at the end."""
    found = _DECODER_PLACE.fullmatch(problem)
    if found is None:
        return f"{path}: not valid TOML: {problem[:1].lower()}{problem[1:]}"
    what = f"{found['what'][:1].lower()}{found['what'][1:]}"
    return f"{path}:{found['line']}: not valid TOML: {what} (column {found['column']})"


def _validate(content: dict[str, Any], places: Places) -> SlaTable:
    # pydantic takes a fifth of a second to import: only a session that declares something pays for it.
    from pydantic import ValidationError  # noqa: PLC0415

    from voiceflow_ml.sla.schema import SlaTable  # noqa: PLC0415

    try:
        return SlaTable.model_validate(content)
    except ValidationError as failure:
        sentences = [_explain(error, content, places) for error in failure.errors()]
        raise ConfigError("\n".join(sentences)) from None


def _explain(error: Any, content: dict[str, Any], places: Places) -> str:
    """One pydantic error as ``file:line: key: sentence``."""
    loc: Key = error["loc"]
    kind = error["type"]
    if kind == "extra_forbidden":
        sentence = f"unknown key; valid here: {', '.join(_valid_keys(loc[:-1]))}"
    elif kind == "value_error":
        sentence = str(error["ctx"]["error"])
    else:
        words = _WORDS.get(kind, str(error["msg"])).format(**error.get("ctx", {}))
        got = "" if kind == "missing" else f", got {_value_at(content, loc)!r}"
        sentence = f"{words}{got}; write, for example, {_example(loc)}"
    return f"{places.at(loc)}: {_dotted(loc)}: {sentence}"


def _example(loc: Key) -> str:
    """A valid form of a key: of the innermost one that has a fixed name."""
    if len(loc) == 4 and loc[2] == "inputs":
        return f'{loc[3]} = "builtin:speech" or {loc[3]} = {{ shape = [1, 48000] }}'
    names = loc[2:] if loc[0] == "models" else loc
    return next((_EXAMPLES[str(part)] for part in reversed(names) if part in _EXAMPLES), _EXAMPLES["models"])


def _valid_keys(table: Key) -> list[str]:
    from voiceflow_ml.sla import schema  # noqa: PLC0415

    if not table:
        return list(schema.SlaTable.model_fields)
    if table[0] in ("objective", "waiver"):
        return list((schema.ObjectiveTable if table[0] == "objective" else schema.WaiverTable).model_fields)
    if len(table) > 2:
        return list(schema.InputTable.model_fields)
    return list(schema.ModelTable.model_fields)


def _value_at(content: Any, loc: Key) -> Any:
    for part in loc:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return content
    return content


def _dotted(loc: Key) -> str:
    """``("objective", 0, "p99")`` -> ``objective[1].p99``; people count from one."""
    text = ""
    for part in loc:
        name = part if re.fullmatch(r"[A-Za-z0-9_-]+", str(part)) else f'"{part}"'
        text += f"[{part + 1}]" if isinstance(part, int) else f".{name}"
    return text.removeprefix(".") or "the file"


def _promise(entry: ObjectiveTable, index: int, models: dict[str, ModelSpec], places: Places) -> Promise:
    loc: list[str | int] = ["objective", index]
    if entry.model not in models:
        known = ", ".join(models) or "none; add a [models.NAME] table"
        raise ConfigError(
            f"{places.at([*loc, 'model'])}: {_dotted([*loc, 'model'])}: unknown model {entry.model!r}; "
            f"declared models: {known}"
        )
    stage = Stage(entry.stage)
    objectives = tuple(
        Objective(entry.model, stage, entry.target, quantile, limit_ns)
        for quantile, limit_ns in entry.limits_ns().items()
    )
    return Promise(entry.model, stage, entry.target, objectives, places.at(loc), entry.measuring())


def _refuse_overlaps(promises: list[Promise]) -> None:
    first: dict[str, Promise] = {}
    for promise in promises:
        earlier = first.setdefault(promise.label, promise)
        if earlier is not promise:
            raise ConfigError(
                f"{promise.where}: {promise.label} is already promised at {earlier.where}; "
                f"{_SAME_WAY if promise.measuring == earlier.measuring else _OTHER_WAY}"
            )
