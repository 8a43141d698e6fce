"""Views into templates by Jinja, strict about every name; and ``PERFORMANCE_ANALYSIS.md``."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from voiceflow_ml.errors import ResultError
from voiceflow_ml.reporting.charts import charts_by_part
from voiceflow_ml.reporting.text import fitted, one_line
from voiceflow_ml.reporting.view import build_view
from voiceflow_ml.results.record import Result, Session

REPORT_TEMPLATE = "PERFORMANCE_ANALYSIS.md.j2"
REPORT_LIMIT_BYTES = 500 * 1024
"""GitHub cuts what it shows of a Markdown file there:
https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-readmes
"""
MOST_PARTS = 40
"""Tests, and budgets, that the Markdown report tells in detail: the worst. The page has all."""
THE_REST = "performance.html"

_PACKAGED_TEMPLATES = Path(__file__).parent / "templates"
# In a source checkout the one home of the templates is reports/templates; the wheel carries a copy of it.
_CHECKOUT_TEMPLATES = Path(__file__).parents[3] / "reports" / "templates"


def render_report(session: Session, results: Sequence[Result], override_folder: Path) -> str:
    """Render the Markdown report; of more than GitHub shows, the worst, and how many more there are.

    Args:
        session: the session's record.
        results: its finished tests, in the order of the plan.
        override_folder: a template of the same name here replaces the packaged one.

    Raises:
        ResultError: a template is missing, or cannot be rendered: a name that the view does not have, a
            syntax error, or any other.
    """
    view = build_view(session, results)
    filters: dict[str, Callable[..., object]] = {
        "md": escape_markdown,
        "code": code_span,
        "block": code_block,
        "charts": charts_by_part(session, results),
    }

    def render(rows: int) -> str:
        cut = view.cut(rows, min(rows, MOST_PARTS), THE_REST)
        return fill_template(REPORT_TEMPLATE, override_folder, filters=filters, names={"view": cut})

    whole = render(max(len(view.rows), MOST_PARTS))
    if len(whole.encode("utf-8", "backslashreplace")) <= REPORT_LIMIT_BYTES:
        return whole
    return fitted(render, len(view.rows), REPORT_LIMIT_BYTES) or render(0)


def fill_template(
    name: str,
    override_folder: Path,
    *,
    filters: Mapping[str, Callable[..., object]],
    names: Mapping[str, object],
    html: bool = False,
) -> str:
    """Fill one template.

    Args:
        name: its file name.
        override_folder: looked in first.
        filters: what it may apply, by name.
        names: what it may say, by name.
        html: escape for HTML all that it prints, made one printable line; Markdown has filters of its own.

    Raises:
        ResultError: the template is missing, or cannot be rendered.
    """
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateNotFound  # noqa: PLC0415

    folders = (override_folder, _PACKAGED_TEMPLATES, _CHECKOUT_TEMPLATES)
    environment = Environment(  # nosec B701
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=html,  # noqa: S701 - Markdown is not HTML; the md filter escapes what needs it
        finalize=_plain_line if html else None,
        bytecode_cache=_compiled(),
    )
    environment.filters.update(filters)
    try:
        return environment.get_template(name).render(names)
    except TemplateNotFound as error:
        searched = ", ".join(str(folder) for folder in folders)
        raise ResultError(f"report template {error} is not there; looked in: {searched}") from None
    except Exception as error:
        # A template is a program of the user's: whatever it raises is about the template.
        reason = f"{_place(error, name)}: {one_line(str(error)) or type(error).__name__}"
        raise ResultError(f"report template {reason} (delete the file to use the packaged one)") from None


@cache
def _compiled() -> Any:
    """Compiled templates of this process: a report is rendered after every result, its templates do not change."""
    from jinja2 import BytecodeCache  # noqa: PLC0415

    class Compiled(BytecodeCache):
        """In memory, by name and text: a template that was edited is another one."""

        def __init__(self) -> None:
            self._code: dict[tuple[str, str], bytes] = {}

        def load_bytecode(self, bucket: Any) -> None:
            code = self._code.get((bucket.key, bucket.checksum))
            if code is not None:
                bucket.bytecode_from_string(code)

        def dump_bytecode(self, bucket: Any) -> None:
            self._code[bucket.key, bucket.checksum] = bucket.bytecode_to_string()

    return Compiled()


def _plain_line(value: object) -> object:
    """Plain text as one printable line; what is marked as markup stays as it is."""
    return one_line(value) if type(value) is str else value


def _place(error: Exception, name: str) -> str:
    """``folder/name.md.j2:12``, where the error says so itself or the traceback does."""
    file, line = getattr(error, "filename", None), getattr(error, "lineno", None)
    if not (isinstance(file, str) and line):
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
        file, line = (frames[-1].filename, frames[-1].lineno) if frames else (name, None)
    return f"{file}:{line}" if line else str(file)


def escape_markdown(text: str) -> str:
    """Make any text safe inside a Markdown table cell or sentence: no markup, no HTML, one line."""
    # Only what could start an entity or a tag: "P99 <= 10 ms" stays readable in the raw file.
    escaped = re.sub(r"&(?=#?\w+;)", "&amp;", one_line(text))
    escaped = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", escaped)
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", escaped)


def code_span(text: str) -> str:
    """Text as a code span, with a fence longer than any run of backticks inside it; one line."""
    line = one_line(text)
    fence = "`" * (_longest_backticks(line) + 1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}" if line else ""


def code_block(text: str) -> str:
    """Text as a fenced block of shell code, which a reader can copy; one line."""
    line = one_line(text)
    fence = "`" * max(3, _longest_backticks(line) + 1)
    return f"{fence}sh\n{line}\n{fence}"


def _longest_backticks(line: str) -> int:
    return max((len(run) for run in re.findall(r"`+", line)), default=0)
