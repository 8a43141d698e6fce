"""Find the claims of a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from voiceflow_ml.claims import mentions
from voiceflow_ml.claims.bare import bare_measures, turned_measures
from voiceflow_ml.claims.claim import Claim
from voiceflow_ml.claims.claimhood import surroundings, weight
from voiceflow_ml.claims.columns import column_unit, listed_units, says_der
from voiceflow_ml.claims.measures import Measure, read_measures
from voiceflow_ml.claims.mentions import Names
from voiceflow_ml.claims.passages import Document, Passage
from voiceflow_ml.claims.percentiles import percentiles_of
from voiceflow_ml.claims.quantities import DER_PERCENT, Quantity
from voiceflow_ml.claims.sentences import sentences
from voiceflow_ml.claims.tokens import Token

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
class _Sentence:
    """One sentence, with what it and the table around it say.

    Attributes:
        tokens: the sentence.
        head: head of its column, label of its row and corner of its table; empty outside of a table.
        measures: its numbers.
        places: what names hold for it, from the nearest outwards: parts of the table, then headings.
        names: the models, targets and stages that there are.
    """

    tokens: Sequence[Token]
    head: tuple[Token, ...]
    measures: Sequence[Measure]
    places: tuple[Sequence[Token], ...]
    names: Names

    @cached_property
    def text(self) -> str:
        """The sentence as one line."""
        return "".join((" " if token.spaced and index else "") + token.text for index, token in enumerate(self.tokens))

    @cached_property
    def says_latency(self) -> bool:
        """Whether it, or its head, speaks of latency."""
        return any(token.lower in _LATENCY_WORDS for token in (*self.tokens, *self.head))

    @cached_property
    def stages_beside(self) -> tuple[str, ...]:
        """The stages that it and its head name."""
        found = (*self._mentions[mentions.stages], *mentions.stages(self.head, self.names))
        return tuple(dict.fromkeys(mention.value for mention in found))

    @cached_property
    def _mentions(self) -> dict[mentions.Reader, list[mentions.Mention]]:
        readers = (mentions.stages, mentions.models, mentions.targets)
        return {reader: reader(self.tokens, self.names) for reader in readers}

    def named(self, measure: Measure, reader: mentions.Reader) -> str:
        """What a number is about: what the sentence names, or else the nearest place that names one alone."""
        said = mentions.nearest(self.tokens, self._mentions[reader], measure, self.measures)
        for place in self.places:
            if said:
                break
            found = {mention.value for mention in reader(place, self.names)}
            # A heading over two stages says of no number which of them it is.
            said = found.pop() if len(found) == 1 else ""
        return said


@dataclass(frozen=True)
class _Finder:
    document: Document
    path: str
    names: Names
    passage: Passage

    def claims(self) -> Iterator[Claim]:
        cell = self.passage.cell
        around = (cell.head, cell.label, cell.corner) if cell is not None else ()
        head = tuple(token for part in around for token in part)
        places = (*around, *reversed(self.passage.headings))
        for tokens in sentences(self.passage.tokens):
            sentence = _Sentence(tokens, head, self._measures(tokens, head), places, self.names)
            yield from self._of_sentence(sentence)

    def _of_sentence(self, sentence: _Sentence) -> Iterator[Claim]:
        tokens, measures = sentence.tokens, sentence.measures
        before, quantity = 0.0, None
        for measure, statistic in zip(measures, percentiles_of(tokens, measures), strict=True):
            said = statistic or _statistic_of(sentence.head)
            around = surroundings(tokens, measure, measures, sentence.head)
            before = before if measure.unit.quantity is quantity else 0.0
            before, quantity = weight(measure, said, around, before), measure.unit.quantity
            if before > 0:
                yield self._claim(sentence, measure, said)

    def _measures(self, tokens: Sequence[Token], head: Sequence[Token]) -> list[Measure]:
        cell = self.passage.cell
        default = column_unit(cell, tokens) if cell is not None else None
        with_units = read_measures(tokens, default)
        if cell is not None and default is not None:
            # In "14.2 (5.1 + 4.0)" the parts in parentheses are details of the number before them.
            opened = next((index for index, token in enumerate(tokens) if token.text == "("), len(tokens))
            with_units = _by_place([measure for measure in with_units if measure.first < opened], cell.head)
        found = [*with_units, *bare_measures(tokens), *turned_measures(tokens)]
        unique = {measure.first: measure for measure in reversed(found)}
        return [_as_der(tokens, head, unique[first]) for first in sorted(unique)]

    def _claim(self, sentence: _Sentence, measure: Measure, statistic: str) -> Claim:
        line, column = self.document.places.line_and_column(measure.start)
        return Claim(
            path=self.path,
            line=line,
            column=column,
            start=measure.start,
            end=measure.end,
            # What a badge says does not stand in the document as it is read.
            text=sentence.text if self.passage.badge else self.document.text[measure.start : measure.end],
            quantity=measure.unit.quantity,
            low=measure.low,
            high=measure.high,
            unit=measure.unit.name,
            scale=measure.unit.scale,
            comparator=measure.comparator,
            half_step=measure.half_step,
            statistic=statistic,
            stage=sentence.named(measure, mentions.stages),
            stages_beside=sentence.stages_beside,
            model=sentence.named(measure, mentions.models),
            target=sentence.named(measure, mentions.targets),
            calls_it_latency=sentence.says_latency or bool(statistic),
            sentence=sentence.text[:_MOST_OF_A_SENTENCE],
            block=self.passage.block,
            passage_line=self.passage.line,
            table=self.passage.cell is not None,
        )


def _by_place(measures: Sequence[Measure], head: Sequence[Token]) -> list[Measure]:
    """``0.90 / 419`` below "recall / QPS": each number has the unit of its own part of the head, or is no measure."""
    units = listed_units(head)
    found = []
    for measure in measures:
        listed = measure.places == len(units) > 1
        unit = units[measure.place] if listed else measure.unit
        if unit is not None:
            found.append(replace(measure, unit=unit))
    return found


def _as_der(tokens: Sequence[Token], head: Sequence[Token], measure: Measure) -> Measure:
    """A percentage in a sentence about DER, or below such a head, is one."""
    is_percent = measure.unit.name == "%" and measure.unit.quantity is Quantity.RATIO
    return replace(measure, unit=DER_PERCENT) if is_percent and says_der((*head, *tokens)) else measure


def _statistic_of(head: Sequence[Token]) -> str:
    found = mentions.statistics(head)
    return found[0].value if found else ""
