"""On the path of a raylet that plays a node with a GPU: its workers find a fake driver behind the real binding.

Python imports a module of this name at every start. Where no fake is asked for it does nothing.
"""

from __future__ import annotations

import os

if os.environ.get("VOICEFLOW_ML_FAKE_GPU"):
    import pynvml

    from voiceflow_ml.hardware.fake_nvml import FakeNvml

    pynvml.nvmlLib = getattr(FakeNvml, os.environ["VOICEFLOW_ML_FAKE_GPU"])()
