from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.errors import DataError
from voiceflow_ml.models.shipped import shipped_speech_rttm_path
from voiceflow_ml.rttm import Turn, format_rttm, parse_rttm, read_rttm

names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
milliseconds = st.integers(0, 100_000_000)
turns = st.builds(
    lambda who, start, length: Turn(who, start / 1000, (length + 1) / 1000), names, milliseconds, milliseconds
)


def test_lines_are_in_order_of_time_whatever_the_order_of_turns() -> None:
    text = format_rttm([Turn("bob", 2.0, 0.5), Turn("ann", 0.2, 1.0)], "talk")
    assert text == (
        "SPEAKER talk 1 0.200 1.000 <NA> <NA> ann <NA> <NA>\nSPEAKER talk 1 2.000 0.500 <NA> <NA> bob <NA> <NA>\n"
    )
    assert format_rttm([], "talk") == ""


@given(st.lists(turns, max_size=8), names)
def test_what_is_written_is_read_again_to_the_millisecond(written: list[Turn], recording: str) -> None:
    read = parse_rttm(format_rttm(written, recording), "x").get(recording, ())
    assert sorted((t.speaker, round(1000 * t.start_s), round(1000 * t.duration_s)) for t in read) == sorted(
        (t.speaker, round(1000 * t.start_s), round(1000 * t.duration_s)) for t in written
    )


def test_a_turn_too_short_for_the_format_stays_a_turn() -> None:
    ((turn,),) = parse_rttm(format_rttm([Turn("ann", 1.0, 1e-6)], "talk"), "x").values()
    assert turn == Turn("ann", 1.0, 0.001)


def test_other_lines_and_missing_last_fields_are_passed_over() -> None:
    text = (
        ";; a comment\n\nSPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA>\n"
        "SPEAKER a 1 1.5 2 <NA> <NA> ann\nSPEAKER b 1 0 1e-1 <NA> <NA> ann <NA> <NA>\n"
    )
    assert parse_rttm(text, "x") == {"a": (Turn("ann", 1.5, 2.0),), "b": (Turn("ann", 0.0, 0.1),)}


def test_the_shipped_reference_is_read() -> None:
    (speech,) = read_rttm(shipped_speech_rttm_path()).values()
    assert len({turn.speaker for turn in speech}) == 2
    assert all(turn.duration_s > 0.0 and turn.end_s < 16.0 for turn in speech)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER a 1 0 1 <NA> <NA>", "line 2: a SPEAKER line has at least 8 fields, got 7"),
        ("SPEAKER a 1 zero 1 <NA> <NA> ann", "line 2: could not convert string to float: 'zero'"),
        ("SPEAKER a 1 -1 1 <NA> <NA> ann", "line 2: a turn must start at a finite time of at least 0 s, got -1.0"),
        ("SPEAKER a 1 0 nan <NA> <NA> ann", "line 2: a turn must last a finite time of more than 0 s, got nan"),
        ("SPEAKER a 1 0 0 <NA> <NA> ann", "line 2: a turn must last a finite time of more than 0 s, got 0.0"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.rttm"
    path.write_text(f";; first\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_rttm(path)


def test_files_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such RTTM file"):
        read_rttm(tmp_path / "none.rttm")
    (tmp_path / "bytes.rttm").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_rttm(tmp_path / "bytes.rttm")
    with pytest.raises(DataError, match="cannot be read"):
        read_rttm(tmp_path)


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "a\u00a0b"])
def test_names_that_would_break_a_line_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="must not be empty nor hold blanks"):
        Turn(name, 0.0, 1.0)
    with pytest.raises(DataError, match="must not be empty nor hold blanks"):
        format_rttm([], name)
