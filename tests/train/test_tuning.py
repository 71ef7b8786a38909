"""What is trained of a model, and how fast: through the one loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from assay.errors import InputError
from assay.models.encoder import bert
from assay.models.heads import HeadConfig, HeadedConfig
from assay.models.lora import LoraConfig
from assay.models.protocol import Batch
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig
from assay.train.tuning import Tuning

CONFIG = HeadedConfig(replace(bert(40, 2, 32, 2, head=False)), HeadConfig("class", 3))
ADAM = OptimizerConfig(matrix="adamw", matrix_lr=1e-2, embedding_lr=1e-2, head_lr=1e-2, vector_lr=1e-2)


def _batch() -> Batch:
    ids = torch.randint(0, 40, (4, 8), generator=torch.Generator().manual_seed(1))
    return Batch(ids, torch.tensor([[0], [1], [2], [1]]))


def _state(tuning: Tuning, optimizer: OptimizerConfig = ADAM, dtype: str = "float32") -> TrainState:
    return TrainState(TrainSpec(CONFIG, optimizer, 0, dtype, tuning=tuning))


def _moved(
    tuning: Tuning, optimizer: OptimizerConfig = ADAM, dtype: str = "float32", steps: int = 1
) -> dict[str, float]:
    """By parameter, how far it moved at most."""
    state = _state(tuning, optimizer, dtype)
    before = {name: p.detach().clone() for name, p in state.masters.items()}
    for _ in range(steps):
        state.update(_batch(), 1.0)
    return {name: float((p.detach() - before[name]).abs().max()) for name, p in state.masters.items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_frozen_stays_and_the_rest_moves(dtype: str) -> None:
    moved = _moved(Tuning(frozen=("body.embedding", "body.blocks.0.*")), dtype=dtype)
    for name, far in moved.items():
        assert (far == 0) == (name == "body.embedding" or name.startswith("body.blocks.0.")), name


def test_a_head_alone_is_trained_and_a_state_that_is_saved_goes_on_alike() -> None:
    tuning = Tuning(frozen=("body.*",))
    one, other = _state(tuning), _state(tuning)
    for _ in range(3):
        one.update(_batch(), 1.0)
    other.load(one.copy())
    one.update(_batch(), 1.0)
    other.update(_batch(), 1.0)
    for name, tensor in one.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


@pytest.mark.parametrize("matrix", ["adamw", "muon"])
def test_rates_fall_layer_by_layer(matrix: str) -> None:
    """The first step of Adam, and of Muon, is as long as the rate."""
    optimizer = replace(ADAM, matrix=matrix, weight_decay=0.0)  # type: ignore[arg-type]
    moved, whole = _moved(Tuning(layer_decay=0.5), optimizer), _moved(Tuning(), optimizer)
    for name, factor in (
        ("output.weight", 1.0), ("body.blocks.1.attention.out.weight", 0.5),
        ("body.blocks.0.attention.out.weight", 0.25),
        ("body.embedding", 0.125), ("body.blocks.0.attention_norm.bias", 0.25),
    ):  # fmt: skip
        if name in moved:
            assert moved[name] == pytest.approx(factor * whole[name], rel=1e-3), name
    assert {"output.weight", "body.embedding", "body.blocks.0.attention.out.weight"} <= moved.keys()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dora", [False, True])
def test_adapters_are_trained_on_given_weights(dora: bool, dtype: str) -> None:
    state = _state(Tuning(lora=LoraConfig(2, dora=dora)), dtype=dtype)
    given = {name: torch.randn_like(p) * 0.1 for name, p in TrainState(TrainSpec(CONFIG, ADAM, 3)).masters.items()}
    state.begin_with(given)
    before = {name: p.detach().clone() for name, p in state.masters.items()}
    for name, tensor in given.items():
        own = name if name in before else name.removesuffix(".weight") + ".parametrizations.weight.original"
        assert torch.equal(before[own], tensor), name
    if dora:
        lengths = [n for n in before if n.endswith(".lengths")]
        assert lengths
        for name in lengths:
            original = before[name.removesuffix(".0.lengths") + ".original"]
            assert torch.allclose(before[name], original.norm(dim=1))
    for _ in range(2):
        state.update(_batch(), 1.0)
    for name, p in state.masters.items():
        adapts = ".weight.0." in name or not name.startswith("body.")
        assert torch.equal(p, before[name]) != adapts, name


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="name of no parameter"):
        _state(Tuning(frozen=("nothing.*",)))
    with pytest.raises(InputError, match="nothing is left"):
        _state(Tuning(frozen=("*",)))
