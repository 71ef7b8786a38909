"""How fast does a fleet train, against the same members one after another in a plain PyTorch loop?

    fleet   members of 4 layers, width 128, vocabulary 4096, T 128, by the engine that studies have: single-threaded
            workers, one a core, or with --engine stacked all members as stacks, on a GPU where there is one
    peer    transformers' GPT-2 of the same shape, float32, torch.compile, two threads or the same GPU, one member after
            the other
    bound   (of workers) the weight products of such a step alone (forward, and both products of the backward pass), in
            the fleet's type and library, in as many single-threaded processes at once as the fleet has workers

Both sides train the same number of members for as many steps of as many rows with AdamW: initialisation, rows read
from the same file of random tokens, steps, and the loss of a held-out row at the end. Rounds alternate, and medians
are compared; the compilation of the peer (its members share it) and the start of the workers are not counted.

    python benchmarks/fleet_speed.py [--engine processes] [--rows 32] [--rounds 5] [--members 8] [--dtype bfloat16]

The peer computes in float32 whatever the fleet does: bfloat16 is what a study's probe chooses on CPUs that have it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.models import products
from assay.models.decoder import proxy
from assay.store import Artifact, Stage, Store
from assay.tokens import evalset
from assay.tokens.pack import SPANS
from assay.tokens.sampler import StreamPlan
from assay.tokens.stream import TokenStream
from assay.train.engines.choice import choose
from assay.train.engines.local import ENVIRONMENT
from assay.train.fleet import Fleet
from assay.train.job import Branch, Job, JobInputs
from assay.train.loop import DTYPES, TrainSpec
from assay.train.optimizers import OptimizerConfig
from assay.train.process import keep_freed_memory
from common import store_result

LAYERS, WIDTH, HEADS, VOCABULARY, T = 4, 128, 4, 4096, 128
SOURCE = "random"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=("processes", "stacked"), default="processes", help="as train.engine")
    parser.add_argument("--rows", type=int, default=32, help="rows a step, on both sides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=25, help="steps of a member")
    parser.add_argument("--members", type=int, default=8, help="members in a round")
    parser.add_argument(
        "--matrix", choices=("adamw", "muon"), default="adamw", help="the fleet's optimizer of matrices"
    )
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="float32", help="the fleet's arithmetic")
    options = parser.parse_args()
    keep_freed_memory()  # for the peer, which runs here
    workers, chosen = os.cpu_count() or 1, choose(options.engine, None, None)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "artifacts")
        own = _inputs(store, options.rows, options.steps)
        inputs = replace(own, device=chosen.device, stacked=chosen.stacked)
        tokens = TokenStream.open(inputs.streams["train"]).shards[SOURCE]
        peer = Peer(options.rows, tokens, chosen.device)
        bound = None if chosen.stacked else Bound(options.rows, workers, options.dtype)
        rounds: dict[str, list[float]] = {"fleet": [], "peer": []} | ({"bound": []} if bound else {})
        engine = chosen.engine(store.root, Path(folder) / "work", workers, None, print)
        with Fleet(store, engine) as fleet:
            for number in range(-1, options.rounds):  # round -1 warms everything up
                jobs = _jobs(options, number)
                found = {
                    "peer": peer.speed(options.members, options.steps),
                    "fleet": _fleet(fleet, inputs, jobs),
                } | ({"bound": bound.speed()} if bound else {})
                for side, speed in found.items() if number >= 0 else ():
                    rounds[side].append(speed)
        if bound:
            bound.close()
    ratios = [f / p for f, p in zip(rounds["fleet"], rounds["peer"], strict=True)]
    medians = {side: statistics.median(speeds) for side, speeds in rounds.items()}
    store_result(
        "fleet_speed",
        {
            "shape": {"layers": LAYERS, "width": WIDTH, "vocabulary": VOCABULARY, "T": T, "rows": options.rows},
            "engine": chosen.kind,
            "device": chosen.device,
            "matrix": options.matrix,
            "dtype": options.dtype,
            "products": "oneDNN" if products.prefers_onednn() else "PyTorch's choice",
            "workers": fleet.size,
            "members": options.members,
            "steps": options.steps,
            "tokens_per_second": medians,
            "ratio": statistics.median(ratios),
            "ratios": [min(ratios), max(ratios)],
            "share_of_bound": medians["fleet"] / medians["bound"] if bound else None,
            "rounds": rounds,
        },
    )


def _inputs(store: Store, rows: int, steps: int) -> JobInputs:
    """Random tokens as a training stream and a smallest evaluation set."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)

    def stream(name: str, tokens: int) -> Artifact:
        def make(folder: Path) -> dict[str, Any]:
            ids = rng.integers(1, VOCABULARY, tokens).astype("<u2")
            ids[:: 5 * T] = 0  # documents of five rows
            ids.tofile(folder / f"{name}-000.bin")
            row = {"doc_id": "0" * 32, "source": SOURCE, "split": name, "shard": f"{name}-000.bin",
                   "start": 0, "length": 2 * T, "n_bytes": tokens, "unit": 0}  # fmt: skip
            pq.write_table(pa.Table.from_pylist([row], schema=SPANS), folder / "spans.parquet")
            total = {"shard": f"{name}-000.bin", "tokens": tokens, "documents": 1, "units": 1, "bytes": tokens}
            return {"dtype": "<u2", "split": name, "vocabulary": VOCABULARY, "sources": {SOURCE: total}}

        return store.build(Stage("stream", 1), {}, {"name": name}, make)

    def evaluation(held_out: Artifact) -> Artifact:
        def make(folder: Path) -> dict[str, int]:
            import polars as pl

            spans = pl.read_parquet(held_out.file("spans.parquet"))
            data = evalset.build(TokenStream.open(held_out), spans, np.ones(VOCABULARY, np.int64), T, T)
            return data.save(folder)

        return store.build(Stage("evalset", 1), {}, {}, make)

    train = stream("train", rows * steps * T * 2)
    return JobInputs({"train": train}, {"eval": evaluation(stream("eval", 8 * T))}, "none", "fleet_speed")


