"""The corpus: every broken model, the same on each call."""

from __future__ import annotations

from tests.fuzz.models import files, graphs, outside
from tests.fuzz.models.mutant import Mutant


def corpus() -> list[Mutant]:
    """All mutants, in a fixed order."""
    return [*files.mutants(), *graphs.mutants(), *outside.mutants()]
