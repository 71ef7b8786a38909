"""Averages of weights against sums written down."""

from __future__ import annotations

import pytest
import torch

from assay.train.averages import ExponentialAverage, mean_of


def test_an_average_weighs_steps_by_how_long_ago_they_were() -> None:
    weight, decay = torch.zeros(3), 0.8
    average = ExponentialAverage({"w": weight}, decay)
    assert torch.equal(average.tensors()["w"], weight)
    values = [torch.randn(3, generator=torch.Generator().manual_seed(i)) for i in range(7)]
    for k, value in enumerate(values, 1):
        weight.copy_(value)
        average.update()
        shares = torch.tensor([decay ** (k - 1 - i) for i in range(k)])
        expected = (shares[:, None] * torch.stack(values[:k])).sum(0) / shares.sum()
        torch.testing.assert_close(average.tensors()["w"], expected)
    with average.in_place():
        torch.testing.assert_close(weight, expected)
    assert torch.equal(weight, values[-1])
    with pytest.raises(RuntimeError, match="within"), average.in_place():
        raise RuntimeError("within")
    assert torch.equal(weight, values[-1])


def test_an_average_goes_on_from_its_state() -> None:
    weights = [torch.zeros(2), torch.zeros(2)]
    straight, first = (ExponentialAverage({"w": w}, 0.9) for w in weights)
    for step in range(6):
        for w in weights:
            w.fill_(float(step))
        straight.update()
        if step == 3:
            saved = {name: tensor.clone() for name, tensor in first.state().items()}
            first = ExponentialAverage({"w": weights[1]}, 0.9)
            first.load(saved)
        first.update()
    assert torch.equal(straight.tensors()["w"], first.tensors()["w"])
    with pytest.raises(ValueError, match="decay"):
        ExponentialAverage({}, 1.0)


def test_checkpoints_are_averaged_tensor_by_tensor() -> None:
    checkpoints = [{"w": torch.full((2,), float(i), dtype=torch.bfloat16), "step": torch.tensor(i)} for i in (1, 2, 6)]
    made = mean_of(checkpoints)
    assert made["w"].tolist() == [3.0, 3.0]
    assert made["w"].dtype is torch.bfloat16
    assert int(made["step"]) == 6
    for wrong in ([], [{"w": torch.zeros(2)}, {"w": torch.zeros(3)}], [{"w": torch.zeros(2)}, {"v": torch.zeros(2)}]):
        with pytest.raises(ValueError, match=r"checkpoint"):
            mean_of(wrong)
