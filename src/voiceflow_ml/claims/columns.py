"""What a table's heads and labels say about the numbers below and beside them."""

from __future__ import annotations

from collections.abc import Sequence

from voiceflow_ml.claims.passages import Cell
from voiceflow_ml.claims.quantities import BARE_RTF, DER_PERCENT, RATES, Quantity, Unit
from voiceflow_ml.claims.tokens import Kind, Token
from voiceflow_ml.claims.units_read import read_unit

_OPENS = frozenset({"(", "[", ",", "in"})
_DER = frozenset({"der"})


def says_der(tokens: Sequence[Token]) -> bool:
    """Whether the diarization error rate is named."""
    lower = [token.lower for token in tokens]
    return not _DER.isdisjoint(lower) or "diarization error" in " ".join(lower)


def says_rtf(tokens: Sequence[Token]) -> bool:
    """Whether the real-time factor is named."""
    lower = " ".join(token.lower for token in tokens if token.text != "-")
    return "rtf" in lower.split() or "real time factor" in lower or "realtime factor" in lower


def column_unit(cell: Cell, tokens: Sequence[Token]) -> Unit | None:
    """The unit of bare numbers in a cell: what the head of its column says, its row's label, or the table's corner.

    Args:
        cell: where it stands.
        tokens: what it holds; the first column holds names, unless it holds numbers alone.
    """
    if cell.column == 0:
        alone = all(token.kind in (Kind.NUMBER, Kind.SYMBOL) for token in tokens)
        return _stated(cell.head) if alone else None
    return _stated(cell.head) or _stated(cell.label) or _stated(cell.corner)


def _stated(tokens: Sequence[Token]) -> Unit | None:
    if says_rtf(tokens):
        return BARE_RTF
    if says_der(tokens):
        return DER_PERCENT
    for index, token in enumerate(tokens):
        opened = index == 0 or tokens[index - 1].lower in _OPENS
        unit = read_unit(tokens, index) if opened and token.kind is Kind.WORD else None
        if unit is not None and unit[0].quantity in (Quantity.LATENCY, Quantity.THROUGHPUT, Quantity.SIZE):
            # "s" alone is a column's name, "(s)" its unit.
            return unit[0] if index or unit[0].quantity is Quantity.THROUGHPUT else None
        if token.lower in RATES:
            return RATES[token.lower]
    return None


def listed_units(head: Sequence[Token]) -> tuple[Unit | None, ...]:
    """The units of a head that lists several, such as "recall / QPS"; nothing for one that does not."""
    parts: list[list[Token]] = [[]]
    for token in head:
        if token.text == "/" and token.spaced:
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(map(_stated, parts)) if len(parts) > 1 else ()
