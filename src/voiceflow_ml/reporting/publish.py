"""The report's files: Markdown first, then the charts that it links to, then the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.charts import CHART_NAME, CHARTS_FOLDER, ChartCache
from voiceflow_ml.reporting.html import render_page
from voiceflow_ml.reporting.render import render_report
from voiceflow_ml.reporting.svg import Drawing
from voiceflow_ml.reporting.text import one_line
from voiceflow_ml.results.record import Result, Session
from voiceflow_ml.results.store import write_atomically

PAGE_NAME = "performance.html"


class Publisher:
    """Writes a report's files, as often as there is news; each is replaced whole or not at all.

    Args:
        report_path: where the Markdown goes; the others go beside it.
        templates: templates in this folder replace the packaged ones.

    Attributes:
        report_written: whether the last Markdown report could be written.
    """

    def __init__(self, report_path: Path, templates: Path) -> None:
        self._report_path = report_path
        self._templates = templates
        self._cache = ChartCache()
        self._written: dict[str, Drawing] = {}
        self.report_written = False

    @property
    def page_path(self) -> Path:
        """Where the page goes."""
        return self._report_path.with_name(PAGE_NAME)

    def publish(self, session: Session, results: Sequence[Result]) -> str:
        """Write everything that can be written.

        Returns:
            The first thing that could not, in one sentence, or nothing. A picture that fails costs no report.
        """
        problem = _problem_of(lambda: self._write_report(session, results), self._report_path)
        self.report_written = not problem
        # What keeps the report from being written keeps its companions.
        return problem or _problem_of(lambda: self._write_page(session, results), self.page_path)

    def _write_report(self, session: Session, results: Sequence[Result]) -> None:
        write_atomically(self._report_path, render_report(session, results, self._templates))

    def _write_page(self, session: Session, results: Sequence[Result]) -> None:
        drawings = self._cache.all_drawings(session, results)
        for link, drawing in drawings.items():
            path = self._report_path.parent / link
            # Another session that ended may have removed it, as a chart of a test that it does not have.
            if self._written.get(link) != drawing or not path.exists():
                write_atomically(path, drawing.standalone())
                self._written[link] = drawing
        if session.finished:
            self._remove_others(set(drawings))
        write_atomically(self.page_path, render_page(session, results, self._templates, self._cache))

    def _remove_others(self, links: set[str]) -> None:
        """Remove charts that no report links to any more: of tests that are gone, or were not part of this run."""
        for path in (self._report_path.parent / CHARTS_FOLDER).glob("*.svg"):
            if CHART_NAME.fullmatch(path.name) and f"{CHARTS_FOLDER}/{path.name}" not in links:
                path.unlink(missing_ok=True)


def _problem_of(write: Callable[[], None], path: Path) -> str:
    try:
        write()
    except ResultError as error:
        return str(error)
    except Exception as error:
        # Whatever a drawing does, the run that it is of goes on.
        return f"{path} cannot be made: {one_line(str(error)) or type(error).__name__}; the results are whole"
    return ""
