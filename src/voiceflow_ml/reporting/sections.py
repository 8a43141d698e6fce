"""The sections behind the parts that every report has: a function makes each, and returns None to leave it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from voiceflow_ml.reporting.floor import floor_section
from voiceflow_ml.reporting.section import Section
from voiceflow_ml.results.record import Result

SECTIONS: tuple[Callable[[Sequence[Result]], Section | None], ...] = (floor_section,)
"""In the order of the report."""


def build_sections(results: Sequence[Result]) -> tuple[Section, ...]:
    """The sections that have something to say, in order.

    Args:
        results: the finished tests, in the order of the plan.
    """
    made = (build(results) for build in SECTIONS)
    return tuple(section for section in made if section is not None)
