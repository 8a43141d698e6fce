"""The pytest plugin: wiring only. What each hook does lives in the module it is imported from.

Importing this package imports none of numpy, onnxruntime, torch, jinja2 and pydantic: pytest imports it
for every run, ``--help`` and ``--collect-only`` included.
"""

from __future__ import annotations

from voiceflow_ml.pytest_plugin.collect import pytest_collect_file
from voiceflow_ml.pytest_plugin.fixtures import latency, target
from voiceflow_ml.pytest_plugin.hooks import (
    pytest_collection_finish,
    pytest_configure,
    pytest_itemcollected,
    pytest_runtest_call,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from voiceflow_ml.pytest_plugin.markers import pytest_generate_tests
from voiceflow_ml.pytest_plugin.options import pytest_addoption

__all__ = [
    "latency",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_itemcollected",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "target",
]
