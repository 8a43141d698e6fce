from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.export.docs import BLOCK, PAGE, RESULTS, block
from benchmarks.export.making import Made
from benchmarks.export.rows import Row, _timing, measured_row, table
from benchmarks.marked import filled

from tests.unit.result_set import run_of
from voiceflow_ml.export import load_speech
from voiceflow_ml.export.tuning import judged


def row(name: str, speedup: float | None, low: float | None, high: float | None) -> Row:
    return Row(
        name,
        2_500_000,
        0.3,
        speedup,
        low,
        high,
        "wall clock",
        4_000_000,
        1_600_000,
        {"dev": 20.4},
        {"rooms": 31.25},
        1.5,
        0.98,
    )


def test_the_table_has_one_line_for_each_variant() -> None:
    lines = table(
        [row("fp32", None, None, None), row("int8", 2.5, 2.4, 2.6), row("fp16", 1.0, None, None)]
    ).splitlines()
    assert lines[0] == (
        "| variant | size | of fp32 | faster than fp32 | local DER, dev | DER, rooms | decided otherwise "
        "| least cosine |"
    )
    assert lines[2:] == [
        "| fp32 | 2.50 MB | 0.30 |  | 20.40 % | 31.25 % | 1.50 % | 0.9800 |",
        "| int8 | 2.50 MB | 0.30 | 2.50x [2.40, 2.60] | 20.40 % | 31.25 % | 1.50 % | 0.9800 |",
        "| fp16 | 2.50 MB | 0.30 | 1.00x [?, ?] | 20.40 % | 31.25 % | 1.50 % | 0.9800 |",
    ]


def test_a_speedup_is_the_portable_files_time_over_the_variants() -> None:
    variant, portable = (np.full(400, value, dtype=np.int64) + np.arange(400) % 7 for value in (1_000_000, 2_500_000))
    timing = _timing(judged(run_of(variant), run_of(portable)))
    assert round(timing["speedup"], 3) == 2.5
    assert (timing["portable_ns"], timing["median_ns"]) == (2_500_003, 1_000_003)


def test_a_variant_that_cannot_be_made_has_a_line_that_says_why() -> None:
    refused = measured_row(Made("int8", None, refused="nothing to quantise"), Path("x.onnx"), load_speech(None), print)
    noted = replace(row("fp16", 1.0, 0.9, 1.1), note="3 of 4 parts", refused="differs from torch")
    lines = table([row("fp32", None, None, None), refused, noted]).splitlines()
    assert lines[3] == "| int8 | refused | | | | | | |"
    assert lines[5:] == [
        "",
        "- fp16: 3 of 4 parts",
        "- int8 is refused: nothing to quantise",
        "- fp16 is refused: differs from torch",
    ]


def test_the_page_shows_the_committed_results() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, BLOCK, block(results)) == page
    assert results["model_sha256"][:16] in page
