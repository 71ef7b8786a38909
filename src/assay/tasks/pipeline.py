"""Text in, answers out, from Python.

ask = pipeline("sentiment", model="runs/sentiment")
ask("一部好电影")                        {"label": "positive", "probabilities": {...}}
ask(["...", "..."])                      a list of answers
ask({"question": .., "context": ..})     what has several fields

A model that writes takes the settings of `generation.settings` besides, and a language model that was trained for no
task goes on with texts as it is:

say = pipeline("text-generation", model="runs/gpt")
say("从前", temperature=0.8, stop="。")     {"text": .., "stopped": .., "tokens": ..}
say("A or B? ", choices=["A", "B"])
say("Once", temperature=1.0, n=3)          a list of answers
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from assay.corpus.signals import language
from assay.corpus.text import characters as ch
from assay.errors import AssayError, InputError
from assay.generation.opened import Prompt, Writer
from assay.generation.settings import Settings
from assay.generation.text import generate
from assay.tasks.asking import ROWS
from assay.tasks.opened import TASK, Opened
from assay.tasks.protocol import TASKS, Answer, Example, Task
from assay.tasks.writing import WritingTask

NAMES = {
    "sentiment": "classification", "text-classification": "classification", "sentence-pairs": "classification",
    "relations": "relation", "entailment": "classification", "scoring": "regression", "similarity": "regression",
    "ner": "tagging", "token-classification": "tagging", "pos": "tagging", "chunking": "tagging",
    "segmentation": "tagging", "text-generation": "completion", "generation": "completion", "chat": "instruction",
    "dialogue": "instruction", "summary": "summarization", "qa": "extraction", "question-answering": "extraction",
}  # fmt: skip
"""What people call tasks: other names of them."""
Asked = str | Mapping[str, Any]


def task_named(name: str) -> str:
    """The name of a task, by one that people use, or by the Python file that defines it.

    Raises:
        InputError: there is no such file, or it registers no task.
    """
    return _of_file(Path(name)) if name.endswith(".py") else NAMES.get(name, name)


def _of_file(path: Path) -> str:
    """Run a file that somebody named; nothing else is ever run, no model directory brings code along."""
    if not path.is_file():
        raise InputError("there is no such file", where=path, remedy="name a Python file that registers a task")
    before = set(TASKS)
    spec = importlib.util.spec_from_file_location(f"assay_task_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except AssayError:
        raise
    except Exception as error:
        what = f"cannot be run ({type(error).__name__}: {error})"
        raise InputError(what, where=path, remedy="mend the file: see docs/tasks.md") from error
    own = [name for name, kind in TASKS.items() if kind.__module__ == spec.name]
    if len(own) != 1 or own[0] in before - {own[0]}:
        what = f"registers {len(own)} tasks" if own else "registers no task"
        raise InputError(what, where=path, remedy="put @register before one class: see docs/tasks.md")
    return own[0]


class Pipeline:
    """A task and a model that does it, to be called.

    Args:
        rows: texts at a time; the answers do not depend on it.
    """

    def __init__(self, opened: Opened, rows: int = ROWS) -> None:
        self.opened, self.rows = opened, rows

    @property
    def task(self) -> Task:
        return self.opened.task

    @overload
    def __call__(self, asked: Asked, **settings: Any) -> Answer: ...

    @overload
    def __call__(self, asked: Sequence[Asked], **settings: Any) -> list[Answer]: ...

    def __call__(self, asked: Asked | Sequence[Asked], **settings: Any) -> Any:
        """The answer to one text, or to each of several; what has several fields is a mapping.

        Args:
            settings: of a model that writes, as `generation.settings.Settings` names them; with `n` above 1 there are
                several answers to each text.

        Raises:
            InputError: a text that is empty, or lacks a field; a setting that is none, or cannot be met.
        """
        if isinstance(asked, str | Mapping):
            return self._answers([asked], settings)[0]
        return self._answers(asked, settings)

    def examples(self, asked: Iterable[Asked]) -> list[Example]:
        """What is asked, as the task reads it."""
        return [self.task.read(as_fields(self.task, one), f"text {i}") for i, one in enumerate(asked, 1)]

    def _answers(self, asked: Iterable[Asked], settings: Mapping[str, Any]) -> list[Any]:
        examples = self.examples(asked)
        if not examples:
            return []
        return self._written(examples, settings) if settings else self.opened.answers(examples, self.rows)

    def _written(self, examples: Sequence[Example], settings: Mapping[str, Any]) -> list[Any]:
        """Answers under settings of one's own."""
        task, coder = self.task, self.opened.coder
        if not isinstance(task, WritingTask):
            what = f"{', '.join(settings)}: a model of the task {task.name} does not write"
            raise InputError(what, where="pipeline", remedy="leave it out")
        usual = Settings(task.new, beams=task.beams, length_penalty=task.penalty, no_repeat=task.no_repeat)
        writer = Writer(self.opened.model, coder.encoder, stops=(coder.end,), usual=usual)
        prompts = [Prompt(tuple(ids.tolist())) for ids in task.prompts(examples, coder)]
        return _told(writer, prompts, settings, self.rows, bare=True)


