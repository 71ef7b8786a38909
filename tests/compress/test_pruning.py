"""Weights that become zero: the right ones, as many as asked for, and they stay zero in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assay.compress.pruning import Sparsity, lowest, prune, two_of_four
from assay.errors import InputError
from assay.models import quantized
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig
from assay.train.tuning import Tuning
from compressed import CONFIGS, awake, batch


def _zeros(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: layer.weight == 0 for name, layer in quantized.layers(model)}


def test_magnitude_takes_the_smallest_of_each_layer_or_of_all() -> None:
    whole = awake(CONFIGS["standard"])
    by_layer, by_all = awake(CONFIGS["standard"]), awake(CONFIGS["standard"])
    assert prune(by_layer, Sparsity("magnitude", 0.3, "layer"), []) == pytest.approx(0.3, abs=0.001)
    for name, layer in quantized.layers(whole):
        gone = _zeros(by_layer)[name]
        assert int(gone.sum()) == round(0.3 * gone.numel())
        assert layer.weight[gone].abs().max() <= layer.weight[~gone].abs().min()
    prune(by_all, Sparsity("magnitude", 0.3, "model"), [])
    gone, kept = ([layer.weight[_zeros(by_all)[name] == flag].abs() for name, layer in quantized.layers(whole)]
                  for flag in (True, False))  # fmt: skip
    assert torch.cat(gone).max() <= torch.cat(kept).min()
    assert len({float(zeros.float().mean()) for zeros in _zeros(by_all).values()}) > 1


@pytest.mark.parametrize("name", ["standard", "bert", "transformer", "proxy"])
def test_wanda_is_the_size_of_a_weight_times_the_length_of_its_input(name: str) -> None:
    """Against inputs that are caught by hooks here, of the first block; later ones see what is left of it."""
    rows = [batch(name, 1, 9, seed) for seed in range(4)]
    whole, pruned = awake(CONFIGS[name]), awake(CONFIGS[name])
    prune(pruned, Sparsity("wanda", 0.5, "row"), rows)
    first = next(iter(quantized.layers(whole)))[0].rsplit(".", 2)[0]
    caught: dict[str, list[torch.Tensor]] = {}
    for path, layer in quantized.layers(whole):
        layer.register_forward_pre_hook(
            lambda _, given, path=path: caught.setdefault(path, []).append(given[0].flatten(0, -2))
        )
    for block in whole.modules():
        if hasattr(block, "fusable"):
            block.fusable = False
    with torch.no_grad():
        for row in rows:
            whole.loss(row)
    of_first = [(path, layer) for path, layer in quantized.layers(whole) if path.startswith(f"{first}.")]
    assert len(of_first) >= 4
    for path, layer in of_first:
        score = layer.weight.abs() * torch.cat(caught[path]).norm(dim=0)
        wanted = torch.zeros_like(score, dtype=torch.bool)
        for i, row_ in enumerate(score):
            wanted[i, row_.argsort(stable=True)[: round(0.5 * len(row_))]] = True
        assert (_zeros(pruned)[path] == wanted).float().mean() > 0.999  # ties of the last digit


def test_two_of_four_neighbours_go_and_what_is_left_over_stays() -> None:
    score = torch.tensor([[3.0, 1.0, 2.0, 4.0, 9.0, 9.5, 0.1, 0.2, 7.0]])
    assert two_of_four(score).tolist() == [[False, True, True, False, False, False, True, True, False]]
    model = awake(CONFIGS["bert"])
    prune(model, Sparsity("magnitude", None, "row"), [])
    for zeros in _zeros(model).values():
        assert (zeros.unflatten(1, (-1, 4)).sum(-1) == 2).all()


def test_scores_that_are_alike_do_not_change_how_many_go() -> None:
    assert lowest(torch.zeros(3, 10), 0.4, by_row=True).sum(1).tolist() == [4, 4, 4]
    assert int(lowest(torch.zeros(3, 10), 0.4, by_row=False).sum()) == 12


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, 2.0])
def test_shares_that_cannot_be_meant_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="no share"):
        Sparsity("magnitude", share, "layer")


@pytest.mark.parametrize("matrix", ["adamw", "muon", "sgd", "adafactor"])
def test_zeros_stay_zero_in_training_and_all_else_is_trained(matrix: str) -> None:
    """Muon turns whole matrices: what keeps zeros is not the gradient."""
    model = awake(CONFIGS["standard"])
    prune(model, Sparsity("magnitude", 0.5, "layer"), [])
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    rates = dict.fromkeys(("matrix_lr", "embedding_lr", "head_lr", "vector_lr"), 1e-2)
    optimizer = OptimizerConfig(matrix=matrix, rest="adamw", weight_decay=0.1, **rates)  # type: ignore[arg-type]
    spec = TrainSpec(CONFIGS["standard"], optimizer, 0, tuning=Tuning(sparse=True))

    def trained(spec: TrainSpec) -> dict[str, torch.Tensor]:
        state = TrainState(spec)
        state.begin_with(before)
        for step in range(3):
            state.update(batch("standard", seed=step), 1.0)
        return dict(state.model.named_parameters())

    after, loose = trained(spec), trained(replace(spec, tuning=Tuning()))
    for name, zeros in _zeros(model).items():
        assert (after[f"{name}.weight"][zeros] == 0).all()
        assert (after[f"{name}.weight"][~zeros] != before[f"{name}.weight"][~zeros]).float().mean() > 0.99
        assert (loose[f"{name}.weight"][zeros] != 0).any()


def test_a_run_that_goes_on_keeps_zeros(tmp_path: Path) -> None:
    model = awake(CONFIGS["bert"])
    prune(model, Sparsity("magnitude", 0.5, "layer"), [])
    given = {name: tensor.detach() for name, tensor in model.named_parameters()}
    rates = dict.fromkeys(("matrix_lr", "embedding_lr", "head_lr", "vector_lr"), 1e-2)
    spec = TrainSpec(CONFIGS["bert"], OptimizerConfig(matrix="muon", **rates), 0, tuning=Tuning(sparse=True))  # type: ignore[arg-type]
    whole, first, second = TrainState(spec), TrainState(spec), TrainState(spec)
    for state in (whole, first, second):
        state.begin_with(given)
    for step in range(4):
        whole.update(batch("bert", seed=step), 1.0)
    for step in range(2):
        first.update(batch("bert", seed=step), 1.0)
    second.load(first.copy())
    for step in range(2, 4):
        second.update(batch("bert", seed=step), 1.0)
    assert all(torch.equal(a, b) for a, b in zip(whole.tensors().values(), second.tensors().values(), strict=True))
