"""DER of whole recordings with the shipped model alone, and what a stream loses against them: docs/models.md.

::

    voiceflow data prepare
    voiceflow data simulate --split test --count 40 --seconds 60 --seed 1 --out data/sim-test
    python -m benchmarks.models.whole --data data/speech --simulated data/sim-test

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
LATENCIES_S = (2, 5, 10, 20)


def main() -> None:
    """Score every set as a whole and as streams; write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/speech"), help="what `voiceflow data prepare` filled")
    parser.add_argument("--simulated", type=Path, default=Path("data/sim-test"), help="conversations of test voices")
    options = parser.parse_args()
    meetings = options.data / "meetings"
    sets = {
        "meetings, test": meetings / "test",
        "meetings, dev": meetings / "dev",
        "two-speaker sample of pyannote.audio": meetings / "sample",
        "shipped exchange": shipped_speech_path(),
        "simulated, test voices": options.simulated,
    }
    results = {name: scored(path) for name, path in sets.items()}
    write_text_atomic(RESULTS, json.dumps(results, indent=1) + "\n")
    fill_page(PAGE, BLOCK, render(results))
    print(render(results))


def scored(path: Path) -> dict[str, Any]:
    """DER of a set, in percent, as a whole and at each latency.

    Args:
        path: a folder of recordings, or one, each with an RTTM file beside it.
    """
    pairs = find_pairs([path])
    ders = {}
    for latency_s in (None, *LATENCIES_S):
        online = None if latency_s is None else OnlineConfig(latency_s=latency_s)
        files = tuple(evaluate(pairs, open_diarizer(online=online), Rules()))
        der = Evaluation(files, Rules()).total.der
        if der is None:
            raise SystemExit(f"{path}: no reference speech")
        ders["whole" if latency_s is None else f"{latency_s} s"] = round(100 * der, 2)
        print(f"{path.name}, latency {latency_s}: {100 * der:.2f} %", file=sys.stderr, flush=True)
    return {"recordings": len(pairs), "seconds": round(sum(file.seconds for file in files)), "der_percent": ders}


def render(results: Mapping[str, Any]) -> str:
    """The table, a row for each set."""
    head = ["DER", "whole", *(f"stream, {latency_s} s" for latency_s in LATENCIES_S)]
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
