"""A language model that is taught by another one: token by token, to predict as that one does (Hinton et al. 2015).

    batch -> teacher, as it is -> logits of the positions that have a target
          -> student           -> logits of the same ones
          -> (1 - taught) loss + taught T^2 KL(teacher / T || student / T)

Both have one vocabulary. Evaluation asks the student alone. Of the trainer it is a model as any other, whose teacher's
weights are not trained; what is written in the end is `student`. Logits are made some rows at a time, and again in the
backward pass, so that they are never held for a whole batch.

Shapes: N positions that have a target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from assay.models.decoder import Decoder, DecoderConfig
from assay.models.encoder import Encoder, EncoderConfig
from assay.models.fused import LOGITS_HELD
from assay.models.protocol import PLAIN, WHOLE, Batch, Loss, Penalties, Role, Shares
from assay.models.recurrent import Recurrent, RecurrentConfig
from assay.models.seq2seq import Seq2Seq, Seq2SeqConfig

TaughtConfig = DecoderConfig | EncoderConfig | Seq2SeqConfig | RecurrentConfig
Taught = Decoder | Encoder | Seq2Seq | Recurrent


@dataclass(frozen=True)
class DistilledConfig:
    """A student and its teacher."""

    student: TaughtConfig
    teacher: TaughtConfig

    def __post_init__(self) -> None:
        if type(self.student) is not type(self.teacher) or self.student.vocabulary != self.teacher.vocabulary:
            raise ValueError("a student is of its teacher's kind and vocabulary")

    @property
    def vocabulary(self) -> int:
        return self.student.vocabulary

    @property
    def max_length(self) -> int | None:
        """Positions; None: as many as a text has."""
        return getattr(self.student, "max_length", None)


class Distilled(nn.Module):
    """See the module."""

    def __init__(self, config: DistilledConfig, student: Taught, teacher: Taught) -> None:
        super().__init__()
        self.config, self.student, self.teacher = config, student, teacher
        self.teacher.requires_grad_(False)

    def train(self, mode: bool = True) -> Distilled:
        """The teacher drops nothing."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        """The student's loss; with `penalties.taught` its mean asks for the teacher's answers, too."""
        if not penalties.taught:
            return self.student.loss(batch, penalties)
        wanted_BT = batch.targets_BT >= 0
        x_ND, targets_N = _states(self.student, batch)[wanted_BT], batch.targets_BT[wanted_BT]
        with torch.no_grad():
            taught_ND = _states(self.teacher, batch)[wanted_BT]
        rows = max(1, LOGITS_HELD.get(x_ND.device.type, 1 << 24) // self.config.vocabulary)
        sums, found = [], []
        for x, taught, targets in zip(x_ND.split(rows), taught_ND.split(rows), targets_N.split(rows), strict=True):
            some = checkpoint(self._some, x, taught, targets, penalties, use_reentrant=False, preserve_rng_state=False)
            sums.append(some[0])
            found.append(some[1].detach())
        losses_BT = torch.zeros(wanted_BT.shape, device=x_ND.device)
        if not found:
            return Loss(x_ND.sum() * 0, losses_BT)
        losses_BT[wanted_BT] = torch.cat(found)
        return Loss(torch.stack(sums).sum() / len(targets_N), losses_BT)

    def _some(self, x: Tensor, taught: Tensor, targets: Tensor, penalties: Penalties) -> tuple[Tensor, Tensor]:
        """The summed loss of some positions, and the plain one of each."""
        t, logits = penalties.temperature, _logits(self.student)(x).float()
        with torch.no_grad():
            theirs = (_logits(self.teacher)(taught).float() / t).log_softmax(-1)
        apart = functional.kl_div((logits / t).log_softmax(-1), theirs, reduction="sum", log_target=True) * t**2
        own = functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=penalties.smoothing)
        if penalties.z:
            own = own + penalties.z * logits.logsumexp(-1).square().sum()
        plain = functional.cross_entropy(logits.detach(), targets, reduction="none")
        return (1 - penalties.taught) * own + penalties.taught * apart, plain

    def roles(self) -> dict[str, Role]:
        """What each parameter is to the optimizer."""
        return {
            f"{side}.{name}": role
            for side, model in (("student", self.student), ("teacher", self.teacher))
            for name, role in model.roles().items()
        }

    def n_parameters(self) -> tuple[int, int]:
        """(non-embedding, all), of the student."""
        return self.student.n_parameters()

    def flops_per_token(self, length: int, shares: Shares = WHOLE) -> float:
        """The student's, and a forward pass of the teacher, a third of what training it would take."""
        return self.student.flops_per_token(length, shares) + self.teacher.flops_per_token(length, shares) / 3


def _states(model: Taught, batch: Batch) -> Tensor:
    """(B, T, D) what a model's output matrix reads."""
    match model:
        case Decoder():
            return model.hidden(batch.inputs_BT, batch.segments_BT)
        case Encoder():
            return model.hidden(batch.inputs_BT, batch.segments_BT, batch.token_types_BT)
        case Recurrent():
            return model.hidden(batch.inputs_BT, batch.segments_BT, goes_on=False)[0]
    assert batch.source_BS is not None
    states_BSD = model.encode(batch.source_BS, batch.source_segments_BS)
    return model.hidden(states_BSD, batch.inputs_BT, batch.source_segments_BS, batch.segments_BT)


def _logits(model: Taught) -> Callable[[Tensor], Tensor]:
    """(N, V) of (N, D)."""
    if isinstance(model, Encoder):
        head = model.head
        assert head is not None
        return lambda x: head(x) @ model.embedding.t() + head.bias
    return model.logits
