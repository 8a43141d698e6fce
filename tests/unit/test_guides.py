"""What the guides say of the code is what the code has: keys of sla.toml, layers, commands of the newcomer."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from voiceflow_ml.sla.load import load_sla
from voiceflow_ml.sla.schema import InputTable, ModelTable, ObjectiveTable, SlaTable, WaiverTable
from voiceflow_ml.sla.stage_tables import StagesTable, StageTable
from voiceflow_ml.sla.target_tables import TargetTable

ROOT = Path(__file__).parents[2]
GUIDES = ("getting-started", "sla", "terminology", "architecture", "troubleshooting", "how-to")
TABLES: dict[str, tuple[type[BaseModel], ...]] = {
    "The file": (SlaTable,),
    "`[models.NAME]`": (ModelTable,),
    "`[models.NAME.inputs]`": (InputTable,),
    "`[[objective]]`": (ObjectiveTable,),
    "`[stages.NAME]`": (StagesTable, StageTable),
    "`[[waiver]]`": (WaiverTable,),
    "`[targets.NAME]`": (TargetTable,),
}


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def listed(text: str) -> list[str]:
    """What stands as code in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`[^|]*?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def keys(table: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


@pytest.mark.parametrize("title", TABLES)
def test_every_key_of_sla_toml_is_explained_and_no_other(title: str) -> None:
    assert sorted(listed(section(page("sla"), title))) == sorted(key for table in TABLES[title] for key in keys(table))


def test_the_complete_sla_of_the_guide_is_read(tmp_path: Path) -> None:
    first = re.findall(r"```toml\n(.*?)```", page("sla"), re.DOTALL)[0]
    (tmp_path / "sla.toml").write_text(first, encoding="utf-8")
    sla = load_sla(tmp_path / "sla.toml")
    assert [len(promise.objectives) for promise in sla.promises] == [2, 1]
    assert [stage.stage for stage in sla.promises[1].stages] == ["network"]
    assert sla.promises[1].waiver_of("P99") is not None


def contract_layers() -> list[list[str]]:
    """The layers that import-linter holds, highest first, each with its packages."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(one for one in content["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def test_the_picture_of_the_layers_is_the_contract() -> None:
    (picture,) = re.findall(r"```text title=\"layers\"\n(.*?)```", page("architecture"), re.DOTALL)
    drawn = [line.partition("  ")[0].split(" | ") for line in picture.splitlines()]
    assert drawn == contract_layers()


def test_every_package_of_the_picture_has_its_reason() -> None:
    reasons = listed(section(page("architecture"), "Why each layer is where it is"))
    assert reasons == [package for layer in contract_layers() for package in layer]


def test_the_modules_that_the_steps_name_exist() -> None:
    named = re.findall(r"`([a-z0-9_]+/[a-z0-9_/]+\.py)`", page("architecture"))
    assert len(named) >= 15
    assert [name for name in named if not (ROOT / "src" / "voiceflow_ml" / name).is_file()] == []


@pytest.mark.parametrize("name", GUIDES)
def test_every_link_of_a_guide_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", re.sub(r"```.*?```", "", page(name), flags=re.DOTALL))
    for link in links:
        file, _, anchor = link.partition("#")
        path = (ROOT / "docs" / file).resolve() if file else ROOT / "docs" / f"{name}.md"
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """What headings can be linked by, as GitHub and the site make it of them."""
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_what_the_newcomer_typed_is_in_the_readme() -> None:
    transcript = (ROOT / "docs" / "examples" / "newcomer.txt").read_text(encoding="utf-8")
    typed = re.findall(r"^\$ (?:\.venv/bin/)?(pip|voiceflow|pytest) (.*?) +# [\d.]+ s$", transcript, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {program for program, _ in typed} == {"pip", "voiceflow", "pytest"}
    for program, words in typed:
        command = re.sub(r"results/\S+", "results/SESSION", words.replace("--quiet ", ""))
        assert f"{program} {command}" in readme
    assert re.search(r"^MET +word-spotter · model-inference · cpu ", transcript, re.MULTILINE)
    (seconds,) = re.findall(r"^In all: (\d+) s$", transcript, re.MULTILINE)
    assert int(seconds) < 600


def test_what_getting_started_quotes_was_said_to_the_newcomer() -> None:
    transcript = (ROOT / "docs" / "examples" / "newcomer.txt").read_text(encoding="utf-8").splitlines()
    blocks = re.findall(r"^```console\n(.*?)^```", page("getting-started"), re.MULTILINE | re.DOTALL)
    said = [line for block in blocks if block.startswith("$ ") for line in block.splitlines()[1:]]
    assert said
    assert [line for line in said if line not in transcript] == []
