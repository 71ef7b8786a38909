"""How a family's tensors are called, and laid out, in Hugging Face's model directories.

A family is a list of `Same`: one tensor of ours is one of theirs, or several of theirs stacked by rows (queries, keys
and values; gate and up), each transposed first where their layer keeps (inputs, outputs). Both directions are read off
the same list, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from assay.errors import InputError


@dataclass(frozen=True)
class Same:
    """`ours` is `theirs` stacked by rows.

    Attributes:
        turned: theirs are transposed.
        rows: of each of theirs, where there are several; () for equal parts.
        leading: theirs has one axis of length 1 more, in front.
    """

    ours: str
    theirs: tuple[str, ...]
    turned: bool = False
    rows: tuple[int, ...] = ()
    leading: bool = False

    def read(self, found: Mapping[str, Tensor]) -> Tensor:
        parts = [found[name].t() if self.turned else found[name] for name in self.theirs]
        if self.leading:
            parts = [part[0] for part in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def write(self, tensor: Tensor) -> dict[str, Tensor]:
        n = len(self.theirs)
        if self.leading:
            return {self.theirs[0]: tensor[None].contiguous()}
        parts = tensor.split(self.rows) if self.rows else tensor.chunk(n)
        return {
            name: (part.t() if self.turned else part).contiguous()
            for name, part in zip(self.theirs, parts, strict=True)
        }


def to_ours(found: Mapping[str, Tensor], pairs: Iterable[Same], ignored: Iterable[str] = ()) -> dict[str, Tensor]:
    """Our tensors.

    Raises:
        InputError: tensors are missing, or there are some that this family does not know.
    """
    pairs = list(pairs)
    wanted = {name for pair in pairs for name in pair.theirs}
    if missing := sorted(wanted - found.keys()):
        raise InputError(f"lacks {len(missing)} tensors, such as {missing[0]}", remedy="give the whole model directory")
    unknown = sorted(name for name in found.keys() - wanted if not name.endswith(tuple(ignored)))
    if unknown:
        raise InputError(
            f"has {len(unknown)} tensors that its architecture does not, such as {unknown[0]}",
            remedy="check the architecture that config.json names",
        )
    return {pair.ours: pair.read(found) for pair in pairs}


def to_theirs(state: Mapping[str, Tensor], pairs: Iterable[Same]) -> dict[str, Tensor]:
    """Their tensors."""
    return {name: tensor for pair in pairs for name, tensor in pair.write(state[pair.ours]).items()}
