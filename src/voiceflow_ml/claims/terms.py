"""Words that hide which stage a number is of. A latency without its stage says nothing that can be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.directives import Bound
from voiceflow_ml.claims.mentions import Names, stages
from voiceflow_ml.claims.passages import Document
from voiceflow_ml.claims.quantities import Quantity
from voiceflow_ml.sla.objectives import Stage

_MIXED = frozenset({Stage.MODEL_INFERENCE.value, Stage.END_TO_END.value})


@dataclass(frozen=True)
class Remark:
    """Something to put right that is no number.

    Attributes:
        path: the document.
        line: from 1.
        column: from 1.
        message: what is wrong, by name, and what would be right.
        fails: it fails an audit that is not strict, too.
    """

    path: str
    line: int
    column: int
    message: str
    fails: bool = False

    @property
    def where(self) -> str:
        """``"README.md:12:7"``."""
        return f"{self.path}:{self.line}:{self.column}"


def audit_terms(bounds: Sequence[Bound], document: Document, names: Names) -> Iterator[Remark]:
    """What a document's latencies leave open about their stage.

    Args:
        bounds: its claims, with the comments about them.
        document: the document.
        names: the stages that there are, as people write them.
    """
    spoken = _spoken(document, names)
    latencies = [bound for bound in bounds if bound.claim.quantity is Quantity.LATENCY and _needs_stage(bound)]
    sentences = Counter(bound.claim.sentence for bound in latencies)
    for bound in latencies:
        claim, beside = bound.claim, bound.claim.stages_beside
        bound_to = bound.directive.stage if bound.directive is not None else ""
        if bound_to and beside and bound_to not in beside:
            called, about = _in_words(beside[0]), _in_words(bound_to)
            yield _remark(
                claim, f"{claim.text} is called {called}, its comment binds it to {about}: one of them is wrong"
            )
        elif not bound_to and set(beside) == _MIXED and sentences[claim.sentence] == 1 and not claim.table:
            mixed = f'model inference and end-to-end are mixed under one word, "{_word(claim)}"'
            yield _remark(claim, f"{mixed}, for {claim.text}: say which")
        elif not bound_to and not claim.stage and claim.calls_it_latency and len(spoken) > 1:
            listed = ", ".join(f"{_in_words(stage)} (line {line})" for stage, line in spoken.items())
            yield _remark(
                claim,
                f'{claim.text} is called "{_word(claim)}" without a stage, in a text that has {listed}: say which',
            )


def _needs_stage(bound: Bound) -> bool:
    return bound.directive is None or not (bound.directive.reason or bound.directive.pointers)


def _spoken(document: Document, names: Names) -> dict[str, int]:
    """The stages that a document names, each with the first line that does."""
    found: dict[str, int] = {}
    for passage in document.passages:
        for mention in stages(passage.tokens, names):
            line, _ = document.places.line_and_column(passage.tokens[mention.first].start)
            found.setdefault(mention.value, line)
    return found


def _word(claim: Claim) -> str:
    return claim.statistic or "latency"


def _in_words(stage: str) -> str:
    return stage if stage == Stage.END_TO_END else stage.replace("-", " ")


def _remark(claim: Claim, message: str) -> Remark:
    return Remark(claim.path, claim.line, claim.column, message)
