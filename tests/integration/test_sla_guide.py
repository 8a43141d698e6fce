"""The test module of docs/sla.md gets the verdicts that the page speaks of."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.plugin_project import Project

PAGE = (Path(__file__).parents[2] / "docs" / "sla.md").read_text(encoding="utf-8")


def test_the_tests_of_the_page_get_their_verdicts(project: Project) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (project.root / "test_it.py").write_text(block, encoding="utf-8")
    result = project.run("-m", "hardware")
    result.assert_outcomes(passed=2, skipped=1)
    said = result.stdout.str()
    assert re.search(r"^MET +test_fast_cnn · model-inference · cpu +P50 <= 5 s ", said, re.MULTILINE)
    assert re.search(r"^NOT RUN +test_fast_cnn · model-inference · cuda-t4 ", said, re.MULTILINE)
    assert re.search(r"^MET +test_any_callable · model-inference · cpu +P99 <= 10 s ", said, re.MULTILINE)
