"""One training run, from its first step (or its newest checkpoint) to weights that are evaluated and kept.

every step           losses by source are noted
now and then         a record (telemetry), an evaluation, a checkpoint: each at steps that the plan says, so a run
                     that was stopped and went on is the run that never was, bit for bit
at the end           the weights of the best evaluation (or the last ones) are evaluated once more

RUN/metrics.jsonl   RUN/checkpoints/step-N   RUN/best/step-N   [RUN/tensorboard]  [RUN/trace.json]  [RUN/suspects.txt]
"""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assay.errors import InputError, WorkError, interrupted
from assay.models import lora
from assay.models.build import ModelConfig, Neural, build
from assay.models.interop import adapters
from assay.models.protocol import Batch
from assay.present.numbers import fixed
from assay.present.progress import Progress
from assay.train import checkpoint
from assay.train.averages import ExponentialAverage
from assay.train.energy import Meter, Spent, measurable
from assay.train.evaluate import LN2, Evaluation, HeldOut
from assay.train.feed import NamedFeed, with_threads
from assay.train.interrupt import between_steps
from assay.train.loop import LossNotFinite, TrainSpec, TrainState, train
from assay.train.memory import fits, out_of_memory, told_of_weights
from assay.train.peak import gemm_peak
from assay.train.profiling import Profiler
from assay.train.schedules import Schedule
from assay.train.shards import dealt_out, full, local
from assay.train.telemetry import Nothing, Telemetry, memory_bytes
from assay.train.world import ALONE, Alone

CHECKPOINTS, BEST, TRACE, SUSPECTS = "checkpoints", "best", "trace.json", "suspects.txt"


@dataclass(frozen=True)
class RunPlan:
    """What decides the weights, besides the data.

    Attributes:
        evaluate_every: steps.
        patience: the run ends after so many evaluations without a better one.
        average: decay of an exponential average of the weights, which is evaluated and kept in their place.
    """

    spec: TrainSpec
    schedule: Schedule
    steps: int
    evaluate_every: int
    patience: int | None = None
    average: float | None = None


@dataclass(frozen=True)
class Keeping:
    """What is written on the way, and how; the weights do not depend on it."""

    log_every: int
    save_seconds: float = 300.0
    save_steps: int | None = None
    last: int = 2
    best: bool = True
    tensorboard: bool = False
    profile: int | None = None
    loaders: int = 0
    first: Mapping[str, Any] = field(default_factory=dict)  # what the first record says


@dataclass(frozen=True)
class RunData:
    """What a run reads.

    Attributes:
        feed: batches by step.
        held_out: by split; `eval` decides what is best, the others are looked at once at the end.
        token_bytes: (V,) bytes that each token spells; None where bits per byte say nothing.
        documents: names of the documents that a step reads, for errors.
        write_model: writes the files of a model directory into a folder.
        fingerprint: of everything that was read, and of the tokenizer.
    """

    feed: NamedFeed
    held_out: Mapping[str, HeldOut]
    token_bytes: np.ndarray | None
    documents: Callable[[int], list[str]]
    write_model: Callable[[Path, nn.Module], None]
    fingerprint: str


