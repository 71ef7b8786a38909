"""What the two processes of `test_parallel` do, and what one process does to compare with.

    RANK=0 WORLD_SIZE=2 ... python together.py FOLDER

Each runs all cases on two processes; the first writes what came out into FOLDER. At last the second one kills itself.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, distributed

from assay.cli import end_now
from assay.errors import AssayError, InputError
from assay.models.build import ModelConfig
from assay.models.decoder import DecoderConfig, proxy, standard
from assay.models.encoder import bert, modern
from assay.models.protocol import Batch
from assay.models.recurrent import RecurrentConfig
from assay.models.seq2seq import t5
from assay.train.loop import LossNotFinite, TrainSpec, TrainState
from assay.train.objectives import NEXT_TOKEN, Masked, Objective, SpanCorruption
from assay.train.optimizers import OptimizerConfig
from assay.train.parallel import DataParallel, Mode, Sharded, joined
from assay.train.shards import full, load_sharded, save_sharded
from assay.train.tensor_parallel import TensorParallel
from assay.train.world import Alone, World

V, T, B, STEPS, HALF = 45, 10, 8, 6, 3
MUON = OptimizerConfig(clip_norm=1.0, weight_decay=0.01)
ADAMW = replace(MUON, matrix="adamw", matrix_lr=0.004)
SGD = OptimizerConfig("sgd", "sgd", 0.1, 0.1, 0.1, 0.1, clip_value=0.05, l1=1e-4)
MASKED, SPANS = Masked(V - 1, 40), SpanCorruption(tuple(range(40, 43)), 43, 44, share=0.3)
STANDARD = standard(V, 2, 16, 4, kv_heads=2, max_length=T)


def with_biases() -> DecoderConfig:
    """As GPT-2 is."""
    block = replace(
        STANDARD.block, kv_heads=None, activation="gelu", gated=False, norm="layer", biases="all", qk_norm=False
    )
    return replace(STANDARD, block=block, positions="learned")


def undropped(config: ModelConfig) -> ModelConfig:
    assert not isinstance(config, RecurrentConfig)
    return replace(config, block=replace(config.block, dropout=0.0, attention_dropout=0.0))


@dataclass(frozen=True)
class Case:
    model: ModelConfig
    optimizer: OptimizerConfig = MUON
    objective: Objective = NEXT_TOKEN
    micro_rows: int | None = 2  # each process has more rows than that: gradients add up
    dtype: str = "float32"
    modes: tuple[Mode, ...] = ("data", "sharded")

    @property
    def spec(self) -> TrainSpec:
        return TrainSpec(self.model, self.optimizer, 5, self.dtype, micro_rows=self.micro_rows)


ALL: tuple[Mode, ...] = ("data", "sharded", "tensor")
PROXY = proxy(V, 3, 16, 2, max_length=T)  # three matrices of a shape: two processes share them unevenly
CASES = {
    "proxy": Case(PROXY, modes=ALL),
    "proxy at once": Case(PROXY, micro_rows=None),
    "proxy sgd": Case(PROXY, SGD),
    "proxy adafactor": Case(PROXY, OptimizerConfig("adafactor", "adafactor"), modes=("data",)),
    "standard": Case(STANDARD, modes=ALL),
    "biases": Case(with_biases(), SGD, modes=ALL),
    "lstm": Case(RecurrentConfig(V, 2, 16, "lstm"), ADAMW),
    "lstm carried": Case(RecurrentConfig(V, 2, 16, "lstm", carried=True), ADAMW),
    "modern encoder": Case(modern(V, 2, 16, 2, max_length=T), objective=MASKED),
    "bert": Case(undropped(bert(V, 2, 16, 2, max_length=T, pooler=True)), ADAMW, MASKED),
    "t5": Case(undropped(t5(V, 2, 16, 2)), ADAMW, SPANS),
    "proxy bfloat16": Case(PROXY, dtype="bfloat16", modes=ALL),
    "proxy float16": Case(PROXY, dtype="float16", modes=ALL),
}
KINDS = {"data": DataParallel, "sharded": Sharded, "tensor": TensorParallel}


def batch(case: Case, step: int) -> Batch:
    """Documents of a few tokens, of which some rows have fewer targets than others."""
    rows = np.random.default_rng(step).integers(0, 40, (B, T + 1))
    made = case.objective(rows, 1, step)
    made.targets_BT[0, 3:] = -1
    if getattr(case.model, "carried", False):
        return replace(made, continues_B=torch.arange(step, step + B) % 4 > 0)
    return made


def walk(state: TrainState, case: Case, until: int) -> list[Tensor]:
    """Losses of each step, and where it is clipped the norm of its gradient."""
    found = []
    while state.step < until:
        made = batch(case, state.step)
        losses_BT = state.update(made, 1.0)
        norm = state.optimizer.gradient_norm
        found.append(torch.cat([losses_BT.double().sum(1), torch.zeros(1) if norm is None else norm[None]]))
    return found


def kept(state: TrainState, losses: list[Tensor]) -> dict[str, Tensor]:
    """What is compared: the whole state and the losses; every process has to ask."""
    made = full(state.tensors()) | {"losses": torch.stack(losses)}
    return {name: tensor.contiguous() for name, tensor in made.items()}


def alone(case: Case, checkpoint: Path | None = None) -> dict[str, Tensor]:
    """The case in one process, saved half way."""
    state = TrainState(case.spec)
    losses = walk(state, case, HALF)
    if checkpoint is not None:
        save_sharded(checkpoint, state.tensors())
    return kept(state, losses + walk(state, case, STEPS))


def go_on(case: Case, checkpoint: Path, parallel: Alone | None = None) -> dict[str, Tensor]:
    """Taken up from a folder."""
    state = TrainState(case.spec, parallel=parallel)
    state.load(load_sharded(checkpoint, state.like()))
    return kept(state, walk(state, case, STEPS))


class Together:
    """One of the two processes."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder

    def write(self, name: str, tensors: dict[str, Tensor]) -> None:
        if self.world.rank == 0:
            save_file(tensors, self.folder / f"{name}.safetensors")

    def cases(self) -> None:
        for name, case in CASES.items():
            for mode in case.modes:
                state = TrainState(case.spec, parallel=KINDS[mode](self.world))
                losses = walk(state, case, HALF)
                if name in ("proxy", "standard"):
                    save_sharded(self.folder / f"{name}, {mode}", state.tensors())
                self.write(f"{name}, {mode}", kept(state, losses + walk(state, case, STEPS)))

    def taken_up(self) -> None:
        """What one process saved."""
        for name in ("proxy", "standard"):
            for mode in ALL:
                found = go_on(CASES[name], self.folder / f"{name}, alone", KINDS[mode](self.world))
                self.write(f"{name}, {mode}, taken up", found)

    def evaluated(self) -> None:
        """A sharded model is evaluated before and after a step, as `document_nll` does; and dropout differs."""
        case = CASES["proxy"]
        state = TrainState(case.spec, parallel=Sharded(self.world))
        found = []
        for _ in range(2):
            with torch.inference_mode():
                found.append(state.model.loss(batch(case, 9)).losses_BT.sum().clone())
            state.update(batch(case, state.step), 1.0)
        self.write("evaluated", {"sums": torch.stack(found)})

    def dropped(self) -> None:
        case = replace(CASES["standard"], model=replace(STANDARD, block=replace(STANDARD.block, dropout=0.3)))
        made = batch(case, 0)
        halves = replace(made, **{n: t[B // 2 :].repeat(2, 1) for n, t in vars(made).items() if t is not None})
        for mode in ALL:
            state = TrainState(replace(case.spec, micro_rows=None), parallel=KINDS[mode](self.world))
            self.write(f"dropped, {mode}", {"losses": state.update(halves, 1.0)})

    def not_finite(self) -> None:
        """One token, read by the second process alone, has a vector that is no number."""
        for mode in ("data", "sharded"):
            state = TrainState(CASES["proxy at once"].spec, parallel=KINDS[mode](self.world))
            whole = full(state.tensors())
            whole["model.embedding"][44] = torch.nan
            state.load(whole)
            made = batch(CASES["proxy"], 0)
            made.inputs_BT[B - 1, 0] = 44
            try:
                state.update(made, 1.0)
            except LossNotFinite:
                Path(self.folder / f"not finite, {mode}, {self.world.rank}").touch()

    def refused(self) -> None:
        """Optimizers and models that cannot be shared."""
        found = []
        for name, kind in (("proxy adafactor", Sharded), ("bert", TensorParallel)):
            try:
                TrainState(CASES[name].spec, parallel=kind(self.world))
            except InputError as error:
                found.append(error.line())
        if self.world.rank == 0:
            (self.folder / "refused").write_text("\n".join(found), encoding="utf-8")

    def words(self) -> None:
        """What processes tell each other."""
        parallel = DataParallel(self.world)
        own = torch.tensor([float(self.world.rank), 1.0])
        parallel.first((self.folder / "prepared").touch)
        seen = (self.folder / "prepared").exists() and parallel.is_first == (self.world.rank == 0)
        parallel.barrier()
        said = parallel.agreed(f"from {self.world.rank}") == "from 0"
        agreed = torch.tensor([parallel.everywhere(seen), parallel.everywhere(said), parallel.everywhere(own[0] == 0)])
        self.write("words", {"sums": parallel.sums(own), "agreed": agreed})

    def killed(self) -> None:
        state, case = TrainState(CASES["proxy"].spec, parallel=DataParallel(self.world)), CASES["proxy"]
        walk(state, case, 2)
        if self.world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        walk(state, case, STEPS)


@contextmanager
def one_line() -> Iterator[None]:
    """As the command ends."""
    try:
        yield
    except AssayError as error:
        print(error.line(), file=sys.stderr)
        end_now(error.exit_code)


def main() -> None:
    torch.set_num_threads(1)
    with one_line(), joined(world := World.from_env(), "data"):
        together = Together(world, Path(sys.argv[1]))
        for act in ("words", "cases", "taken_up", "evaluated", "dropped", "not_finite", "refused"):
            getattr(together, act)()
            distributed.barrier()
        together.killed()


if __name__ == "__main__":
    main()
