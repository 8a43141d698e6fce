"""Which line of an sla.toml a message names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voiceflow_ml.sla.places import Places

PLACES: list[tuple[str, tuple[Any, ...], int | None]] = [
    ("a = 1\nb = 2\n", ("b",), 2),
    ('"a b" = 1\n\n[t."x.y"]\nz = 1\n', ("t", "x.y", "z"), 4),
    ('[t]\n"\\u00e9" = 1\n', ("t", "é"), 2),
    ("[ t . u ] # why\nk = 1\n", ("t", "u", "k"), 2),
    ("t.u.k = 1\nt.u.l = 2\n", ("t", "u", "l"), 2),
    ("t.u.k = 1\nt.u.l = 2\n", ("t", "u"), 1),
    ("[t]\nu = { k = 1 }\n", ("t", "u", "k"), 2),
    ("[[o]]\na = 1\n[[o]]\na = 2\n", ("o", 1, "a"), 4),
    ("[[o]]\n[o.t]\nk = 1\n[[o]]\n[o.t]\nk = 2\n", ("o", 1, "t", "k"), 6),
    ("o = [\n  { a = 1 },\n  { a = 2 },\n]\n", ("o", 1, "a"), 1),
    ('s = """\n[t]\nk = 1\n"""\n[t]\nk = 2\n', ("t", "k"), 6),
    ("s = '''\n[t]\n'''\n[t]\nk = 2\n", ("t", "k"), 5),
    ("# it's a comment\n[t]\nk = 'it is \"\"\" here'\nl = 1\n", ("t", "l"), 4),
    ("k = 1\n", ("elsewhere",), None),
    ("k = 'a\u2028b'\nl = 1\n", ("l",), 2),
    ("[t]\nk = [\n  [1],\n  [2]\n]\nl = 1\n", ("t", "l"), 6),
    ("[t]\nk = [\n  [\n    [1],\n    [2]\n  ],\n  [3]\n]\nl = 1\n", ("t", "l"), 9),
    ('[t]\nk = ["[", """\n[""", # [\n  [1]\n]\n[u]\nl = 1\n', ("u", "l"), 7),
    ("", (), None),
]


@pytest.mark.parametrize(("text", "loc", "line"), PLACES)
def test_lines_of_keys(text: str, loc: tuple[Any, ...], line: int | None) -> None:
    expected = "sla.toml" if line is None else f"sla.toml:{line}"
    assert Places(Path("sla.toml"), text).at(loc) == expected
