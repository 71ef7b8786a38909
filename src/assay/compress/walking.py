"""What the layers of a model are given, block by block.

    batches -> model, up to a block -> the inputs of the block's linear layers, summed up -> whoever changes the block
                                                                                            -> the next block

So a block sees what the blocks before it, already changed, make of the text. Nothing after the block at hand is
computed, and no inputs are kept but a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from assay.models.blocks import Block
from assay.models.build import Neural
from assay.models.encoder import Encoder
from assay.models.heads import Headed
from assay.models.protocol import Batch

SAMPLED = 4096  # numbers of a batch that are kept of a layer's inputs


@dataclass
class Seen:
    """The inputs of a layer.

    Attributes:
        h_II: X^T X, float64.
        size_I: sums of sizes.
        rows: how many there were.
        low, high: the least and the largest number.
        samples: some of the numbers, drawn by chance.
    """

    h_II: Tensor | None = None
    size_I: Tensor | None = None
    rows: int = 0
    low: float = 0.0
    high: float = 0.0
    samples: list[Tensor] = field(default_factory=list)

    def add(self, x_NI: Tensor, generator: torch.Generator) -> None:
        """Take in more rows."""
        x_NI = x_NI.float()
        gram, size = (x_NI.t() @ x_NI).double(), x_NI.abs().double().sum(0)
        self.h_II = gram if self.h_II is None else self.h_II + gram
        self.size_I = size if self.size_I is None else self.size_I + size
        self.rows += len(x_NI)
        self.low, self.high = min(self.low, float(x_NI.min())), max(self.high, float(x_NI.max()))
        flat = x_NI.flatten()
        self.samples.append(flat[torch.randint(len(flat), (min(SAMPLED, len(flat)),), generator=generator)])

    @property
    def h(self) -> Tensor:
        assert self.h_II is not None
        return self.h_II

    @property
    def mean_size(self) -> Tensor:
        """(I,)."""
        assert self.size_I is not None
        return self.size_I / self.rows

    @property
    def sample(self) -> Tensor:
        return torch.cat([*self.samples, torch.tensor([self.low, self.high])])


class _Far(Exception):
    """The block at hand is done."""


def blocks(model: nn.Module) -> list[tuple[str, Block]]:
    """The blocks of a model in their order, by name."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, Block)]


@torch.no_grad()
def walked(model: Neural, batches: Sequence[Batch]) -> Iterator[dict[str, tuple[nn.Linear, Seen]]]:
    """Of each block in turn its linear layers by name, and what they are given; they may be changed before the next is
    asked for."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    for _, block in blocks(model):
        block.fusable = False  # the hand-written way calls no layer
    for name, block in blocks(model):
        found = {
            f"{name}.{own}": (layer, Seen()) for own, layer in block.named_modules() if isinstance(layer, nn.Linear)
        }
        hooks = [layer.register_forward_pre_hook(_into(seen, generator)) for layer, seen in found.values()]
        hooks.append(block.register_forward_hook(_stop))
        try:
            for batch in batches:
                _computed(model, batch)
        finally:
            for hook in hooks:
                hook.remove()
        yield found


def _into(seen: Seen, generator: torch.Generator) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    return lambda _, given: seen.add(given[0].flatten(0, -2), generator)


def _stop(*_: object) -> None:
    raise _Far


def _computed(model: Neural, batch: Batch) -> None:
    try:
        run(model, batch)
    except _Far:
        return
    raise AssertionError("the block was not reached")


def run(model: Neural, batch: Batch) -> None:
    """Have a model compute its states."""
    if isinstance(model, Headed):
        model.body.states(batch)
    elif isinstance(model, Encoder):
        model.states(batch)
    else:
        model.loss(batch)
