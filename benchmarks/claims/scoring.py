"""Score what is found in a part of the corpus against its labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.find import find_claims
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import read_document

CORPUS = Path(__file__).parents[2] / "tests" / "claims_corpus"
PARTS = ("development", "kept_apart")

Label = Mapping[str, Any]


@dataclass
class Score:
    """What a part of the corpus gave.

    Attributes:
        documents: how many documents it has.
        claims: labelled claims.
        lookalikes: labelled numbers that look like claims and are none.
        found: labelled claims that were found, at their place, with their values and quantity.
        missed: labelled claims that were not, in words.
        wrong: what was found and is no claim, or was found with another value or quantity, in words.
        lookalikes_taken: how many look-alikes were taken for claims.
        units, statistics, comparators: of those found, how many have the labelled unit, percentile and comparator.
    """

    documents: int = 0
    claims: int = 0
    lookalikes: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lookalikes_taken: int = 0
    units: int = 0
    statistics: int = 0
    comparators: int = 0

    @property
    def precision(self) -> float:
        """Of what was found, the share that is labelled so."""
        return self.found / max(1, self.found + len(self.wrong))

    @property
    def recall(self) -> float:
        """Of what is labelled, the share that was found."""
        return self.found / max(1, self.claims)


def score_part(part: str, folder: Path = CORPUS) -> Score:
    """Find the claims of each document of a part and compare them with its labels.

    Args:
        part: one of :data:`PARTS`.
        folder: where the corpus is.
    """
    labels = json.loads((folder / part / "labels.json").read_text(encoding="utf-8"))
    score = Score()
    for name, labelled in labels.items():
        text = (folder / part / name).read_text(encoding="utf-8")
        _add(score, name, find_claims(read_document(text), name, Names()), labelled)
    return score


def _add(score: Score, name: str, found: Sequence[Claim], labelled: Mapping[str, list[Label]]) -> None:
    score.documents += 1
    score.claims += len(labelled["claims"])
    score.lookalikes += len(labelled["lookalikes"])
    left = list(found)
    for label in labelled["claims"]:
        match = next((claim for claim in left if _same(claim, label)), None)
        if match is None:
            score.missed.append(f"{name}:{label['line']}: {label['text']}")
            continue
        left.remove(match)
        score.found += 1
        score.units += _unit_agrees(match, label)
        score.statistics += match.statistic == (label["percentile"] or "")
        score.comparators += match.comparator == label["comparator"]
    score.wrong += [f"{claim.where}: {claim.text} ({claim.quantity})" for claim in left]
    score.lookalikes_taken += sum(1 for claim in left if any(_overlap(claim, one) for one in labelled["lookalikes"]))


def _same(claim: Claim, label: Label) -> bool:
    values = abs(claim.low - label["value"]) < 1e-9 * max(1.0, abs(label["value"])) and claim.high == label["high"]
    return values and claim.quantity == label["quantity"] and _overlap(claim, label)


def _overlap(claim: Claim, label: Label) -> bool:
    return claim.start < int(label["end"]) and int(label["start"]) < claim.end


def _unit_agrees(claim: Claim, label: Label) -> bool:
    return claim.unit.lower().replace("\u00d7", "x") == str(label["unit"]).lower().replace("\u00d7", "x")


def misses(score: Score) -> Iterator[str]:
    """What went wrong, one line each."""
    yield from (f"missed  {line}" for line in score.missed)
    yield from (f"wrong   {line}" for line in score.wrong)
