"""A recipe and a task -> examples -> a body with a head -> a run of the one trainer -> a model that is judged.

examples    files -> train, dev, test; labels
model       given or new; its tokenizer
run         see `train.run`: dev decides which weights are kept
answers     of dev and test, with scores and their intervals; the linear floor beside them
OUT/model   weights, tokenizer, task.json and card
OUT/adapter     of a model that writes, where adapters were trained: these alone
OUT/answers.dev.jsonl, answers.test.jsonl, floor.*.jsonl, result.json
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from assay import __version__
from assay.errors import InputError
from assay.finetune import answers, body, card, data
from assay.finetune.data import Examples
from assay.finetune.request import ADAPTER, MODEL, RESULT, Request, Work, opened
from assay.finetune.teaching import Teacher
from assay.metrics.paired import compare
from assay.metrics.scores import Measure, bootstrap, value_of
from assay.models.build import Neural, build
from assay.models.heads import Headed, HeadedConfig, states_width
from assay.models.interop import adapters
from assay.models.interop.directory import write_directory
from assay.models.protocol import Penalties
from assay.pretrain import shape
from assay.recipe.finetune import FinetuneRecipe
from assay.store import fingerprint, staged, write_atomic, write_json_atomic
from assay.tasks.asking import Answers, HeldExamples, HeldTexts, answered, asked, written
from assay.tasks.feed import ItemFeed, packed
from assay.tasks.opened import TASK, same_answers, task_json, task_of
from assay.tasks.preference import Preference
from assay.tasks.protocol import Answer, Example, HeadTask, Item, made, spelled
from assay.tasks.writing import WritingTask
from assay.train.emissions import kilograms, tracked
from assay.train.energy import measurable
from assay.train.evaluate import HeldOut
from assay.train.loop import TrainSpec
from assay.train.precision import allow_tf32
from assay.train.process import denormals_are_zero, keep_freed_memory
from assay.train.run import Keeping, Outcome, Run, RunData, RunPlan
from assay.train.world import Alone, device_of

EPOCHS = 3  # where the recipe says nothing: with a model that was given (Devlin et al. 2019)
EPOCHS_ANEW = 20  # with one that begins anew
LOGS = 100
FLOOR = "floor.{part}.jsonl"  # its answers


def run(request: Request, *, quiet: bool = False, notices: bool = True) -> dict[str, Any]:
    """Fine-tune, or finish a run that was begun.

    Args:
        notices: say what was noticed of the examples, too: of many runs on the same ones, one does.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: bad input; earlier results are intact.
        WorkError: the loss is no number, memory or disk do not suffice.
        Stopped: Ctrl-C; a rerun goes on from there.
    """
    device = device_of(request.recipe.train.device, "train.device")
    _refuse_idle(request.recipe)
    task = made(request.task, request.recipe.task)
    assert isinstance(task, HeadTask | WritingTask)
    with denormals_are_zero(), opened(request, quiet=quiet) as work:
        keep_freed_memory()
        done = work.space.path(RESULT)
        if done.exists():
            found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
            return found
        return _Tuning(work, task, device, notices).run()


Doable = HeadTask | WritingTask


@dataclass(frozen=True)
class _Prepared:
    examples: Examples
    task: Doable
    body: body.Made
    items: dict[str, list[Item]]
    plan: RunPlan
    data: RunData


class _Tuning:
    def __init__(self, work: Work, task: Doable, device: str, notices: bool) -> None:
        self.work, self.recipe, self.space, self.progress = work, work.recipe, work.space, work.progress
        self.asked, self.device, self.notices = task, device, notices
        allow_tf32(self.recipe.train.tf32)

    def run(self) -> dict[str, Any]:
        """Train, and judge."""
        p = self._prepare()
        self.progress.stage("finetune", p.data.feed.tokens(p.plan.steps))
        run = Run(
            p.plan, self._keeping(p.plan.steps), p.data, self.space.root, self.progress, Alone(self.device),
            p.body.initial,
        )  # fmt: skip
        with tracked(self.space.root, self.recipe.keep.emissions):
            outcome = run.walk()
        judged = self._judged(p, outcome.model.to(self.device))
        answer = self._answer(p, outcome, judged)
        self._write(p, outcome, judged, answer)
        return answer

    def _prepare(self) -> _Prepared:
        self.progress.stage("examples")
        examples = data.examples(self.asked, self.recipe.data, self.recipe.train.seed)
        task = examples.task
        assert isinstance(task, HeadTask | WritingTask)
        train, teacher = examples.parts["train"], self._teacher(task)
        if teacher is not None and isinstance(task, WritingTask):
            self.progress.stage("teach")
            train = teacher.wrote(train)
            examples = replace(examples, parts=examples.parts | {"train": train})
        if self.recipe.model.keep_head:
            same_answers(task_of(Path(str(self.recipe.model.path))), task, str(self.recipe.model.path))
        texts = [text for example in train for text in spelled(example)]
        texts += [example.wanted for example in train] if isinstance(task, WritingTask) else []
        made = body.made(self.recipe, task.head if isinstance(task, HeadTask) else None, texts)
        items = {name: list(task.items(own, made.coder)) for name, own in examples.parts.items()}
        if self.notices:
            self._tell(examples, made, items)
        if isinstance(task, Preference):
            items = self._against_reference(task, made, items)
        if teacher is not None and isinstance(task, HeadTask):
            assert isinstance(made.config, HeadedConfig)
            self.progress.stage("teach")
            train, items["train"] = teacher.taught(task, train, made.coder, states_width(made.config.body))
        feed = self._feed(train, items["train"], made)
        steps = self._steps(feed)
        spec = TrainSpec(
            made.config, made.optimizer, self.recipe.train.seed, self._dtype(),
            penalties=self._penalties(teacher), micro_rows=self.recipe.train.micro_rows,
            checkpointing=self.recipe.train.checkpointing,
            tuning=body.tuning(self.recipe),
        )  # fmt: skip
        every = max(1, round(steps * self.recipe.keep.evaluate))
        plan = RunPlan(
            spec, self._schedule(steps), steps, every, self.recipe.keep.patience, self.recipe.train.average
        )  # fmt: skip
        held_out: dict[str, HeldOut] = {
            "eval": HeldExamples(task, examples.parts["dev"], items["dev"])
            if isinstance(task, HeadTask)
            else HeldTexts(examples.parts["dev"], items["dev"])
        }
        read = fingerprint({
            "examples": examples.fingerprint, "tokenizer": fingerprint(made.coder.encoder.content),
            **({} if teacher is None else {"teacher": teacher.digest}),
        })  # fmt: skip
        self.space.settle(examples=examples.fingerprint)
        write = partial(self._write_model, task, made, None)
        return _Prepared(
            examples, task, made, items, plan, RunData(feed, held_out, None, feed.rows_of, write, read)
        )  # fmt: skip

    def _against_reference(
        self, task: Preference, made: body.Made, items: dict[str, list[Item]]
    ) -> dict[str, list[Item]]:
        """What the model says before it is trained, beside the rows that it is trained on."""
        model = build(made.config, torch.Generator().manual_seed(self.recipe.train.seed))
        assert isinstance(model, Headed)
        with torch.no_grad():
            for name, tensor in (made.initial or {}).items():
                model.get_parameter(name).copy_(tensor)
        model.to(self.device)
        return {
            name: task.against(own, [said for said, _ in asked(model, own, together=task.together)])
            for name, own in items.items()
        }

    def _teacher(self, task: Doable) -> Teacher | None:
        asked = self.recipe.distill
        if asked.teacher is None:
            return None
        return Teacher.of(asked, task, self.device, self.recipe.train.seed, self.space.store)

    def _penalties(self, teacher: Teacher | None) -> Penalties:
        smoothing, d = self.recipe.objective.smoothing, self.recipe.distill
        if teacher is None or isinstance(self.asked, WritingTask):
            return Penalties(smoothing)
        return Penalties(smoothing, taught=d.share, temperature=d.temperature, hidden=d.hidden)

    def _dtype(self) -> str:
        if self.recipe.train.dtype != "auto":
            return self.recipe.train.dtype
        return "float32" if self.device == "cpu" else "bfloat16"

    def _schedule(self, steps: int) -> Any:
        return shape.schedule(body.as_pretraining(self.recipe), steps)

    def _feed(self, train: Sequence[Example], items: list[Item], made: body.Made) -> ItemFeed:
        seed = self.recipe.train.seed
        if isinstance(self.asked, WritingTask):
            if self.recipe.tune.pack and made.coder.start is None:
                items = packed(items, made.coder.most, seed)
            where = [train[item.example].where for item in items]
            return ItemFeed(items, self.recipe.train.batch_rows, seed, where, causal=True)
        assert isinstance(made.config, HeadedConfig)
        where = [train[item.example].where for item in items]
        kinds, together = made.config.tells_types, self.asked.together
        return ItemFeed(items, self.recipe.train.batch_rows, seed, where, kinds=kinds, together=together)

    def _steps(self, feed: ItemFeed) -> int:
        b = self.recipe.budget
        if b.steps is not None:
            return b.steps
        if b.seconds is not None:
            raise InputError(
                "a time says nothing of how often examples are read", where="budget.seconds",
                remedy="give budget.epochs",
            )  # fmt: skip
        if b.tokens is not None:
            return max(1, math.ceil(b.tokens / (feed.tokens(feed.steps_an_epoch) / feed.steps_an_epoch)))
        epochs = b.epochs or (EPOCHS if self.recipe.model.path is not None else EPOCHS_ANEW)
        return max(1, math.ceil(epochs * feed.steps_an_epoch))

    def _keeping(self, steps: int) -> Keeping:
        k = self.recipe.keep
        return Keeping(
            k.log or max(1, steps // LOGS), k.save_seconds, k.save_steps, k.last, k.best, k.tensorboard, k.profile,
            self.recipe.train.loaders, {"dtype": self._dtype(), "steps": steps},
        )  # fmt: skip

    def _tell(self, examples: Examples, made: body.Made, items: dict[str, list[Item]]) -> None:
        """Say what was noticed of what is read."""
        for reason, n in examples.left_out.items():
            self.progress.warn("left_out", n=n, reason=reason)
        unknown = made.coder.unknown_share([item.ids for own in items.values() for item in own])
        if unknown > MOST_UNKNOWN:
            self.progress.warn("unknown_tokens", share=unknown)
        full = sum(len(item.ids) >= made.coder.most for item in items["train"])
        if full:
            self.progress.warn("full_rows", n=full, of=len(items["train"]), tokens=made.coder.most)

    # What is left

    def _judged(self, p: _Prepared, model: Neural) -> dict[str, tuple[list[Example], Answers]]:
        """Answers to all examples of dev and test."""
        found: dict[str, tuple[list[Example], Answers]] = {}
        for name in ("dev", "test"):
            if name in p.examples.parts:
                own, items = p.examples.parts[name], p.items[name]
                self.progress.stage("answer", len(own))
                if isinstance(p.task, HeadTask):
                    assert isinstance(model, Headed)
                    found[name] = (own, answered(p.task, model, own, items))
                else:
                    found[name] = (own, written(p.task, model, p.body.coder, own, items))
        return found

    def _answer(
        self, p: _Prepared, outcome: Outcome, judged: dict[str, tuple[list[Example], Answers]]
    ) -> dict[str, Any]:
        evaluations = {
            name: self._told(p.task, own, found.answers, *_loss(found)) for name, (own, found) in judged.items()
        }
        last = evaluations.get("test") or evaluations["dev"]
        identity = fingerprint(self.work.request.identity() | {"examples": p.examples.fingerprint})
        return {
            "task": p.task.name,
            "model": str(self.space.path(MODEL)),
            "n": last["n"],
            "metrics": last["metrics"],
            "floor": self._floor(p, judged),
            "best": p.task.best,
            "shown": list(p.task.shown),
            "evaluations": evaluations,
            "examples": {name: len(own) for name, own in p.examples.parts.items()},
            "left_out": p.examples.left_out,
            "dev_cut_from_train": p.examples.cut,
            "step": outcome.step,
            "steps": outcome.steps,
            "train_loss": outcome.train_loss,
            "stopped_early": outcome.early,
            "parameters": dict(zip(("inside", "all"), outcome.model.n_parameters(), strict=True)),
            "tokens_per_second": outcome.tokens_per_second,
            "device": self.device,
            "seconds": outcome.spent.seconds,
            "joules": outcome.spent.joules,
            "joules_measured": measurable(self.device),
            "emissions_kg": kilograms(self.space.root),
            "assay_version": __version__,
            "fingerprint": fingerprint([identity, last["metrics"][p.task.best]["value"]]),
        }

    def _floor(self, p: _Prepared, judged: dict[str, tuple[list[Example], Answers]]) -> dict[str, Any] | None:
        """Scores of the linear baseline on the same examples, and how far the model is above it."""
        if not self.recipe.floor:
            return None
        self.progress.stage("floor")
        try:
            ask = p.task.floor(p.examples.parts["train"])
        except InputError as error:  # too few words, say
            self.progress.warn("no_floor", why=error.what)
            return None
        if ask is None:
            return None
        told = {}
        for name, (examples, found) in judged.items():
            known = [i for i, e in enumerate(examples) if e.wanted is not None]
            if not known:
                continue
            own = [examples[i] for i in known]
            floor = ask(own)
            told[name] = self._told(p.task, own, floor)
            mine, theirs = (p.task.measure(own, some) for some in ([found.answers[i] for i in known], floor))
            apart = compare(mine, theirs, groups=answers.groups_of(own))[p.task.best] if _alike(mine, theirs) else None
            write_atomic(self.space.path(FLOOR.format(part=name)), answers.written(p.task, own, floor))
            told[name]["above"] = None if apart is None else asdict(apart)
        return told

    def _told(
        self, task: Doable, examples: list[Example], found: list[Answer], nll: float = 0.0, n: int = 0
    ) -> dict[str, Any]:
        pairs = [(e, a) for e, a in zip(examples, found, strict=True) if e.wanted is not None]
        if not pairs:
            return {"n": 0, "metrics": {}}
        own, said = [e for e, _ in pairs], [a for _, a in pairs]
        scores = bootstrap(task.measure(own, said), groups=answers.groups_of(own))
        return {"n": len(own), "loss": nll / n if n else None, "metrics": answers.as_json(scores)}

    def _write(
        self, p: _Prepared, outcome: Outcome, judged: dict[str, tuple[list[Example], Answers]], answer: dict[str, Any]
    ) -> None:
        for name, (own, found) in judged.items():
            lines = answers.written(p.task, own, found.answers, found.nll.tolist())
            write_atomic(self.space.path(f"answers.{name}.jsonl"), lines)
        final = self.space.path(MODEL)
        if final.exists():  # an earlier try was killed between this folder and the answer
            shutil.rmtree(final)
        with staged(final) as folder:
            self._write_model(p.task, p.body, card.finished(self.work.request, answer), folder, outcome.model)
        self._write_adapter(p, outcome)
        write_json_atomic(self.space.path(RESULT), answer)

    def _write_adapter(self, p: _Prepared, outcome: Outcome) -> None:
        """Adapters of a model that writes, apart from it as well: `assay serve` has several on one base. What a head
        or another shape needs besides, only the whole model holds."""
        given, lora = self.recipe.model, body.tuning(self.recipe).lora
        if not outcome.adapters or lora is None or given.path is None or given.more:
            return
        if isinstance(p.task, HeadTask | Preference):
            return
        final = self.space.path(ADAPTER)
        if final.exists():
            shutil.rmtree(final)
        with staged(final) as folder:
            adapters.write(folder, lora, outcome.adapters, Path(given.path))
            write_json_atomic(folder / TASK, task_json(p.task, p.body.coder))

    def _write_model(self, task: Doable, made: body.Made, text: str | None, folder: Path, model: nn.Module) -> None:
        if isinstance(task, Preference):  # what is left is a model that writes
            assert isinstance(model, Headed)
            model, task = model.body, task.writer
        write_directory(
            folder, model, made.coder.encoder.content, card=text or card.unfinished(self.work.request.title),
            special=made.special,
        )  # fmt: skip
        write_json_atomic(folder / TASK, task_json(task, made.coder))


def _refuse_idle(recipe: FinetuneRecipe) -> None:
    """Refuse what would change nothing here.

    Raises:
        InputError: names the key.
    """
    plain, said = FinetuneRecipe(), recipe
    idle = {
        "train.carry_state": said.train.carry_state, "train.shorter": bool(said.train.shorter),
        "train.fewer": bool(said.train.fewer), "train.parallel": said.train.parallel != plain.train.parallel,
        "optimizer.find": said.optimizer.find, "keep.eval_tokens": said.keep.eval_tokens is not None,
        "objective.kind": said.objective.kind != plain.objective.kind, "objective.z": said.objective.z != 0,
        "model.keep_head": said.model.keep_head and said.model.path is None,
        "objective.share": said.objective.share is not None,
    }  # fmt: skip
    if said.distill.teacher is None:
        idle |= {f"distill.{key}": value != getattr(plain.distill, key) for key, value in said.distill}
    for key, holds in idle.items():
        if holds:
            raise InputError(f"{key} changes nothing in fine-tuning", where=key, remedy="leave it out")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("fine-tuning is the work of one process", where="torchrun", remedy="start it without torchrun")


def _loss(found: Answers) -> tuple[float, int]:
    return float(found.nll.sum()), int(found.n.sum())


def _alike(one: Measure, other: Measure) -> bool:
    """Whether two measures are of the same values: a baseline may say less than a model."""
    return one.signature == other.signature and value_of(one).keys() == value_of(other).keys()


MOST_UNKNOWN = 0.02  # share of tokens that a tokenizer does not know, above which a person is told
