"""How far is a variant from the trained network, on real speech?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voiceflow_ml.contract.check import open_session
from voiceflow_ml.errors import ExportError
from voiceflow_ml.export.graph import INPUT_NAME, OUTPUT_NAMES
from voiceflow_ml.export.options import Precision
from voiceflow_ml.export.source import Network
from voiceflow_ml.models.powerset import logits_to_activity
from voiceflow_ml.models.signal import WINDOW_SAMPLES
from voiceflow_ml.training.evaluate import local_der

PARITY_LIMITS = {Precision.FP32: 1e-5, Precision.FP16: 1e-3}
"""Largest allowed |ONNX - torch| per output, over the larger of 1 and the output's root mean square."""
LENGTHS = (640, 35_655, 80_001, WINDOW_SAMPLES)
"""Samples, odd ones among them, at which a graph that is dynamic in time must agree."""
_BATCH = 32


@dataclass(frozen=True)
class Parity:
    """Differences to the trained network.

    Attributes:
        max_abs_error: output -> largest difference.
        scaled_error: output -> the same over the larger of 1 and the output's root mean square.
        disagreement_percent: speech that is given to another speaker, missed or added, against the network's own.
        least_cosine: smallest cosine between an embedding and the network's, over speakers who talk.
        windows: how many were compared.
    """

    max_abs_error: Mapping[str, float]
    scaled_error: Mapping[str, float]
    disagreement_percent: float
    least_cosine: float
    windows: int


Outputs = tuple[NDArray[np.floating], NDArray[np.floating]]


def measure_parity(network: Network, path: Path, audio: NDArray[np.float32]) -> Parity:
    """Run both over the windows, and over other lengths and batches.

    The network runs in double precision: what single precision rounds away in torch is no error of
    the variant (over 1 205 windows it was up to 7e-6 where the graph itself was 4e-6 off).

    Args:
        network: the trained network.
        path: the variant.
        audio: float32 ``[windows, samples]``, all of one length.

    Raises:
        ExportError: ONNX Runtime cannot run it, or gives other shapes.
    """
    session = open_session(path)
    network = deepcopy(network).double()
    pairs = [(_reference(network, batch), _variant(session, batch, path)) for batch in _batches(audio)]
    worst = dict.fromkeys(OUTPUT_NAMES, 0.0)
    scaled = dict(worst)
    lengths = [(audio[:3, :length], length) for length in LENGTHS if length <= audio.shape[1]]
    extra = [(_reference(network, batch), _variant(session, batch, path)) for batch, _ in lengths]
    for reference, variant in (*pairs, *extra):
        for name, wanted, given in zip(OUTPUT_NAMES, reference, variant, strict=True):
            error, share = _errors(path, name, wanted, given)
            worst[name], scaled[name] = max(worst[name], error), max(scaled[name], share)
    return Parity(worst, scaled, *_decisions(pairs), len(audio))


def worst_parity(parities: Sequence[Parity]) -> Parity:
    """The worst of several sets of windows."""
    names = parities[0].max_abs_error
    return Parity(
        {name: max(one.max_abs_error[name] for one in parities) for name in names},
        {name: max(one.scaled_error[name] for one in parities) for name in names},
        max(one.disagreement_percent for one in parities),
        min(one.least_cosine for one in parities),
        sum(one.windows for one in parities),
    )


def check_parity(precision: Precision, parity: Parity, tried: str = "") -> None:
    """Refuse a variant that is further off than its precision allows; int8 is judged by its error rate instead.

    Args:
        precision: which variant.
        parity: how far off it is.
        tried: what was done to make it close, for the message.

    Raises:
        ExportError: it is.
    """
    limit = PARITY_LIMITS.get(precision, float("inf"))
    for name, error in parity.scaled_error.items():
        # Written so that a NaN fails, too.
        if not error <= limit:
            raise ExportError(
                f"{name} of the {precision} graph differs from torch by {error:.3g}; {limit:g} is allowed"
                f"{f' (tried: {tried})' if tried else ''}"
            )


def scaled_error(wanted: NDArray[np.floating], given: NDArray[np.floating]) -> float:
    """Largest difference, over the larger of 1 and the root mean square of what is wanted."""
    return float(np.abs(given - wanted).max()) / max(1.0, float(np.sqrt(np.square(wanted).mean())))


def _batches(audio: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for first in range(0, len(audio), _BATCH):
        yield audio[first : first + _BATCH]


def _reference(network: Network, audio: NDArray[np.float32]) -> Outputs:
    with torch.no_grad():
        logits, embeddings = network(torch.from_numpy(audio.astype(np.float64)))
    return logits.numpy(), embeddings.numpy()


def _variant(session: Any, audio: NDArray[np.float32], path: Path) -> Outputs:
    try:
        logits, embeddings = session.run(list(OUTPUT_NAMES), {INPUT_NAME: np.ascontiguousarray(audio)})
    except Exception as error:  # ONNX Runtime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{path.name} cannot be run on {list(audio.shape)}: {reason}") from error
    return logits, embeddings


def _errors(path: Path, name: str, wanted: NDArray[np.floating], given: NDArray[np.floating]) -> tuple[float, float]:
    if wanted.shape != given.shape:
        raise ExportError(f"{name} of {path.name} is {list(given.shape)}, torch gives {list(wanted.shape)}")
    return float(np.abs(given - wanted).max()), scaled_error(wanted, given)


def _decisions(pairs: list[tuple[Outputs, Outputs]]) -> tuple[float, float]:
    """Disagreement in percent of the network's speech, and the smallest cosine of embeddings of speakers who talk."""
    activity = [np.concatenate([logits_to_activity(pair[which][0]) for pair in pairs]) for which in (0, 1)]
    vectors = [np.concatenate([pair[which][1] for pair in pairs]) for which in (0, 1)]
    talks = activity[0].any(axis=1)
    if not talks.any():
        return 0.0, 1.0
    norms = [np.linalg.norm(one, axis=2) for one in vectors]
    cosines = (vectors[0] * vectors[1]).sum(axis=2) / (norms[0] * norms[1])
    return 100.0 * local_der(activity[0], activity[1]).der, float(cosines[talks].min())
