"""An audit that could not be made is not a clean one."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

JUDGED = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "audit.py"))["judged"]
CLEAN = {"name": "sound", "version": "1.0", "vulns": []}
SKIPPED = {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited: unknown (1.0)"}
HOLED = {"name": "holed", "version": "1.0", "vulns": [{"id": "MADE-UP-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("dependencies", "status", "words"),
    [
        ([CLEAN, SKIPPED], 0, "1 of 2 packages audited, 0 known vulnerabilities"),
        ([CLEAN, HOLED], 1, "holed 1.0: MADE-UP-1; fixed in 1.1"),
        ([SKIPPED, SKIPPED], 3, "NOT DONE"),
        ([], 3, "NOT DONE"),
    ],
)
def test_what_pip_audit_says_is_judged_by_what_it_asked(dependencies: list[Any], status: int, words: str) -> None:
    found, lines = JUDGED(dependencies)
    assert found == status
    assert words in "\n".join(lines)
