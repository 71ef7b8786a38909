"""A conditional random field over labels in a row (Lafferty et al. 2001; Lample et al. 2016 on an LSTM).

    scores_BWL, labels_BW -> negative log-likelihood of the labels, (B,)      `Transitions.nll`
    scores_BWL            -> the likeliest labels, and how likely each is      `Transitions.best`, `.marginals`

All in float32: sums of exponentials over rows of labels do not fit into less.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Transitions(nn.Module):
    """What label follows what, begins and ends a row, as scores that are added to those of the labels themselves.

    Attributes:
        follows: (L, L) of the second label after the first.  begins, ends: (L,).
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.follows = nn.Parameter(torch.zeros(labels, labels))
        self.begins = nn.Parameter(torch.zeros(labels))
        self.ends = nn.Parameter(torch.zeros(labels))

    def nll(self, scores_BWL: Tensor, labels_BW: Tensor, inside_BW: Tensor) -> Tensor:
        """(B,) negative log-likelihood of each row's labels, in nats; 0 of a row without any.

        Args:
            inside_BW: bool, where a row has labels: from its beginning without a gap.
        """
        scores_BWL = scores_BWL.float()
        labels_BW = labels_BW.clamp_min(0)
        own_BW = scores_BWL.gather(2, labels_BW[:, :, None]).squeeze(2)
        own = (own_BW * inside_BW).sum(1)
        pairs_BW = self.follows.float()[labels_BW[:, :-1], labels_BW[:, 1:]]
        own = own + (pairs_BW * inside_BW[:, 1:]).sum(1) + self.begins.float()[labels_BW[:, 0]]
        last_B = labels_BW.gather(1, (inside_BW.sum(1) - 1).clamp_min(0)[:, None]).squeeze(1)
        own = own + self.ends.float()[last_B]
        weights = self.follows.float(), self.begins.float(), self.ends.float()
        total: Tensor = _LogSum.apply(scores_BWL, inside_BW, *weights)
        return (total - own) * inside_BW[:, 0]

    @torch.no_grad()
    def best(self, scores_BWL: Tensor, inside_BW: Tensor, allowed: Allowed | None = None) -> Tensor:
        """(B, W) the likeliest labels (Viterbi 1967); anything outside.

        Args:
            allowed: none: everything may follow everything.
        """
        follows, begins, ends = self.follows.float(), self.begins.float(), self.ends.float()
        if allowed is not None:
            follows, begins, ends = follows + allowed[0], begins + allowed[1], ends + allowed[2]
        scores_BWL = scores_BWL.float()
        B, W, L = scores_BWL.shape
        alpha_BL = begins + scores_BWL[:, 0]
        same_L = torch.arange(L, device=scores_BWL.device).expand(B, L)
        came: list[Tensor] = []
        for w in range(1, W):
            value_BL, from_BL = (alpha_BL[:, :, None] + follows).max(1)
            here_B1 = inside_BW[:, w, None]
            alpha_BL = torch.where(here_B1, value_BL + scores_BWL[:, w], alpha_BL)
            came.append(torch.where(here_B1, from_BL, same_L))
        label_B1 = (alpha_BL + ends).argmax(1, keepdim=True)
        found = [label_B1]
        for from_BL in reversed(came):
            label_B1 = from_BL.gather(1, label_B1)
            found.append(label_B1)
        return torch.cat(found[::-1], dim=1)

    @torch.no_grad()
    def marginals(self, scores_BWL: Tensor, inside_BW: Tensor) -> Tensor:
        """(B, W, L) probability of each label at each place, over all rows of labels; anything outside."""
        follows, begins, ends = self.follows.float(), self.begins.float(), self.ends.float()
        scores_BWL = scores_BWL.float()
        alphas_BWL = _forwards(scores_BWL, inside_BW, follows, begins)
        return (alphas_BWL + _backwards(scores_BWL, inside_BW, follows, ends)).softmax(2)


