"""`assay eval MODEL FILE --task choice`: a language model asked as it is, without a head and without training.

files -> examples -> prompts with shots -> log-probabilities of what may go on -> answers -> scores with intervals
                                        -> written answers (`exact`)           ->
examples -> the training text's n-grams -> how many are contaminated; scores with and without them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.corpus.reading.source import ReadOptions
from assay.errors import InputError
from assay.finetune import answers, contamination
from assay.finetune.judging import Asked, read, scored, signed
from assay.metrics.scores import Measure
from assay.present.progress import Progress
from assay.present.words import Both, both
from assay.store import write_atomic
from assay.tasks.choice import Choice, chance
from assay.tasks.exact import Exact
from assay.tasks.language import Encoded, LanguageModel
from assay.tasks.prompting import Prompt, Prompted, Shots
from assay.tasks.protocol import TASKS, Answer, Example, made
from assay.train.world import device_of


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        task: its name.
        options: of the task.
        window: tokens that the model sees at once; None: as many as it has positions.
        train_corpus: what the model was trained on: folders of a training or a scan, or sources; nothing: its run's.
        out: a file that the answers are written to.
    """

    model: Path
    task: str
    options: dict[str, Any]
    asked: Asked
    window: int | None = None
    train_corpus: Sequence[str] = ()
    out: Path | None = None


def evaluate(request: Request, progress: Progress) -> dict[str, Any]:
    """A language model's scores on files.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: no language model, a task that wants a trained head, a bad row, or none that says what is right.
    """
    asked, task = request.asked, prompted(request.task, request.options)
    device = device_of(asked.device, "--device")
    model = LanguageModel.load(request.model, device, request.window)
    examples, left_out, rows = read(task, asked)
    right = [e for e in examples if e.wanted is not None]
    if not right:
        where, remedy = ", ".join(asked.sources), "give examples with answers, or name their field: --option answer="
        raise InputError("no example says what is right", where=where, remedy=remedy)
    pool = right if not task.dev else [
        e for e in read(task, replace(asked, sources=[task.dev]))[0] if e.wanted is not None
    ]  # fmt: skip
    shots = Shots(task, pool)
    prompts = [shots.prompt(e) for e in right]
    progress.stage("answer", len(right))
    if isinstance(task, Choice):
        right, found, encoded = _chosen(task, model, right, prompts, asked, left_out, progress)
    else:
        found, encoded = _written(task, model, prompts, asked, progress)
    if request.out is not None:
        write_atomic(request.out, answers.written(task, right, found))
    measure = task.measure(right, found)
    body = {"n": len(right), "metrics": scored(measure, right, asked.level)}
    checked, notices = _checked(request, task, right, found, progress)
    body |= {"contamination": checked} if checked else {}
    notices = [*_notices(encoded), *notices]
    progress.notice(notices)
    return {
        "task": task.name, "model": str(request.model), **body, "chance": chance(right), "left_out": left_out,
        "shown": list(task.shown), "rows": rows.fingerprint, "prompts": _told(task, model, encoded, prompts),
        "notices": notices, **signed(body, rows.fingerprint, str(request.model)),
    }  # fmt: skip


def prompted(name: str, options: dict[str, Any]) -> Prompted:
    """A task that a language model does as it is.

    Raises:
        InputError: there is no such task, or it wants a head.
    """
    task = made(name, options, "--task")
    if not isinstance(task, Prompted):
        own = ", ".join(sorted(name for name, kind in TASKS.items() if issubclass(kind, Prompted)))
        remedy = f"train one with assay finetune {name}, and name its folder alone; without training there are: {own}"
        raise InputError(f"the task {name} wants a model that was trained for it", where="--task", remedy=remedy)
    return task


