"""The two losses: permutation-invariant powerset segmentation, and knowing voices as a teacher does."""

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
    """Cross entropy over the training identities on cosines, with a margin, and distance to a teacher.

    Additive margin softmax: Wang et al., "Additive margin softmax for face
    verification", IEEE Signal Processing Letters 25 (2018). The teacher's part is
    ``1 - cosine`` between an embedding and where the teacher puts that identity.

    Args:
        identities: How many (voice, speed) pairs there are.
        embedding_dim: Size of an embedding.
        margin: Of the classification, in cosine.
        scale: Of its cosines.
        targets: float32 ``[identities, embedding_dim]`` of length one, or zeros for an identity
            that the teacher does not know; ``None`` without a teacher.
        teacher_weight: Weight of the teacher's part.
    """

    targets: Tensor | None

    def __init__(
        self,
        identities: int,
        embedding_dim: int,
        *,
        margin: float,
        scale: float,
        targets: Tensor | None = None,
        teacher_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(identities, embedding_dim) / embedding_dim**0.5)
        self.margin = margin
        self.scale = scale
        self.teacher_weight = teacher_weight
        self.register_buffer("targets", targets, persistent=False)

    def begin_at_targets(self) -> None:
        """Look for each voice where the teacher puts it: a network that knows voices is not led astray by chance."""
        if self.targets is not None:
            known = self.targets.any(dim=1, keepdim=True)
            with torch.no_grad():
                self.centres.copy_(torch.where(known, self.targets, self.centres))

    def forward(self, embeddings: Tensor, identities: Tensor, targets: Tensor | None = None) -> Tensor:
        """The mean over the labelled embeddings; zero when there is none.

        Args:
            embeddings: float ``[batch, 3, dim]`` of length one.
            identities: int64 ``[batch, 3]``, or ``ABSENT``.
            targets: float ``[batch, 3, dim]``: what the teacher says of just this speech; zeros
                where it said something of the identity only.

        Returns:
            A scalar.
        """
        known = identities != ABSENT
        if not bool(known.any()):
            return embeddings.sum() * 0.0
        labels, found = identities[known], embeddings[known].float()
        cosine = found @ nn.functional.normalize(self.centres, dim=1).T
        margins = self.margin * nn.functional.one_hot(labels, self.centres.shape[0])
        loss = nn.functional.cross_entropy(self.scale * (cosine - margins), labels)
        if self.targets is None:
            return loss
        wanted = self.targets[labels]
        if targets is not None:
            own = targets[known]
            wanted = torch.where(own.square().sum(dim=1, keepdim=True) > 0.0, own, wanted)
        # A target of zeros has no direction to be far from.
        distance = (wanted.square().sum(dim=1) - (found * wanted).sum(dim=1)).mean()
        return loss + self.teacher_weight * distance


def embeddable(activity: Tensor, identities: Tensor, *, min_alone_s: float) -> Tensor:
    """Drop the labels of voices that are hardly heard alone in a window.

    Args:
        activity: bool ``[batch, frames, 3]``.
        identities: int64 ``[batch, 3]``.
        min_alone_s: Seconds without overlap that a voice needs to be known by.

    Returns:
        int64 ``[batch, 3]``, ``ABSENT`` where the label was dropped.
    """
    alone = activity & (activity.sum(dim=2, keepdim=True) == 1)
    enough = alone.sum(dim=1) >= round(min_alone_s / _FRAME_S)
    return torch.where(enough, identities, torch.full_like(identities, ABSENT))
