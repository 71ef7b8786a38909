"""Extractive reading comprehension: a question, a context, and where in it the answer stands, if it does.

    question, context -> windows that overlap, each with the question -> logits of begin and end at every token
                      -> the likeliest stretch over all windows, or no answer

A window in which the answer does not stand whole is asked for its first position, as is a question without an answer
(Devlin et al. 2019, SQuAD 2.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from assay.errors import InputError
from assay.metrics.reading import reading
from assay.metrics.scores import Measure
from assay.models.heads import HeadConfig
from assay.tasks.baseline.answers import SlidingWindow
from assay.tasks.coding import Coder, Window
from assay.tasks.protocol import Answer, Answering, Example, Fields, HeadTask, Item, Said, learned, register, text_of


@register
@dataclass(frozen=True, kw_only=True)
class Extraction(HeadTask):
    """See the module.

    Attributes:
        question, context, answers: names of the fields; `answers` is {"text": [...], "answer_start": [...]}.
        stride: tokens from one window of a context to the next.
        longest: tokens of an answer, at most.
        margin: no answer is given where that is likelier than the best one by this many nats, of models that have seen
            questions without one.
        unanswerable: whether there were any, learned.
    """

    name = "extraction"
    best = "f1"
    shown = ("exact_match", "f1", "has_answer_exact_match", "has_answer_f1", "no_answer_accuracy")

    question: str = "question"
    context: str = "context"
    answers: str = "answers"
    stride: int = 128
    longest: int = 40
    margin: float = 0.0
    unanswerable: bool = learned(False)

    def read(self, fields: Fields, where: str) -> Example:
        given = {name: text_of(fields, name, where) for name in (self.question, self.context)}
        found = fields.get(self.answers)
        group = str(fields.get("title") or "") or given[self.context]
        if found is None and not fields.get("is_impossible"):
            return Example(given, None, where, group)
        return Example(given, self._wanted(found or {}, given[self.context], where), where, group)

    def _wanted(self, found: Any, context: str, where: str) -> dict[str, list[Any]]:
        """{"text": [...], "start": [...]}, empty where the context holds no answer.

        Raises:
            InputError: an answer is not in its context.
        """
        if not isinstance(found, dict):
            raise InputError(
                f"{self.answers} is no object", where=where, remedy='write {"text": [], "answer_start": []}'
            )
        texts, starts = list(found.get("text") or ()), list(found.get("answer_start") or ())
        for i, text in enumerate(texts):
            at = starts[i] if i < len(starts) else -1
            if not isinstance(text, str) or not text:
                raise InputError("an answer is no text", where=where, remedy="leave it out")
            if not isinstance(at, int) or context[at : at + len(text)] != text or at < 0:
                at = context.find(text)
                if at < 0:
                    raise InputError(f"the answer {text[:40]!r} is not in its context", where=where,
                                     remedy="mend the row, or skip bad ones")  # fmt: skip
            starts[i : i + 1] = [at]
        return {"text": texts, "start": starts[: len(texts)]}

    def learn(self, examples: Sequence[Example]) -> Self:
        if not any(e.wanted and e.wanted["text"] for e in examples):
            raise InputError("no question has an answer", where=self.answers, remedy="give examples with answers")
        return replace(self, unanswerable=any(e.wanted and not e.wanted["text"] for e in examples))

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("span", 2)

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        for i, example in enumerate(examples):
            for window in coder.windows(example.given[self.question], example.given[self.context], self.stride):
                marks = np.zeros(len(window.coded.ids), bool)
                marks[0] = True
                marks[window.begin : window.begin + len(window.begins)] = True
                targets = np.array([-1, -1] if example.wanted is None else self._targets(example.wanted, window))
                yield Item(i, window.coded.ids, targets, window.coded.kinds, marks, places=window)

    @staticmethod
    def _targets(wanted: dict[str, list[Any]], window: Window) -> tuple[int, int]:
        """Of the first answer that stands whole in the window; else its first position, twice."""
        for text, start in zip(wanted["text"], wanted["start"], strict=True):
            inside = np.flatnonzero((window.ends > start) & (window.begins < start + len(text)))
            if len(inside) and window.begins[inside[0]] <= start and window.ends[inside[-1]] >= start + len(text):
                return window.begin + int(inside[0]), window.begin + int(inside[-1])
        return 0, 0

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        context = example.given[self.context]
        best, none, place = -np.inf, np.inf, (0, 0)
        for one in said:
            window: Window = one.item.places
            logits = one.values.astype(np.float64)
            none = min(none, logits[0, 0] + logits[0, 1])
            own = logits[window.begin : window.begin + len(window.begins)]
            if not len(own):
                continue
            score, first, last = _likeliest(own[:, 0], own[:, 1], self.longest)
            if score > best:
                best, place = score, (int(window.begins[first]), int(window.ends[last]))
        if not np.isfinite(best) or (self.unanswerable and none > best + self.margin):
            return {"text": "", "likely": _sure(none - best)}
        start, stop = place
        text = context[start:stop]
        start += len(text) - len(text.lstrip())  # tokens carry the space before them
        told = {"text": text.strip(), "start": start, "stop": start + len(text.strip())}
        return told | ({"likely": _sure(best - none)} if self.unanswerable else {})

    def floor(self, examples: Sequence[Example]) -> Answering:
        def both(some: Sequence[Example]) -> tuple[list[str], list[str]]:
            return [e.given[self.context] for e in some], [e.given[self.question] for e in some]

        right = [e.wanted["text"][0] if e.wanted["text"] else "" for e in examples]
        model = SlidingWindow.fit(*both(examples), right)
        return lambda asked: [{"text": found.text} for found in model.predict(*both(asked))]

    def is_right(self, example: Example, answer: Answer) -> bool:
        wanted = example.wanted["text"] or [""]
        return any(answer["text"].strip() == text.strip() for text in wanted)

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        return reading([e.wanted["text"] for e in examples], [a["text"] for a in answers])


def _sure(nats: float) -> float:
    """How likely one of two is that leads by so much."""
    return float(1 / (1 + np.exp(-np.clip(nats, -60, 60))))


def _likeliest(begin_T: np.ndarray, end_T: np.ndarray, longest: int) -> tuple[float, int, int]:
    """The best sum of a begin and an end not before it, at most `longest` tokens: (sum, first, last)."""
    n = len(begin_T)
    ends = np.append(end_T, np.full(longest - 1, -np.inf))
    windows = np.lib.stride_tricks.sliding_window_view(ends, longest)[:n]
    last = windows.argmax(axis=1)
    total = begin_T + windows[np.arange(n), last]
    first = int(total.argmax())
    return float(total[first]), first, first + int(last[first])
