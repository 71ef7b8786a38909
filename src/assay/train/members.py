"""Runs as members of a stack (`models.stacked`): which can be, and from theirs to the stack's and back.

    specs of runs   --together-->   the spec of their stack
    their states    --joined---->   the stack's state        --member_of-->   one of them again

A member's state has the names that it has alone: it goes on in a stack or out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import torch
from torch import Tensor

from assay.models.decoder import DecoderConfig
from assay.models.protocol import PLAIN
from assay.models.stacked import CHUNK, StackedConfig
from assay.train.loop import TrainSpec
from assay.train.optimizers import OptimizerConfig, StackedOptimizerConfig
from assay.train.tuning import ALL_ALIKE

RATES = ("matrix_lr", "embedding_lr", "head_lr", "vector_lr")
# In float32: weights, gradients, two moments, the trunk's copy of all but the gradients, and what an update makes on
# the way (Muon's momenta in products, a copy where members have rates of their own).
BYTES_A_PARAMETER = 40
BYTES_A_LOGIT = 12  # of a chunk of rows: probabilities, their gradient, and what PyTorch makes on the way


def stackable(spec: TrainSpec) -> bool:
    """Whether a stack can compute what a run asks for: see `models.stacked` and `loop.TrainState`."""
    model, optimizer = spec.model, spec.optimizer
    return (
        isinstance(model, DecoderConfig)
        and model.softcap is None
        and model.block.dropout == 0
        and spec.penalties == PLAIN
        and spec.micro_rows is None
        and spec.tuning == ALL_ALIKE
        and spec.dtype in ("float32", "bfloat16")
        and optimizer.clip_norm is None
        and "adafactor" not in (optimizer.matrix, optimizer.rest)
    )


def in_common(spec: TrainSpec) -> dict[str, Any]:
    """What members have to share, as JSON: all but seed and rates."""
    common = asdict(replace(spec, seed=0))
    for rate in RATES:
        del common["optimizer"][rate]
    return common


def together(specs: Sequence[TrainSpec]) -> TrainSpec:
    """The spec of a stack of runs that have `in_common` in common; of a single run its own."""
    first = specs[0]
    if len(specs) == 1:
        return first
    assert isinstance(first.model, DecoderConfig)
    own = {field.name: getattr(first.optimizer, field.name) for field in fields(OptimizerConfig)}
    optimizer = StackedOptimizerConfig(**own, members=tuple(spec.optimizer for spec in specs))
    return replace(
        first, model=StackedConfig(first.model, tuple(spec.seed for spec in specs)), optimizer=optimizer, seed=0
    )


def joined(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The state of a stack whose members have these, all at one step; of a single run its own."""
    if len(states) == 1:
        return dict(states[0])
    return {
        name: tensor if tensor.dim() == 0 else torch.stack([state[name] for state in states], _axis(name))
        for name, tensor in states[0].items()
    }


def member_of(state: Mapping[str, Tensor], m: int) -> dict[str, Tensor]:
    """The state of one member."""
    return {n: tensor if tensor.dim() == 0 else tensor.select(_axis(n), m).clone() for n, tensor in state.items()}


def _axis(name: str) -> int:
    """Which axis of a stack's tensor are its members: momenta of all matrices of one shape stand in one tensor."""
    return 1 if name.startswith("optimizer.momentum.") else 0


def bytes_a_member(spec: TrainSpec, rows: int, row_tokens: int) -> float:
    """Memory that a member takes in training, roughly: what is kept for each parameter, activations of all its rows
    (Korthikanti et al. 2022, equation 1, in units of two bytes), and logits of a chunk of rows."""
    model = spec.model
    assert isinstance(model, DecoderConfig)
    size = 4 if spec.dtype == "float32" else 2
    tokens, c = rows * row_tokens, model.block
    activations = tokens * model.layers * (34 * c.width + 5 * c.heads * row_tokens) * size / 2
    logits = min(tokens, CHUNK) * model.vocabulary * BYTES_A_LOGIT
    return model.n_parameters()[1] * BYTES_A_PARAMETER + activations + logits
