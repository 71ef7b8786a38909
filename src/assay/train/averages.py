"""Averages of weights: over the steps of a run, and over checkpoints.

average = ExponentialAverage(state.masters, decay=0.999)
train(..., on_step=lambda *_: average.update())          (Polyak and Juditsky 1992)
with average.in_place():                                 the model computes with the averages, then with its own again
    evaluate(state.model)

mean_of([tensors, tensors, ...])                         the mean of several checkpoints (Izmailov et al. 2018)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from assay.train.shards import placed


class ExponentialAverage:
    """The mean over past weights, those of k steps ago weighted by decay^k; the beginning does not count (as Adam
    corrects its moments).

    Args:
        parameters: by name; followed, not copied.
        decay: 0.999 looks back about a thousand steps.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"a decay of {decay}: it has to be at least 0 and below 1")
        self._parameters, self.decay, self.steps = dict(parameters), decay, 0
        self._sums = {name: torch.zeros_like(tensor) for name, tensor in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights of now into the average."""
        self.steps += 1
        for name, sums in self._sums.items():
            sums.lerp_(self._parameters[name].detach(), 1 - self.decay)

    def tensors(self) -> dict[str, Tensor]:
        """The averages, tensors of their own; before the first step the weights themselves."""
        if not self.steps:
            return {name: tensor.detach().clone() for name, tensor in self._parameters.items()}
        share = 1 - self.decay**self.steps
        return {name: sums / share for name, sums in self._sums.items()}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the parameters are the averages."""
        own = {name: tensor.detach().clone() for name, tensor in self._parameters.items()}
        _copy(self.tensors(), self._parameters)
        try:
            yield
        finally:
            _copy(own, self._parameters)

    def state(self) -> dict[str, Tensor]:
        """All there is to save, for `load`."""
        return {**self._sums, "steps": torch.tensor(self.steps)}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.steps = int(state["steps"])
        _copy({name: placed(state[name], sums, name) for name, sums in self._sums.items()}, self._sums)


def mean_of(checkpoints: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating-point tensor, summed in float64; others are those of the last checkpoint.

    Raises:
        ValueError: there is none, or they do not hold the same tensors.
    """
    if not checkpoints:
        raise ValueError("no checkpoint to average")
    shapes = [{name: tensor.shape for name, tensor in checkpoint.items()} for checkpoint in checkpoints]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the checkpoints are not of one model")
    made = {}
    for name, last in checkpoints[-1].items():
        if last.is_floating_point():
            made[name] = torch.stack([c[name].double() for c in checkpoints]).mean(dim=0).to(last.dtype)
        else:
            made[name] = last.clone()
    return made


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
