"""Precision and recall of the claims parser on both parts of the corpus.

python -m benchmarks.claims                                  # prints them
python -m benchmarks.claims --json benchmarks/claims/results.json

The part kept apart was written before the parser, and nothing is changed because of what is missed in it: fix what is
wrong on the development part (``--misses`` lists it), then score the other. ``scored`` in the JSON counts how often
that was done.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.claims.scoring import PARTS, Score, misses, score_part
from voiceflow_ml.files import write_text_atomic

RESULTS = Path(__file__).parent / "results.json"


def result_of(score: Score) -> dict[str, Any]:
    """A part's score as JSON values; which claims were missed is left out, so that nobody tunes on them."""
    content = asdict(score)
    missed, wrong = content.pop("missed"), content.pop("wrong")
    found = max(1, score.found)
    return {
        **content,
        "missed": len(missed),
        "wrong": len(wrong),
        "precision_fraction": round(score.precision, 4),
        "recall_fraction": round(score.recall, 4),
        "unit_agreement_fraction": round(score.units / found, 4),
        "statistic_agreement_fraction": round(score.statistics / found, 4),
        "comparator_agreement_fraction": round(score.comparators / found, 4),
    }


def main() -> None:
    """Score, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the scores here, too")
    parser.add_argument("--misses", action="store_true", help="list what is wrong on the development part")
    arguments = parser.parse_args()
    scores = {part: score_part(part) for part in PARTS}
    for part, score in scores.items():
        print(
            f"{part}: precision {score.precision:.3f}, recall {score.recall:.3f} ({score.claims} claims, "
            f"{score.lookalikes} look-alikes of which {score.lookalikes_taken} were taken, {score.documents} documents)"
        )
    if arguments.misses:
        print(*misses(scores["development"]), sep="\n")
    if arguments.json is not None:
        before = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else {}
        content = {**{part: result_of(score) for part, score in scores.items()}, "scored": before.get("scored", 0) + 1}
        write_text_atomic(arguments.json, json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
