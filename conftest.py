"""Root conftest: loads the plugin from this checkout, installed or not (pytest registers it once)."""

from __future__ import annotations

pytest_plugins = ["voiceflow_ml.pytest_plugin", "pytester"]