@dataclass
class _Sums:
    """Losses since the last record, by source."""

    nll: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    spelled: dict[str, int] = field(default_factory=dict)  # bytes; none where they say nothing
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        model: in float32, the best weights or the last ones; where processes share weights, that of all but the first
            is a shape without numbers.
        step: of these weights.
        train_loss: of the last record, in nats a token.
        evaluations: by split.
        tokens_per_second: of the steps of the process that ended it, evaluations and checkpoints left out.
        mfu: share of the machine's peak, as measured in this run.
        early: it ended for want of a better evaluation.
        adapters: layer -> parts, of adapters that are merged into the model; none where none were trained.
    """

    model: Neural
    step: int
    steps: int
    tokens: int
    train_loss: float | None
    evaluations: dict[str, Evaluation]
    tokens_per_second: float | None
    mfu: float | None
    spent: Spent
    early: bool
    adapters: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


class _Enough(Exception):
    """No better evaluation for `patience` of them."""


class Run:
    """See the module.

    Args:
        folder: of the run; somebody else has locked it and knows that it is this run's.
        progress: is told of tokens; its stage has begun.
        parallel: how several processes share the work; the first one writes and tells.
        initial: weights to begin with, by name.
    """

    def __init__(
        self,
        plan: RunPlan,
        keeping: Keeping,
        data: RunData,
        folder: Path,
        progress: Progress,
        parallel: Alone = ALONE,
        initial: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.plan, self.keeping, self.data, self.folder, self.progress = plan, keeping, data, folder, progress
        self.parallel, self.device = parallel, parallel.device
        with told_of_weights(plan.spec.model):
            self.state = TrainState(plan.spec, parallel=parallel)
        if initial is not None:
            self.state.begin_with(initial)
        self.state.optimizer.watched = True
        self.roles = sorted(set(self.state.model.roles().values()))
        if plan.average is not None and not parallel.stores_whole:
            raise InputError(
                "an average of weights that processes share is not kept", where="train.average",
                remedy="leave it out, or train with train.parallel=ddp",
            )  # fmt: skip
        self.average = ExponentialAverage(self.state.masters, plan.average) if plan.average is not None else None
        self.history: list[tuple[int, float]] = []  # evaluations: step and loss
        self.sums = _Sums()
        self.train_loss: float | None = None
        self.read, self.stepping = 0, 0.0  # tokens of this process's steps, and seconds in them
        self._waiting: list[tuple[int, Batch, Tensor]] = []
        self._bad: int | None = None  # the first step whose loss is no number
        self.meter = Meter(self._resume(), self.device, torch.get_num_threads() * parallel.size)
        self.telemetry = (
            Telemetry(folder, self.state.step, tensorboard=keeping.tensorboard) if parallel.is_first else Nothing()
        )
        if self.telemetry.empty:
            self.telemetry.write("run", 0, keeping.first)
        self.writer = checkpoint.Background()
        self.peak = gemm_peak(plan.spec.dtype, self.device) * parallel.size
        self.saved_at = self.stepped_at = time.monotonic()

    # On the way

    def walk(self) -> Outcome:
        """Train to the end.

        Raises:
            WorkError: the loss is no number, memory or the disk is full; the newest checkpoint stays.
            KeyboardInterrupt: after a checkpoint was written.
        """
        early, fitted = self._enough(), True
        with contextlib.ExitStack() as stack:
            stack.callback(self.telemetry.close)
            stack.callback(self.writer.close)
            wanted = self.keeping.profile if self.parallel.is_first else None
            left = self.plan.steps - self.state.step
            self.profiler = stack.enter_context(Profiler(wanted, left, self.folder / TRACE, self.device))
            self.state.span = self.profiler.span
            feed = stack.enter_context(with_threads(self.data.feed, self.keeping.loaders))
            if not early:
                try:
                    with between_steps():
                        fitted = fits(
                            lambda: train(self.state, feed, self.plan.schedule, self.plan.steps, self._on_step)
                        )
                except _Enough:
                    early = True
                except KeyboardInterrupt:
                    self._save()
                    raise
                except LossNotFinite as error:
                    raise self._with_documents(error.step, error.what) from error
            if not fitted:
                raise out_of_memory(self.state, self.data.feed.batch(self.state.step))
            if wanted is not None and self.profiler.seen < wanted:
                self.progress.warn("short_trace", wanted=wanted, n=max(0, self.profiler.seen))
            self._save(only_if_new=True)
            return self._finish(early)

    def _on_step(self, step: int, batch: Batch, losses_BT: Tensor) -> None:
        done = step + 1
        if self.average is not None:
            self.average.update()
        self._waiting.append((step, batch, losses_BT if batch.continues_B is not None else losses_BT.sum(dim=1)))
        now = time.monotonic()
        self.sums.seconds += now - self.stepped_at
        note = ""
        if done % self.keeping.log_every == 0 or done == self.plan.steps:
            note = self._log(done)
        self.profiler.step(done)
        if done % self.plan.evaluate_every == 0 or done == self.plan.steps:
            self._evaluate(done)
        if self._due(done):
            self._save()
        tokens = self.data.feed.tokens(done) - self.data.feed.tokens(step)
        self.stepped_at = time.monotonic()
        if self.parallel.size > 1 and not self.parallel.everywhere(not interrupted.is_set()):
            interrupted.set()  # all stop at the same step
        self.progress.advance(tokens, note=note)  # last: it may raise to stop
        if self._enough():
            raise _Enough

    def _log(self, done: int) -> str:
        """Write a record of the steps since the last one; returns it in a few words."""
        self._count()
        sums, self.sums = self.sums, _Sums()
        n_tokens = sum(sums.tokens.values())
        self.train_loss = sum(sums.nll.values()) / max(1, n_tokens)
        if self._bad is not None:  # a GPU was not asked at every step
            raise self._with_documents(self._bad)
        read = self.data.feed.tokens(done) - self.data.feed.tokens(done - sums.steps)
        self.read, self.stepping = self.read + read, self.stepping + sums.seconds
        speed = read / sums.seconds if sums.seconds else None
        norm, rates = self.state.optimizer.gradient_norm, self.plan.spec.optimizer
        n_bytes, by_source = sum(sums.spelled.values()), sorted(sums.nll.items())
        record: dict[str, Any] = {
            "tokens": self.data.feed.tokens(done),
            "loss": self.train_loss,
            "bits_per_byte": sum(sums.nll.values()) / LN2 / n_bytes if n_bytes else None,
            **{f"loss/{s}": nll / sums.tokens[s] for s, nll in by_source if sums.tokens[s]},
            **{f"bits_per_byte/{s}": nll / LN2 / sums.spelled[s] for s, nll in by_source if sums.spelled.get(s)},
            "learning_rate_factor": (factor := self.plan.schedule.factor(done - 1)),
            **{f"learning_rate/{role}": getattr(rates, f"{role}_lr") * factor for role in self.roles},
            "gradient_norm": float(norm) if norm is not None else None,
            "tokens_per_second": speed,
            "mfu": self._mfu(speed),
            "memory_bytes": memory_bytes(self.device),
            "joules": self.meter.spent().joules,
            "joules_measured": measurable(self.device),
        }
        self.telemetry.write("train", done, record)
        return f"loss {fixed(self.train_loss, 3)}"

    def _count(self) -> None:
        """Take the losses that wait on the device into the sums."""
        names = self.data.feed.names
        for step, batch, losses in self._waiting:
            if self._bad is None and not bool(losses.isfinite().all()):
                self._bad = step
            targets_BT = batch.targets_BT.numpy()
            counted_BT = targets_BT >= 0
            spelled_BT = np.zeros(targets_BT.shape, np.int64)
            if self.data.token_bytes is not None:
                spelled_BT = self.data.token_bytes[targets_BT] * counted_BT
            sources = self.data.feed.sources(step)
            if sources.ndim == 1:
                columns = [sources, losses, counted_BT.sum(axis=1), spelled_BT.sum(axis=1)]
            else:
                columns = _by_source(sources, losses.double().cpu().numpy(), counted_BT, spelled_BT)
            for source, nll, n, n_bytes in zip(*(column.tolist() for column in columns), strict=True):
                name = names[source]
                self.sums.nll[name] = self.sums.nll.get(name, 0.0) + nll
                self.sums.tokens[name] = self.sums.tokens.get(name, 0) + n
                self.sums.spelled[name] = self.sums.spelled.get(name, 0) + n_bytes
            self.sums.steps += 1
        self._waiting.clear()

    def _mfu(self, tokens_per_second: float | None) -> float | None:
        """Share of the peak that training FLOPs make up."""
        if tokens_per_second is None:
            return None
        return tokens_per_second * self.data.feed.flops_per_token(self.state.model) / self.peak

    # Evaluation

    def _evaluate(self, done: int) -> None:
        with self._averaged():
            found = self.data.held_out["eval"].evaluate(self.state.model, self.device)
        self._refuse_no_number(found, done)
        self.telemetry.write("eval", done, {"split": "eval", **_told(found)})
        loss = self.parallel.agreed(found.criterion)
        better = not self.history or loss < min(earlier for _, earlier in self.history)
        self.history.append((done, loss))
        if better and self.keeping.best:
            state = {**self._weights(), "step": torch.tensor(done)}
            if self.parallel.is_first:
                self.writer.submit(lambda: checkpoint.save(self.folder / BEST, state, {}))

    @contextlib.contextmanager
    def _averaged(self) -> Any:
        """Within, the model computes with the averages, where there are any."""
        if self.average is None:
            yield
            return
        with self.average.in_place():
            self.state.refresh()
            yield
        self.state.refresh()

    def _weights(self) -> dict[str, Tensor]:
        """What is kept of the run, a copy: the averages where there are any, else the weights; float32, whole. Where
        processes share the weights, the first one alone has them."""
        if self.average is not None:
            return self.parallel.stored(self.average.tensors(), {name: [name] for name in self.state.masters})
        state = {n: t.clone() for n, t in self.state.tensors().items() if n.startswith("model.")}
        keep = self.parallel.is_first or self.parallel.stores_whole
        return {name.removeprefix("model."): tensor for name, tensor in full(state, keep=keep).items()}

    def _owners(self) -> dict[str, list[str]]:
        """Of which parameter each sum of the averages is."""
        return {f"average.{name}": [name] for name in self.state.masters}

    def _enough(self) -> bool:
        if self.plan.patience is None or not self.history:
            return False
        best = min(range(len(self.history)), key=lambda i: self.history[i][1])
        return len(self.history) - 1 - best >= self.plan.patience

    # Checkpoints

    def _due(self, done: int) -> bool:
        if self.keeping.save_steps is not None:
            return done % self.keeping.save_steps == 0
        late = time.monotonic() - self.saved_at > self.keeping.save_seconds
        return not self.parallel.everywhere(not late)

    def _save(self, *, only_if_new: bool = False) -> None:
        """Begin to write a checkpoint: a copy of the state, so that training can go on meanwhile."""
        self._count()
        self.writer.wait()
        if only_if_new and self.parallel.agreed(self._newest_step()) == self.state.step:
            return
        state = self.state.copy()
        finite = all(bool(local(t).isfinite().all()) for name, t in state.items() if name.startswith("model."))
        if not self.parallel.everywhere(finite):
            raise self._with_documents(self.state.step - 1)
        if self.average is not None:
            sums = {f"average.{name}": tensor.clone() for name, tensor in self.average.state().items()}
            state |= self.parallel.stored(sums, self._owners())
        extra = {
            "history": self.history,
            "sums": self.sums.__dict__,
            "train_loss": self.train_loss,
            "spent": self.meter.spent().__dict__,
            "read": self.data.fingerprint,
        }
        weights = full({n: t for n, t in state.items() if n.startswith("model.")}, keep=self.parallel.is_first)
        if self.parallel.is_first:
            model = self._model({name.removeprefix("model."): tensor for name, tensor in weights.items()})
        kept: dict[str, Any] = {
            "keep": self.keeping.last,
            "beside": lambda folder: self.data.write_model(folder, model),
        }
        folder = self.folder / CHECKPOINTS
        if not self.parallel.stores_whole:
            checkpoint.save_together(self.parallel, folder, state, extra, **kept)
        elif self.parallel.is_first:
            self.writer.submit(lambda: checkpoint.save(folder, state, extra, **kept))
        self.saved_at = time.monotonic()

    def _newest_step(self) -> int:
        names = sorted(path.name for path in (self.folder / CHECKPOINTS).glob("step-*"))
        return int(names[-1].split("-")[1]) if names else -1

    def _resume(self) -> Spent:
        """Go on from the newest whole checkpoint, where there is one; returns what was spent up to it."""
        found = checkpoint.newest(self.folder / CHECKPOINTS, self._passed_over, self.state.like())
        if found is None:
            return Spent()
        state, extra = found
        if extra["read"] != self.data.fingerprint:
            raise WorkError(
                "its checkpoints were made from other data or another tokenizer", where=self.folder,
                remedy="choose another --out",
            )  # fmt: skip
        if self.average is not None:
            own = self.parallel.taken({k: t for k, t in state.items() if k.startswith("average.")}, self._owners())
            self.average.load({name.removeprefix("average."): tensor for name, tensor in own.items()})
        self.state.load(state)
        self.history = [(int(step), float(loss)) for step, loss in extra["history"]]
        self.sums = _Sums(**extra["sums"])
        self.train_loss = extra["train_loss"]
        self.progress.advance(self.data.feed.tokens(self.state.step), found=True)
        return Spent(**extra["spent"])

    def _passed_over(self, folder: Path, damage: str) -> None:
        """A damaged checkpoint is of no use, and would count among those that are kept."""
        if self.parallel.is_first:
            shutil.rmtree(folder, ignore_errors=True)
            self.progress.warn("passed_over", folder=folder.name, damage=damage)

    def _model(self, weights: Mapping[str, Tensor]) -> Neural:
        """A model of its own, in float32 on the CPU, with these weights; adapters are merged into theirs."""
        spec = self.plan.spec
        model = build(spec.model, None)
        if spec.tuning.lora is not None:
            lora.adapt(model, spec.tuning.lora, None)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        lora.merged(model)
        return model.eval()

    # The end

    def _finish(self, early: bool) -> Outcome:
        """Evaluate what is kept."""
        self.writer.wait()
        self.parallel.barrier()
        step, weights = self._kept()
        on_device, evaluations = self._computing(weights), {}
        for split, held_out in self.data.held_out.items():
            evaluations[split] = held_out.evaluate(on_device, self.device)
            self._refuse_no_number(evaluations[split], step)
            self.telemetry.write("final", self.state.step, {"split": split, **_told(evaluations[split])})
        speed = self.read / self.stepping if self.stepping else None
        model = self._model(weights) if weights else _shape_of(self.plan.spec.model)
        return Outcome(
            model, step, self.state.step, self.data.feed.tokens(self.state.step), self.train_loss, evaluations,
            speed, self._mfu(speed), self.meter.spent(), early, adapters.parts_of(weights),
        )  # fmt: skip

    def _kept(self) -> tuple[int, dict[str, Tensor]]:
        """The step of the best weights, or of the last ones, and themselves, as `_weights` has them."""
        step, weights = self.state.step, self._weights()
        if not self.keeping.best:
            return step, weights
        found = None
        if self.parallel.is_first or self.parallel.stores_whole:
            found = checkpoint.newest(self.folder / BEST, self._passed_over)
        if found is not None:
            weights = found[0]
            step = int(weights.pop("step"))
        return self.parallel.agreed(step), weights

    def _computing(self, weights: Mapping[str, Tensor]) -> Neural:
        """A model with these weights in float32 where it computes; where processes share weights, each has its part."""
        if self.parallel.stores_whole:
            return self._model(weights).to(self.device)
        model = build(self.plan.spec.model, None)
        self.parallel.lay_out(model, torch.float32)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(dealt_out(weights.get(name), parameter))
        return model.eval()

    def _refuse_no_number(self, found: Evaluation, done: int) -> None:
        """Refuse to go on with weights under which held-out text has no loss."""
        if not math.isfinite(found.loss):
            raise self._with_documents(done - 1, "the loss of held-out text is not a number after this step")

    def _with_documents(self, step: int, what: str = "the loss or its gradient is not a number") -> WorkError:
        """The error of a loss that is no number, with the documents that the step read."""
        self.writer.wait()
        names = self.data.documents(step)
        shown = ", ".join(names[:4])
        if len(names) > 4:
            shown += f" and {len(names) - 4} more"
            if self.parallel.is_first:
                (self.folder / SUSPECTS).write_text("\n".join(names) + "\n", encoding="utf-8")
                shown += f" (all in {SUSPECTS})"
        kept = "; the newest checkpoint is whole" if self._newest_step() >= 0 else ""
        return WorkError(
            f"{what}; the step read {shown}{kept}", where=f"step {step}",
            remedy="lower the learning rates, lengthen the warmup or clip the gradients, with another --out",
        )  # fmt: skip


def _by_source(sources_BT: np.ndarray, *values_BT: np.ndarray) -> list[Any]:
    """The sources that a batch holds, and the sum of each value over the positions of each."""
    found = np.unique(sources_BT)
    return [found, *(np.array([values[sources_BT == source].sum() for source in found]) for values in values_BT)]


def _shape_of(config: ModelConfig) -> Neural:
    """A model without numbers."""
    with torch.device("meta"):
        return build(config, None)


def _told(found: Evaluation) -> dict[str, Any]:
    """An evaluation as a record."""
    by_source = {source: own for source, own in found.by_source().items() if own.sum("n_tokens")}
    return {
        "loss": found.loss,
        "bits_per_byte": found.bits_per_byte,
        **found.measured,
        **{f"loss/{source}": own.loss for source, own in by_source.items()},
        **{f"bits_per_byte/{s}": own.bits_per_byte for s, own in by_source.items() if own.bits_per_byte is not None},
    }
