"""Records that come from files hold what their annotations say; what is quoted in a message fits into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.contract_models import contracted_model, save_contract
from voiceflow_ml.contract import Tensor, read_contract
from voiceflow_ml.errors import ExportError, quoted
from voiceflow_ml.export.triton import TritonOptions, config_pbtxt, export_triton
from voiceflow_ml.records import checked


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str
    size: float


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    colour: Colour
    counts: Mapping[str, int]
    first: Part | None
    split: Literal["train", "dev"]
    values: NDArray[np.int64]
    pair: tuple[int, str] = (1, "a")
    anything: Any = None


GOOD = Whole((Part("a", 1), Part("b", 2.5)), Colour.RED, {"x": 1}, None, "dev", np.zeros(2, np.int64))


def test_a_record_that_holds_what_it_should_comes_back() -> None:
    assert checked(GOOD) is GOOD
    assert checked(replace(GOOD, first=Part("c", 3.0), anything=object())).first == Part("c", 3.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parts": (Part("a", 1), Part("b", "large"))}, r"parts\.1\.size is 'large', not float"),  # type: ignore[arg-type]
        ({"parts": (Part("a", True),)}, r"parts\.0\.size is True, not float"),
        ({"parts": "ab"}, "parts is 'ab', not a list"),
        ({"parts": ("a",)}, r"parts\.0 is 'a', not Part"),
        ({"colour": "red"}, "colour is 'red', not Colour"),
        ({"counts": {"x": None}}, r"counts\.x is None, not int"),
        ({"counts": {1: 1}}, r"counts\.1 is 1, not str"),
        ({"counts": [1]}, r"counts is \[1\], not an object"),
        ({"first": "a"}, "first is 'a', not Part or NoneType"),
        ({"first": Part(5, 1)}, r"first\.name is 5, not str"),  # type: ignore[arg-type]
        ({"split": "test"}, "split is 'test', not one of train, dev"),
        ({"values": [0]}, r"values is \[0\], not ndarray"),
        ({"pair": (1, 2)}, r"pair\.1 is 2, not str"),
        ({"split": "s" * 5_000}, r"split is 'ss.*\.\.\., not"),
    ],
)
def test_a_field_that_holds_something_else_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message) as refused:
        checked(replace(GOOD, **fields))
    assert len(str(refused.value)) < 200


@given(st.text(), st.integers(4, 50))
def test_what_is_quoted_is_one_printable_line_of_bounded_length(text: str, most: int) -> None:
    shown = quoted(text, most)
    assert shown.isprintable()
    assert len(shown) <= most
    assert shown != text.strip() or len(text.strip()) <= most


def test_what_is_quoted_says_what_it_hides() -> None:
    assert quoted("a\n b\x1b[2J\u202e") == r"a b\x1b[2J\u202e"
    assert quoted("n" * 10**7, 10) == "nnnnnnn..."


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "..", "a/b", ""])
def test_a_contract_does_not_lead_out_of_the_repository(name: str, tmp_path: Path) -> None:
    path = contracted_model(tmp_path / "model")
    save_contract(path, replace(read_contract(tmp_path / "model"), model=name))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExportError, match="is no name of a folder"):
        export_triton(path, tmp_path / "repository")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_does_not_end_the_text_that_it_stands_in(tmp_path: Path) -> None:
    contracted_model(tmp_path)
    nasty = 'y" data_type: TYPE_STRING }] #\n'
    contract = replace(read_contract(tmp_path), outputs=(Tensor(nasty, "float32", (3,)),))
    text = config_pbtxt(contract, TritonOptions())
    assert f"name: {json.dumps(nasty)} data_type: TYPE_FP32" in text
    assert "TYPE_STRING }] #\n" not in text