def _chosen(
    task: Choice,
    model: LanguageModel,
    examples: list[Example],
    prompts: list[Prompt],
    asked: Asked,
    left_out: dict[str, int],
    progress: Progress,
) -> tuple[list[Example], list[Answer], list[Encoded]]:
    """Examples that the model can be asked, its answers, and what it was shown."""
    if model.is_translator and (pair := next((e for e in examples if e.given["form"] == "sentence"), None)):
        remedy = "give a decoder, a recurrent or an n-gram model"
        raise InputError("an encoder-decoder gives whole sentences no likelihood", where=pair.where, remedy=remedy)
    continuations = [task.continuations(e) for e in examples]
    encoded: list[Encoded] = []
    try:
        encoded = model.encoded(prompts, continuations, [e.where for e in examples])
    except InputError:
        if asked.on_error == "stop":
            raise
        kept = []
        for example, prompt, own in zip(examples, prompts, continuations, strict=True):
            try:
                encoded += model.encoded([prompt], [own], [example.where])
                kept.append(example)
            except InputError as error:
                why = "too long for the model" if "positions" in error.what else error.what
                left_out[why] = left_out.get(why, 0) + 1
        if not kept:
            raise
        examples = kept
    greedy = any(len(one.continuations) == 1 for one in encoded)
    said = model.scored(encoded, asked.rows, greedy=greedy, tell=progress.advance)
    return examples, [task.said_of(one, own) for one, own in zip(encoded, said, strict=True)], encoded


def _written(
    task: Prompted, model: LanguageModel, prompts: list[Prompt], asked: Asked, progress: Progress
) -> tuple[list[Answer], list[Encoded]]:
    assert isinstance(task, Exact)
    found: dict[int, tuple[Answer, Encoded]] = {}
    for number, answer, shown in model.written(prompts, task.stop, task.most, asked.rows):
        found[number] = {"text": answer.text.strip(), "stopped": answer.stopped}, shown
        progress.advance(1)
    return [found[i][0] for i in range(len(prompts))], [found[i][1] for i in range(len(prompts))]


def _checked(
    request: Request, task: Prompted, examples: list[Example], found: list[Answer], progress: Progress
) -> tuple[dict[str, Any], list[Both]]:
    """What of the examples stands in the training text, scores with and without it, and what to tell of it."""
    texts = ["\n".join(filter(None, _spelled(example))) for example in examples]
    options = ReadOptions(on_error=request.asked.on_error)
    seen = contamination.searched(texts, request.model, request.train_corpus, progress, options)
    if not isinstance(seen, contamination.Found):
        return {"checked": False}, [seen]
    dirty, told = seen.contaminated, seen.as_json()
    for name, some in (("clean", np.flatnonzero(~dirty)), ("dirty", np.flatnonzero(dirty))):
        own = [examples[i] for i in some]
        told[name] = {"n": len(own), "metrics": {}}
        if own:
            measure: Measure = task.measure(own, [found[i] for i in some])
            told[name]["metrics"] = scored(measure, own, request.asked.level)
    says = both("choice.contaminated", n=told["contaminated"], of=told["items"], documents=seen.documents)
    return told, [says] if told["contaminated"] else []


def _spelled(example: Example) -> list[str]:
    """What an item says: of a minimal pair what is right, of others all choices, of a text its end as well."""
    given = example.given
    if given["form"] == "sentence":
        return [given["choices"][example.wanted]]
    if given["form"] == "prompt" and len(given["choices"]) == 1:
        return [given["text"] + " " * given["text"][-1:].isascii() + given["choices"][0]]
    return [given.get("passage", ""), given["text"], *given["choices"]]


def _told(task: Prompted, model: LanguageModel, encoded: list[Encoded], prompts: list[Prompt]) -> dict[str, Any]:
    """How items were shown."""
    return {
        "shots": task.shots, "seed": task.seed, "dev": task.dev or None, "window": model.room,
        "first": prompts[0].text, "tokens": sum(len(one.prompt) for one in encoded),
        "shots_cut": sum(one.shots_cut > 0 for one in encoded), "cut": sum(one.cut > 0 for one in encoded),
        "long": sum(one.long for one in encoded), "apart": sum(one.apart for one in encoded),
    }  # fmt: skip


def _notices(encoded: list[Encoded]) -> list[Both]:
    counts = {name: sum(getattr(one, name) > 0 for one in encoded) for name in ("shots_cut", "cut", "long")}
    return [both(f"choice.{name}", n=n, of=len(encoded)) for name, n in counts.items() if n]
