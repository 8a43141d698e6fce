from __future__ import annotations

from xml.etree import ElementTree

from voiceflow_ml.reporting.timeline import Track, matched, timeline
from voiceflow_ml.rttm import Turn

REFERENCE = Track("reference", (Turn("ann", 0.0, 4.0), Turn("bob", 4.5, 3.0)))
HYPOTHESIS = Track("hypothesis", (Turn("SPEAKER_01", 4.4, 3.0), Turn("SPEAKER_00", 0.1, 4.5), Turn("x", 9.0, 0.001)))


def bars(svg: str) -> dict[str, str]:
    """Class of the bars of each row's name."""
    root = ElementTree.fromstring(svg)
    elements = list(root.iter())
    found = {}
    for name, shape in zip(elements, elements[2:], strict=False):
        if name.tag.endswith("text") and shape.tag.endswith("path"):
            found[name.text or ""] = shape.get("class", "")
    return found


def test_every_speaker_has_a_row_and_matches_share_a_colour() -> None:
    matches = matched([REFERENCE, HYPOTHESIS])
    assert matches == {"SPEAKER_00": "ann", "SPEAKER_01": "bob"}
    drawn = bars(timeline("talk", [REFERENCE, HYPOTHESIS], 10.0, matches=matches).standalone())
    assert drawn == {"ann": "s0", "bob": "s1", "SPEAKER_00": "s0", "SPEAKER_01": "s1", "x": "s2"}


def test_the_same_turns_give_the_same_bytes_and_turns_lie_in_time() -> None:
    first = timeline("talk", [REFERENCE], 10.0).standalone()
    assert first == timeline("talk", [REFERENCE], 10.0).standalone()
    # 118 px is second 0, 458 px second 10.
    assert 'd="M118 54h136v12H118z"' in first


def test_a_recording_without_speech_says_so() -> None:
    svg = timeline("talk", [Track("hypothesis", ())], 10.0).standalone()
    assert "nobody speaks" in svg
    ElementTree.fromstring(svg)


def test_names_do_not_break_out_and_long_ones_are_cut() -> None:
    svg = timeline("<b>", [Track("hypothesis", (Turn("<script>&" + "a" * 40, 0.0, 1.0),))], 2.0).standalone()
    ElementTree.fromstring(svg)
    assert "<script" not in svg
    assert "a" * 16 not in svg


def test_long_recordings_have_clock_times() -> None:
    assert ">10:00<" in timeline("talk", [REFERENCE], 1_800.0).standalone()
    assert ">1:00:00<" in timeline("talk", [REFERENCE], 10_800.0).standalone()
    assert ">5 s<" not in timeline("talk", [REFERENCE], 1_800.0).standalone()


def test_the_most_time_together_decides_and_each_name_is_used_once() -> None:
    one = Track("hypothesis", (Turn("all", 0.0, 8.0), Turn("late", 4.5, 1.0)))
    assert matched([REFERENCE, one]) == {"all": "ann", "late": "bob"}
    assert matched([REFERENCE]) == {}
