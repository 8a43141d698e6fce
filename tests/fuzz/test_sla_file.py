"""sla.toml: whatever it holds, it is objectives or one error of ours that names the file."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.documents import damaged, is_one_sentence, mutated, refusal
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import load_sla, parse_sla
from voiceflow_ml.units import format_ns, parse_duration_ns

PATH = Path("sla.toml")
REAL = (Path(__file__).parents[2] / "sla.toml").read_text(encoding="utf-8")
FULL = """\
version = 1
[models.fast]
file = "fast.onnx"
threads = 2
boundary = "host-to-host"
inputs = { audio = { shape = [1, 16000], cold_shapes = [[1, 8000]] }, length = "n.npy" }
provider_options = { a = 1 }
[models."my model"]
file = "other.onnx"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
inputs.audio = { source = "builtin:speech", seconds = 3.0, cold_seconds = [1.0] }
[[objective]]
model = "fast"
target = "cpu"
p50 = "1ms"
p99 = "10ms"
clock = "adjusted"
[[objective]]
model = "my model"
stage = "end-to-end"
target = "cuda-t4"
mode = "paced"
interval = "100ms"
p95 = "20ms"
[[waiver]]
model = "fast"
target = "cpu"
statistic = "p99"
owner = "somebody"
reason = "a reason"
expires = 2026-12-31
[stages.network]
low = "10ms"
high = "40ms"
"""


def written(value: Any) -> str:
    """A value as TOML, tables inline; what TOML cannot say is text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | date):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(written(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{written(str(key))} = {written(each)}' for key, each in value.items())}}}"
    return f'"{"".join(map(_escaped, str(value)))}"'


def _escaped(letter: str) -> str:
    if letter.isprintable() and letter not in '\\"':
        return letter
    code = 0xFFFD if "\ud800" <= letter <= "\udfff" else ord(letter)
    return f"\\U{code:08x}"


def declared(content: dict[str, Any]) -> str:
    return "".join(f"{written(str(key))} = {written(value)}\n" for key, value in content.items())


def check(text: str) -> None:
    told = refusal(lambda: parse_sla(text, PATH), ConfigError)
    for line in told.split("\n") if told else ():
        assert line.startswith("sla.toml"), line
        assert is_one_sentence(line, 1_000), line


def test_the_documents_that_are_broken_here_are_whole() -> None:
    assert parse_sla(REAL, PATH).promises
    assert len(parse_sla(FULL, PATH).promises) == 2
    assert len(parse_sla(declared(tomllib.loads(FULL)), PATH).promises) == 2


@given(mutated(tomllib.loads(FULL)).filter(lambda content: isinstance(content, dict)))
def test_a_value_that_does_not_belong_is_one_error(content: dict[str, Any]) -> None:
    check(declared(content))


@given(damaged(FULL.encode()) | damaged(REAL.encode()) | st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_are_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sla.toml").write_bytes(content)
    told = refusal(lambda: load_sla(tmp_path / "sla.toml"), ConfigError)
    assert all(line.startswith(str(tmp_path)) and line.isprintable() for line in told.splitlines())


@given(st.lists(st.sampled_from([*FULL.splitlines(), "[", "]]", '"""', "'''", "#", "= 1", "[models.fast.inputs]"])))
def test_lines_in_any_order_are_one_error(lines: list[str]) -> None:
    check("\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "version = " + "[" * 100_000,
        "version = " + "[" * 900 + "]" * 900,
        "models." + ".".join(["a"] * 5_000) + " = 1",
        "[" + ".".join(["models"] * 5_000) + "]",
        "version = 1" + "0" * 10_000,
        f'version = 1\n[models.fast]\nfile = "{"f" * 100_000}"\nthreads = 0',
        f"version = 1\n[models.{'n' * 100_000}]\n",
        '"' * 100_001,
        "version = 1\n" + 'a = """' * 2_001,
        "\n" * 100_000 + "[[objective]]\n",
        "version = 1\n" + "[[objective]]\n" * 2_000,
    ],
    ids=range(11),
)
def test_long_and_deep_documents_are_one_short_error(text: str) -> None:
    check(text)


@given(st.text(max_size=30) | st.from_regex(r"\A\s*[+-]?[0-9]{1,12}(\.[0-9]{1,6})? ?(ns|us|ms|s|min)\s*\Z"))
@example("9" * 1_000_001 + "ms")
@example("0." + "0" * 1_000_001 + "1s")
@example("\u0661ms")
def test_a_duration_is_whole_nanoseconds_or_one_error(text: str) -> None:
    read: list[int] = []
    told = refusal(lambda: read.append(parse_duration_ns(text, allow_zero=True)), ConfigError)
    if told:
        assert is_one_sentence(told)
    else:
        assert 0 <= read[0] < 2**63
        assert format_ns(read[0])
