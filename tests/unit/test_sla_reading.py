"""How an sla.toml comes in: what is no file, no text, or too much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.messages import exactly
from voiceflow_ml.errors import ConfigError
from voiceflow_ml.sla.load import load_sla, parse_sla

PROMISE = """\
version = 1
[models.m]
file = "m.onnx"
[[objective]]
model = "m"
target = "cpu"
p99 = "10ms"
"""


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.toml: no such file; write one, or name another with --sla-file"):
        load_sla(tmp_path / "nope.toml")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_sla(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "sla.toml"
    path.write_bytes(b"version = 1\n# caf\xe9\n")
    with pytest.raises(ConfigError) as caught:
        load_sla(path)
    assert str(caught.value) == f"{path}:2: not UTF-8 text: byte 0xe9; save the file as UTF-8"


def test_what_editors_on_other_systems_write_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sla.toml"
    path.write_bytes(b"\xef\xbb\xbf" + PROMISE.replace("\n", "\r\n").encode())
    assert load_sla(path).promises[0].where == f"{path}:4"
    path.write_bytes(PROMISE.replace("10ms", "10").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r"sla\.toml:7: objective\[1\]\.p99"):
        load_sla(path)


DOTS = "." * 100
SIZE_COMPLAINTS: list[tuple[str, str]] = [
    ("#" * 1_000_001, "sla.toml: has 1000001 letters; an sla.toml has 1000000 at most"),
    (f"# one\n# two {DOTS} {DOTS}.\n", "sla.toml:2: has 201 dots; a line has 200 at most"),
]


@pytest.mark.parametrize(("text", "expected"), SIZE_COMPLAINTS, ids=["letters", "dots"])
def test_what_takes_long_to_read_is_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=exactly(expected)):
        parse_sla(text, Path("sla.toml"))


def test_a_file_may_be_as_large_as_the_limits_say() -> None:
    text = f"{PROMISE}# {DOTS}{DOTS}\n"
    assert parse_sla(text + "#" * (1_000_000 - len(text)), Path("sla.toml")).models.keys() == {"m"}


def test_a_sentence_has_a_thousand_characters_at_most() -> None:
    head = "sla.toml:5: objective[1].model: unknown model '"
    with pytest.raises(ConfigError, match=exactly(f"{head}{'q' * (997 - len(head))}...")):
        parse_sla(PROMISE.replace('"m"', f'"{"q" * 2_000}"'), Path("sla.toml"))
