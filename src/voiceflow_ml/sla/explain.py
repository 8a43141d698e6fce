"""What pydantic has against an sla.toml, in the words of someone who writes TOML."""

from __future__ import annotations

import re
from typing import Any

from voiceflow_ml.sla.places import Key, Places

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
    "accelerator_type": 'accelerator_type = "L40S"',
    "boost_clock_mhz": "boost_clock_mhz = 2520",
    "cache_mib": "cache_mib = 96",
    "boundary": 'boundary = "device-only"',
    "clock": 'clock = "adjusted"',
    "cold_seconds": "cold_seconds = [1.0, 0.5]",
    "cold_shapes": "cold_shapes = [[1, 16000], [1, 8000]]",
    "compute_capability": 'compute_capability = "8.9"',
    "device_name": 'device_name = "NVIDIA L40S"',
    "expires": "expires = 2026-12-31",
    "file": 'file = "model.onnx"',
    "high": 'high = "40ms"',
    "inputs": '[models.NAME.inputs] with audio = "builtin:speech"',
    "low": 'low = "10ms"',
    "memory_gb": "memory_gb = 48",
    "memory_gb_per_s": "memory_gb_per_s = 864",
    "mode": 'mode = "back-to-back"',
    "model": 'model = "fast-cnn"',
    "models": "[models.NAME]",
    "objective": "[[objective]]",
    "owner": 'owner = "ann@example.org"',
    "pci_device_ids": 'pci_device_ids = ["0x26B9"]',
    "provider_options": 'provider_options = { cudnn_conv_algo_search = "HEURISTIC" }',
    "provider": 'provider = "tensorrt"',
    "providers": 'providers = ["CUDAExecutionProvider"]',
    "reason": 'reason = "waits for the new kernel"',
    "seconds": "seconds = 3.0",
    "sha256": "the output of sha256sum",
    "shape": "shape = [1, 48000]",
    "spinning": "spinning = true",
    "source": 'source = "speech.wav"',
    "stage": 'stage = "model-inference"',
    "stages": "[stages.network]",
    "statistic": 'statistic = "p99"',
    "target": 'target = "cpu"',
    "targets": "[targets.cuda-l40s]",
    "tflops": "tflops = { fp32 = 91.6, fp16 = 362 }",
    "threads": "threads = 1",
    "version": "version = 1",
    "waiver": "[[waiver]]",
}


def explain(error: Any, content: dict[str, Any], places: Places) -> str:
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
    return f"{places.at(loc)}: {dotted(loc)}: {sentence}"


def _example(loc: Key) -> str:
    """A valid form of a key: of the innermost one that has a fixed name."""
    if len(loc) == 4 and loc[2] == "inputs":
        return f'{loc[3]} = "builtin:speech" or {loc[3]} = {{ shape = [1, 48000] }}'
    # The second is a position, or a name that the project chose: a model may be called as a key is.
    names = (loc[0], *loc[2:])
    return next(_EXAMPLES[str(part)] for part in reversed(names) if part in _EXAMPLES)


def _valid_keys(table: Key) -> list[str]:
    from pydantic import BaseModel  # noqa: PLC0415

    from voiceflow_ml.sla import schema, stage_tables, target_tables  # noqa: PLC0415

    if not table:
        return list(schema.SlaTable.model_fields)
    if table[0] == "stages":
        fields = (stage_tables.StagesTable if len(table) == 1 else stage_tables.StageTable).model_fields
        return [field.alias or name for name, field in fields.items()]
    tables: dict[str, type[BaseModel]] = {
        "objective": schema.ObjectiveTable,
        "waiver": schema.WaiverTable,
        "targets": target_tables.TargetTable,
    }
    if table[0] in tables:
        return list(tables[str(table[0])].model_fields)
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


def dotted(loc: Key) -> str:
    """``("objective", 0, "p99")`` -> ``objective[1].p99``; people count from one."""
    text = ""
    for part in loc:
        name = part if re.fullmatch(r"[A-Za-z0-9_-]+", str(part)) else f'"{part}"'
        text += f"[{part + 1}]" if isinstance(part, int) else f".{name}"
    return text.removeprefix(".")
