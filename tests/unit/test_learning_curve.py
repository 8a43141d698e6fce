from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceflow_ml.commands.learning_curve import draw_curves
from voiceflow_ml.errors import TrainingError
from voiceflow_ml.training.curve import CurvePoint, DevPoint, read_curve, write_curve

CURVE = [CurvePoint(20 * n, 1.5 * n, 3.0 / n, 2.0 / n, 5.0 / n, 1e-3) for n in range(1, 21)]
DEV = [
    DevPoint(100, 9.0, 0.6, 0.3, 0.2, 0.1),
    DevPoint(200, 18.0, 0.45, 0.2, 0.1, 0.15),
    DevPoint(400, 36.0, 0.5, 0.2, 0.1, 0.2),
]
rates = st.floats(0.0, 1e6, allow_nan=False)


def test_curves_survive_their_files_to_the_last_digit(tmp_path: Path) -> None:
    write_curve(tmp_path / "curve.csv", CURVE, CurvePoint)
    write_curve(tmp_path / "dev.csv", DEV, DevPoint)
    assert read_curve(tmp_path / "curve.csv", CurvePoint) == CURVE
    assert read_curve(tmp_path / "dev.csv", DevPoint) == DEV
    assert (tmp_path / "dev.csv").read_text().splitlines()[0] == "step,seconds,local_der,missed,false_alarm,confused"
    assert read_curve(tmp_path / "none.csv", DevPoint) == []


@pytest.mark.parametrize("content", ["step,seconds\n1,2\n", "step,seconds\nx,1\n"])
def test_a_damaged_curve_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "curve.csv").write_text(content)
    with pytest.raises(TrainingError, match=r"curve\.csv: damaged learning curve"):
        read_curve(tmp_path / "curve.csv", CurvePoint)


def test_a_curve_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="learning curve cannot be written"):
        write_curve(tmp_path / "file" / "curve.csv", CURVE, CurvePoint)


def test_the_picture_shows_losses_errors_and_the_best_of_them() -> None:
    drawing = draw_curves(CURVE, DEV)
    texts = [element.text for element in ET.fromstring(drawing.standalone()).iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("segmentation loss", "speaker loss", "local DER on dev speakers, %", "45.0 % at step 200"):
        assert expected in texts
    assert "Over 400 optimizer steps: segmentation loss from 2 to 0.1" in drawing.description
    assert draw_curves(CURVE, []).height < drawing.height


def test_the_same_curve_gives_the_same_bytes() -> None:
    assert draw_curves(CURVE, DEV).standalone() == draw_curves(list(CURVE), list(DEV)).standalone()


@given(st.lists(st.tuples(st.integers(1, 10**6), rates, rates, st.floats(0.0, 3.0)), min_size=1, max_size=6))
def test_any_curve_can_be_drawn_and_stays_inside_the_picture(rows: list[tuple[int, float, float, float]]) -> None:
    curve = [CurvePoint(step, 1.0, first, first, second, 1e-3) for step, first, second, _ in sorted(rows)]
    dev = [DevPoint(step, 1.0, der, 0.0, 0.0, der) for step, _, _, der in sorted(rows)]
    drawing = draw_curves(curve, dev)
    for element in ET.fromstring(drawing.standalone()).iter():
        for name, limit in (("x", 480), ("x1", 480), ("x2", 480), ("y", drawing.height), ("y1", drawing.height)):
            if name in element.attrib:
                assert 0 <= float(element.attrib[name]) <= limit
