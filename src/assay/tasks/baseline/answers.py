"""The floor of extractive questions: the span that most of the question's words stand around.

After the sliding window of Richardson, Burges and Renshaw (2013), as SQuAD's paper has it for a baseline (Rajpurkar
et al. 2016). A token is a word, or a character of a script without spaces. Each that the question holds, too, counts by
how rare it is, the less the further it is from the span; within the span it counts against it. What the training
answers say: how long answers are, and how small the best score is where there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from assay.errors import InputError
from assay.tasks.baseline import stored
from assay.tokens.words import HAN

KIND = "answers"
_ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKENS = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|[^\w\s]")
_RUNS = re.compile(rf"[{HAN}]+|[{_ALONE}]|[^\W{_ALONE}]+|[^\w\s]")
_HAN = re.compile(f"[{HAN}]")
_FADES = 0.92  # how much less what stands a token further counts
_LONGEST = 30  # tokens of a span
_LENGTH = 0.5  # how much the length of a span counts
_NUMBER = re.compile(
    r"(?i)\bhow (many|much|long|old|tall|far)\b|\bwhen\b|\bwhat year\b|多少|几|哪一?年|何时|什么时候|幾|多大|多长|多長"
)
F64 = npt.NDArray[np.float64]


class Answer(NamedTuple):
    """A stretch of a context: "" and -1 where there is none. `chance` is that of an answer being there at all, as far
    as the score tells; 1.0 where every training question had one."""

    text: str
    start: int
    chance: float


@dataclass(frozen=True)
class SlidingWindow:
    """What the training rows say.

    Attributes:
        rare: how rare each token is: log of contexts over those that hold it.
        unseen: the same of tokens that no context holds.
        lengths: (_LONGEST,) log of the share of answers of 1, 2, ... tokens.
        least, width: an answer is there where the score is above `least`; `width` scales it for the chance. None of
            both where every question has one.
    """

    rare: dict[str, float]
    unseen: float
    lengths: F64
    least: float | None
    width: float

    @classmethod
    def fit(cls, contexts: Sequence[str], questions: Sequence[str], answers: Sequence[str]) -> SlidingWindow:
        """Learn from a question and its answer a context each; "" where it has none.

        Raises:
            InputError: there is no context.
        """
        if not contexts:
            raise InputError("no question to learn from", remedy="give rows with context, question and answers")
        different = list(dict.fromkeys(contexts))
        held = Counter(token for context in different for token in {t for t, _ in _words(context)})
        rare = {token: float(np.log((1 + len(different)) / (1 + n)) + 0.1) for token, n in held.items()}
        lengths = np.ones(_LONGEST)
        for answer in filter(None, answers):
            lengths[min(len(_words(answer)), _LONGEST) - 1] += 1
        made = cls(rare, float(np.log(1 + len(different)) + 0.1), np.log(lengths / lengths.sum()), None, 1.0)
        if all(answers):
            return made
        some = np.linspace(0, len(contexts) - 1, min(len(contexts), 2000)).astype(int)
        tried = [made._best(contexts[i], questions[i]) for i in some]
        scores = np.array([score for score, _, _ in tried])
        none = np.array([not answers[i] for i in some])
        worth = np.array([likeness(contexts[i][a:b], answers[i]) for i, (_, a, b) in zip(some, tried, strict=True)])
        order = np.argsort(scores, kind="stable")
        # What is right if all up to a place are said to have no answer, and what is found counts for the others.
        right = np.cumsum([0, *none[order]]) + np.cumsum([0, *np.where(none, 0, worth)[order][::-1]])[::-1]
        bounds = np.concatenate([[scores.min() - 1], scores[order]])
        return replace(made, least=float(bounds[int(right.argmax())]), width=float(max(scores.std(), 1e-6)))

    def predict(self, contexts: Sequence[str], questions: Sequence[str]) -> list[Answer]:
        """An answer each."""
        found = []
        for context, question in zip(contexts, questions, strict=True):
            score, start, end = self._best(context, question)
            chance = (
                1.0
                if self.least is None
                else float(1 / (1 + np.exp(np.clip((self.least - score) / self.width, -50, 50))))
            )
            none = end == start or (self.least is not None and score <= self.least)
            found.append(Answer("", -1, chance) if none else Answer(context[start:end], start, chance))
        return found

    def _best(self, context: str, question: str) -> tuple[float, int, int]:
        """Score, start and end of the best span."""
        tokens = _words(context)
        if not tokens:
            return -np.inf, 0, 0
        asked = {token for token, _ in _words(question)}
        match = np.array([self.rare.get(t, self.unseen) if t in asked and t.isalnum() else 0.0 for t, _ in tokens])
        left, right = _faded(match), _faded(match[::-1])[::-1]
        within = np.concatenate([[0.0], np.cumsum(match)])
        bars = np.concatenate([[0], np.cumsum([t in "。！？!?；;" or t == "." for t, _ in tokens])])
        marks = np.array([not t.isalnum() for t, _ in tokens])
        numbers = np.concatenate([[0], np.cumsum([t.isdigit() for t, _ in tokens])])
        n, counted = len(tokens), _NUMBER.search(question) is not None
        best = (-np.inf, 0, 0)
        for length in range(1, min(_LONGEST, n) + 1):
            first = np.arange(n - length + 1)
            last = first + length - 1
            score = (
                left[first] + right[last] - 3 * (within[last + 1] - within[first]) + _LENGTH * self.lengths[length - 1]
            )
            score = score - 5.0 * (bars[last + 1] - bars[first]) - 5.0 * (marks[first] | marks[last])
            if counted:
                score = score + 2.0 * (numbers[last + 1] > numbers[first])
            at = int(score.argmax())
            if score[at] > best[0]:
                (_, start), (token, end) = tokens[at], tokens[at + length - 1]
                best = (float(score[at]), start, end + len(token))
        return best

    def save(self, folder: Path) -> None:
        """Write the model as JSON and safetensors."""
        terms = sorted(self.rare)
        config = {"terms": terms, "unseen": self.unseen, "least": self.least, "width": self.width}
        rare = np.array([self.rare[term] for term in terms])
        stored.save(folder, KIND, config, {"rare": rare, "lengths": self.lengths})

    @classmethod
    def of(cls, config: dict[str, Any], held: stored.Arrays) -> SlidingWindow:
        """What `save` wrote."""
        rare = dict(zip(config["terms"], held["rare"].tolist(), strict=True))
        return cls(rare, config["unseen"], held["lengths"], config["least"], config["width"])


def likeness(one: str, other: str) -> float:
    """F1 of the words of two texts as bags; characters, where scripts put no spaces between words."""
    bags = [Counter(TOKENS.findall(text.lower())) for text in (one, other)]
    both = (bags[0] & bags[1]).total()
    return 2 * both / max(1, bags[0].total() + bags[1].total())


def _words(text: str) -> list[tuple[str, int]]:
    """Words in lower case, and where each begins. One whose lower case has another length stays, to keep its end."""
    import rjieba

    found = []
    for run in _RUNS.finditer(text):
        start = run.start()
        for word in rjieba.cut(run.group()) if _HAN.match(run.group()) else [run.group()]:
            low = word.lower()
            found.append((low if len(low) == len(word) else word, start))
            start += len(word)
    return found


def _faded(match: F64) -> F64:
    """Of each place, what stands before it, the less the further."""
    from scipy.signal import lfilter

    return np.concatenate([[0.0], lfilter([1.0], [1.0, -_FADES], match)[:-1] * _FADES]) if len(match) else match