class Writing:
    """A language model that was trained for no task, to be called.

    Args:
        rows: texts at a time; the answers do not depend on it.
    """

    def __init__(self, writer: Writer, rows: int = ROWS) -> None:
        self.writer, self.rows = writer, rows

    def __call__(self, asked: str | Sequence[Any], **settings: Any) -> Any:
        """The answer to a text or to a conversation (a list of messages), or to each of several; as of a `Pipeline`.

        Raises:
            InputError: a text that is longer than the model's context; a setting that is none, or cannot be met.
        """
        one = isinstance(asked, str) or (len(asked) > 0 and isinstance(asked[0], Mapping))
        found = _told(self.writer, [asked] if one else asked, settings, self.rows)
        return found[0] if one else found


def _told(
    writer: Writer, asked: Sequence[str | Sequence[Any] | Prompt], settings: Mapping[str, Any], rows: int,
    *, bare: bool = False,
) -> list[Any]:  # fmt: skip
    """An answer to each, or a list of answers where there are several; `bare`: without white space around it."""
    how = writer.usual.but(**settings)
    found = [
        [
            {"text": one.text.strip() if bare else one.text, "stopped": one.end == "stop", "tokens": one.tokens}
            for one in own
        ]
        for own in generate(writer, asked, how, rows=rows)
    ]
    return list(found) if how.n > 1 else [own[0] for own in found]


def as_fields(task: Task, one: Asked) -> Mapping[str, Any]:
    """A text as the field that the task reads; what has several fields is as it is."""
    if isinstance(one, Mapping):
        return one
    names = {f.name for f in fields(task)}
    field = "source_field" if "source_field" in names else "prompt" if task.name == "completion" else "text"
    return {getattr(task, field, "text"): one}


class Routed:
    """Several models of one task, each asked about texts of its language.

    Args:
        models: by language ("en", "zh"); texts of other languages, or of too few letters to tell, go to the first.
    """

    def __init__(self, models: Mapping[str, Pipeline]) -> None:
        self.models = dict(models)

    def __call__(self, asked: Asked | Sequence[Asked]) -> Answer | list[Answer]:
        """As a `Pipeline` answers; every answer names the `language` of its text."""
        one = isinstance(asked, str | Mapping)
        texts: list[Asked] = [asked] if one else list(asked)  # type: ignore[list-item]
        found = languages([" ".join(map(str, _strings(text))) for text in texts])
        first = next(iter(self.models))
        by_model: dict[str, list[int]] = {}
        for i, code in enumerate(found):
            by_model.setdefault(code if code in self.models else first, []).append(i)
        answers: list[Answer] = [{} for _ in texts]
        for name, rows in by_model.items():
            for i, answer in zip(rows, self.models[name]([texts[i] for i in rows]), strict=True):
                answers[i] = {**answer, "language": found[i]}
        return answers[0] if one else answers


def languages(texts: Sequence[str]) -> list[str]:
    """py3langid's code of each text's language, as the corpus room finds it."""
    points, offsets = ch.points_of(pa.array(texts, pa.large_string()))
    found: list[str] = language.language(points, offsets).to_pylist()
    return found


def _strings(asked: Asked) -> list[str]:
    if isinstance(asked, str):
        return [asked]
    return [value for value in asked.values() if isinstance(value, str)]


def pipeline(
    task: str, *, model: str | Path | Mapping[str, str | Path], device: str = "cpu", rows: int = ROWS
) -> Pipeline | Routed | Writing:
    """A model of a task, to be called with texts; or several by language, each asked about texts of its own.

    Args:
        task: its name, or one that people use ("sentiment", "ner", "qa"), or the Python file of one's own.
        model: a folder that `assay finetune` wrote, or one for each language: {"en": ..., "zh": ...}. Of text
            generation, chat, translation and summarization any model directory that writes.

    Raises:
        InputError: there is no such model, or it does another task.
    """
    if isinstance(model, Mapping):
        if not model:
            raise InputError("no model is given", where="pipeline", remedy='give {"en": folder, "zh": folder}')
        return Routed({key: _one(task, folder, device, rows) for key, folder in model.items()})
    kind = TASKS.get(task_named(task))
    folder = Path(model)
    tuned = any((place / TASK).is_file() for place in (folder, folder / "model"))
    if kind is not None and issubclass(kind, WritingTask) and not tuned:
        return Writing(Writer.load(folder, device), rows)
    return _one(task, model, device, rows)


def _one(task: str, model: str | Path, device: str, rows: int) -> Pipeline:
    name = task_named(task)  # before the model is opened, whose task it may be
    opened = Opened.load(Path(model), device)
    if opened.task.name != name:
        raise InputError(
            f"was trained for the task {opened.task.name}, and {task} is asked for", where=str(model),
            remedy=f"call pipeline({opened.task.name!r}, ...), or give another model",
        )  # fmt: skip
    return Pipeline(opened, rows)
