from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from voiceflow_ml.training.config import TrainConfig
from voiceflow_ml.training.presets import fast_cnn_run, transformer_run

DOC = Path(__file__).parents[2] / "docs" / "training.md"
RUNS = (fast_cnn_run("full"), fast_cnn_run("small"), transformer_run("full"), transformer_run("small"))


def shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_the_table_of_hyper_parameters_is_complete_and_true() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in DOC.read_text(encoding="utf-8").splitlines()]
    documented = {row[0].strip("`"): row[2:] for row in rows if len(row) == 6 and row[0].startswith("`")}
    names = [field.name for field in fields(TrainConfig) if field.name not in ("simulation", "model")]
    assert documented == {name: [shown(getattr(run, name)) for run in RUNS] for name in names}
