"""One side of `train_speed.py`: a program that trains one model on the rows it is told, in an environment of its own.

    python train_side.py SPEC          SPEC is one JSON object, see `Spec`
    {"ready": .., "versions": ..}      a line on stdout once the model stands and its first steps are done (compiled)
    "train 3.0"                        a line on stdin: train so many seconds   -> {"tokens": .., "seconds": .., ..}
    "learn"                            a line: train `steps`, with looks at held-out rows    -> {"curve": [..]}

Every side runs this loop, reads the same rows in the same order, and is timed by the same clock. Sides:

    assay        our proxy decoder and our trainer's step
    gpt2         transformers' GPT-2            } a plain PyTorch loop: AdamW (fused), next-token cross-entropy
    litgpt       litgpt's GPT (its defaults)    }
    products     the weight products of such a step alone, in our type and library: the bound

What a peer's arithmetic can be: "float32"; "autocast" (bfloat16 by torch.autocast); "bfloat16" (bfloat16 weights, with
float32 masters that AdamW updates, since weights kept in bfloat16 alone stop moving). Its attention is PyTorch's, by
the fused kernel or by plain products ("math"): the kernel's backward pass in bfloat16 is slow on CPUs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

WARM_STEPS = 3
END_OF_TEXT = 0


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a model, of its rows T and of its batches B."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    T: int
    B: int


@dataclass(frozen=True, kw_only=True)
class Spec(Size):
    """What a side is.

    Attributes:
        threads: of this process.
        rate: peak learning rate: of AdamW in peers, a factor of the default rates in ours.
        rows: file of uint16 tokens, (rows, T + 1); the last of a row is a target alone.
        held_out: such a file, or None; `held_out_bytes` is the text that it spells.
        steps: of `learn`; its batches are the first ones of the file.
        evaluations: how often `learn` looks at the held-out rows.
        warmup: share of the steps of `learn` in which the rate rises; after them it falls linearly to a tenth.
        settings: of the side: dtype, compiled, attention; matrix.
    """

    side: str
    threads: int
    rows: str
    rate: float = 1e-3
    held_out: str | None = None
    held_out_bytes: int = 0
    steps: int = 0
    evaluations: int = 12
    warmup: float = 0.05
    settings: dict[str, Any] = field(default_factory=dict)


class Side(Protocol):
    def update(self, inputs_BT: Tensor, targets_BT: Tensor, factor: float) -> None:
        """One step at `factor` of the peak learning rate."""

    def parameters(self) -> int: ...


@runtime_checkable
class Learner(Side, Protocol):
    """A side that can be looked at while it learns."""

    def nll(self, inputs_BT: Tensor, targets_BT: Tensor) -> float:
        """Summed loss of held-out rows in nats."""


def main() -> None:
    spec = Spec(**json.loads(sys.argv[1]))
    torch.set_num_threads(spec.threads)
    torch.manual_seed(0)
    rows = np.memmap(spec.rows, dtype="<u2", mode="r").reshape(-1, spec.T + 1)
    begin = time.perf_counter()
    side = SIDES[spec.side](spec)
    step = 0
    # `learn` begins at fresh weights: where held-out rows are given, these steps are taken at a rate of zero.
    for _ in range(WARM_STEPS):
        side.update(*_batch(rows, step, spec.B), factor=0.0 if spec.held_out else 1.0)
    _say(ready=round(time.perf_counter() - begin, 1), parameters=side.parameters(), versions=_versions())
    for line in sys.stdin:
        order = line.split()
        if order[0] == "train":
            first, marks = step, [time.perf_counter()]
            while marks[-1] < marks[0] + float(order[1]):
                side.update(*_batch(rows, step, spec.B), factor=1.0)
                step += 1
                marks.append(time.perf_counter())
            fastest = min(b - a for a, b in itertools.pairwise(marks))
            _say(tokens=(step - first) * spec.B * spec.T, seconds=marks[-1] - marks[0], fastest_step=fastest)
        elif isinstance(side, Learner):
            _say(curve=_learn(side, spec, rows))


def _batch(rows: np.ndarray, step: int, B: int) -> tuple[Tensor, Tensor]:
    """The step's rows, from the beginning again where the file ends."""
    places = np.arange(step * B, step * B + B) % len(rows)
    batch = torch.from_numpy(rows[places].astype(np.int64))
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous()


