"""An exported directory as `tasks.opened` has a model of a task: examples in, answers out.

    examples -> items (the task's own) -> logits (the engine's) -> answers (the task's own)

`Opened.load` of one's own training and `Exported.load` of what was made of it answer alike, whatever the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import InputError, needs
from assay.export.runners.engine import RESULT, Reader, Writer, best_tags
from assay.export.runners.stepping import Stepping
from assay.inference.limits import End, Written
from assay.models.interop.files import read_json
from assay.tasks.coding import Coder
from assay.tasks.feed import by_length
from assay.tasks.opened import TASK
from assay.tasks.protocol import Answer, Example, HeadTask, Item, Said, Task, made
from assay.tasks.writing import WritingTask
from assay.tokens.tokenizer import Encoder

ROWS = 32


@dataclass(frozen=True)
class Exported:
    """A model that another engine runs.

    Attributes:
        engine: of its format.
        facts: what export.json says of it under "engine".
        task, coder: None of a language model, which does none.
    """

    engine: Any
    facts: dict[str, Any]
    encoder: Encoder
    task: Task | None = None
    coder: Coder | None = None

    @classmethod
    def load(cls, folder: Path, threads: int = 0) -> Exported:
        """The model of a directory that `assay export` wrote for onnx or ctranslate2.

        Raises:
            InputError: it is none, or its engine is not installed.
        """
        folder = Path(folder)
        if not (folder / RESULT).is_file():
            raise InputError(f"has no {RESULT}", where=folder, remedy="give a folder that `assay export` has written")
        facts = read_json(folder / RESULT).get("engine")
        if not isinstance(facts, dict):
            raise InputError(
                "is of a format that is not run from here", where=folder, remedy="open it as its card says"
            )
        encoder = Encoder.load(folder)
        engine = opened(folder, facts, threads)
        if not (folder / TASK).is_file():
            return cls(engine, facts, encoder)
        stated = json.loads((folder / TASK).read_text(encoding="utf-8"))
        task = made(str(stated["task"]), stated.get("options") or {}, str(folder / TASK))
        coder = Coder(encoder, facts["begin"], facts["end"], int(stated["row_tokens"]), facts["start"])
        return cls(engine, facts, encoder, task, coder)

    @property
    def format(self) -> str:
        """onnx or ctranslate2."""
        return str(self.facts["format"])

    @property
    def writer(self) -> Any:
        """What `inference` writes with: sampling, beams, likelihoods.

        Raises:
            InputError: the model does not write, or its engine does all of that by itself.
        """
        if isinstance(self.engine, Writer):
            return Stepping(self.engine)
        raise InputError("is not written with step by step", remedy="ask its engine: `engine.written`")

    def answers(self, examples: Sequence[Example], rows: int = ROWS) -> list[Answer]:
        """An answer to each example."""
        assert self.task is not None
        assert self.coder is not None
        if isinstance(self.task, WritingTask):
            if isinstance(self.engine, Writer):
                return self.task.answers(examples, self.writer, self.coder, rows)
            return _searched(self.task, self.engine, self.coder, examples, rows)
        assert isinstance(self.task, HeadTask)
        items = list(self.task.items(examples, self.coder))
        by_example: list[list[Said]] = [[] for _ in examples]
        for said in sorted(self._said(items, rows, self.task.together), key=lambda pair: pair[0]):
            by_example[said[1].item.example].append(said[1])
        return [self.task.answer(example, own) for example, own in zip(examples, by_example, strict=True)]

    def vectors(self, texts: Sequence[str], rows: int = ROWS) -> np.ndarray:
        """(texts, D) of a model that was trained to make them."""
        assert self.coder is not None
        items = [Item(i, row.ids, np.array([0]), row.kinds) for i, row in enumerate(self.coder.texts(texts))]
        found = sorted(self._said(items, rows, together=1), key=lambda pair: pair[0])
        return np.stack([said.values for _, said in found])

    def _said(self, items: Sequence[Item], rows: int, together: int) -> Iterator[tuple[int, Said]]:
        """What the head says of each item, with its number."""
        assert isinstance(self.task, HeadTask)
        head, allowed = self.task.head.kind, self.task.allowed
        moved = None if allowed is None else [one.numpy() for one in allowed]
        for numbers in by_length(items, rows, together):
            own = [items[i] for i in numbers.tolist()]
            kinds = [item.kinds if item.kinds is not None else np.zeros(len(item.ids), np.int64) for item in own]
            logits, transitions = self.engine.asked([item.ids for item in own], kinds)
            for i, item, values in zip(numbers.tolist(), own, logits, strict=True):
                if head == "tags":
                    assert item.marks is not None
                    yield i, Said(item, *best_tags(values[item.marks], transitions, moved))
                elif head == "span" and item.marks is not None:
                    yield i, Said(item, np.where(item.marks[:, None], values, np.finfo(np.float32).min))
                else:
                    yield i, Said(item, values)


def _searched(task: WritingTask, engine: Any, coder: Coder, examples: Sequence[Example], rows: int) -> list[Answer]:
    """Answers of an engine that searches by itself, with the task's settings; those that have as much room together."""
    prompts, room = [prompt.tolist() for prompt in task.prompts(examples, coder)], engine.facts["positions"]
    rest = [task.new if room is None else room if engine.translates else room - len(p) + 1 for p in prompts]
    most = [min(task.new, one) for one in rest]
    special, made = set(coder.encoder.special.values()), dict[int, Answer]()
    for new in set(most):
        places = [i for i, own in enumerate(most) if own == new]
        found = engine.written(
            [prompts[i] for i in places], new=new, beams=task.beams, penalty=task.penalty, no_repeat=task.no_repeat,
            rows=rows,
        )  # fmt: skip
        for i, one in zip(places, found, strict=True):
            ids = np.array([i for i in one.ids if i not in special], dtype=np.int64)
            text = coder.encoder.decode(ids).strip() if len(ids) else ""
            end: End = "stop" if one.ended else "length"
            made[i] = task.told(examples[i], text, Written(tuple(one.ids), (), end, 0, one.score))
    return [made[i] for i in range(len(examples))]


def opened(folder: Path, facts: dict[str, Any], threads: int = 0) -> Any:
    """The engine of a directory.

    Raises:
        InputError: it is not installed.
    """
    if facts["format"] == "onnx":
        needs("onnxruntime", "onnx", "ONNX models")
        return (Writer if facts["kind"] in ("decoder", "translator", "recurrent") else Reader)(folder, threads)
    needs("ctranslate2", "ctranslate2", "CTranslate2 models")
    from assay.export.runners.ctranslate import Engine

    return Engine(folder, facts, threads)
