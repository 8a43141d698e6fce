"""Blocks that are written from results: as they belong, once and for all, and nothing else touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.claims_project import NOW, audit_of, write_session
from voiceflow_ml.claims import Auditor, ClaimsSettings, read_settings
from voiceflow_ml.claims.blocks import BlockWriter
from voiceflow_ml.claims.settings import BlockSource
from voiceflow_ml.errors import ConfigError

BLOCKS = {"sizes": BlockSource("made_here:render", "r.json")}
PAGE = "# A\n\n<!-- voiceflow:begin sizes -->\nold 1 MB file\n<!-- voiceflow:end -->\n\nRest.\n"
FILLED = "# A\n\n<!-- voiceflow:begin sizes -->\n\nThe file is 9 MB.\n\n<!-- voiceflow:end -->\n\nRest.\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "r.json").write_text(json.dumps({"size_mb": 9}), encoding="utf-8")
    source = "def render(content):\n    return f\"The file is {content['size_mb']} MB.\"\n"
    (tmp_path / "made_here.py").write_text(source, encoding="utf-8")
    monkeypatch.delitem(__import__("sys").modules, "made_here", raising=False)
    return tmp_path


def writer(root: Path, **blocks: BlockSource) -> BlockWriter:
    return Auditor(ClaimsSettings(root, blocks=blocks or BLOCKS), NOW).blocks


def test_a_block_is_filled_once_and_for_all(root: Path) -> None:
    made = writer(root)
    assert made.filled(PAGE, "p.md") == FILLED
    assert made.filled(FILLED, "p.md") == FILLED


def test_windows_line_ends_stay(root: Path) -> None:
    filled = writer(root).filled(PAGE.replace("\n", "\r\n"), "p.md")
    assert filled == FILLED.replace("\n", "\r\n")


def test_what_a_block_says_is_confirmed_until_its_results_change(root: Path) -> None:
    (fresh,) = audit_of(root, FILLED, blocks=BLOCKS).judgements
    assert (fresh.status, fresh.basis) == ("CONFIRMED", "sizes")
    (stale,) = audit_of(root, FILLED.replace("9 MB", "8 MB"), blocks=BLOCKS).judgements
    assert stale.status == "STALE"
    assert stale.sentence == "the block sizes is not what its results say now: run voiceflow claims write"


def test_the_table_of_promises_needs_no_entry(root: Path) -> None:
    write_session(root / "reports/results/a")
    filled = writer(root).filled("<!-- voiceflow:begin verdicts -->\n<!-- voiceflow:end -->\n", "p.md")
    assert "| fast-cnn | model-inference | cpu | P99 <= 10 ms | 9.09 ms [9.0" in filled
    assert {str(entry.status) for entry in audit_of(root, filled).judgements} == {"CONFIRMED"}


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- voiceflow:begin -->\n", "p.md:1: write <!-- voiceflow:begin NAME --> once"),
        (
            "<!-- voiceflow:begin a -->\n\n<!-- voiceflow:begin b -->\n",
            "p.md:3: write <!-- voiceflow:begin NAME --> once",
        ),
        ("\n<!-- voiceflow:end -->\n", "p.md:2: voiceflow:end ends nothing"),
        ("<!-- voiceflow:begin a -->\n", "p.md: the block a does not end"),
        (PAGE.replace("sizes", "gone"), r"no block is called 'gone'; known: verdicts, sizes"),
    ],
)
def test_marks_that_do_not_fit_are_named(root: Path, page: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        writer(root).filled(page, "p.md")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (BlockSource("gone_module:render", "r.json"), "gone_module:render cannot render r.json: ModuleNotFoundError"),
        (BlockSource("made_here:gone", "r.json"), "made_here:gone cannot render r.json: AttributeError"),
        (BlockSource("builtins:len", "r.json"), "builtins:len returns int, not Markdown text"),
    ],
)
def test_a_block_that_cannot_be_rendered_says_why(root: Path, source: BlockSource, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        writer(root, sizes=source).filled(PAGE, "p.md")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(before=st.text(max_size=40), after=st.text(max_size=40))
def test_writing_twice_is_writing_once_whatever_stands_around(root: Path, before: str, after: str) -> None:
    made = writer(root)
    page = f"{before}\n\n{PAGE}\n\n{after}"
    try:
        once = made.filled(page, "p.md")
    except ConfigError:
        return
    assert made.filled(once, "p.md") == once
    assert once.startswith(before)
    assert once.endswith(after)


CONFIG = """
[tool.voiceflow.claims]
paths = ["README.md", "docs"]
exclude = ["docs/examples/*"]
max-age-days = 30
strict = true

[tool.voiceflow.claims.blocks.sizes]
render = "made_here:render"
data = "r.json"
"""


def test_settings_come_from_pyproject(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == ClaimsSettings(tmp_path)
    (tmp_path / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    read = read_settings(tmp_path)
    assert (read.paths, read.max_age_days, read.strict) == (("README.md", "docs"), 30, True)
    assert read.blocks == BLOCKS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pathes = []", "tool.voiceflow.claims.pathes is unknown; known: paths, exclude, results"),
        ('paths = "README.md"', "paths is 'README.md'; give a list of texts"),
        ("paths = [1]", r"paths is \[1\]; give a list of texts"),
        ("max-age-days = 0", "max-age-days is 0; give a whole number of days above 0"),
        ("strict = 1", "strict is 1; give a bool"),
        ('blocks = {a = {render = "x"}}', 'give render = "package.module:function" and data = "file.json"'),
        ("]", "not valid TOML"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.voiceflow.claims]\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_settings(tmp_path)
