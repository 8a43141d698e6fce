from __future__ import annotations

import numpy as np
from benchmarks.export.rows import Row, _timing, table

from tests.unit.result_set import run_of
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