def _forwards(scores_BWL: Tensor, inside_BW: Tensor, follows: Tensor, begins: Tensor) -> Tensor:
    """(B, W, L) the logarithm of the summed weights of all rows of labels up to each place; outside as at the last."""
    may_LL, alpha_BL = follows.exp(), begins + scores_BWL[:, 0]
    found = [alpha_BL]
    for w in range(1, scores_BWL.shape[1]):
        new_BL = _through(alpha_BL, may_LL) + scores_BWL[:, w]
        alpha_BL = torch.where(inside_BW[:, w, None], new_BL, alpha_BL)
        found.append(alpha_BL)
    return torch.stack(found, dim=1)


def _backwards(scores_BWL: Tensor, inside_BW: Tensor, follows: Tensor, ends: Tensor) -> Tensor:
    """(B, W, L) that of all rows of labels behind each place."""
    may_LL, beta_BL = follows.exp().t(), ends.expand(len(scores_BWL), -1)
    found = [beta_BL]
    for w in range(scores_BWL.shape[1] - 1, 0, -1):
        new_BL = _through(scores_BWL[:, w] + beta_BL, may_LL)
        beta_BL = torch.where(inside_BW[:, w, None], new_BL, beta_BL)
        found.append(beta_BL)
    return torch.stack(found[::-1], dim=1)


_LEAST = 1e-37  # of a weight that has a logarithm in float32


def _through(x_BL: Tensor, may_LL: Tensor) -> Tensor:
    """Logarithms of weights -> those of the sums over the label before, as a product of matrices."""
    most_B1 = x_BL.amax(1, keepdim=True)
    return ((x_BL - most_B1).exp() @ may_LL).clamp_min(_LEAST).log() + most_B1


class _LogSum(torch.autograd.Function):
    """(B,) the logarithm of the summed weights of all rows of labels. Its gradients are how likely each label, and each
    pair of neighbours, is, which takes one pass backwards and no graph of all places."""

    @staticmethod
    def forward(
        ctx: Any, scores_BWL: Tensor, inside_BW: Tensor, follows: Tensor, begins: Tensor, ends: Tensor
    ) -> Tensor:
        alphas_BWL = _forwards(scores_BWL, inside_BW, follows, begins)
        ctx.save_for_backward(scores_BWL, inside_BW, follows, ends, alphas_BWL)
        return (alphas_BWL[:, -1] + ends).logsumexp(1)

    @staticmethod
    def backward(ctx: Any, upstream_B: Tensor) -> tuple[Tensor | None, ...]:
        scores_BWL, inside_BW, follows, ends, alphas_BWL = ctx.saved_tensors
        betas_BWL = _backwards(scores_BWL, inside_BW, follows, ends)
        likely_BWL = (alphas_BWL + betas_BWL).softmax(2) * upstream_B[:, None, None]
        last_BL = likely_BWL[:, -1]  # outside, as at the last place
        here_BWL = likely_BWL * inside_BW[:, :, None]
        # Of two neighbours: exp(alpha_i + follows_ij + score_j + beta_j), normed at each place.
        one = (alphas_BWL[:, :-1] - alphas_BWL[:, :-1].amax(2, keepdim=True)).exp()
        other = scores_BWL[:, 1:] + betas_BWL[:, 1:]
        other = (other - other.amax(2, keepdim=True)).exp()
        may_LL = follows.exp()
        total = ((one @ may_LL) * other).sum(2, keepdim=True).clamp_min(_LEAST)
        counted = inside_BW[:, 1:, None] * upstream_B[:, None, None] / total
        pairs_LL = torch.einsum("bwi,bwj->ij", one * counted, other) * may_LL
        return here_BWL, None, pairs_LL, here_BWL[:, 0].sum(0), last_BL.sum(0)


Allowed = tuple[Tensor, Tensor, Tensor]
"""Added to `follows`, `begins` and `ends`: 0 where a label may stand, -inf where not."""
