"""docs/serving.md says what the code says: every setting, route, metric and status."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from voiceflow_ml.service.metrics import STAGES, Metrics
from voiceflow_ml.service.settings import ServeSettings, read_settings

TEXT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
ROWS = {
    name: (default, meaning) for name, default, meaning in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", TEXT, re.M)
}


def test_every_setting_is_in_the_table_with_its_default_and_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServeSettings.model_fields:
        monkeypatch.delenv(f"VOICEFLOW_{name.upper()}", raising=False)
    read = read_settings({})
    for name, field in ServeSettings.model_fields.items():
        default, meaning = ROWS[name]
        assert meaning == field.description
        shown = read.shown(name).strip("'").replace("not set", "")
        assert default.strip() == (shown.lower() if isinstance(field.default, bool) else shown)


def test_every_metric_is_named() -> None:
    metrics = Metrics()
    metrics.watch("voiceflow_queue_depth", "", lambda: 0.0)
    families = re.findall(r"^# TYPE (\w+)", metrics.text().decode(), re.M)
    assert families
    assert [name for name in families if f"`{name}`" not in TEXT and f"`{name}," not in TEXT] == []
    assert all(f"`{stage}`" in TEXT for stage in STAGES)
