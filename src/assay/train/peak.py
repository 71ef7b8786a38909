"""What the arithmetic of this machine reaches: FLOP/s of large matrix products, measured in the same run."""

from __future__ import annotations

import time

import torch

from assay.models.products import linear
from assay.train.precision import DTYPES

SIDE = {"cpu": 1024, "cuda": 8192}


def gemm_peak(dtype: str = "float32", device: str = "cpu", seconds: float = 0.4) -> float:
    """FLOP/s of the fastest of a few square products, with the threads that this process has."""
    kind = torch.device(device).type
    side = SIDE.get(kind, 1024)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(side, side, generator=generator).to(device, DTYPES[dtype]) for _ in range(2))
    best = float("inf")
    products = [lambda: linear(a, b), lambda: torch.mm(a, b)]
    for _ in range(2):
        for product in products:
            product()
    end = time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        for product in products:
            _wait(kind)
            start = time.perf_counter()
            product()
            _wait(kind)
            best = min(best, time.perf_counter() - start)
    return 2.0 * side**3 / best


def _wait(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()