def _learn(side: Learner, spec: Spec, rows: np.ndarray) -> list[dict[str, float]]:
    """A whole run; returns tokens, seconds of training alone, and bits per byte of held-out text along it."""
    assert spec.held_out is not None
    steps = spec.steps
    looks = {round(steps * (i + 1) / spec.evaluations) for i in range(spec.evaluations)}
    held_out = np.memmap(spec.held_out, dtype="<u2", mode="r").reshape(-1, spec.T + 1)
    curve: list[dict[str, float]] = []
    seconds = 0.0
    for step in range(steps):
        start = time.perf_counter()
        side.update(*_batch(rows, step, spec.B), factor=_factor(step, steps, spec.warmup))
        seconds += time.perf_counter() - start
        if step + 1 in looks:
            nll = sum(side.nll(*_batch(held_out, i, spec.B)) for i in range(len(held_out) // spec.B))
            bpb = nll / math.log(2) / spec.held_out_bytes
            curve.append({"tokens": (step + 1) * spec.B * spec.T, "seconds": round(seconds, 2), "bpb": round(bpb, 4)})
    return curve


def _factor(step: int, steps: int, warmup: float) -> float:
    rising = max(1, round(steps * warmup))
    return min((step + 1) / rising, 0.1 + 0.9 * (steps - step) / max(1, steps - rising), 1.0)


class Assay:
    """Our trainer's step. Documents in a row do not see each other, as always in our trainer."""

    def __init__(self, spec: Spec) -> None:
        from assay.models.decoder import proxy
        from assay.train.loop import TrainSpec, TrainState
        from assay.train.optimizers import OptimizerConfig

        rates = {name: spec.rate * value for name, value in spec.settings["rates"].items()}
        config = proxy(spec.vocabulary, spec.layers, spec.width, spec.heads)
        optimizer = OptimizerConfig(matrix=spec.settings["matrix"], **rates)
        self._state = TrainState(TrainSpec(config, optimizer, 0, spec.settings["dtype"]))

    def update(self, inputs_BT: Tensor, targets_BT: Tensor, factor: float) -> None:
        self._state.update(self._made(inputs_BT, targets_BT), factor)

    @torch.inference_mode()
    def nll(self, inputs_BT: Tensor, targets_BT: Tensor) -> float:
        return float(self._state.model.loss(self._made(inputs_BT, targets_BT)).losses_BT.double().sum())

    @staticmethod
    def _made(inputs_BT: Tensor, targets_BT: Tensor) -> Any:
        from assay.models.protocol import Batch

        segments_BT = (inputs_BT == END_OF_TEXT).cumsum(1).to(torch.int32)
        return Batch(inputs_BT, targets_BT, segments_BT)

    def parameters(self) -> int:
        return self._state.model.n_parameters()[1]


class Peer:
    """A plain PyTorch loop over a model that gives logits."""

    def __init__(self, spec: Spec, model: nn.Module) -> None:
        self._dtype, self._rate = spec.settings["dtype"], spec.rate
        self._model = model.to(torch.bfloat16) if self._dtype == "bfloat16" else model
        self._weights = list(model.parameters())
        self._masters = self._weights
        if self._dtype == "bfloat16":
            self._masters = [nn.Parameter(weight.detach().float()) for weight in self._weights]
        self._optimizer = torch.optim.AdamW(self._masters, lr=spec.rate, betas=(0.9, 0.95), fused=True)
        self._math = spec.settings["attention"] == "math"
        self._loss = torch.compile(self._plain_loss) if spec.settings["compiled"] else self._plain_loss

    def _plain_loss(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        logits = self._logits(inputs_BT)
        return functional.cross_entropy(logits.float().flatten(0, 1), targets_BT.flatten())

    def _logits(self, inputs_BT: Tensor) -> Tensor:
        out = self._model(inputs_BT)
        return out if isinstance(out, Tensor) else out.logits

    def _context(self) -> contextlib.ExitStack:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        stack = contextlib.ExitStack()
        if self._dtype == "autocast":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        if self._math:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        return stack

    def update(self, inputs_BT: Tensor, targets_BT: Tensor, factor: float) -> None:
        with self._context():
            loss = self._loss(inputs_BT, targets_BT)
        loss.backward()
        if self._masters is not self._weights:
            for master, weight in zip(self._masters, self._weights, strict=True):
                master.grad, weight.grad = weight.grad.float() if weight.grad is not None else None, None
        self._optimizer.param_groups[0]["lr"] = self._rate * factor
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._masters is not self._weights:
            with torch.no_grad():
                torch._foreach_copy_(list[Tensor](self._weights), list[Tensor](self._masters))

    @torch.no_grad()
    def nll(self, inputs_BT: Tensor, targets_BT: Tensor) -> float:
        with self._context():
            return float(self._plain_loss(inputs_BT, targets_BT)) * targets_BT.numel()

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._weights)


def _gpt2(spec: Spec) -> Peer:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=spec.vocabulary, n_positions=spec.T, n_embd=spec.width, n_layer=spec.layers, n_head=spec.heads,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return Peer(spec, GPT2LMHeadModel(config))


def _litgpt(spec: Spec) -> Peer:
    from litgpt import GPT, Config

    config = Config(
        block_size=spec.T, n_layer=spec.layers, n_head=spec.heads, n_embd=spec.width, vocab_size=spec.vocabulary,
        padded_vocab_size=spec.vocabulary,
    )  # fmt: skip
    model = GPT(config)
    model.apply(model._init_weights)
    return Peer(spec, model)


class Products:
    """The three products of every weight matrix of a step."""

    def __init__(self, spec: Spec) -> None:
        from assay.models import products
        from assay.train.precision import DTYPES

        self._products = products
        n, d, kind = spec.B * spec.T, spec.width, DTYPES[spec.settings["dtype"]]
        shapes = [(3 * d, d), (d, d), (4 * d, d), (d, 4 * d)] * spec.layers + [(spec.vocabulary, d)]
        self._weights = [torch.randn(shape).to(kind) for shape in shapes]
        sizes = {size for shape in shapes for size in shape}
        self._rows = {size: torch.randn(n, size).to(kind) for size in sizes}

    def update(self, inputs_BT: Tensor, targets_BT: Tensor, factor: float) -> None:
        for weight in self._weights:
            x, grad = self._rows[weight.shape[1]], self._rows[weight.shape[0]]
            self._products.linear(x, weight)
            self._products.input_gradient(grad, weight)
            self._products.weight_gradient(grad, x)

    def parameters(self) -> int:
        return sum(weight.numel() for weight in self._weights)


SIDES: dict[str, Callable[[Spec], Side]] = {"assay": Assay, "gpt2": _gpt2, "litgpt": _litgpt, "products": Products}


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "torch": torch.__version__}
    for name in ("transformers", "litgpt"):
        if name in sys.modules:
            found[name] = importlib.metadata.version(name)
    return found


def _say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
