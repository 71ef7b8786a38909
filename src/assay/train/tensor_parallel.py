"""A decoder whose every layer is cut among the processes (Megatron: Shoeybi et al. 2019).

    x_BTD (all of it, everywhere)
      -> qkv and up by columns: a process has some heads, some of the MLP's inner width
      -> out and down by rows: sums over the processes, all of x_BTD everywhere again

Embedding, norms and head are whole in every process, and each computes the loss of all rows. `qkv` holds the rows of
queries, keys and values on end, and a gated `up` those of gate and value: so that an even cut gives each process whole
heads with their keys and values, the rows are put into the order of the processes here, and back wherever the state is
saved. What is saved is what one process would have saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, distributed, nn

from assay.errors import InputError
from assay.models.blocks import Block, BlockConfig
from assay.models.decoder import Decoder
from assay.train.shards import is_shared, whole
from assay.train.world import LossFunction, Together, World


def dealt(sections: Sequence[int], size: int) -> Tensor:
    """(rows,) the order of a matrix's rows in which an even cut gives each of `size` processes its share of every
    section: sections are so many rows on end."""
    starts = torch.tensor([0, *sections]).cumsum(0)[:-1]
    shares = [
        [start + torch.arange(n).view(size, -1)[r] for start, n in zip(starts, sections, strict=True)]
        for r in range(size)
    ]
    return torch.cat([rows for share in shares for rows in share])


class TensorParallel(Together):
    """All rows and a part of each layer in every process; for decoders."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._orders: dict[str, Tensor] = {}

    def lay_out(self, model: nn.Module, dtype: torch.dtype) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

        if not isinstance(model, Decoder):
            raise InputError("tensor parallel cuts decoders alone", remedy="train with data or sharded")
        c = model.config.block
        self._refuse_uneven(c)
        model.to(self.device)
        mesh = init_device_mesh(torch.device(self.device).type, (self.size,))
        columns, rows = ColwiseParallel(), RowwiseParallel()
        plan = {"attention.qkv": columns, "attention.out": rows, "mlp.up": columns, "mlp.down": rows}
        for i, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            self._reorder(f"blocks.{i}.", block, c)
            parallelize_module(block, mesh, plan)
            block.fusable = False  # the fused layers multiply whole matrices
            # What a process computes of attention is attention of fewer heads.
            block.attention.c = replace(
                c, heads=c.heads // self.size, kv_heads=c.groups // self.size, head_width=c.key_width
            )

    def _refuse_uneven(self, c: BlockConfig) -> None:
        for n, what in (
            (c.heads, "heads"),
            (c.groups, "heads of keys and values"),
            (c.inner, "inner widths of the MLP"),
        ):
            if n % self.size:
                raise InputError(
                    f"{n} {what} cannot be dealt out evenly to {self.size} processes",
                    remedy="start a number of processes that divides it",
                )

    @torch.no_grad()
    def _reorder(self, prefix: str, block: Block, c: BlockConfig) -> None:
        sections = {
            "attention.qkv": [c.heads * c.key_width, c.groups * c.key_width, c.groups * c.key_width],
            "mlp.up": [c.inner] * (2 if c.gated else 1),
        }
        for name, lengths in sections.items():
            order = dealt(lengths, self.size)
            for kind, parameter in block.get_submodule(name).named_parameters():
                self._orders[f"{prefix}{name}.{kind}"] = order
                parameter.copy_(parameter[order.to(parameter.device)])

    def computes(self, model: nn.Module) -> LossFunction:
        assert isinstance(model, Decoder)
        for block in model.blocks:
            assert isinstance(block, Block)
            for norm in (block.attention.q_norm, block.attention.k_norm):
                if norm is not None and norm.weight is not None:  # each process has the gradient of its own heads
                    norm.weight.register_hook(_summed)
        return model.loss

    def stored(self, state: dict[str, Tensor], owners: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Whole tensors, their rows in the model's order; on the CPU where they were in parts, for nothing says that
        all of them fit onto the device."""
        return {
            name: self._ordered(_on_cpu(tensor), owners[name], back=True) if name in owners else tensor
            for name, tensor in state.items()
        }

    def taken(self, state: Mapping[str, Tensor], owners: Mapping[str, Sequence[str]]) -> Mapping[str, Tensor]:
        return {
            name: self._ordered(tensor, owners[name], back=False) if name in owners else tensor
            for name, tensor in state.items()
        }

    def _ordered(self, tensor: Tensor, owners: Sequence[str], *, back: bool) -> Tensor:
        """Rows in the order of the processes, or back. A parameter has two dimensions at most; a third one in front is
        that of a stack, one matrix an owner."""
        if tensor.dim() == 3:
            parts = [self._ordered(part, [name], back=back) for part, name in zip(tensor, owners, strict=True)]
            return torch.stack(parts)
        order = self._orders.get(owners[0])
        if order is None or not tensor.dim():
            return tensor
        order = order.to(tensor.device)
        return tensor[order.argsort() if back else order]


def _on_cpu(tensor: Tensor) -> Tensor:
    return whole(tensor).cpu() if is_shared(tensor) else tensor


def _summed(gradient: Tensor) -> Tensor:
    total = gradient.clone()
    distributed.all_reduce(total)
    return total
