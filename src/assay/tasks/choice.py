"""Choosing by likelihood: of several continuations the most likely one is the answer; of one, whether it is written.

acc         by the sum of log-probabilities
acc_norm    by the sum over the characters of a choice        acc, acc_norm, acc_bytes as lm-evaluation-harness has them
acc_bytes   by the sum over its UTF-8 bytes
acc_tokens  by the mean of its tokens
macro_*     the mean over subjects (BLiMP: paradigms), `acc[SUBJECT]` of each
perplexity  of one continuation alone (LAMBADA): of the whole word, not of its tokens; there acc says whether greedy
            decoding would write it

What stands between prompt and choice counts for no length. Of equal scores the first choice is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.errors import InputError
from assay.inference.choices import Likelihood
from assay.metrics.grouped import grouped
from assay.metrics.scores import F64, Additive, Kind, Measure, Values, same_length, together
from assay.tasks.language import Encoded
from assay.tasks.prompting import Prompted
from assay.tasks.protocol import Answer, Example, register
from assay.tasks.questions import LETTERS, number_of

NORMS = ("acc", "acc_norm", "acc_bytes", "acc_tokens")


@register
@dataclass(frozen=True, kw_only=True)
class Choice(Prompted):
    """One of several continuations, or one alone. Options: see `Prompted`."""

    name = "choice"
    best = "acc"
    shown = ("acc", "acc_norm", "acc_bytes", "acc_tokens", "macro_acc", "macro_acc_norm", "perplexity")

    def unlike(self, example: Example) -> str | None:
        if example.wanted is not None and not 0 <= example.wanted < len(example.given["choices"]):
            return "the answer is none of the choices"
        return None

    def continuations(self, example: Example) -> list[str]:
        """What may go on with the prompt, in the order of the choices."""
        between = self.delimiter(example)
        return [between + label for label in self.labels(example)]

    def said_of(self, encoded: Encoded, said: Sequence[Likelihood]) -> Answer:
        """What a model says of an example."""
        scores = [one.total for one in said]
        told = {"log_probabilities": scores, "tokens": [len(ids) for ids in encoded.continuations]}
        if len(said) == 1:
            return {"written": said[0].most_likely, **told}
        return {"choice": int(np.argmax(scores)), **told}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        """Scores; of answers that somebody else's program wrote, {"choice": an index, a letter or a text}, `acc`.

        Raises:
            InputError: an answer is none of the choices, or has another number of scores than there are choices.
        """
        same_length("examples and answers", examples, answers)
        scored = all("log_probabilities" in answer for answer in answers)
        names = NORMS if scored else NORMS[:1]
        table = np.full((len(examples), len(names)), np.nan)
        nll = np.full(len(examples), np.nan)
        for i, (example, answer) in enumerate(zip(examples, answers, strict=True)):
            if len(example.given["choices"]) == 1 and scored:
                (nll[i],) = -self._scores(example, answer)
                table[i, 0] = bool(answer["written"])
            else:
                chosen = self._chosen(example, answer) if scored else [_told(example, answer)]
                table[i] = [number == example.wanted for number in chosen]
        subjects = [str(example.given.get("subject", "")) for example in examples]
        columns = {name: table[:, k] for k, name in enumerate(names) if not np.isnan(table[:, k]).all()}
        parts: list[Measure] = [grouped(columns, subjects, apart=NORMS[:2])]
        if not np.isnan(nll).all():
            parts.append(_perplexity(nll))
        return together(*parts)

    def _scores(self, example: Example, answer: Answer) -> np.ndarray:
        found = np.array(answer["log_probabilities"], dtype=np.float64)
        if found.shape != (len(example.given["choices"]),) or np.isnan(found).any():
            what = f"an answer has {found.size} scores for {len(example.given['choices'])} choices"
            raise InputError(what, where=example.where, remedy="give a number for each choice")
        return found

    def _chosen(self, example: Example, answer: Answer) -> list[int]:
        """The choice by each of NORMS."""
        scores, labels = self._scores(example, answer), self.labels(example)
        sizes = [
            np.ones(len(labels)), [len(label) for label in labels], [len(label.encode()) for label in labels],
            answer["tokens"],
        ]  # fmt: skip
        return [int(np.argmax(scores / np.array(size, dtype=np.float64))) for size in sizes]


def chance(examples: Sequence[Example]) -> float | None:
    """The accuracy of guessing; None where there is nothing to choose."""
    shares = [1 / len(choices) for e in examples if len(choices := e.given["choices"]) > 1]
    return float(np.mean(shares)) if shares else None


def _told(example: Example, answer: Mapping[str, Any]) -> int:
    """The choice that an answer of somebody else's program names."""
    said = answer["answer"] if "answer" in answer and "choice" not in answer else answer["choice"]
    try:
        choices = example.given["choices"]
        return number_of(said, choices, list(LETTERS[: len(choices)]) if example.given["lettered"] else None)
    except ValueError as error:
        remedy = "give an index from 0, a letter, or the text of a choice"
        raise InputError(str(error), where=f"the answer to {example.where}", remedy=remedy) from None


def _perplexity(nll: np.ndarray) -> Additive:
    """exp of the mean over items of what the whole continuation costs (lm-evaluation-harness' `perplexity`)."""
    known = ~np.isnan(nll)
    statistics = np.stack([np.where(known, nll, 0.0), known], axis=1).astype(np.float64)

    def of(sums: F64) -> Values:
        return {"perplexity": np.exp(sums[:, 0] / sums[:, 1])}

    kinds = {"perplexity": Kind("lower", 1.0, np.inf)}
    return Additive(statistics, of, "", kinds, {"perplexity": int(known.sum())})
