"""A hook of MkDocs: files of the repository outside ``docs/`` are part of the site when a page links to them.

So a link is written once, as GitHub wants it (``../tests/oracle.py``), and works in both places. What is neither a page
nor a file of the repository stays unknown to MkDocs, and ``--strict`` fails on it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from posixpath import dirname, join, normpath, splitext
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

DOCS = "../docs/"
# Pages of the root folder that have a place in the navigation, and what each is called in the site.
ROOT_PAGES = {
    "../README.md": "index.html",
    "../CONTRIBUTING.md": "contributing.html",
    "../CHANGELOG.md": "changelog.html",
    "../SECURITY.md": "security.html",
}
DECISIONS = "adr"
# Shown as a page with the text in it; a browser would offer to save it.
SHOWN_AS_TEXT = {".py": "python", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".sh": "sh", ".jinja": "jinja"}
_LINK = re.compile(r"\]\(<?([^)\s>#]+)")


class RepositoryFiles(Files):
    """The files of a site, found by their path from ``docs/``, also by pages that do not lie there."""

    def get_file_from_path(self, path: str) -> File | None:
        """The file at a path; ``../docs/gate.md`` is ``gate.md``."""
        return super().get_file_from_path(path.removeprefix(DOCS))


class MadePage(File):
    """A page that is made and not read: a file or a folder that has no Markdown of its own."""

    def is_documentation_page(self) -> bool:
        """Always."""
        return True


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the navigation, in their order."""
    decisions = sorted(path.name for path in (Path(config.docs_dir) / DECISIONS).glob("*.md"))
    for section in config.nav or []:
        if "Decisions" in section:
            section["Decisions"] = [DECISIONS, *(f"{DECISIONS}/{name}" for name in decisions)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the root pages, and all that any page links to outside ``docs/``."""
    docs = Path(config.docs_dir)
    tracked = _tracked(docs.parent)
    found = {file.src_uri: file for file in files}
    waiting = [(file.src_uri, Path(file.abs_src_path)) for file in files.documentation_pages() if file.abs_src_path]
    for uri in (DECISIONS, *ROOT_PAGES):
        _add(uri, docs, tracked, config, found, waiting)
    while waiting:
        uri, path = waiting.pop()
        for target in _targets(uri, path.read_text(encoding="utf-8")):
            _add(target, docs, tracked, config, found, waiting)
    return RepositoryFiles(found.values())


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Have Markdown inside of ``<details>`` read as such, as GitHub does."""
    return markdown.replace("<details>", '<details markdown="1">')


def _add(
    uri: str,
    docs: Path,
    tracked: frozenset[str],
    config: MkDocsConfig,
    found: dict[str, File],
    waiting: list[tuple[str, Path]],
) -> None:
    path = docs / uri
    if uri in found or normpath(join("docs", uri)) not in tracked:
        return
    found[uri] = _made(uri, path, tracked, config)
    if uri.endswith(".md"):
        waiting.append((uri, path))


def _targets(uri: str, text: str) -> Iterator[str]:
    """Where the links of a page lead, as paths from ``docs/``: those outside of it."""
    for link in _LINK.findall(text):
        target = normpath(join(dirname(uri), link))
        if target.startswith("../") and not (target + "/").startswith(DOCS):
            yield target


def _made(uri: str, path: Path, tracked: frozenset[str], config: MkDocsConfig) -> File:
    inside = "repository/" + uri.removeprefix("../")
    language = SHOWN_AS_TEXT.get(splitext(uri)[1])
    name = uri.removeprefix("../")
    if path.is_dir():
        content = folder_page(name, path, tracked) if uri != DECISIONS else decisions_page(path)
        destination = f"{DECISIONS}/index.html" if uri == DECISIONS else f"{inside}/index.html"
        return _file(MadePage, uri, destination, config, content=content)
    if language is not None:
        content = f"# {name}\n\n``````{language}\n{path.read_text(encoding='utf-8')}\n``````\n"
        return _file(MadePage, uri, f"{inside}.html", config, content=content)
    destination = ROOT_PAGES.get(uri, inside.removesuffix(".md") + ".html" if uri.endswith(".md") else inside)
    return _file(File, uri, destination, config, path=path)


def _file(
    kind: type[File], uri: str, destination: str, config: MkDocsConfig, *, content: str = "", path: Path | None = None
) -> File:
    level = InclusionLevel.INCLUDED if uri in ROOT_PAGES or uri == DECISIONS else InclusionLevel.NOT_IN_NAV
    file: File = (
        kind.generated(config, uri, abs_src_path=str(path), inclusion=level)
        if path
        else kind.generated(config, uri, content=content, inclusion=level)
    )
    file.dest_uri = destination
    return file


def decisions_page(folder: Path) -> str:
    """The list of decisions, each by its own title."""
    pages = sorted(folder.glob("*.md"))
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in pages]
    lines = [f"- [{title}]({folder.name}/{page.name})" for page, title in zip(pages, titles, strict=True)]
    return "# Decisions\n\nWhat was decided, why, and what was left for it.\n\n" + "\n".join(lines) + "\n"


def folder_page(name: str, folder: Path, tracked: Iterable[str]) -> str:
    """What lies in a folder of the repository, by name."""
    inside = {path.removeprefix(f"{name}/").partition("/")[0] for path in tracked if path.startswith(f"{name}/")}
    lines = [f"- `{entry}{'/' if (folder / entry).is_dir() else ''}`" for entry in sorted(inside)]
    return f"# {name}/\n\n" + "\n".join(lines) + "\n"


def _tracked(root: Path) -> frozenset[str]:
    """Files that git knows or would take, and the folders they are in: what is ignored here is on no other machine."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    names = {name for name in listed if name and (root / name).exists()}
    return frozenset(names | {str(folder) for name in names for folder in Path(name).parents})
