"""Limits that stand in a test's ``sla`` marker, read from its source: what of them became easier to keep.

Nothing is imported or run: the source of another commit is a stranger's. So a limit that is computed is known by its
text alone, and a marker that comes from another module is not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from voiceflow_ml.errors import ConfigError
from voiceflow_ml.latency.verdict import ClockChannel, statistic_name
from voiceflow_ml.sla.objectives import STATISTICS
from voiceflow_ml.units import format_ns, parse_duration_ns

MARKER = "mark.sla"
"""Stands in every source that this module can read something in."""
_MEASURING = ("clock", "mode", "interval")

_Test = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Marked:
    """One test that is judged.

    Attributes:
        path: of its file, from the root folder.
        test: ``"test_a"``, ``"TestB.test_a"``.
        limits: key of the marker, such as ``"p99"``, -> source of its value; empty when sla.toml has them.
        measuring: the same of ``clock``, ``mode`` and ``interval``.
        targets: that its ``hardware`` marker names; empty where it names none outright.
    """

    path: str
    test: str
    limits: Mapping[str, str]
    measuring: Mapping[str, str]
    targets: tuple[str, ...]

    @property
    def name(self) -> str:
        """``"tests/test_a.py::test_a"``."""
        return f"{self.path}::{self.test}"


def marked_tests(source: str, path: str) -> tuple[Marked, ...]:
    """The tests of one file that have an ``sla`` marker of their own, of their class, or of the whole file.

    Args:
        source: the file's text; one that is not Python has none.
        path: of the file, from the root folder.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = (_marked(test, marks, path) for test, marks in _tests(tree.body, _listed(values.get("pytestmark")), values))
    return tuple(entry for entry in found if entry is not None)


def loosened_marks(before: Sequence[Marked], now: Sequence[Marked]) -> tuple[str, ...]:
    """Every limit of a marker that became easier to keep, one line each.

    Args:
        before: the tests of the base.
        now: the tests of this tree. One that moved to another file is known by its name.
    """
    by_name = {entry.name: entry for entry in now}
    known = {entry.name for entry in before}
    moved = {entry.test: entry for entry in now if entry.name not in known}
    lines: list[str] = []
    for old in before:
        new = by_name.get(old.name) or moved.get(old.test)
        if new is None:
            lines += [f"deleted: {old.name}: {bounds}" for bounds in [_bounds(old)] if bounds]
        else:
            lines += [*_limits(old, new), *_others(old, new)]
    return tuple(lines)


def _tests(
    body: Sequence[ast.stmt], outer: Sequence[ast.expr], values: Mapping[str, ast.expr], prefix: str = ""
) -> Iterator[tuple[str, list[ast.expr]]]:
    """Name and markers of each test, its own before those of what is around it."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, [*node.decorator_list, *outer], values, f"{prefix}{node.name}.")
        elif isinstance(node, _Test) and node.name.startswith("test"):
            marks = [*node.decorator_list, *outer]
            yield f"{prefix}{node.name}", [values.get(m.id, m) if isinstance(m, ast.Name) else m for m in marks]


def _marked(test: str, marks: Sequence[ast.expr], path: str) -> Marked | None:
    sla = next((mark for mark in marks if _is(mark, MARKER)), None)
    if not isinstance(sla, ast.Call):
        return None
    given = {word.arg: ast.unparse(word.value) for word in sla.keywords if word.arg}
    hardware = next((mark for mark in marks if _is(mark, "mark.hardware")), None)
    words = hardware.keywords if isinstance(hardware, ast.Call) else []
    targets = next((_texts(word.value) for word in words if word.arg == "targets"), ())
    return Marked(
        path=path,
        test=test,
        limits={key: text for key, text in given.items() if key in STATISTICS},
        measuring={key: text for key, text in given.items() if key in _MEASURING},
        targets=targets,
    )


def _is(mark: ast.expr, name: str) -> bool:
    called = mark.func if isinstance(mark, ast.Call) else mark
    return isinstance(called, ast.Attribute) and f".{ast.unparse(called)}".endswith(f".{name}")


def _listed(value: ast.expr | None) -> list[ast.expr]:
    if value is None:
        return []
    return list(value.elts) if isinstance(value, ast.List | ast.Tuple) else [value]


def _texts(value: ast.expr) -> tuple[str, ...]:
    return tuple(one.value for one in _listed(value) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _bounds(marked: Marked) -> str:
    return ", ".join(_bound(key, text) for key, text in marked.limits.items())


def _bound(key: str, text: str) -> str:
    limit_ns = _limit_ns(text)
    return f"{_statistic(key)} <= {text if limit_ns is None else format_ns(limit_ns, digits=6)}"


def _statistic(key: str) -> str:
    return statistic_name(STATISTICS[key])


def _limit_ns(text: str) -> int | None:
    """A limit that is written out, in nanoseconds; None for one that is computed."""
    try:
        return parse_duration_ns(ast.literal_eval(text))
    except (ConfigError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _limits(old: Marked, new: Marked) -> list[str]:
    lines = []
    for key, text in old.limits.items():
        now = new.limits.get(key)
        if now is None:
            instead = "" if new.limits else "; its limits come from sla.toml now"
            lines.append(f"deleted: {new.name}: {_bound(key, text)}{instead}")
            continue
        before_ns, now_ns = _limit_ns(text), _limit_ns(now)
        if before_ns is None or now_ns is None:
            if text != now:
                lines.append(f"changed: {new.name}: {_statistic(key)} from {text} to {now}, which this cannot compare")
        elif now_ns > before_ns:
            raised = f"from {format_ns(before_ns, digits=6)} to {format_ns(now_ns, digits=6)}"
            lines.append(f"loosened: {new.name}: {_statistic(key)} raised {raised} ({now_ns / before_ns:.3g}x)")
    return lines


def _others(old: Marked, new: Marked) -> list[str]:
    gone = [target for target in old.targets if new.targets and target not in new.targets]
    lines = [f"deleted: {new.name}: its target {target}" for target in gone]
    # Without limits of its own a test is measured as sla.toml says.
    for key in _MEASURING if new.limits else ():
        before, now = old.measuring.get(key), new.measuring.get(key)
        adjusted = repr(str(ClockChannel.ADJUSTED))
        if key == "clock" and now == adjusted != before:
            lines.append(f"loosened: {new.name}: judged on the adjusted clock, no longer on what a caller waits")
        elif key != "clock" and before != now:
            became = f"{before or 'by default'} became {now or 'the default'}"
            lines.append(f"measured otherwise: {new.name}: {key} {became}")
    return lines