def _jobs(options: argparse.Namespace, number: int) -> list[Job]:
    model = proxy(VOCABULARY, LAYERS, WIDTH, HEADS)
    rates = OptimizerConfig(matrix=options.matrix)
    return [
        Job(f"round {number}", "size", TrainSpec(model, rates, seed, options.dtype),
            StreamPlan(seed, {SOURCE: 1.0}, T, options.rows),
            (Branch(options.steps, 1),), 1)
        for seed in range(100 * (number + 1), 100 * (number + 1) + options.members)
    ]  # fmt: skip


def _fleet(fleet: Fleet, inputs: JobInputs, jobs: list[Job]) -> float:
    """Tokens a second of the whole fleet, everything that a job does included."""
    start = time.perf_counter()
    fleet.run(inputs, jobs)
    return sum(job.tokens for job in jobs) / (time.perf_counter() - start)


class Peer:
    """The plain loop: transformers' GPT-2, compiled, batches of random crops of a flat file."""

    def __init__(self, rows: int, tokens: np.ndarray, device: str) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.set_num_threads(2)
        config = GPT2Config(
            vocab_size=VOCABULARY, n_positions=T, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, resid_pdrop=0.0,
            embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        self.rows, self.tokens, self.device = rows, tokens, device
        self.model = GPT2LMHeadModel(config).to(device)
        self.compiled = torch.compile(self.model)

    def speed(self, members: int, steps: int) -> float:
        """Tokens a second over members, one after another."""
        start = time.perf_counter()
        for member in range(members):
            self._train(member, steps)
        return members * steps * self.rows * T / (time.perf_counter() - start)

    def _train(self, seed: int, steps: int) -> float:
        """A member from its initialisation to its loss on a row that it was not trained on."""
        torch.manual_seed(seed)
        self.model.apply(self.model._init_weights)
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, fused=True)
        for _ in range(steps):
            ids = self._batch(self.rows)
            self.compiled(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            ids = self._batch(1)
            return float(self.model(input_ids=ids, labels=ids).loss)

    def _batch(self, rows: int) -> torch.Tensor:
        starts = torch.randint(len(self.tokens) - T, (rows,)).tolist()
        return torch.from_numpy(np.stack([self.tokens[s : s + T] for s in starts]).astype(np.int64)).to(self.device)


class Bound:
    """The weight products alone, in processes of their own."""

    def __init__(self, rows: int, workers: int, dtype: str) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        os.environ.update(ENVIRONMENT)
        self.pipes, self.processes = [], []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_products, args=(theirs, rows, dtype), daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)

    def speed(self) -> float:
        for pipe in self.pipes:
            pipe.send("go")
        return sum(float(pipe.recv()) for pipe in self.pipes)

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send("end")
        for process in self.processes:
            process.join()


def _products(pipe: Any, rows: int, dtype: str) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    n, d, kind = rows * T, WIDTH, DTYPES[dtype]
    shapes = [(3 * d, d), (d, d), (4 * d, d), (d, 4 * d)] * LAYERS + [(VOCABULARY, d)]
    weights = [torch.randn(shape).to(kind) for shape in shapes]
    buffers = {size: torch.randn(n, size).to(kind) for size in {size for shape in shapes for size in shape}}
    while pipe.recv() == "go":
        start, steps = time.perf_counter(), 6
        for _ in range(steps):
            for weight in weights:
                x, grad = buffers[weight.shape[1]], buffers[weight.shape[0]]
                products.linear(x, weight)
                products.input_gradient(grad, weight)
                products.weight_gradient(grad, x)
        pipe.send(steps * n / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
