"""A head on a body: what is read off a model's states for a downstream task.

    batch -> body (encoder, decoder, recurrent, convolutions) -> states (B, T, D) -> head -> loss, or what it answers

    class    one of several, of the pooled states          (B, L) logits         targets (B, 1)
    labels   any of several                                (B, L) logits         targets (B, L), 0 or 1
    value    numbers                                       (B, L)                values (B, L), targets 0 where counted
    tags     one of several at every marked position       (B, T, L) logits      targets (B, T); a CRF if asked for
    span     where an answer begins and ends, among the    (B, T, 2) logits      targets (B, 2) positions
             marked positions
    preference   how much likelier a text has become        (B, 1) nats          rows 2i (better) and 2i + 1 (worse),
             than a reference model found it: the marked                         values (B, 1): the reference's
             positions of it; by the body's own output                           log-probability; targets (B, 1), any
    vector   the pooled states themselves, such that rows  (B, D), of length 1   rows 2i and 2i + 1 belong together:
             that belong together are alike                                      targets (B, 1), any

In training a head can be taught besides (`taught`): to answer as another model did.

Rows are one document each, filled up at their ends (`attention.PADDING`). The body's parameters keep their names behind
`body.`, so weights of a pretrained model are its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from assay.models.attention import PADDING
from assay.models.convolution import Convolution, ConvolutionConfig
from assay.models.crf import Allowed, Transitions
from assay.models.decoder import Decoder, DecoderConfig
from assay.models.encoder import Encoder, EncoderConfig
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares, roles_of
from assay.models.ranges import Count, Dropout, Positive
from assay.models.recurrent import Recurrent, RecurrentConfig
from assay.models.taught import taught

BodyConfig = EncoderConfig | DecoderConfig | RecurrentConfig | ConvolutionConfig
Body = Encoder | Decoder | Recurrent | Convolution
Kind = Literal["class", "labels", "value", "tags", "span", "vector", "preference"]
Pool = Literal["first", "last", "mean", "max"]


@dataclass(frozen=True)
class HeadConfig:
    """What is read.

    Attributes:
        outputs: classes, labels, numbers or tags; 2 of a span; of a vector its width does not depend on it.
        pool: which states a head of the whole text reads: the first, the last, the mean or the maximum over time.
        dense: a layer and tanh before the output, as BERT has it.
        dropout: before the output (and before the dense layer).
        crf: tags are scored as rows.
        weights: of the classes in the loss (class); none: all alike.
        temperature: what a vector's cosines are divided by.
        beta: what a preference's nats are multiplied by.
    """

    kind: Kind
    outputs: Count
    pool: Pool = "first"
    dense: bool = False
    dropout: Dropout = 0.1
    crf: bool = False
    weights: tuple[Positive, ...] | None = None
    temperature: Positive = 0.05
    beta: Positive = 0.1

    def __post_init__(self) -> None:
        if self.crf and self.kind != "tags":
            raise ValueError(f"crf: rows of labels are tags, not {self.kind}")
        if self.weights is not None and (self.kind != "class" or len(self.weights) != self.outputs):
            raise ValueError("weights: one for each class")


@dataclass(frozen=True)
class HeadedConfig:
    """A body with a head."""

    body: BodyConfig
    head: HeadConfig

    @property
    def vocabulary(self) -> int:
        return self.body.vocabulary

    @property
    def max_length(self) -> int | None:
        """Positions; None: as many as a text has."""
        return getattr(self.body, "max_length", None)

    @property
    def tells_types(self) -> bool:
        """Whether the body tells two texts of a row apart by token types."""
        return isinstance(self.body, EncoderConfig) and self.body.tells_types


def states_width(config: BodyConfig) -> int:
    """D of the states of a body."""
    match config:
        case RecurrentConfig():
            return config.sizes()[-1][1]
        case ConvolutionConfig():
            return config.filters * len(config.spans)
    return config.width


class Headed(nn.Module):
    """See the module."""

    def __init__(self, config: HeadedConfig, body: Body, generator: torch.Generator | None) -> None:
        super().__init__()
        self.config, self.body = config, body
        head, width = config.head, states_width(config.body)
        self.dense = nn.Linear(width, width) if head.dense else None
        self.output = nn.Linear(width, head.outputs) if head.kind not in ("vector", "preference") else None
        self.transitions = Transitions(head.outputs) if head.crf else None
        for name, parameter in (
            body.named_parameters() if head.kind != "preference" else ()
        ):  # an output matrix that nothing reads is not trained
            if name.partition(".")[0] in ("head", "head_bias", "pooler") and parameter is not body.embedding:
                parameter.requires_grad_(False)
        if generator is not None:
            self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Normal with deviation 0.02, as BERT's heads begin; transitions at 0."""
        for layer in (self.dense, self.output):
            if layer is not None:
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.02)
                layer.bias.zero_()
        if self.transitions is not None:
            for parameter in self.transitions.parameters():
                parameter.zero_()

    def forward(self, batch: Batch) -> Tensor:
        """What the head answers: see the module."""
        x = self.read(batch)
        return self._likelier(x, batch) if self.config.head.kind == "preference" else self.answered(x, batch)

    def read(self, batch: Batch) -> Tensor:
        """The states that the head reads: (B, D) of a whole text, else (B, T, D)."""
        x = self.body.states(batch)
        return x if self.config.head.kind in ("tags", "span", "preference") else self._pooled(x, batch)

    def answered(self, x: Tensor, batch: Batch) -> Tensor:
        """What it makes of them."""
        head = self.config.head
        if self.dense is not None:
            x = torch.tanh(self.dense(functional.dropout(x, head.dropout, self.training)))
        if self.output is None:
            return functional.normalize(x, dim=-1)
        found: Tensor = self.output(functional.dropout(x, head.dropout, self.training))
        if head.kind == "span" and batch.marks_BT is not None:
            found = found.masked_fill(~batch.marks_BT[:, :, None], torch.finfo(found.dtype).min)
        return found

    def _likelier(self, x_BTD: Tensor, batch: Batch) -> Tensor:
        """(B, 1) log-probability of the marked tokens, less what the reference found."""
        assert batch.marks_BT is not None
        assert not isinstance(self.body, Encoder | Convolution)
        marked_BT = batch.marks_BT[:, 1:]
        log_NV = self.body.logits(x_BTD[:, :-1][marked_BT]).float().log_softmax(-1)
        found_N = log_NV.gather(1, batch.inputs_BT[:, 1:][marked_BT][:, None]).squeeze(1)
        row_N = marked_BT.nonzero()[:, 0]
        total_B = torch.zeros(len(x_BTD), device=x_BTD.device).index_add(0, row_N, found_N)
        return (total_B[:, None] - batch.values_BN) if batch.values_BN is not None else total_B[:, None]

    def _pooled(self, x_BTD: Tensor, batch: Batch) -> Tensor:
        """(B, D)."""
        pool, segments_BT = self.config.head.pool, batch.segments_BT
        if pool == "first":
            return x_BTD[:, 0]
        if segments_BT is None:
            return x_BTD[:, -1] if pool == "last" else x_BTD.mean(1) if pool == "mean" else x_BTD.amax(1)
        inside_BT = segments_BT != PADDING
        if pool == "last":
            return x_BTD[torch.arange(x_BTD.shape[0], device=x_BTD.device), inside_BT.sum(1) - 1]
        if pool == "max":
            return x_BTD.masked_fill(~inside_BT[:, :, None], torch.finfo(x_BTD.dtype).min).amax(1)
        return (x_BTD * inside_BT[:, :, None]).sum(1) / inside_BT.sum(1, keepdim=True)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """Mean loss over the targets that count, and the loss of each, of the shape of the targets, in nats (squared
        differences for values). Of a CRF a row's loss stands at its first label."""
        if batch.taught_BNL is None or not (penalties.taught or penalties.hidden):
            return self.loss_of(self(batch), batch, penalties)
        x = self.read(batch)
        found = self.answered(x, batch)
        return taught(self.config.head.kind, self.loss_of(found, batch, penalties), found, x, batch, penalties)

    def loss_of(self, found: Tensor, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """The loss of what the head has answered."""
        targets = batch.targets_BT
        counted, smoothing = targets >= 0, penalties.smoothing
        match self.config.head.kind:
            case "class":
                return self._of_classes(found.float(), targets, smoothing)
            case "labels":
                losses = functional.binary_cross_entropy_with_logits(
                    found.float(), targets.clamp_min(0).float(), reduction="none"
                )
            case "value":
                assert batch.values_BN is not None
                losses = (found.float() - batch.values_BN) ** 2
            case "vector":
                return self._of_pairs(found.float(), targets)
            case "preference":
                return self._of_preferences(found.float(), targets)
            case "tags" if self.transitions is not None:
                losses = self._of_rows(found, targets)
            case "tags":
                return _cross_entropy(found.float(), targets, smoothing)
            case "span":
                return _cross_entropy(found.float().transpose(1, 2), targets, smoothing)
        losses = losses * counted
        return Loss(losses.sum() / counted.sum().clamp_min(1), losses.detach())

    def _of_classes(self, found_BL: Tensor, targets_B1: Tensor, smoothing: float) -> Loss:
        weights = self.config.head.weights
        plain = _cross_entropy(found_BL[:, None], targets_B1, 0.0 if weights else smoothing)
        if weights is None:
            return plain
        weight = torch.tensor(weights, dtype=found_BL.dtype, device=found_BL.device)
        mean = functional.cross_entropy(found_BL, targets_B1[:, 0], weight, ignore_index=-1, label_smoothing=smoothing)
        return Loss(mean, plain.losses_BT)

    def _of_pairs(self, found_BD: Tensor, targets_B1: Tensor) -> Loss:
        """Each row tells its partner from all other rows of the batch (InfoNCE, van den Oord et al. 2018)."""
        rows = torch.arange(len(found_BD), device=found_BD.device)
        cosines_BB = found_BD @ found_BD.t() / self.config.head.temperature
        cosines_BB = cosines_BB.masked_fill(torch.eye(len(rows), dtype=torch.bool, device=rows.device), -torch.inf)
        losses = functional.cross_entropy(cosines_BB, rows ^ 1, reduction="none")
        return Loss(losses.mean(), losses.detach()[:, None] * (targets_B1 >= 0))

    def _of_preferences(self, found_B1: Tensor, targets_B1: Tensor) -> Loss:
        """Direct preference optimization (Rafailov et al. 2023): the better of two is to become likelier than the
        worse, by comparison with a reference."""
        better, worse = found_B1[::2], found_B1[1::2]
        losses = -functional.logsigmoid(self.config.head.beta * (better - worse))
        return Loss(losses.mean(), losses.detach().repeat_interleave(2, 0) * (targets_B1 >= 0))

    def _of_rows(self, found_BTL: Tensor, targets_BT: Tensor) -> Tensor:
        """(B, T)."""
        assert self.transitions is not None
        places, inside_BW = gathered(targets_BT >= 0)
        scores_BWL, labels_BW = taken(found_BTL, places), targets_BT.gather(1, places)
        nll_B = self.transitions.nll(scores_BWL, labels_BW, inside_BW)
        losses = torch.zeros(targets_BT.shape, device=nll_B.device)
        return losses.scatter(1, places[:, :1], nll_B[:, None])

    @torch.no_grad()
    def tags_of(self, found_BTL: Tensor, batch: Batch, allowed: Allowed | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The tag of each marked position, in their order: (B, W) tags, (B, W) how likely each is, (B, W) bool where
        there are any.

        Args:
            found_BTL: what the head has answered.
            allowed: which tags may follow which, begin and end a row; none: all.
        """
        assert batch.marks_BT is not None
        places, inside_BW = gathered(batch.marks_BT)
        scores_BWL = taken(found_BTL, places).float()
        if self.transitions is not None:
            tags_BW = self.transitions.best(scores_BWL, inside_BW, allowed)
            likely_BWL = self.transitions.marginals(scores_BWL, inside_BW)
        else:
            likely_BWL = scores_BWL.softmax(2)
            free = Transitions(scores_BWL.shape[2]).to(scores_BWL.device)
            tags_BW = scores_BWL.argmax(2) if allowed is None else free.best(likely_BWL.log(), inside_BW, allowed)
        return tags_BW, likely_BWL.gather(2, tags_BW[:, :, None]).squeeze(2), inside_BW

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer: the head's own are its head."""
        own: Mapping[str, Role] = self._body_roles()
        names = [name for name, _ in self.named_parameters() if not name.startswith("body.")]
        return {f"body.{name}": role for name, role in own.items()} | dict.fromkeys(names, "head")

    def _body_roles(self) -> dict[str, Role]:
        return roles_of(self.body, ("embedding",)) if isinstance(self.body, Convolution) else self.body.roles()

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all)."""
        tables = sum(p.numel() for name, p in self.named_parameters() if self.roles()[name] == "embedding")
        total = sum(p.numel() for p in self.parameters())
        return total - tables, total

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """Training FLOPs a token: the body's without an output matrix; the head's are few."""
        match self.body:
            case Convolution():
                return 6.0 * self.body.products()
            case Encoder():
                return self.body.flops_per_token(length, Shares(predicted=0.0))
            case _:
                whole = self.body.flops_per_token(length)
                return whole if self.config.head.kind == "preference" else whole - 6.0 * self.body.head.numel()


def _cross_entropy(found_BNL: Tensor, targets_BN: Tensor, smoothing: float) -> Loss:
    """Of (B, N, L) logits."""
    flat, wanted = found_BNL.flatten(0, 1), targets_BN.flatten()
    losses = functional.cross_entropy(flat, wanted, ignore_index=-1, reduction="none").view(targets_BN.shape)
    mean = losses.sum() / (targets_BN >= 0).sum().clamp_min(1)
    if smoothing:
        mean = functional.cross_entropy(flat, wanted, ignore_index=-1, label_smoothing=smoothing)
    return Loss(mean, losses.detach())


def gathered(marks_BT: Tensor) -> tuple[Tensor, Tensor]:
    """The marked positions of each row on end: (B, W) their places, 0 behind the last, and (B, W) where there are any;
    W is 1 at least."""
    n_B = marks_BT.sum(1)
    W = max(1, int(n_B.max()))
    places = torch.argsort((~marks_BT).int(), dim=1, stable=True)[:, :W]
    inside_BW = torch.arange(W, device=marks_BT.device) < n_B[:, None]
    return torch.where(inside_BW, places, 0), inside_BW


def taken(x_BTD: Tensor, places_BW: Tensor) -> Tensor:
    """(B, W, D) the states at some places."""
    return x_BTD.gather(1, places_BW[:, :, None].expand(-1, -1, x_BTD.shape[2]))
