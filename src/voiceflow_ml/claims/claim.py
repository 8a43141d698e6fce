"""A claim: one promised number in a document."""

from __future__ import annotations

from dataclasses import dataclass

from voiceflow_ml.claims.quantities import Comparator, Quantity


@dataclass(frozen=True)
class Claim:
    """One promised number, where it stands and what its context says that it is about.

    Attributes:
        path: the document, as it was named.
        line: from 1.
        column: from 1.
        start: place in the document, in characters from 0.
        end: one past its last character.
        text: as written.
        quantity: what it measures.
        low: the value, or the lower end of a range, in ``unit``.
        high: the upper end of a range; None for a single value.
        unit: its name.
        scale: base units in one ``unit``: nanoseconds, bytes, a second's worth, percent.
        comparator: how it is meant.
        half_step: half a unit of the last digit written, in ``unit``.
        statistic: ``"P99"``, ``"mean"``, ``"max"``; empty where nothing says.
        stage: a stage; empty where nothing says.
        stages_beside: the stages that its own sentence, column or row names; a heading's are farther away.
        model: the model that its context names; empty for none.
        target: the target that its context names; empty for none.
        calls_it_latency: its sentence says "latency" or a percentile, and so would need a stage.
        sentence: what was read, for messages.
        block: number of its paragraph, list or table.
        passage_line: first line of its paragraph, item or row.
        table: it stands in a table.
    """

    path: str
    line: int
    column: int
    start: int
    end: int
    text: str
    quantity: Quantity
    low: float
    high: float | None
    unit: str
    scale: float
    comparator: Comparator
    half_step: float
    statistic: str = ""
    stage: str = ""
    stages_beside: tuple[str, ...] = ()
    model: str = ""
    target: str = ""
    calls_it_latency: bool = False
    sentence: str = ""
    block: int = 0
    passage_line: int = 0
    table: bool = False

    @property
    def where(self) -> str:
        """``"README.md:12:7"``."""
        return f"{self.path}:{self.line}:{self.column}"
