"""In which numbers a model computes; its weights are kept in float32 all the same.

float32     as they are
bfloat16    the model is a bfloat16 copy of float32 masters: weights that are kept in bfloat16 alone stop moving
            once updates fall below their last digit
float8      bfloat16, and the products of layers in 8 bits (`models.float8`): GPUs of Ada, Hopper and after
float16     the same as bfloat16, and the loss is scaled up so that small gradients do not vanish (Micikevicius et
            al. 2018)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

Dtype = Literal["float32", "bfloat16", "float16", "float8"]
DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float8": torch.bfloat16,  # all but products
}


LEAST_SCALE = 1e-4  # fairseq's bound, too: gradients that overflow below it are no numbers at any scale


class LossScale:
    """A factor of the loss that is as large as the gradients allow: halved when one overflows (that step is left
    out), doubled after `patience` steps without.

    Args:
        device: where the gradients are.

    Attributes:
        exhausted: it was halved below what any gradient that is a number could need.
    """

    def __init__(self, device: str | torch.device, start: float = 2.0**16, patience: int = 2000) -> None:
        self.patience = patience
        self.value = torch.tensor(start, dtype=torch.float32, device=device)
        self._good = torch.tensor(0, dtype=torch.int64)
        self.exhausted = False

    def unscaled(self, gradients: Iterable[Tensor], everywhere: Callable[[bool], bool] = bool) -> bool:
        """Divide the gradients by the factor, in place; False, and another factor, where one has overflowed.

        Args:
            everywhere: whether something holds in all processes, where several hold parts of the gradients.
        """
        own = list(gradients)
        torch._foreach_mul_(own, (1.0 / self.value).item())
        finite = bool(torch.stack([g.abs().max() for g in own if g.numel()]).isfinite().all())
        if not everywhere(finite):
            self.value.mul_(0.5)
            self.exhausted = float(self.value) < LEAST_SCALE
            self._good.zero_()
            return False
        self._good += 1
        if self._good >= self.patience:
            self.value.mul_(2.0)
            self._good.zero_()
        return True

    def tensors(self) -> dict[str, Tensor]:
        """The state, by name."""
        return {"scale": self.value, "good_steps": self._good}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state that `tensors` gave."""
        self.value.copy_(state["scale"])
        self._good.copy_(state["good_steps"])


def allow_tf32(allowed: bool) -> None:
    """Whether a GPU may multiply float32 matrices in TF32 (10 bits of mantissa): several times as fast."""
    torch.set_float32_matmul_precision("high" if allowed else "highest")
