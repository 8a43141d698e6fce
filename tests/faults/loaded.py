"""What a run of pytest loads, loaded once: imported by the process that runs are forked from."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

from voiceflow_ml.inference.cpu_peaks import measured_peaks

for _name in (
    "onnx",
    "onnxruntime",
    "psutil",
    "pytest",
    "pytest_benchmark.plugin",
    "voiceflow_ml.pytest_plugin",
    "voiceflow_ml.hardware.control",
    "voiceflow_ml.hardware.device_lock",
    "voiceflow_ml.hardware.git",
    "voiceflow_ml.hardware.probe",
    "voiceflow_ml.hardware.watch",
    "voiceflow_ml.inference.declared",
    "voiceflow_ml.inference.run_findings",
    "voiceflow_ml.reporting.outputs",
    "voiceflow_ml.reporting.publish",
    "voiceflow_ml.reporting.table",
    "voiceflow_ml.results.assemble",
    "voiceflow_ml.results.store",
    "voiceflow_ml.sla.load",
    "voiceflow_ml.sla.schema",
    "pynvml",
    "xml.etree.ElementTree",
):
    importlib.import_module(_name)


def _compile_templates() -> None:
    from voiceflow_ml.reporting.publish import Publisher  # noqa: PLC0415
    from voiceflow_ml.results.record import Session  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "PERFORMANCE_ANALYSIS.md"
        Publisher(report, Path(folder)).publish(Session("2026-01-01T00:00:00+00:00", "", "lenient", 0.99, {}), ())


_compile_templates()
# The first model that a process measures has the machine's peaks measured: that, too, is not what is tried.
measured_peaks(1)
