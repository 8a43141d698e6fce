"""One vector for each local speaker from the frames in which that speaker talks; every network pools in this way."""

from __future__ import annotations

import torch
from torch import Tensor


def pool_speakers(voice: Tensor, activity: Tensor) -> Tensor:
    """Weighted mean and deviation of features over each local speaker's frames.

    Args:
        voice: ``[batch, channels, time]``.
        activity: ``[batch, time, 3]``, how much each local speaker talks.

    Returns:
        ``[batch, 3, 2 * channels]``: means, then deviations.
    """
    # A frame counts for a speaker by its share of the talk: overlap says little about either voice.
    weights = activity.square() / (activity.sum(dim=2, keepdim=True) + 1e-4)
    weights = weights / (weights.sum(dim=1, keepdim=True) + 1e-4)
    mean = voice @ weights
    variance = voice.square() @ weights - mean.square()
    return torch.cat([mean, torch.sqrt(variance.clamp_min(0.0) + 1e-5)], dim=1).transpose(1, 2)


def to_length_one(embeddings: Tensor) -> Tensor:
    """``[batch, 3, dim]`` of length one; finite for a speaker who does not talk."""
    return embeddings / torch.sqrt(embeddings.square().sum(dim=2, keepdim=True) + 1e-8)
