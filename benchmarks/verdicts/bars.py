"""What must be true of our rule, checked against what was simulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.verdicts.cells import Cell
from benchmarks.verdicts.pairs import PairCell
from voiceflow_ml.latency.binomial import lower_tail, upper_tail

_BOUND_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bar:
    """One bar, and how one cell stands to it."""

    what: str
    where: str
    measured: float
    bar: float
    holds: bool
    clearly_broken: bool


def clopper_pearson(hits: int, runs: int) -> tuple[float, float]:
    """Exact two-sided interval of a rate (Clopper and Pearson 1934)."""
    tail = (1 - _BOUND_CONFIDENCE) / 2
    low = 0.0 if hits == 0 else _root(lambda p: upper_tail(hits, runs, p) > tail)
    high = 1.0 if hits == runs else _root(lambda p: lower_tail(hits, runs, p) < tail)
    return low, high


def _root(beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


def check(cells: Iterable[Cell], looked_often: Iterable[Cell], pairs: Iterable[PairCell]) -> list[Bar]:
    """Every bar on every cell that it applies to; ours only."""
    bars: list[Bar] = []
    for cell in cells:
        if cell.rule == "ours" and cell.sampling == "spread":
            bars += _check_cell(cell)
    for cell in looked_often:
        bars.append(_at_most("MET on the limit, looked at after every block", cell, cell.met, 0.01))
        bars.append(_at_most("BREACHED on the limit, looked at after every block", cell, cell.breached, 0.01))
    for pair in pairs:
        bars += _check_pair(pair)
    return bars


def _check_cell(cell: Cell) -> list[Bar]:
    bars = []
    if cell.covered and cell.distance >= 1.05:
        bars.append(_at_most("MET although 5 % or more over the limit", cell, cell.met, 0.01))
    if cell.covered and cell.distance <= 0.95:
        bars.append(_at_most("BREACHED although 5 % or more under it", cell, cell.breached, 0.01))
    if cell.covered and not cell.flat_tail and cell.distance == 0.9:
        bars.append(_at_least("MET at 10 % under the limit", cell, cell.met, 0.99))
        if cell.quantile == 0.99:
            bars.append(_samples("samples to MET at 10 % under, mean", cell, 2_500))
    if cell.scale_s == 0 and cell.distance == 1.25 and cell.quantile == 0.99:
        bars.append(_at_least("BREACHED at 25 % over, independent", cell, cell.breached, 0.99))
        bars.append(_samples("samples to BREACHED at 25 % over, mean", cell, 600))
    return bars


def _check_pair(pair: PairCell) -> list[Bar]:
    if pair.way != "interleaved":
        return []
    where = f"P{pair.quantile * 100:g} {pair.family}"
    if pair.ratio == 1.0:
        return [_rate("A/A alarms", where, pair.slower, pair.runs, 0.02, at_most=True)]
    if pair.quantile not in (0.5, 0.99):
        return []
    least = 0.85 if pair.quantile == 0.99 else 0.98
    return [_rate(f"+10 % found, P{pair.quantile * 100:g}", where, pair.slower, pair.runs, least, at_most=False)]


def _where(cell: Cell) -> str:
    return f"P{cell.quantile * 100:g} {cell.bound} {cell.family} at {cell.distance}"


def _at_most(what: str, cell: Cell, hits: int, bar: float) -> Bar:
    return _rate(what, _where(cell), hits, cell.runs, bar, at_most=True)


def _at_least(what: str, cell: Cell, hits: int, bar: float) -> Bar:
    return _rate(what, _where(cell), hits, cell.runs, bar, at_most=False)


def _rate(what: str, where: str, hits: int, runs: int, bar: float, *, at_most: bool) -> Bar:
    rate = hits / runs
    low, high = clopper_pearson(hits, runs)
    holds = rate <= bar if at_most else rate >= bar
    return Bar(what, where, rate, bar, holds, low > bar if at_most else high < bar)


def _samples(what: str, cell: Cell, bar: float) -> Bar:
    holds = cell.mean_samples <= bar
    return Bar(what, _where(cell), round(cell.mean_samples, 1), bar, holds, not holds)


def summary(bars: Sequence[Bar]) -> list[str]:
    """One line for each kind of bar: how many hold, and the worst; then one for each that is broken."""
    lines = []
    for what in dict.fromkeys(bar.what for bar in bars):
        kind = [bar for bar in bars if bar.what == what]
        held = sum(bar.holds for bar in kind)
        lines.append(f"{held:>4} of {len(kind):<4} {what} (bar {kind[0].bar:g})")
    for bar in bars:
        if not bar.holds:
            sure = "broken" if bar.clearly_broken else "not held, within simulation error"
            lines.append(f"  {sure}: {bar.what}: {bar.where}: {bar.measured:g} (bar {bar.bar:g})")
    return lines
