"""Find the claims of a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from voiceflow_ml.claims import mentions
from voiceflow_ml.claims.bare import bare_measures, turned_measures
from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.claimhood import surroundings, weight
from voiceflow_ml.claims.columns import column_unit, says_der
from voiceflow_ml.claims.measures import Measure, read_measures
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import Document, Passage
from voiceflow_ml.claims.percentiles import percentiles_of
from voiceflow_ml.claims.quantities import DER_PERCENT, Quantity
from voiceflow_ml.claims.sentences import sentences
from voiceflow_ml.claims.tokens import Kind, Token

_LATENCY_WORDS = frozenset({"latency", "latencies"})
_MOST_OF_A_SENTENCE = 160


def find_claims(document: Document, path: str, names: Names) -> tuple[Claim, ...]:
    """The claims of a document, in order.

    Args:
        document: the document, read.
        path: what to call it.
        names: the models, targets and stages that claims can be about.
    """
    found = [claim for passage in document.passages for claim in _Finder(document, path, names, passage).claims()]
    return tuple(sorted(_without_echoes(found), key=lambda claim: (claim.start, claim.low)))


def _without_echoes(found: Sequence[Claim]) -> list[Claim]:
    """Two of the same at one place are one: what a badge says twice."""
    return list({(claim.start, claim.low, claim.high, claim.unit): claim for claim in found}.values())


@dataclass(frozen=True)
class _Finder:
    document: Document
    path: str
    names: Names
    passage: Passage

    def claims(self) -> Iterator[Claim]:
        cell = self.passage.cell
        head = (*cell.head, *cell.label, *cell.corner) if cell is not None else ()
        for tokens in sentences(self.passage.tokens):
            measures = self._measures(tokens, head)
            before, quantity = 0.0, None
            for measure, statistic in zip(measures, percentiles_of(tokens, measures), strict=True):
                said = statistic or _statistic_of(head)
                around = surroundings(tokens, measure, measures, head)
                before = before if measure.unit.quantity is quantity else 0.0
                before, quantity = weight(measure, said, around, before), measure.unit.quantity
                if before > 0:
                    yield self._claim(tokens, measure, measures, said, head)

    def _measures(self, tokens: Sequence[Token], head: Sequence[Token]) -> list[Measure]:
        cell = self.passage.cell
        default = column_unit(cell, tokens) if cell is not None else None
        with_units = read_measures(tokens, default)
        if cell is not None and default is not None:
            # In "14.2 (5.1 + 4.0)" the parts in parentheses are details of the number before them.
            opened = next((index for index, token in enumerate(tokens) if token.text == "("), len(tokens))
            with_units = [measure for measure in with_units if measure.first < opened]
        found = [*with_units, *bare_measures(tokens), *turned_measures(tokens)]
        unique = {measure.first: measure for measure in reversed(found)}
        return [_as_der(tokens, head, unique[first]) for first in sorted(unique)]

    def _claim(
        self,
        tokens: Sequence[Token],
        measure: Measure,
        measures: Sequence[Measure],
        statistic: str,
        head: Sequence[Token],
    ) -> Claim:
        text = self.document.text
        line, column = self.document.places.line_and_column(measure.start)
        words = {token.lower for token in (*tokens, *head)}
        stated = self.passage.badge or self.passage.tokens == ()
        return Claim(
            path=self.path,
            line=line,
            column=column,
            start=measure.start,
            end=measure.end,
            text=text[measure.start : measure.end] if not stated else _joined(tokens),
            quantity=measure.unit.quantity,
            low=measure.low,
            high=measure.high,
            unit=measure.unit.name,
            scale=measure.unit.scale,
            comparator=measure.comparator,
            half_step=measure.half_step,
            statistic=statistic,
            stage=self._named(tokens, measure, measures, mentions.stages),
            stages_beside=self._stages_beside(tokens, head),
            model=self._named(tokens, measure, measures, mentions.models),
            target=self._named(tokens, measure, measures, mentions.targets),
            calls_it_latency=bool(words & _LATENCY_WORDS) or bool(statistic),
            sentence=_joined(tokens)[:_MOST_OF_A_SENTENCE],
            block=self.passage.block,
            passage_line=self.passage.line,
            table=self.passage.cell is not None,
        )

    def _stages_beside(self, tokens: Sequence[Token], head: Sequence[Token]) -> tuple[str, ...]:
        found = [mention.value for part in (tokens, head) for mention in mentions.stages(part, self.names)]
        return tuple(dict.fromkeys(found))

    def _named(
        self, tokens: Sequence[Token], measure: Measure, measures: Sequence[Measure], reader: mentions.Reader
    ) -> str:
        """What the sentence names, or else the column, the row, and the headings from the nearest outwards."""
        said = mentions.nearest(tokens, reader(tokens, self.names), measure, measures)
        cell = self.passage.cell
        around = [cell.head, cell.label, cell.corner] if cell is not None else []
        for place in (*around, *reversed(self.passage.headings)):
            if said:
                break
            found = {mention.value for mention in reader(place, self.names)}
            # A heading over two stages says of no number which of them it is.
            said = found.pop() if len(found) == 1 else ""
        return said


def _as_der(tokens: Sequence[Token], head: Sequence[Token], measure: Measure) -> Measure:
    """A percentage in a sentence about DER, or below such a head, is one."""
    is_percent = measure.unit.name == "%" and measure.unit.quantity is Quantity.RATIO
    return replace(measure, unit=DER_PERCENT) if is_percent and says_der((*head, *tokens)) else measure


def _statistic_of(head: Sequence[Token]) -> str:
    found = mentions.statistics(head)
    return found[0].value if found else ""


def _joined(tokens: Sequence[Token]) -> str:
    parts = [(" " if token.spaced and index else "") + token.text for index, token in enumerate(tokens)]
    return "".join(parts) if tokens and tokens[0].kind is not Kind.OPAQUE else "".join(parts).strip()
