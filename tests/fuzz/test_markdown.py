"""Documents of strangers: claims are found or not, comments are directives or remarks, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.documents import damaged, refusal
from tests.hypothesis_profiles import share_of_examples
from voiceflow_ml.claims.blocks import find_blocks
from voiceflow_ml.claims.directives import bind, read_directives
from voiceflow_ml.claims.find import find_claims
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import read_document
from voiceflow_ml.errors import ConfigError

NAMES = Names(models=("fast-cnn", "m"))
_ROOT = Path(__file__).parents[2]
_REAL = [path.read_bytes() for path in sorted((_ROOT / "docs").glob("*.md"))[:6]]
_PIECES = (
    "P99 4.48 ms",
    "**10ms**",
    "| a | P99 (ms) |",
    "|---|--:|",
    "| fast-cnn | 4.5 |",
    "# On a T4",
    "- 5 to 10 ms",
    "\n\n",
    "\n",
    "`9 ms`",
    "```",
    "~~~",
    "<!-- claim: none because -->",
    "<!-- claim:",
    "-->",
    "<!-- voiceflow:begin x -->",
    "<!-- voiceflow:end -->",
    "<img alt='5 ms'>",
    "![P99 9 ms](https://img.shields.io/badge/P99-9%20ms-green)",
    "<table>",
    "<td>3 ms</td>",
    "&lt; 5&nbsp;ms",
    "1e309 ms",
    "1,000.5 ms",
    "0x10 ms",
    "9" * 400 + " ms",
    "-5 ms",
    "\u00b1 2 %",
    "[link](<a b>)",
    "*",
    "_",
    "  ",
    "\t",
    "\0",
    "\ud800",
    "\u2028",
    "\x1b[2J",
    ">",
    "1.",
    "$x$",
    "end-to-end",
    "int8",
)


def read_whole(text: str) -> None:
    document = read_document(text)
    claims = find_claims(document, "page.md", NAMES)
    bind(claims, read_directives(document, NAMES), document)
    find_blocks(document, "page.md")
    assert all(0 <= claim.start < claim.end <= len(text) for claim in claims)


@given(st.lists(st.sampled_from(_PIECES), max_size=14), st.sampled_from(["", " ", "\n"]))
def test_pieces_of_markdown_in_any_order(pieces: list[str], between: str) -> None:
    told = refusal(lambda: read_whole(between.join(pieces)), ConfigError)
    assert not told or told.startswith("page.md:"), told


@share_of_examples(0.2)
@given(st.sampled_from(_REAL).flatmap(damaged))
def test_damaged_documents_of_this_project(content: bytes) -> None:
    told = refusal(lambda: read_whole(content[:6_000].decode(errors="replace")), ConfigError)
    assert not told or told.startswith("page.md:"), told


_REPEATED = (
    "1/",
    "5 ms ",
    "| 1 ms ",
    "<!-- ",
    "<!--x-->",
    "`",
    "*a",
    "[",
    "](",
    "<",
    "&",
    "- ",
    "> ",
    "1.",
    "9",
    "a",
    "\n| ",
    "%20",
    "P99 ",
    "ms",
    " to 5",
    "<= ",
    "<td>",
    "a.",
    "_",
    "~",
    "\\",
    "{",
    "(",
    "5 ms, ",
    "x-",
    "é",
)
_TIMES = 1_000
_HANG_S = 180
_SCRIPT = """
import sys
from tests.fuzz.test_markdown import _REPEATED, _TIMES, read_whole
from voiceflow_ml.errors import ConfigError
for piece in _REPEATED:
    for text in (piece * _TIMES, "P99 " + piece * _TIMES + " ms", piece + "\\n\\n" + piece * _TIMES + "5"):
        print(repr(piece), flush=True)
        try:
            read_whole(text)
        except ConfigError:
            pass
print("done")
"""


def test_no_repetition_takes_for_ever() -> None:
    """In a process of its own, which is killed where an expression takes a time beyond all measure."""
    command = [sys.executable, "-W", "error", "-c", _SCRIPT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_HANG_S, check=False, cwd=_ROOT)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"hangs at {(error.stdout or b'').splitlines()[-1]!r}")
    assert done.stdout.endswith("done\n"), (done.stdout[-60:], done.stderr[-2_000:])
