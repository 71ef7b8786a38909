"""Many decoders of one shape as one decoder whose weights are stacked, for a GPU that one small model cannot fill.

    weights     (M, ...)        a member's weights are a slice
    rows        (M * B, T)      the members' rows on end

What has no weights (attention, activations, positions) sees more rows and knows of no members; what has weights
multiplies member by member in one batched product. So each member computes what it would alone, in a fleet as in
`Decoder`: the tests hold them equal. Parameters have the names and the roles that they have in a decoder.

Shapes: M members, N rows of one member's matrix, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from assay.errors import InputError
from assay.models.blocks import Block, Norm
from assay.models.decoder import Decoder, DecoderConfig, ValueEmbedding
from assay.models.protocol import PLAIN, Batch, Loss, Penalties, Role

CHUNK = 512  # rows of logits that are held at a time, of every member


@dataclass(frozen=True)
class StackedConfig:
    """Members of one shape, each with initial weights of its own.

    Attributes:
        one: the shape of each.
        seeds: one a member.
    """

    one: DecoderConfig
    seeds: tuple[int, ...]

    @property
    def vocabulary(self) -> int:
        return self.one.vocabulary


class StackedLinear(nn.Linear):
    """weight (M, O, I), bias (M, O); rows (M * B, T, I) -> (M * B, T, O)."""

    def forward(self, x: Tensor) -> Tensor:
        x_MNI = x.reshape(len(self.weight), -1, x.shape[-1])
        if self.bias is None:
            y_MNO = torch.bmm(x_MNI, self.weight.mT)
        else:
            y_MNO = torch.baddbmm(self.bias[:, None], x_MNI, self.weight.mT)
        return y_MNO.view(*x.shape[:-1], -1)


class StackedNorm(Norm):
    """Gains and biases (M, D); rows (M * B, ..., D)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is None:
            return super().forward(x)
        gains, biases = self.weight, self.bias
        if self.kind == "layer":
            normed = nn.functional.layer_norm(x, (self.width,), eps=self.epsilon)
        else:
            normed = nn.functional.rms_norm(x, (self.width,), eps=self.epsilon)
        y = normed.unflatten(0, (len(gains), -1))
        inner = (len(gains), *[1] * (y.dim() - 2), -1)
        y = y * gains.view(inner)
        return (y if biases is None else y + biases.view(inner)).flatten(0, 1)


class StackedValues(ValueEmbedding):
    """embedding (M, V, G * K), gate (M, G); ids (M * B, T) -> (M * B, G, T, K)."""

    def forward(self, ids_BT: Tensor) -> Tensor:
        values_BTGK = _rows_of(self.embedding, ids_BT).unflatten(-1, (self.groups, -1))
        gated = values_BTGK.unflatten(0, (len(self.gate), -1)) * self.gate[:, None, None, :, None]
        return gated.flatten(0, 1).transpose(1, 2)


def _rows_of(table_MVD: Tensor, ids_BT: Tensor) -> Tensor:
    """(M * B, T, D): each member's ids in its own table. Ids of one row (1, T) are those of all rows."""
    M, V = table_MVD.shape[:2]
    if len(ids_BT) % M:
        return table_MVD[:, ids_BT[0]]
    first = torch.arange(M, device=ids_BT.device).repeat_interleave(len(ids_BT) // M) * V
    return nn.functional.embedding(ids_BT + first[:, None], table_MVD.flatten(0, 1))


class StackedDecoder(Decoder):
    """Decoders of one shape. Make one by `stacked`."""

    members: int
    one_roles: dict[str, Role]

    def rows_of(self, table: Tensor, ids_BT: Tensor) -> Tensor:
        return _rows_of(table, ids_BT)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """The sum of the members' mean losses, whose gradients are therefore each member's own, and the loss of each
        position.

        Args:
            batch: the rows of the first member, then those of the second, and so on; as many of each.
        """
        if penalties != PLAIN or self.config.softcap is not None:
            raise InputError("members of a stack have neither penalties nor capped logits")
        if len(batch.inputs_BT) % self.members:
            raise ValueError(f"{len(batch.inputs_BT)} rows for {self.members} members")
        x_BTD = self.hidden(batch.inputs_BT, batch.segments_BT)
        total, losses_MN = _CrossEntropy.apply(
            x_BTD.reshape(self.members, -1, self.config.width),
            self.head if self.head.dim() == 3 else self.embedding,
            batch.targets_BT.reshape(self.members, -1),
        )
        return Loss(total, losses_MN.view(batch.targets_BT.shape))

    def roles(self) -> dict[str, Role]:
        return self.one_roles

    def member(self, m: int) -> Decoder:
        """One member, with weights of its own."""
        alone = Decoder(self.config, None)
        with torch.no_grad():
            for name, parameter in alone.named_parameters():
                parameter.copy_(self.get_parameter(name)[m])
        return alone


_STACKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: StackedLinear,
    Norm: StackedNorm,
    ValueEmbedding: StackedValues,
    Decoder: StackedDecoder,
}


def stacked(decoders: Sequence[Decoder]) -> StackedDecoder:
    """Decoders of one config as one; the first of them is used up."""
    model: Any = decoders[0]
    roles = model.roles()
    # Before anything is replaced: a tied head is found under both of its names.
    weights = {name: torch.stack([d.get_parameter(name).detach() for d in decoders]) for name in roles}
    tied = model.head is model.embedding
    for module in list(model.modules()):
        module.__class__ = _STACKED.get(type(module), type(module))
        if isinstance(module, Block):
            module.fusable = False  # the hand-written way knows of no members
    for name, weight in weights.items():
        path, _, last = name.rpartition(".")
        setattr(model.get_submodule(path), last, nn.Parameter(weight))
    if tied:
        model.head = model.embedding
    model.members, model.one_roles = len(decoders), roles
    made: StackedDecoder = model
    return made


class _CrossEntropy(torch.autograd.Function):
    """As in `fused`, for every member at once."""

    @staticmethod
    def forward(ctx: Any, x_MND: Tensor, w_MVD: Tensor, targets_MN: Tensor) -> tuple[Tensor, Tensor]:
        counted = targets_MN >= 0
        weights_MN = counted.float() / counted.sum(1, keepdim=True).clamp_min(1)
        targets_MN = targets_MN.clamp_min(0)
        losses = torch.empty(targets_MN.shape, dtype=torch.float32, device=x_MND.device)
        wanted = any(ctx.needs_input_grad)
        dx, dw = torch.empty_like(x_MND), torch.zeros_like(w_MVD) if wanted else None
        for start in range(0, x_MND.shape[1], CHUNK):
            rows = slice(start, start + CHUNK)
            x, place = x_MND[:, rows], targets_MN[:, rows, None]
            log_p = torch.log_softmax(torch.bmm(x, w_MVD.mT), 2, dtype=torch.float32)
            losses[:, rows] = -log_p.gather(2, place).squeeze(2)
            if dw is None:
                continue
            d_logits = log_p.exp_()
            d_logits.scatter_add_(2, place, d_logits.new_full(place.shape, -1.0))
            d_logits = d_logits.mul_(weights_MN[:, rows, None]).to(x.dtype)
            dx[:, rows] = torch.bmm(d_logits, w_MVD)
            dw.baddbmm_(d_logits.mT, x)
        ctx.save_for_backward(dx, dw)
        losses *= counted
        ctx.mark_non_differentiable(losses)
        return (losses * weights_MN).sum(), losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _grad_losses: Tensor) -> tuple[Tensor | None, ...]:
        dx, dw = ctx.saved_tensors
        return dx * grad, dw * grad, None
