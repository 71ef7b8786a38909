"""The coordinate check of Yang et al. (2022): what a few steps change in activations and logits, over widths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from assay.errors import InputError
from assay.models.decoder import proxy, standard
from assay.models.protocol import Batch
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig
from assay.train.transfer import check, transferred

torch.set_num_threads(1)  # as in a worker of a fleet

V, T, B, STEPS = 64, 16, 4, 5
WIDTHS = (64, 128, 256)
OPTIMIZERS = {
    "adamw": OptimizerConfig(matrix="adamw", matrix_lr=0.004, embedding_lr=0.02, head_lr=0.004),
    "sgd": OptimizerConfig(
        matrix="sgd", rest="sgd", matrix_lr=0.3, embedding_lr=3.0, head_lr=0.3, momentum=0.9
    ),
    "muon": OptimizerConfig(matrix_lr=0.02, embedding_lr=0.02, head_lr=0.004),
}  # fmt: skip


def batches() -> list[Batch]:
    """Text of a Markov chain, so that there is something to learn."""
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(V, 0.1), size=V).cumsum(axis=1)
    found = []
    for _ in range(STEPS):
        ids = rng.integers(0, V, (B, T + 1))
        for t in range(T):
            ids[:, t + 1] = np.minimum((table[ids[:, t]] < rng.random((B, 1))).sum(axis=1), V - 1)
        rows = torch.from_numpy(ids)
        found.append(Batch(rows[:, :-1], rows[:, 1:], torch.zeros(B, T, dtype=torch.int64)))
    return found


def seen(state: TrainState, batch: Batch) -> dict[str, torch.Tensor]:
    """What each block hands on, and the logits."""
    found: dict[str, torch.Tensor] = {}
    blocks: Any = state.model.blocks
    hooks = [
        block.register_forward_hook(lambda _, __, out, i=i: found.__setitem__(f"block {i}", out.detach().clone()))
        for i, block in enumerate(blocks)
    ]
    with torch.no_grad():
        found["logits"] = state.model(batch.inputs_BT)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    return found


def slopes(optimizer: OptimizerConfig, *, rule: bool) -> dict[str, float]:
    """Exponent of the width in the root mean square of what the steps change."""
    data = batches()
    changes: dict[str, list[float]] = {}
    for width in WIDTHS:
        rates = transferred(optimizer, width, WIDTHS[0]) if rule else optimizer
        state = TrainState(TrainSpec(proxy(V, 2, width, width // 32, max_length=T), rates, seed=1))
        before = seen(state, data[0])
        for batch in data:
            state.update(batch, 1.0)
        for name, after in seen(state, data[0]).items():
            changes.setdefault(name, []).append(float((after - before[name]).square().mean().sqrt()))
    return {name: float(np.polyfit(np.log(WIDTHS), np.log(rms), 1)[0]) for name, rms in changes.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_change_as_much_at_every_width(name: str) -> None:
    found = slopes(OPTIMIZERS[name], rule=True)
    assert set(found) == {"block 0", "block 1", "logits"}
    assert all(abs(slope) < 0.2 for slope in found.values()), found


def test_without_the_rule_they_grow_with_the_width() -> None:
    assert min(slopes(OPTIMIZERS["adamw"], rule=False).values()) > 0.6
    found = slopes(OPTIMIZERS["muon"], rule=False)
    assert found.pop("logits") > 0.6  # the head is AdamW's
    assert all(abs(slope) < 0.2 for slope in found.values()), found  # matrices need no rule


def test_rates_move_by_role_and_optimizer() -> None:
    one = OptimizerConfig(matrix_lr=1.0, embedding_lr=1.0, head_lr=1.0, vector_lr=1.0, weight_decay=0.1)
    expected = {
        ("muon", "adamw"): (1, 1, 0.25, 1),
        ("adamw", "adamw"): (0.25, 1, 0.25, 1),
        ("adam", "adam"): (0.25, 1, 0.25, 1),
        ("sgd", "sgd"): (1, 4, 0.25, 4),
        ("muon", "sgd"): (1, 4, 0.25, 4),
    }
    for (matrix, rest), (inside, embedding, head, vector) in expected.items():
        config: OptimizerConfig = replace(one, matrix=matrix, rest=rest)  # type: ignore[arg-type]
        wide = replace(config, matrix_lr=inside, embedding_lr=embedding, head_lr=head, vector_lr=vector)
        assert transferred(config, 256, 64) == wide
        assert transferred(wide, 64, 256) == config
        assert transferred(config, 64, 64) == config


def test_what_has_no_rule_is_refused() -> None:
    for config in (OptimizerConfig(matrix="adafactor"), OptimizerConfig(rest="adafactor")):
        with pytest.raises(InputError, match="Adafactor"):
            transferred(config, 128, 64)
    check(proxy(V, 2, 64, 2))
    check(standard(V, 2, 64, 2, tied=False, init="zero"))
    with pytest.raises(InputError, match="a tied head"):
        check(standard(V, 2, 64, 2))
    with pytest.raises(InputError, match="the initialisation 'gpt2'"):
        check(standard(V, 2, 64, 2, tied=False))
