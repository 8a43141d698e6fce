"""The project's shape, held by tests: small modules, small functions, everything public explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "voiceflow_ml"
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_MODULE_LINES = 250
MOST_FUNCTION_LINES = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def names(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.fixture(name="tree", params=MODULES, ids=names)
def _tree(request: pytest.FixtureRequest) -> ast.Module:
    path: Path = request.param
    return ast.parse(path.read_text(encoding="utf-8"))


def test_there_are_modules_to_look_at() -> None:
    assert SOURCE / "latency" / "verdict.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_a_module_fits_in_ones_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_MODULE_LINES


def length(function: Function) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def test_a_function_fits_on_a_screen(tree: ast.Module) -> None:
    lengths = {node.name: length(node) for node in ast.walk(tree) if isinstance(node, Function)}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES} == {}


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public functions, classes and methods, but not what is defined inside functions."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{node.name}.")


def is_overload(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in decorators)


def test_what_is_public_is_explained(tree: ast.Module) -> None:
    assert ast.get_docstring(tree)
    bare = [name for name, node in public(tree.body) if not ast.get_docstring(node) and not is_overload(node)]
    assert bare == []


def test_nothing_rests_on_assert(tree: ast.Module) -> None:
    # python -O removes them.
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [names(path) for path in MODULES if path.name in drawers] == []


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_annotations_cost_nothing_at_import(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in imports)
    assert future or not imports
