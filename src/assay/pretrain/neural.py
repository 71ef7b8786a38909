"""A recipe of a neural model -> a run -> a model directory.

corpus      sources -> documents, splits
tokenizer   learned, or given
tokens      training stream; windows (or rows) of eval, test and, for the gap between both, training text
plan        dtype and steps by measurement where the recipe leaves them open; remembered: a rerun has the same
run         see `train.run`
OUT/model   the best weights (or the last ones), tokenizer and card; OUT/result.json, the answer
"""

from __future__ import annotations

import gc
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import torch
from torch import nn

from assay import __version__
from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.models import float8, vectors
from assay.models.build import ModelConfig, build
from assay.models.distilled import Distilled
from assay.models.interop.directory import write_directory
from assay.models.protocol import Shares, check_ids
from assay.present.numbers import compact
from assay.pretrain import card, rows, shape, teaching
from assay.pretrain.request import MODEL, RESULT, Request, Work, opened
from assay.pretrain.start import Start, start, tokenizer_of
from assay.recipe.pretrain import RunRecipe
from assay.store import Artifact, fingerprint, staged, write_json_atomic
from assay.tokens import prepare
from assay.tokens.evalset import EvalSet
from assay.tokens.lanes import Lanes
from assay.tokens.pairs import PairStream
from assay.tokens.prepare import Tokenized
from assay.tokens.sampler import Sampler, StreamPlan
from assay.tokens.sentences import words_of_tokens
from assay.tokens.stream import TokenStream
from assay.train.emissions import kilograms, tracked
from assay.train.energy import measurable
from assay.train.evaluate import Documents, Evaluation, HeldOut, Rows
from assay.train.feed import LaneFeed, Phase, RowFeed, TextFeed, slots_of
from assay.train.finder import RateFound, find_rate
from assay.train.loop import TrainSpec, TrainState
from assay.train.memory import fits, out_of_memory, told_of_weights
from assay.train.objectives import Objective, Pairs
from assay.train.pairs import HeldPairs
from assay.train.parallel import Mode, joined
from assay.train.precision import allow_tf32
from assay.train.process import denormals_are_zero, keep_freed_memory
from assay.train.run import Keeping, Outcome, Run, RunData, RunPlan
from assay.train.world import Alone, World, device_of

DEFAULT_SECONDS = 600.0
PROBE_SECONDS = 3.0  # of the measurement that decides a type, or how many steps fit into a time
LOGS = 200  # records a run
LEAST_EVAL_TOKENS, MOST_EVAL_TOKENS = 1000, 50_000  # a source
MODES: dict[str, Mode] = {"ddp": "data", "fsdp": "sharded", "tensor": "tensor"}
SPLITS = ("eval", "test", "train")
RATES = "learning_rate.json"
T = TypeVar("T")


