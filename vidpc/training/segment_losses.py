"""What is lost on labelled points: cross-entropy for every point, Lovász-softmax for the overlap of every class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vidpc.training.scans import UNLABELLED


def point_losses(
    logits: Tensor, label: Tensor, weights: Tensor, *, smoothing: float, aside: Sequence[int] = ()
) -> dict[str, Tensor]:
    """Both losses of ``logits`` f32[n c] for ``label`` i64[n], -1 left out.

    ``weights`` f32[c] count in the first; points of the classes ``aside`` are left out of the second.
    """
    known = label != UNLABELLED
    logits, label = logits[known], label[known]
    nothing = logits.sum() * 0
    if not len(label):
        return {"entropy": nothing, "overlap": nothing}
    entropy = F.cross_entropy(logits, label, weights, label_smoothing=smoothing)
    counted = ~torch.isin(label, torch.tensor(list(aside)))
    overlap = lovasz_softmax(logits[counted].softmax(1), label[counted]) if bool(counted.any()) else nothing
    return {"entropy": entropy, "overlap": overlap}


def lovasz_softmax(shares: Tensor, label: Tensor) -> Tensor:
    """The mean over the classes present of the Lovász extension of 1 - IoU (Berman et al. 2018, equation 11).

    ``shares`` f32[n c] are probabilities, ``label`` i64[n].
    """
    losses = []
    for index in label.unique():
        truth = (label == index).float()
        errors, order = (truth - shares[:, index]).abs().sort(descending=True)
        losses.append(errors @ _steps(truth[order]))
    return torch.stack(losses).mean()


def _steps(truth: Tensor) -> Tensor:
    """By how much 1 - IoU grows with every further point that is wrong, f32[n], for points in the order of their errors."""
    total = truth.sum()
    shared = total - truth.cumsum(0)
    union = total + (1 - truth).cumsum(0)
    lost = 1 - shared / union
    return torch.cat([lost[:1], lost[1:] - lost[:-1]])


def class_weights(counts: Tensor, power: float) -> Tensor:
    """Weights f32[c] of classes that were met ``counts`` times: rare ones weigh more, the mean over points is 1."""
    shares = counts / counts.sum()
    weights = shares.clamp(min=1e-4) ** -power
    return weights / (weights * shares).sum()
