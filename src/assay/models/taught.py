"""What a head is taught by another model: to answer as that one did, and to read the same states.

    loss = (1 - taught) labels + taught T^2 KL(teacher / T || student / T) + hidden |x - states|^2 / var(states)

As in Hinton et al. 2015: the softmax of both answers at a temperature T, whose square makes up for what T takes from
the gradient. Of labels that do not exclude each other each is a distribution of two; of a span the positions are one;
numbers and vectors are compared by their squared distance.

Shapes: what another head answered stands as (B, N, L), N = 1 for a whole text, else T; its states as (B, N, D).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from assay.models.protocol import Batch, Loss, Penalties


def taught(kind: str, own: Loss, found: Tensor, x: Tensor, batch: Batch, penalties: Penalties) -> Loss:
    """The loss of a head that is taught.

    Args:
        own: the loss of its labels.
        found: what it has answered.
        x: the states that it read.
    """
    assert batch.taught_BNL is not None
    inside_BN = batch.marks_BT if kind == "tags" and batch.marks_BT is not None else None
    found_BNL = found[:, None] if found.dim() == 2 else found
    apart = _apart(kind, found_BNL.float(), batch.taught_BNL, penalties.temperature)
    mean = (1 - penalties.taught) * own.mean + penalties.taught * _mean(apart, inside_BN)
    if penalties.hidden and batch.states_BND is not None:
        x_BND, states_BND = (x[:, None] if x.dim() == 2 else x).float(), batch.states_BND
        far = (x_BND - states_BND).square().mean(-1)
        mean = mean + penalties.hidden * _mean(far, inside_BN) / states_BND.var().clamp_min(1e-6)
    return own._replace(mean=mean)


def _apart(kind: str, found_BNL: Tensor, taught_BNL: Tensor, t: float) -> Tensor:
    """(B, N) how far answers are from the teacher's."""
    match kind:
        case "class" | "tags":
            return _kl(found_BNL / t, taught_BNL / t) * t**2
        case "span":  # (B, 2): where it begins and where it ends
            return _kl(found_BNL.transpose(1, 2) / t, taught_BNL.transpose(1, 2) / t) * t**2
        case "labels":
            both = (torch.stack([z / t, torch.zeros_like(z)], dim=-1) for z in (found_BNL, taught_BNL))
            return _kl(*both).sum(-1) * t**2
    return (found_BNL - taught_BNL).square().sum(-1)


def _kl(found: Tensor, taught_: Tensor) -> Tensor:
    """Over the last dimension."""
    return functional.kl_div(found.log_softmax(-1), taught_.log_softmax(-1), reduction="none", log_target=True).sum(-1)


def _mean(values_BN: Tensor, inside_BN: Tensor | None) -> Tensor:
    if inside_BN is None:
        return values_BN.mean()
    return (values_BN * inside_BN).sum() / inside_BN.sum().clamp_min(1)
