"""What a form sees of a mixture: its shares x and log(x + eps), since the first documents of a source matter most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Features:
    """[x, log(x + eps), ...], each less its mean over the runs and in units of its spread there.

    Attributes:
        eps: shares that are added before the logarithm is taken.
        mean, spread: (features,).
    """

    eps: tuple[float, ...]
    mean: F64
    spread: F64

    @classmethod
    def of(cls, eps: tuple[float, ...], shares: F64) -> Features:
        """Those that suit the (runs, sources) shares; a feature that never varies is left as it is."""
        raw = _raw(eps, shares)
        spread = raw.std(0)
        return cls(eps, raw.mean(0), np.where(spread > 1e-12, spread, 1.0))

    def at(self, shares: F64) -> F64:
        """(..., sources) -> (..., features)."""
        return (_raw(self.eps, shares) - self.mean) / self.spread

    def slope(self, shares: F64, outer: F64) -> F64:
        """(..., sources): the derivative by the shares, from that by the features, (..., features)."""
        linear, *logs = np.split(outer / self.spread, 1 + len(self.eps), axis=-1)
        for eps, log in zip(self.eps, logs, strict=True):
            linear = linear + log / (shares + eps)
        return linear


def _raw(eps: tuple[float, ...], shares: F64) -> F64:
    return np.concatenate([shares, *(np.log(shares + each) for each in eps)], axis=-1)
