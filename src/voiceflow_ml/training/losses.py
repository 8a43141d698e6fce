"""The two losses: permutation-invariant powerset segmentation, and speaker classification."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voiceflow_ml.models.powerset import class_permutations
from voiceflow_ml.training.simulate.windows import ABSENT

_FRAME_S = 0.02


class PowersetLoss(nn.Module):
    """Cross entropy over the seven classes, under the order of speakers that suits each window best.

    Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural
    speaker diarization", Interspeech 2023.
    """

    permutations: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("permutations", torch.from_numpy(class_permutations()), persistent=False)

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The mean over frames and windows.

        Args:
            logits: float ``[batch, frames, 7]``.
            classes: int64 ``[batch, frames]``.

        Returns:
            A scalar.
        """
        negative = -torch.log_softmax(logits.float(), dim=2)
        targets = self.permutations[:, classes]
        each = [negative.gather(2, target.unsqueeze(2)).squeeze(2).mean(dim=1) for target in targets]
        return torch.stack(each).amin(dim=0).mean()


class SpeakerLoss(nn.Module):
    """Cross entropy over the training speakers on cosine similarities, with a margin.

    Additive margin softmax: Wang et al., "Additive margin softmax for face
    verification", IEEE Signal Processing Letters 25 (2018).
    """

    def __init__(self, speakers: int, embedding_dim: int, *, margin: float, scale: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(speakers, embedding_dim) / embedding_dim**0.5)
        self.margin = margin
        self.scale = scale

    def forward(self, embeddings: Tensor, speakers: Tensor) -> Tensor:
        """The mean over the labelled embeddings; zero when there is none.

        Args:
            embeddings: float ``[batch, 3, dim]`` of length one.
            speakers: int64 ``[batch, 3]``, index of the speaker, or ``ABSENT``.

        Returns:
            A scalar.
        """
        known = speakers != ABSENT
        if not bool(known.any()):
            return embeddings.sum() * 0.0
        labels = speakers[known]
        cosine = embeddings[known].float() @ nn.functional.normalize(self.centres, dim=1).T
        margins = self.margin * nn.functional.one_hot(labels, self.centres.shape[0])
        return nn.functional.cross_entropy(self.scale * (cosine - margins), labels)


def embeddable_speakers(activity: Tensor, speakers: Tensor, *, min_alone_s: float) -> Tensor:
    """Drop the labels of speakers who hardly talk alone in a window.

    Args:
        activity: bool ``[batch, frames, 3]``.
        speakers: int64 ``[batch, 3]``.
        min_alone_s: Seconds without overlap that a voice needs to be known by.

    Returns:
        int64 ``[batch, 3]``, ``ABSENT`` where the label was dropped.
    """
    alone = activity & (activity.sum(dim=2, keepdim=True) == 1)
    enough = alone.sum(dim=1) >= round(min_alone_s / _FRAME_S)
    return torch.where(enough, speakers, torch.full_like(speakers, ABSENT))
