"""What the README shows can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from voiceflow_ml.sla.load import load_sla

README = Path(__file__).parents[2] / "README.md"


def test_the_sla_of_the_readme_is_read(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "sla.toml"
    path.write_text(block, encoding="utf-8")
    sla = load_sla(path)
    assert [(promise.label, len(promise.objectives)) for promise in sla.promises] == [
        ("my-model · model-inference · cpu", 2),
        ("my-model · model-inference · cuda-t4", 1),
    ]


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
