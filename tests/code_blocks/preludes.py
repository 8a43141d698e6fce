"""What stands before a block of Python in its document's mind: names, files and servers that the reader has."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.onnx_models import tiny_model
from tests.servers import local_server
from tests.voice_server import VoiceServer, voicing
from voiceflow_ml.models.shipped import shipped_speech_path

Replacements = dict[str, str]
_SLA = """
version = 1
[models.{name}]
file = "{file}"
{inputs}
[[objective]]
model = "{name}"
target = "cpu"
p99 = "10s"
"""
_END_TO_END = 'stage = "end-to-end"\nmode = "open-loop"\ninterval = "25ms"\n'


@dataclass(frozen=True)
class Prelude:
    """What one block needs.

    Attributes:
        document: where the block stands.
        marks: words of the block, which tell it from others there.
        before: Python that is run before it.
        prepare: makes files in the folder that it runs in.
        serve: what has to run meanwhile; gives texts of the block that are to be read as others, such as an address.
    """

    document: str
    marks: str
    before: str = ""
    prepare: Callable[[Path], object] = lambda _: None
    serve: Callable[[], AbstractContextManager[Replacements]] = lambda: nullcontext({})


def _meeting(folder: Path) -> None:
    with wave.open(str(shipped_speech_path())) as speech, wave.open(str(folder / "meeting.wav"), "wb") as cut:
        cut.setparams(speech.getparams())
        cut.writeframes(speech.readframes(3 * speech.getframerate()))


def _sla(name: str, file: str, inputs: str = "", more: str = "") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        if not file.startswith("builtin:"):
            tiny_model(folder / file)
        (folder / "sla.toml").write_text(_SLA.format(name=name, file=file, inputs=inputs) + more, encoding="utf-8")

    return write


@contextmanager
def _voices() -> Iterator[Replacements]:
    with voicing(VoiceServer()) as url:
        yield {"http://127.0.0.1:8000": url}


@contextmanager
def _serving() -> Iterator[Replacements]:
    with local_server() as server:
        yield {"SERVER_URL": server.url}


PRELUDES = (
    Prelude(
        "README.md",
        "def test_my_model(latency, target)",
        "def my_model(target):\n    return sorted\n\n\nmy_inputs = list(range(10_000, 0, -1))\n",
        _sla("my-model", "model.onnx", more='[[objective]]\nmodel = "my-model"\ntarget = "cuda-t4"\np99 = "20ms"\n'),
    ),
    Prelude("docs/diarization.md", "open_diarizer()", prepare=_meeting),
    Prelude(
        "docs/diarization.md",
        "OnlineDiarizer(config, segmenter)",
        "import numpy as np\n"
        "from voiceflow_ml.diarization.config import DiarizationConfig\n"
        "from voiceflow_ml.diarization.online import OnlineDiarizer\n"
        "from voiceflow_ml.diarization.segmenter import OnnxSegmenter\n"
        "from voiceflow_ml.models.shipped import shipped_model_path\n"
        "config, segmenter = DiarizationConfig(), OnnxSegmenter(shipped_model_path())\n"
        "microphone = [np.zeros(8_000, dtype=np.float32)] * 10\n",
    ),
    Prelude(
        "docs/remote.md",
        "def test_fast_cnn(latency, target)",
        "from pathlib import Path\nimport numpy as np\nimport pytest\n"
        "from voiceflow_ml.inference.ort import open_onnx\n"
        "window = np.zeros((1, 4), dtype=np.float32)\n",
        _sla("fast-cnn", "fast-cnn.onnx", "inputs.x = { shape = [1, 4] }"),
    ),
    Prelude(
        "docs/serving-client.md",
        "client.diarize(",
        "import numpy as np\n\n\ndef microphone():\n    yield from [np.zeros(1_600, dtype=np.float32)] * 3\n\n\n",
        _meeting,
        _voices,
    ),
    Prelude(
        "docs/serving-client.md",
        "def test_end_to_end(latency, server, target, window)",
        "import types\nimport numpy as np\nimport pytest\nfrom voiceflow_ml.load import find_profile\n"
        "from voiceflow_ml.load.served import ServedModel\n\n\n"
        "@pytest.fixture\ndef server():\n    return types.SimpleNamespace(url='SERVER_URL')\n\n\n"
        "@pytest.fixture\ndef window():\n    return np.zeros((1, 48_000), dtype=np.float32)\n\n\n",
        _sla("fast-cnn", "builtin:fast-cnn", 'inputs.audio = "builtin:speech"', _END_TO_END),
        _serving,
    ),
    Prelude(
        "docs/verdicts.md",
        "judge(samples_ns",
        "import numpy as np\nsamples_ns = np.full(2_000, 5_000_000, dtype=np.int64)\n",
    ),
    Prelude("docs/verdicts.md", "adjusted = wall", "wall, run_delay, thread_cpu_time = 10, 3, 8\n"),
    Prelude(
        "docs/verdicts.md",
        "hardware(prepare=open_it)",
        "import pytest\n\n\ndef my_model(target):\n    return sorted\n\n\nmy_inputs = list(range(10_000, 0, -1))\n\n\n",
        _sla("my-model", "model.onnx"),
    ),
)
