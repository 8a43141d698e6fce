"""DER of whole recordings with the shipped model alone, and of the same heard as streams: docs/models.md.

::

    voiceflow data prepare
    voiceflow data simulate --split test --count 40 --seconds 60 --seed 1 --out data/sim-test
    voiceflow data simulate --split test --count 4 --seconds 600 --seed 2 --out data/sim-long
    python -m benchmarks.models.whole --data data/speech --simulated data/sim-test --long data/sim-long

Writes benchmarks/models/whole.json and the table of the page. One thread; needs the ``evaluate`` extra.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.marked import fill_page, table
from voiceflow_ml.diarization.diarizer import open_diarizer
from voiceflow_ml.diarization.evaluation import Evaluation, evaluate, find_pairs
from voiceflow_ml.diarization.online import OnlineConfig
from voiceflow_ml.diarization.scoring import Rules
from voiceflow_ml.files import write_text_atomic
from voiceflow_ml.models.shipped import shipped_speech_path

RESULTS = Path(__file__).parent / "whole.json"
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BLOCK = "whole-recordings"
HEARD: Mapping[str, OnlineConfig | None] = {
    "whole": None,
    "stream, 2 s, corrected": OnlineConfig(latency_s=2.0),
    **{f"as said first, {latency_s} s": OnlineConfig(latency_s=latency_s, correct_s=0.0) for latency_s in (2, 20)},
}
"""The columns: how recordings are heard."""


def main() -> None:
    """Score every set as a whole and as streams; write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/speech"), help="what `voiceflow data prepare` filled")
    parser.add_argument("--simulated", type=Path, default=Path("data/sim-test"), help="conversations of test voices")
    parser.add_argument("--long", type=Path, default=Path("data/sim-long"), help="long conversations of test voices")
    options = parser.parse_args()
    meetings = options.data / "meetings"
    sets = {
        "meetings, test": meetings / "test",
        "meetings, dev": meetings / "dev",
        "two-speaker sample of pyannote.audio": meetings / "sample",
        "shipped exchange": shipped_speech_path(),
        "simulated, test voices": options.simulated,
        "simulated, test voices, long": options.long,
    }
    results = {name: scored(path) for name, path in sets.items()}
    write_text_atomic(RESULTS, json.dumps(results, indent=1) + "\n")
    fill_page(PAGE, BLOCK, render(results))
    print(render(results))


def scored(path: Path) -> dict[str, Any]:
    """DER of a set, in percent, heard in each way.

    Args:
        path: a folder of recordings, or one, each with an RTTM file beside it.
    """
    pairs = find_pairs([path])
    ders = {}
    for how, online in HEARD.items():
        files = tuple(evaluate(pairs, open_diarizer(online=online), Rules()))
        der = Evaluation(files, Rules()).total.der
        if der is None:
            raise SystemExit(f"{path}: no reference speech")
        ders[how] = round(100 * der, 2)
        print(f"{path.name}, {how}: {100 * der:.2f} %", file=sys.stderr, flush=True)
    return {"recordings": len(pairs), "seconds": round(sum(file.seconds for file in files)), "der_percent": ders}


def render(results: Mapping[str, Any]) -> str:
    """The table, a row for each set."""
    head = ["DER", *HEARD]
    rows = [
        [
            f"{name} ({found['recordings']} x {found['seconds'] / found['recordings']:.0f} s)",
            *(f"{der:.2f} %" for der in found["der_percent"].values()),
        ]
        for name, found in results.items()
    ]
    return table(head, rows)


if __name__ == "__main__":
    main()