def run(request: Request, *, quiet: bool = False) -> dict[str, Any] | None:
    """Train, or finish a run that was begun.

    Returns:
        the answer of `--json`; under torchrun None in all processes but the first.

    Raises:
        InputError: bad input; earlier results are intact.
        WorkError: the loss is no number, memory or disk do not suffice.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    device = device_of(request.recipe.train.device, "train.device")
    _check_type(request.recipe.train, device)
    world = World.from_env(device)
    if world.size > 1:
        shape.check_processes(request.recipe, world.size)
    mode = MODES[request.recipe.train.parallel]
    with denormals_are_zero(), joined(world, mode) as parallel, opened(request, parallel, quiet=quiet) as work:
        answer = work.finished() or _Training(work, parallel).run()
    return answer if parallel.is_first else None


@dataclass(frozen=True)
class Text:
    """What is read.

    Attributes:
        streams, artifacts: by split.
        weights: share of each source in training.
    """

    tokens: Tokenized
    streams: dict[str, TokenStream]
    artifacts: dict[str, Artifact]
    weights: dict[str, float]

    @property
    def train_tokens(self) -> int:
        return sum(len(self.streams["train"].shards[source]) for source in self.weights)

    def epoch_tokens(self, row_tokens: int) -> int:
        """Tokens that are read when the training text is read once."""
        return sum(self.streams["train"].n_tokens(source, row_tokens) for source in self.weights)

    def measured(self, asked: Objective, row_tokens: int) -> Objective:
        """The objective with what it makes of a row of this text."""
        stream = self.streams["train"]
        if not (isinstance(asked, Pairs) and isinstance(stream, PairStream)):
            return asked
        sides = np.sum([w * np.array(stream.sides(s, row_tokens, asked.end)) for s, w in self.weights.items()], axis=0)
        return replace(asked, shares=Shares(*sides.tolist()))

    def fingerprint(self) -> str:
        """Of everything that is read."""
        parts = {split: artifact.fingerprint for split, artifact in self.artifacts.items()}
        return fingerprint({**parts, "tokenizer": self.tokens.artifact.fingerprint, "weights": self.weights})


@dataclass(frozen=True)
class _Decided:
    """What the recipe left open, and a measurement decided.

    Attributes:
        speeds: tokens a second of each type that was measured.
    """

    dtype: str
    steps: int
    phases: tuple[Phase, ...]
    speeds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Prepared:
    """All that a run needs."""

    text: Text
    feed: TextFeed
    data: RunData
    plan: RunPlan
    initial: dict[str, torch.Tensor] | None
    decided: _Decided


@dataclass(frozen=True)
class _Read:
    """What stands before anything is measured.

    Attributes:
        begun: what is gone on from.
    """

    begun: Start | None
    corpus: Corpus
    text: Text


class _Training:
    def __init__(self, work: Work, parallel: Alone) -> None:
        self.work, self.recipe, self.space, self.progress = work, work.recipe, work.space, work.progress
        self.parallel, self.device = parallel, parallel.device
        allow_tf32(self.recipe.train.tf32)
        keep_freed_memory()

    def run(self) -> dict[str, Any]:
        """Train."""
        p = self._prepare()
        self.progress.stage("pretrain", p.data.feed.tokens(p.plan.steps))
        run = Run(p.plan, self._keeping(p.decided), p.data, self.space.root, self.progress, self.parallel, p.initial)
        with tracked(self.space.root, self.recipe.keep.emissions if self.parallel.is_first else None):
            outcome = run.walk()
        answer = self._answer(outcome, p.decided)
        if self.parallel.is_first:
            self._write(outcome, p, answer)
        return answer

    def _first(self, work: Callable[[], T]) -> T:
        """What the first process makes while the others wait, which then find it done."""
        made: list[T] = []
        self.parallel.first(lambda: made.append(work()))
        return made[0] if made else work()

    def _prepare(self) -> _Prepared:
        """Text is read by the first process; what is measured, all measure together, as they will train."""
        read = self._first(self._read)
        text, tokens = read.text, read.text.tokens
        if self.parallel.is_first:
            self._tell(read.corpus, text)
        asked = text.measured(shape.objective(self.recipe, tokens.encoder), self.recipe.train.row_tokens)
        config, initial = self._model(tokens, read.begun)
        spec, content = shape.train_spec(self.recipe, config), tokens.encoder.content
        spec, initial = teaching.taught(self.recipe, spec, initial, content, self.parallel.size)
        decided = self._decided(spec, text, asked)
        if self.parallel.is_first:
            self.space.settle(corpus=read.corpus.fingerprint, tokenizer=tokens.artifact.fingerprint)
            self.space.remember(builtins=read.corpus.builtins)
        spec = replace(spec, dtype=decided.dtype)
        feed = self._feed(text, asked, decided)
        if self.recipe.optimizer.find:
            factor = self._rate_factor(spec, feed, decided.steps, initial)
            spec = replace(spec, optimizer=spec.optimizer.times(factor))
        data = RunData(
            feed,
            self._first(lambda: self._held_out(text, asked, self._eval_tokens(text, feed.tokens(decided.steps)))),
            tokens.encoder.token_bytes if self._spelled(tokens) else None,
            partial(_documents, feed, text.artifacts["train"]),
            partial(self._write_model, tokens, None),
            text.fingerprint(),
        )
        plan = RunPlan(
            spec,
            shape.schedule(self.recipe, decided.steps),
            decided.steps,
            max(1, round(decided.steps * self.recipe.keep.evaluate)),
            self.recipe.keep.patience,
            self.recipe.train.average,
        )
        return _Prepared(text, feed, data, plan, initial, decided)

    def _read(self) -> _Read:
        shape.objective_kind(self.recipe)  # what does not go together is told before anything is read
        begun = start(self.recipe)
        corpus = self.work.scan()
        return _Read(begun, corpus, read_text(self.work, corpus, tokenizer(self.work, corpus)))

    # What is read

    def _tell(self, corpus: Corpus, text: Text) -> None:
        """Say what was noticed of what is read."""
        self.progress.notice(corpus.notices)
        T, streams = self.recipe.train.row_tokens, text.streams.values()
        counts = [s.too_long(source, T) for s in streams if isinstance(s, PairStream) for source in s.shards]
        long, all_pairs = map(sum, zip(*counts, strict=True)) if counts else (0, 0)
        if long:
            self.progress.warn("long_pairs", n=long, of=all_pairs, tokens=T)

    def _eval_tokens(self, text: Text, tokens: int) -> int:
        """Held-out tokens a source: what the recipe says, else so many that all evaluations together compute about a
        tenth of what training does (a forward pass costs a third of a step)."""
        k = self.recipe.keep
        if k.eval_tokens is not None:
            return k.eval_tokens
        times = 1 / k.evaluate + len(SPLITS)
        return int(min(MOST_EVAL_TOKENS, max(LEAST_EVAL_TOKENS, 0.3 * tokens / times / len(text.weights))))

    def _held_out(self, text: Text, asked: Objective, budget: int) -> dict[str, HeldOut]:
        T = self.recipe.train.row_tokens
        found: dict[str, HeldOut] = {}
        for split in SPLITS:
            stream = text.streams[split]
            if not any(len(shard) > 1 for shard in stream.shards.values()):
                continue
            if isinstance(asked, Pairs) and isinstance(stream, PairStream):
                spans = pl.read_parquet(text.artifacts[split].file("spans.parquet"), glob=False)
                spelled = text.tokens.encoder.token_bytes if self._spelled(text.tokens) else None
                if any(stream.n_rows(source, T) for source in stream.shards):
                    found[split] = HeldPairs(stream, spans, asked, spelled, T, budget)
            elif shape.objective_kind(self.recipe) == "causal":
                made = prepare.evaluation_set(text.artifacts[split], text.tokens.encoder, self.space.store, T, budget)
                found[split] = Documents(EvalSet.open(made), self._spelled(text.tokens))
            elif any(stream.n_rows(source, T) for source in stream.shards):
                spans = pl.read_parquet(text.artifacts[split].file("spans.parquet"), glob=False)
                found[split] = Rows(stream, spans, T, asked, budget)
        if "eval" not in found and isinstance(asked, Pairs):
            raise InputError(
                f"no held-out pair fits into a row of {T} tokens", where="train.row_tokens",
                remedy="give longer rows, or more pairs",
            )  # fmt: skip
        if "eval" not in found:
            raise InputError(
                "no held-out text to evaluate on", where="data.sources",
                remedy="give more documents, a larger data.eval_share, or shorter train.row_tokens",
            )  # fmt: skip
        return found

    def _spelled(self, tokens: Tokenized) -> bool:
        return tokens.encoder.lossless and shape.objective_kind(self.recipe) in ("causal", "pairs")

    # The model

    def _model(self, tokens: Tokenized, begun: Start | None) -> tuple[ModelConfig, dict[str, torch.Tensor] | None]:
        """The config, and the weights to begin with where there are any."""
        m, rows = self.recipe.model, tokens.encoder.vocabulary
        if begun is None:
            config = shape.model_config(self.recipe, tokens.encoder)
            return config, None if m.vectors is None else self._with_vectors(config, tokens, Path(m.vectors))
        config = begun.config
        if config.vocabulary < rows:
            raise InputError(
                f"the tokenizer has {rows} ids, and the model's embedding {config.vocabulary} rows", where=m.path,
                remedy="give the tokenizer that the model was trained with as tokenizer.path",
            )  # fmt: skip
        if shape.max_length(config) < (needed := shape.positions(config, self.recipe.train.row_tokens)):
            raise InputError(
                f"has {shape.max_length(config)} positions, and rows of {self.recipe.train.row_tokens} tokens take"
                f" {needed}", where=m.path, remedy="give shorter train.row_tokens",
            )  # fmt: skip
        return config, begun.weights

    def _with_vectors(self, config: ModelConfig, tokens: Tokenized, path: Path) -> dict[str, torch.Tensor]:
        """The input layer from word vectors."""
        generator = torch.Generator().manual_seed(self.recipe.train.seed)
        model = build(config, generator)
        matrix, _ = vectors.embedding_for(words_of_tokens(tokens.encoder.content), vectors.load(path), generator)
        vectors.put(model, matrix)
        return {"embedding": model.get_parameter("embedding").detach()}

    # What a measurement decides

    def _decided(self, spec: TrainSpec, text: Text, asked: Objective) -> _Decided:
        """The type of the arithmetic and the number of steps; remembered, so that a rerun has the same."""
        if (found := self.parallel.agreed(self.space.recall("run"))) is None:
            found = self.parallel.agreed(self._measured(spec, text, asked))
            if self.parallel.is_first:
                self.space.remember(run=found)
        phases = tuple(Phase(*phase) for phase in found["phases"])
        return _Decided(found["dtype"], found["steps"], phases, found.get("speeds", {}))

    def _measured(self, spec: TrainSpec, text: Text, asked: Objective) -> dict[str, Any]:
        wanted, b = self.recipe.train.dtype, self.recipe.budget
        timed = b.steps is None and b.epochs is None and b.tokens is None
        tried = ("float32", "bfloat16") if wanted == "auto" else (wanted,) if timed else ()
        if tried:
            self.progress.stage("probe")
        speeds = {dtype: self._speed(replace(spec, dtype=dtype), text, asked) for dtype in tried}
        dtype = max(speeds, key=speeds.__getitem__) if speeds else wanted
        if speeds:
            told = ", ".join(f"{name} {compact(speed)}" for name, speed in speeds.items())
            self.progress.tell("measured", dtype=dtype, speeds=told)
        if b.steps is not None:
            phases = shape.phases_of(self.recipe, b.steps)
        else:
            phases = shape.phases(self.recipe, self._slots(speeds.get(dtype), text))
        made = [[p.steps, p.rows, p.cut] for p in phases]
        return {"dtype": dtype, "steps": sum(p.steps for p in phases), "phases": made, "speeds": speeds}

    def _speed(self, spec: TrainSpec, text: Text, asked: Objective) -> float:
        """Tokens a second of training steps on real batches, by all processes together."""
        r = self.recipe.train
        feed = self._feed(text, asked, _Decided(spec.dtype, 64, (Phase(1, r.batch_rows),)))

        def timed(state: TrainState) -> list[float]:
            times: list[float] = []
            end = time.perf_counter() + PROBE_SECONDS
            while len(times) < 4 or self.parallel.everywhere(time.perf_counter() < end and state.step < 60):
                start = time.perf_counter()
                if not fits(lambda: state.update(feed.batch(state.step), 0.0)):
                    raise out_of_memory(state, feed.batch(state.step))
                if self.device != "cpu":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - start)
            return times

        return r.batch_rows * r.row_tokens / statistics.median(self._tried(timed, spec, feed)[2:])

    def _rate_factor(
        self, spec: TrainSpec, feed: TextFeed, steps: int, initial: Mapping[str, torch.Tensor] | None
    ) -> float:
        """What all learning rates are multiplied by; remembered, so that a rerun has the same."""

        def found(state: TrainState) -> RateFound:
            made: list[RateFound] = []
            if not fits(lambda: made.append(find_rate(state, lambda step: feed.batch(step % steps)))):
                raise out_of_memory(state, feed.batch(0))
            return made[0]

        if (factor := self.parallel.agreed(self.space.recall("rate_factor"))) is None:
            self.progress.stage("probe")
            rate = self._tried(found, spec, feed, initial)
            factor = self.parallel.agreed(rate.suggested)
            if self.parallel.is_first:
                write_json_atomic(self.space.path(RATES), asdict(rate))
                self.space.remember(rate_factor=factor)
        return float(factor)

    def _tried(
        self,
        work: Callable[[TrainState], T],
        spec: TrainSpec,
        feed: TextFeed,
        initial: Mapping[str, torch.Tensor] | None = None,
    ) -> T:
        """What is found with a state as the run's will be, in as many processes; the state is gone afterwards."""
        made = work(self._state(spec, feed, initial))
        self.parallel.forget()
        gc.collect()  # models that processes share refer to themselves
        if self.device != "cpu":
            torch.cuda.empty_cache()
        return made

    def _state(self, spec: TrainSpec, feed: TextFeed, initial: Mapping[str, torch.Tensor] | None) -> TrainState:
        with told_of_weights(spec.model):
            state = TrainState(spec, parallel=self.parallel)
        check_ids(state.model, *feed.bounds, where="training text")
        if initial is not None:
            state.begin_with(initial)
        return state

    def _slots(self, speed: float | None, text: Text) -> int:
        """Rows that the run reads, by its budget of tokens, epochs or time."""
        b, r = self.recipe.budget, self.recipe.train
        if b.epochs is not None:
            tokens = b.epochs * text.epoch_tokens(r.row_tokens)
        elif b.tokens is not None:
            tokens = b.tokens
        else:
            assert speed is not None
            tokens = (b.seconds or DEFAULT_SECONDS) * speed
        return max(r.batch_rows, math.ceil(tokens / r.row_tokens))

    def _feed(self, text: Text, asked: Objective, decided: _Decided) -> TextFeed:
        r = self.recipe.train
        plan = StreamPlan(r.seed, text.weights, r.row_tokens, r.batch_rows)
        if r.carry_state:
            return LaneFeed(Lanes(plan, text.streams["train"]), decided.steps)
        slots = slots_of(decided.phases, decided.steps)
        sampler = Sampler(plan, {"train": text.streams["train"]}, -(-slots // r.batch_rows))
        return RowFeed(sampler, asked, decided.phases)

    def _keeping(self, decided: _Decided) -> Keeping:
        k = self.recipe.keep
        speeds = {f"tokens_per_second/{dtype}": speed for dtype, speed in decided.speeds.items()}
        return Keeping(
            k.log or max(1, decided.steps // LOGS), k.save_seconds, k.save_steps, k.last, k.best, k.tensorboard,
            k.profile, self.recipe.train.loaders, {"dtype": decided.dtype, "steps": decided.steps, **speeds},
        )  # fmt: skip

    # What is left

    def _write_model(self, tokens: Tokenized, text: str | None, folder: Path, model: nn.Module) -> None:
        content = tokens.artifact.file("tokenizer.json").read_text(encoding="utf-8")
        write_directory(
            folder, model.student if isinstance(model, Distilled) else model,
            shape.with_end(content) if self.recipe.data.pair is not None else content,
            card=text or card.unfinished(self.work.request.title), special=shape.special(self.recipe, tokens.encoder),
        )  # fmt: skip

    def _write(self, outcome: Outcome, prepared: _Prepared, answer: dict[str, Any]) -> None:
        text = prepared.text
        told = card.finished(self.work.request, outcome, text.weights, answer)
        final = self.space.path(MODEL)
        if final.exists():  # an earlier try was killed between this folder and the answer
            shutil.rmtree(final)
        with staged(final) as folder:
            self._write_model(text.tokens, told, folder, outcome.model)
        tables = self.space.path(rows.LEDGER)
        shutil.rmtree(tables, ignore_errors=True)
        with staged(tables) as folder:
            held_out = [text.artifacts[split].fingerprint for split in rows.SPLITS]
            made_from = {
                "tokenizer": text.tokens.artifact.fingerprint,
                "evaluation_set": fingerprint(held_out),
                "config": fingerprint(self.work.request.identity()),
            }
            rows.write(folder, outcome, prepared.feed, answer, made_from)
        write_json_atomic(self.space.path(RESULT), answer)

    def _answer(self, outcome: Outcome, decided: _Decided) -> dict[str, Any]:
        evaluated = outcome.evaluations["eval"]
        body = {
            "step": outcome.step,
            "steps": outcome.steps,
            "tokens": outcome.tokens,
            "loss": evaluated.loss,
            "bits_per_byte": evaluated.bits_per_byte,
            "train_loss": outcome.train_loss,
            "evaluations": {split: told(found) for split, found in outcome.evaluations.items()},
            "stopped_early": outcome.early,
            "dtype": decided.dtype,
            "measured": decided.speeds,
            "rate_factor": self.space.recall("rate_factor"),
            "processes": self.parallel.size,
            "device": self.device,
            "parameters": dict(zip(("inside", "all"), outcome.model.n_parameters(), strict=True)),
            "tokens_per_second": outcome.tokens_per_second,
            "mfu": outcome.mfu,
            "seconds": outcome.spent.seconds,
            "joules": outcome.spent.joules,
            "joules_measured": measurable(self.device),
            "emissions_kg": kilograms(self.space.root),
            "checkpoint": str(self.space.path(MODEL)),
        }
        identity = fingerprint(self.work.request.identity())
        return {
            "run_id": identity[:20],
            **body,
            "assay_version": __version__,
            "fingerprint": fingerprint([identity, body["loss"]]),
        }


def tokenizer(work: Work, corpus: Corpus) -> Tokenized:
    """The tokenizer that the recipe, or the model that it goes on from, names; else one that is learned."""
    t, store = work.recipe.tokenizer, work.space.store
    work.progress.stage("tokenizer")
    if (given := tokenizer_of(work.recipe)) is not None:
        return prepare.given_tokenizer(corpus, store, given, t.sample_bytes)
    return prepare.tokenizer(corpus, store, shape.learning(work.recipe), t.sample_bytes)


def read_text(work: Work, corpus: Corpus, tokens: Tokenized) -> Text:
    """All splits, encoded.

    Raises:
        InputError: too little text for one row.
    """
    sources, paired = work.chosen(corpus), corpus.paired
    work.progress.stage("tokens", len(SPLITS))
    artifacts = {}
    for split in SPLITS:
        artifacts[split] = prepare.stream(
            corpus.read(split, sources=sources), tokens, work.space.store, split, {"sources": sources},
            {"corpus": corpus.fingerprint}, whole=corpus.whole_texts,
            between=tokens.encoder.special_id(shape.END) if paired else None,
        )  # fmt: skip
        work.progress.advance(1)
    kind = PairStream if paired else TokenStream
    streams = {split: kind.open(artifact) for split, artifact in artifacts.items()}
    T = work.recipe.train.row_tokens
    filled = [s for s in sources if streams["train"].n_rows(s, T)]
    if not filled:
        held = sum(len(shard) for shard in streams["train"].shards.values())
        if paired and held:
            raise InputError(
                f"every pair is longer than a row of {T} tokens", where="train.row_tokens", remedy="give longer rows"
            )
        raise InputError(
            f"{held} training tokens fill no row of {T}", where="train.row_tokens",
            remedy="give shorter rows, or more text",
        )  # fmt: skip
    given = work.recipe.data.weights
    sizes = {s: given[s] if given else float(len(streams["train"].shards[s])) for s in filled}
    total = sum(sizes.values())
    return Text(tokens, streams, artifacts, {s: size / total for s, size in sizes.items()})


def told(found: Evaluation, level: float = 0.95) -> dict[str, Any]:
    """An evaluation as JSON: nats a token, perplexity, bits a byte, each with its interval over documents, and by
    source."""
    made = {"n": len(found.units), "tokens": int(found.sum("n_tokens")), **found.measures(level)}
    by_source = found.by_source()
    if len(by_source) > 1:  # of a source in which nothing was hidden there is nothing to say
        made["sources"] = {source: told(own, level) for source, own in by_source.items() if own.sum("n_tokens")}
    return made


def _check_type(train: RunRecipe, device: str) -> None:
    """Refuse a type that cannot be computed.

    Raises:
        InputError: says what can.
    """
    if train.dtype != "float8":
        return
    if not float8.is_here(device):
        raise InputError(
            "this device has no units for 8-bit floating point", where="train.dtype",
            remedy="give bfloat16: float8 needs a GPU of Ada, Hopper or after",
        )  # fmt: skip
    if train.parallel == "tensor":
        raise InputError(
            "layers that are cut among processes cannot be computed in float8", where="train.dtype",
            remedy="give bfloat16, or train.parallel=fsdp",
        )  # fmt: skip


def _documents(feed: TextFeed, stream: Artifact, step: int) -> list[str]:
    """Names of the documents that a step reads: `source: doc_id`."""
    spans = pl.read_parquet(stream.file("spans.parquet"), glob=False)
    found = []
    for name, begin, end in feed.reads(step):
        own = spans.filter(
            (pl.col("source") == name) & (pl.col("start") < end) & (pl.col("start") + pl.col("length") > begin)
        )
        found += [f"{name}: {doc_id}" for doc_id in own["doc_id"]]
    return list(dict.fromkeys(found))
