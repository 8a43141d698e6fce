"""Check the built site: ``python -m scripts.docs.check site``. What MkDocs does not look at, raw HTML included.

Every link and picture leads to a file of the site and to an anchor that it has, nothing is loaded from another machine,
and each page has as many lists, tables and code blocks as GitHub shows: the two read Markdown by different rules.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

from scripts.docs.outside import ROOT_PAGES

COUNTED = ("li", "table", "tr", "blockquote", "pre", "h2", "h3", "h4", "em", "strong", "img")
# A browser fetches these by itself; a link is followed only by who clicks on it.
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "audio": "src"}


class Page(HTMLParser):
    """What one page of the site holds: anchors, links, what it loads, and elements of its article."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.counts: Counter[str] = Counter()
        self._in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of one element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if given.get(name))
        if tag == "article":
            self._in_article = True
        if self._in_article:
            self.counts[tag] += 1
        address = given.get(_LOADED[tag], "") if tag in _LOADED else ""
        if address and given.get("rel") != "canonical":
            self.loaded.append(address)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        """Leave the article."""
        if tag == "article":
            self._in_article = False


def problems(site: Path, root: Path) -> Iterator[str]:
    """Everything that is wrong with the site, one sentence each."""
    pages = {path.relative_to(site).as_posix(): Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site} holds no page: build it first, by make docs"
    for name, page in pages.items():
        for address in [*page.links, *page.loaded]:
            yield from _dead(name, address, site, pages)
        yield from (
            f"{name} loads {address}: copy it into docs/" for address in page.loaded if urlsplit(address).netloc
        )
    for source, name in sources(root).items():
        if name in pages:
            yield from _differences(source.relative_to(root), name, source.read_text("utf-8"), pages[name])
        else:
            yield f"{source.relative_to(root)} has no page {name}"


def sources(root: Path) -> dict[Path, str]:
    """Markdown of the repository -> its page of the site."""
    docs = root / "docs"
    found = {path: path.relative_to(docs).with_suffix(".html").as_posix() for path in sorted(docs.rglob("*.md"))}
    outside = {docs.joinpath(uri).resolve(): name for uri, name in ROOT_PAGES.items()}
    return found | {path: name for path, name in outside.items() if path.exists()}


def _dead(name: str, address: str, site: Path, pages: Mapping[str, Page]) -> Iterator[str]:
    parts = urlsplit(address)
    # The page of an error is served at any address; its links begin at the root.
    if parts.scheme or parts.netloc or name == "404.html":
        return
    target = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
    if not (site / target).is_file():
        yield f"{name} links to {address}, which is no file of the site"
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{name} links to {address}, and that page has no such anchor"


def _differences(source: Path, name: str, text: str, page: Page) -> Iterator[str]:
    shown = Page(f"<article>{MarkdownIt('commonmark').enable(['table', 'strikethrough']).render(text)}</article>")
    for tag in COUNTED:
        if shown.counts[tag] != page.counts[tag]:
            yield (
                f"{source}: GitHub shows {shown.counts[tag]} <{tag}>, the site's {name} {page.counts[tag]}; "
                "a blank line before a list, or four spaces before what is in it, reads the same in both"
            )


def main(arguments: list[str]) -> int:
    """Print what is wrong; the exit status is 1 if anything is."""
    found = list(problems(Path(arguments[0]), Path.cwd()))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
