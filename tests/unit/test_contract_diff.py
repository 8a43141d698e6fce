from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.contract_cases import AUDIO, BASE, CASES, FIXED, LOGITS, Case
from voiceflow_ml import cli
from voiceflow_ml.contract import Contract, Promise, Tensor, diff, read_contract, to_json
from voiceflow_ml.contract.diff import Level, parse_level
from voiceflow_ml.contract.document import from_json, json_schema
from voiceflow_ml.errors import ConfigError, ContractError


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_difference_has_its_level_and_its_reason(case: Case) -> None:
    found = diff(BASE, case.change(BASE))
    assert str(found.level) == case.level
    assert case.reason in " | ".join(change.reason for change in found.changes)
    assert bool(found.changes) == (case.level != "none")


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 20
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.level for case in CASES} == {"none", "patch", "minor", "major"}


def test_an_input_that_becomes_dynamic_is_minor() -> None:
    found = diff(FIXED, BASE)
    assert found.level is Level.MINOR
    assert [change.reason for change in found.changes] == [
        "axis 0 of input 'audio' is dynamic (batch), was 1",
        "axis 1 of input 'audio' is dynamic (samples), was 48000",
    ]


def test_axes_that_may_differ_now_are_minor() -> None:
    tied = replace(BASE, inputs=(AUDIO, Tensor("gain", "float32", ("batch",))))
    free = replace(BASE, inputs=(AUDIO, Tensor("gain", "float32", ("n",))))
    assert diff(tied, free).level is Level.MINOR
    assert diff(free, tied).level is Level.MAJOR


def test_a_required_input_that_becomes_optional_is_minor_and_back_is_major() -> None:
    optional = replace(BASE, inputs=(replace(AUDIO, optional=True),))
    assert diff(BASE, optional).level is Level.MINOR
    assert diff(optional, BASE).level is Level.MAJOR


def test_a_new_promise_is_minor_and_a_described_signal_too() -> None:
    assert diff(replace(BASE, sla=()), BASE).level is Level.MINOR
    assert diff(replace(BASE, signal=None), BASE).level is Level.MINOR


def test_the_gravest_stands_first() -> None:
    new = replace(BASE, computation_sha256="d" * 64, opset={"": 21}, outputs=(LOGITS,))
    levels = [change.level for change in diff(BASE, new).changes]
    assert levels == sorted(levels, reverse=True)
    assert len(levels) == 3


@given(st.sampled_from(CASES), st.sampled_from(CASES))
def test_undoing_a_change_is_never_nothing_unless_the_change_was(one: Case, other: Case) -> None:
    old, new = one.change(BASE), other.change(BASE)
    assert (diff(old, new).level is Level.NONE) == (to_json(old) == to_json(new))
    assert bool(diff(new, old).changes) == bool(diff(old, new).changes)


def test_levels_are_ordered_and_looked_up_by_name() -> None:
    assert Level.NONE < Level.PATCH < Level.MINOR < Level.MAJOR
    assert parse_level("minor") is Level.MINOR
    with pytest.raises(ConfigError, match="the levels are: none, patch, minor, major"):
        parse_level("huge")


def test_a_document_reads_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "contract.json").write_text(to_json(BASE))
    assert read_contract(tmp_path) == BASE == read_contract(tmp_path / "contract.json")
    assert to_json(read_contract(tmp_path)) == to_json(BASE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "schema_version is None"),
        ('{"schema_version": 2}', "not a contract of version 1"),
        ('{"schema_version": 1}', "model: Field required"),
        (to_json(BASE).replace('"licence"', '"license"'), "license: Unexpected keyword argument"),
        (to_json(BASE).replace('"frame_samples": 320', '"frame_samples": "x"'), "signal.frame_samples: Input should"),
    ],
)
def test_what_is_no_contract_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        from_json(text, "contract.json")


def test_a_missing_and_a_huge_document_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        read_contract(tmp_path / "none.json")
    (tmp_path / "contract.json").write_bytes(b" " * (5 << 20))
    with pytest.raises(ContractError, match="a contract has at most"):
        read_contract(tmp_path)


@given(st.text())
def test_no_text_is_taken_for_a_contract(text: str) -> None:
    with pytest.raises(ContractError, match=r"\A[^\n]*\Z"):
        from_json(text, "x")


def test_the_schema_names_every_field() -> None:
    assert set(json_schema()["properties"]) == set(Contract.__dataclass_fields__)
    assert json_schema()["additionalProperties"] is False


def diff_command(tmp_path: Path, new: Contract, *options: str) -> tuple[int, str]:
    for name, contract in (("old", BASE), ("new", new)):
        (tmp_path / f"{name}.json").write_text(to_json(contract))
    arguments = ["contract", "diff", str(tmp_path / "old.json"), str(tmp_path / "new.json"), *options]
    result = CliRunner().invoke(cli.app, arguments)
    return result.exit_code, result.output


def test_the_command_prints_the_level_and_the_reasons_and_can_fail(tmp_path: Path) -> None:
    tighter = replace(BASE, sla=(Promise("model-inference", "cpu", "P99", 1),))
    code, output = diff_command(tmp_path, tighter)
    assert (code, output.splitlines()[0]) == (0, "minor")
    assert "  minor: model-inference · cpu · P99 is promised within 1 ns" in output
    assert diff_command(tmp_path, tighter, "--at-most", "minor")[0] == 0
    assert diff_command(tmp_path, tighter, "--at-most", "patch")[0] == 1


def test_the_schema_command_prints_json() -> None:
    assert json.loads(CliRunner().invoke(cli.app, ["contract", "schema"]).output) == json.loads(
        json.dumps(json_schema())
    )
