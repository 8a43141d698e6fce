"""The site of the documentation: what its hooks add, what its check finds, and that neither lets a dead link pass."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import griffe
import pytest
from scripts.docs import check, docstrings, reference

import voiceflow_ml

ROOT = Path(__file__).parents[2]
CONFIG = f"""
site_name: small
strict: true
use_directory_urls: false
theme: {{ name: material, font: false }}
extra: {{ homepage: index.html }}
plugins: []
markdown_extensions: [md_in_html]
hooks: [{ROOT / "scripts/docs/outside.py"}]
validation: {{ links: {{ unrecognized_links: warn, anchors: warn, absolute_links: warn }} }}
nav: [../README.md, page.md, Decisions: []]
"""
FILES = {
    "mkdocs.yml": CONFIG,
    ".gitignore": "/site/\n/ignored/\n",
    "README.md": "# Top\n\n[page](docs/page.md#one), [decisions](docs/adr/), [notes](notes/NOTES.md)\n",
    "docs/page.md": "# Page\n\n## One\n\n[code](../src/code.py), [data](../data.json), [folder](../src)\n\n"
    "[up](../README.md)\n"
    "\n<details><summary>More</summary>\n\n- in a list\n\n</details>\n",
    "docs/adr/0001-first.md": "# 1. First\n\nAccepted.\n",
    "notes/NOTES.md": "# Notes\n\n[back](../docs/page.md), [code](../src/code.py)\n",
    "src/code.py": "value = 1\n",
    "data.json": "{}\n",
    "ignored/run.json": "{}\n",
}


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def build(folder: Path, page: str = "") -> subprocess.CompletedProcess[str]:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + (page if name == "docs/page.md" else ""), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    command = [sys.executable, "-m", "mkdocs", "build"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_links_out_of_the_folder_of_documents_work_in_the_site(tmp_path: Path) -> None:
    built = build(tmp_path)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    assert list(check.problems(site, tmp_path)) == []
    assert 'href="repository/src/code.py.html"' in (site / "page.html").read_text("utf-8")
    assert "value = 1" in text_of(site / "repository/src/code.py.html")
    assert "code.py" in text_of(site / "repository/src/index.html")
    assert (site / "repository/data.json").read_text("utf-8") == "{}\n"
    assert 'href="adr/0001-first.html"' in (site / "index.html").read_text("utf-8")
    assert "1. First" in text_of(site / "adr/index.html")
    assert 'href="../../page.html"' in (site / "repository/notes/NOTES.html").read_text("utf-8")


DEAD = {
    "gone-1": "../src/gone-1.py",
    "gone-2": "gone-2.md",
    "a folder": "../gone-3/",
    "not in the repository": "../ignored/run.json",
    "an anchor": "page.md#two",
    "from the root": "/page.md",
}


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    built = build(tmp_path, "".join(f"\n[{words}]({link})\n" for words, link in DEAD.items()))
    assert built.returncode != 0
    warnings = [line for line in built.stderr.splitlines() if line.startswith("WARNING")]
    assert [link for link in DEAD.values() if not any(f"'{link}'" in line for line in warnings)] == []
    assert len(warnings) == len(DEAD)


def test_every_package_has_a_page_of_the_reference_or_a_reason_why_not() -> None:
    names = {module.name for module in pkgutil.iter_modules(voiceflow_ml.__path__)}
    listed = [*reference.PAGES, *reference.ELSEWHERE]
    assert sorted(names) == sorted(listed)


def test_the_reference_names_modules_that_there_are() -> None:
    folder = Path(voiceflow_ml.__file__).parent
    paths = [
        folder / name / f"{module}.py" for name, modules in reference.PAGES.items() for module in modules if module
    ]
    assert [path for path in paths if not path.is_file()] == []


def test_a_package_that_exports_names_is_on_its_page_as_a_whole() -> None:
    folder = Path(voiceflow_ml.__file__).parent
    exporting = {name for name in reference.PAGES if "__all__" in text_of_package(folder / name)}
    assert "latency" in exporting
    assert {name for name in exporting if reference.PAGES[name][:1] not in ((), ("",))} == set()


def text_of_package(folder: Path) -> str:
    init = folder / "__init__.py"
    return text_of(init) if init.exists() else ""


def test_the_page_of_commands_has_every_command_with_its_options() -> None:
    page = reference.commands_page()
    for command in ("voiceflow diarize", "voiceflow claims check", "voiceflow train fast-cnn", "voiceflow gcp sweep"):
        assert f"\n## {command}\n" in page
    section = page.partition("## voiceflow serve\n")[2].partition("\n## ")[0]
    assert [option for option in ("--port", "--registry", "--config", "--set") if f"`{option}" not in section] == []
    assert "\b" not in page


def test_the_page_of_the_plugin_has_what_pytest_knows(pytester: pytest.Pytester, pytestconfig: pytest.Config) -> None:
    page = reference.pytest_page()
    shown = pytester.runpytest_inprocess("--help").stdout.str().partition("latency promises as verdicts")[2]
    options = set(re.findall(r"^  (--[\w-]+)", shown.partition("\n\n")[0], re.M))
    assert {"--gpu", "--sla-file", "--sla-base", "--claims", "--ray-address"} <= options
    assert {option for option in options if f"`{option}`" not in page} == set()
    markers = [line.partition(": ")[0] for line in pytestconfig.getini("markers")]
    ours = [name for name in markers if name.startswith(("hardware(", "sla(", "cpu", "cuda"))]
    assert len(ours) > 4
    assert [name for name in ours if f"`{name}`" not in page] == []


def test_roles_of_docstrings_are_links() -> None:
    module = griffe.visit("m", Path("m.py"), "class A:\n    def f(self): ...\ndef g(): ...\n")
    text = docstrings.linked(module["A"], "See :func:`g`, :meth:`f` and :class:`~voiceflow_ml.a.B`::\n\n    code\n")
    assert 'identifier="m.g" optional><code>g<' in text
    assert 'identifier="m.A.f" optional><code>f<' in text
    assert 'identifier="voiceflow_ml.a.B" optional><code>B<' in text
    assert text.endswith(":\n\n    code\n")
    assert "::" not in text


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# Page\n\nSome:\n- one\n- two\n", encoding="utf-8")
    folder.mkdir()
    page = '<article><h1 id="page">Page</h1><p>Some:</p><ul><li>one</li><li>two</li></ul>ADDED</article>'
    (folder / "page.html").write_text(page, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ('<a href="https://example.org/">elsewhere</a><a href="#page">here</a>', None),
        ('<a href="gone.html">gone</a>', "links to gone.html, which is no file"),
        ('<a href="#gone">gone</a>', "links to #gone, and that page has no such anchor"),
        ('<img src="gone.png">', "links to gone.png"),
        ('<script src="https://cdn.example.org/x.js"></script>', "loads https://cdn.example.org/x.js"),
        ("<ul><li>three</li></ul>", "GitHub shows 2 <li>, the site's page.html 3"),
    ],
)
def test_the_check_of_the_site_finds(site: Path, added: str, problem: str | None) -> None:
    page = site / "site" / "page.html"
    page.write_text(page.read_text("utf-8").replace("ADDED", added), encoding="utf-8")
    found = list(check.problems(site / "site", site))
    if problem is None:
        assert found == []
    else:
        assert any(problem in sentence for sentence in found), found


def test_a_site_that_was_not_built_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (found,) = check.problems(tmp_path / "site", tmp_path)
    assert "make docs" in found
