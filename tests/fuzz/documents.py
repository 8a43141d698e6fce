"""Strategies that damage documents: as bytes, and as values in the tree of a JSON or TOML document."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Document = Any

EXTREMES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    -(2**63),
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "..",
    "../../etc/hostname",
    "a\0b",
    "line\nbreak",
    "\x1b[2J",
    "\ud800",
    "n" * 5_000,
    [],
    [[]],
    {},
    {"": {}},
    ["x"],
    [None],
    {"x": 1},
)
"""Values that stand where others belong."""

values = st.sampled_from(EXTREMES) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def places_of(document: Document, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree, the tree's own left out."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path for key, value in inner for path in ((*at, key), *places_of(value, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn, document: Document, most: int = 2) -> Document:
    """The document with one or two values replaced, left out, doubled or put in."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        places = places_of(changed)
        if not places:
            return draw(values)
        *parents, last = draw(st.sampled_from(places))
        here = changed
        for key in parents:
            here = here[key]
        _change(draw, here, last)
    return changed


def _change(draw: st.DrawFn, here: Any, last: Any) -> None:
    what = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "put in"]))
    if what == "replace":
        here[last] = draw(values)
    elif what == "leave out":
        del here[last]
    elif isinstance(here, list):
        here.append(copy.deepcopy(here[last]))
    else:
        here[draw(st.text(max_size=6))] = draw(values)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes cut off, with a bit flipped, or with some left out, doubled or overwritten."""
    if not whole:
        return draw(st.binary(max_size=64))
    start = draw(st.integers(0, len(whole) - 1))
    end = min(len(whole), start + draw(st.integers(1, 16)))
    what = draw(st.sampled_from(["cut", "flip", "leave out", "double", "noise", "put in"]))
    if what == "cut":
        return whole[:start]
    if what == "flip":
        return whole[:start] + bytes([whole[start] ^ 1 << draw(st.integers(0, 7))]) + whole[start + 1 :]
    if what == "leave out":
        return whole[:start] + whole[end:]
    if what == "double":
        return whole[:end] + whole[start:]
    noise = draw(st.binary(min_size=1, max_size=16))
    return whole[:start] + noise + whole[(end if what == "noise" else start) :]


def as_json(document: Document) -> str:
    """JSON as Python writes it: NaN and lone surrogates included, which other writers may send too."""
    return json.dumps(document)


def refusal(read: Callable[[], object], *refusals: type[Exception]) -> str:
    """What a reader says of what it does not take; empty when it takes it. Any other exception is a finding."""
    try:
        read()
    except refusals as error:
        return str(error) or type(error).__name__
    return ""


def is_one_sentence(text: str, most: int = 4_000) -> bool:
    """Whether a message is one line that can be printed, and not a book."""
    return bool(text) and len(text) <= most and text.isprintable()
