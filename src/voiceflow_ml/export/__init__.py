"""From a trained network to files that run anywhere, each with proof of what it is (extra ``export``).

::

    from voiceflow_ml.export import ExportOptions, Precision, export, load_source, load_speech
    result = export(load_source(checkpoint), folder, load_speech(data), ExportOptions((Precision.INT8,)))
"""

from __future__ import annotations

from voiceflow_ml.export.options import ExportOptions, Precision
from voiceflow_ml.export.pipeline import export
from voiceflow_ml.export.result import ExportResult
from voiceflow_ml.export.source import Network, Source, load_source
from voiceflow_ml.export.speech import ExportSpeech, load_speech

__all__ = [
    "ExportOptions",
    "ExportResult",
    "ExportSpeech",
    "Network",
    "Precision",
    "Source",
    "export",
    "load_source",
    "load_speech",
]
