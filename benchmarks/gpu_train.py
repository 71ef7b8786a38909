"""On one GPU: how fast do decoders of 124M and 350M parameters train, and what does stacking small members gain?

    python benchmarks/gpu_train.py [--seconds 20] [--rounds 3]

    decoders   GPT-2's two smaller shapes in our `standard` form at T 1024, packed rows: tokens a second, MFU against a
               GEMM peak measured in the same run, peak memory; in bfloat16 and, where the GPU has units for it, float8
    members    64 members of one million parameters as stacked parameters, against the same members one after another:
               tokens a second of all, rounds alternate

On a machine without a GPU, `--toy` runs all of it at toy size on the CPU, to see that it runs; nothing is stored.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from typing import Any

import torch

from assay.models import float8
from assay.models.decoder import proxy, standard
from assay.models.protocol import Batch
from assay.models.stacked import StackedConfig
from assay.train.loop import TrainSpec, TrainState
from assay.train.optimizers import OptimizerConfig
from assay.train.peak import gemm_peak
from assay.train.telemetry import memory_bytes
from common import store_result

VOCABULARY, DOCUMENT = 50_304, 400  # GPT-2's, made divisible by 128; tokens of a document, about
SHAPES = {"124M": (12, 768, 12, 32), "350M": (24, 1024, 16, 16)}  # layers, width, heads, rows a step
MEMBERS, MEMBER = 64, {"vocabulary": 1024, "layers": 4, "width": 128, "heads": 4}
ADAMW = OptimizerConfig(matrix="adamw", matrix_lr=3e-4, embedding_lr=3e-4, head_lr=3e-4, vector_lr=3e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--toy", action="store_true", help="at toy size, on the CPU")
    given = parser.parse_args()
    if not (given.toy or torch.cuda.is_available()):
        parser.error("there is no GPU here; --toy shows on a CPU that it runs")
    device = "cpu" if given.toy else "cuda"
    shapes = {"toy": (2, 64, 2, 2)} if given.toy else SHAPES
    result = {
        "gpu": "none" if given.toy else torch.cuda.get_device_name(0),
        "decoders": [
            decoder(name, dtype, device, given)
            for name in shapes
            for dtype in ("bfloat16", *(["float8"] if given.toy or float8.is_here(device) else []))
        ],
        "members": members(device, given),
    }
    if given.toy:
        print(result)
    else:
        store_result("gpu_train", result)


def batch(rows: int, T: int, vocabulary: int, device: str) -> Batch:
    """Packed rows of random tokens."""
    ids = torch.randint(1, vocabulary, (rows, T + 1), generator=torch.Generator().manual_seed(0))
    ids[torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) < 1 / DOCUMENT] = 0
    inputs = ids[:, :-1].contiguous()
    return Batch(inputs, ids[:, 1:].contiguous(), (inputs == 0).cumsum(1).to(torch.int32)).to(device)


def speed(states: list[TrainState], batches: list[Batch], seconds: float) -> float:
    """Tokens a second of steps of each in turn."""
    tokens, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        for state, own in zip(states, batches, strict=True):
            state.update(own, 1.0)
            tokens += own.inputs_BT.numel()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    return tokens / (time.perf_counter() - start)


def decoder(name: str, dtype: str, device: str, given: argparse.Namespace) -> dict[str, Any]:
    layers, width, heads, rows = {**SHAPES, "toy": (2, 64, 2, 2)}[name]
    T, vocabulary = (64, 512) if given.toy else (1024, VOCABULARY)
    state = TrainState(TrainSpec(standard(vocabulary, layers, width, heads, max_length=T), ADAMW, 0, dtype), device)
    own = batch(rows, T, vocabulary, device)
    speed([state], [own], given.seconds / 4)  # kernels are compiled
    peak = gemm_peak("bfloat16", device)
    found = [speed([state], [own], given.seconds) for _ in range(given.rounds)]
    flops = state.model.flops_per_token(T)
    made = {
        "shape": name, "parameters": state.model.n_parameters()[1], "T": T, "rows": rows, "dtype": dtype,
        "tokens_per_second": statistics.median(found), "rounds": [round(f) for f in found],
        "mfu": statistics.median(found) * flops / peak, "peak_tflops": peak / 1e12,
        "memory_gb": memory_bytes(device) / 1e9,
    }  # fmt: skip
    print(made, file=sys.stderr, flush=True)
    del state
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return made


def members(device: str, given: argparse.Namespace) -> dict[str, Any]:
    """Members as stacked parameters and one after another, in turn."""
    count, T, rows = (4, 32, 2) if given.toy else (MEMBERS, 128, 8)
    config = proxy(**MEMBER, max_length=T)
    spec = TrainSpec(config, ADAMW, 0, "bfloat16")
    alone = [TrainState(TrainSpec(config, ADAMW, seed, "bfloat16"), device) for seed in range(count)]
    stack = TrainState(TrainSpec(StackedConfig(config, tuple(range(count))), ADAMW, 0, "bfloat16"), device)
    one, all_of_them = (batch(n, T, MEMBER["vocabulary"], device) for n in (rows, rows * count))
    sides = {"stacked": ([stack], [all_of_them]), "one_by_one": (alone, [one] * count)}
    for states, batches in sides.values():
        speed(states, batches, given.seconds / 4)
    rounds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, (states, batches) in sides.items():
            rounds[name].append(speed(states, batches, given.seconds))
    ratios = [a / b for a, b in zip(rounds["stacked"], rounds["one_by_one"], strict=True)]
    return {
        "members": count, "parameters": alone[0].model.n_parameters()[1], "T": T, "rows_a_member": rows,
        "dtype": spec.dtype, "ratio": statistics.median(ratios), "ratios": [min(ratios), max(ratios)],
        "tokens_per_second": {name: [round(f) for f in found] for name, found in rounds.items()},
    }  # fmt: skip


if __name__ == "__main__":
    main()
