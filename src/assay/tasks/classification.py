"""Classification of texts, and of pairs of texts: one label, or any number of them.

Sentiment, topics, relations between two marked things, entailment and paraphrase are all this: a text or two, and
labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from assay.errors import InputError
from assay.metrics.classification import classification, multilabel
from assay.metrics.confidence import probabilities
from assay.metrics.scores import Measure, together
from assay.models.heads import HeadConfig
from assay.tasks.baseline.texts import LinearTexts
from assay.tasks.coding import Coder
from assay.tasks.protocol import Answer, Answering, Example, Fields, HeadTask, Item, Said, learned, register, text_of


@dataclass(frozen=True, kw_only=True)
class _OfTexts(HeadTask):
    """What reads a text, or two.

    Attributes:
        text: name of the field.
        second: of the second text; none: there is one.
        target: of what is wanted.
    """

    text: str = "text"
    second: str | None = None
    target: str = "label"

    def texts_of(self, fields: Fields, where: str) -> dict[str, str]:
        """What a model may see."""
        names = [self.text] if self.second is None else [self.text, self.second]
        return {name: text_of(fields, name, where) for name in names}

    def floor_of(
        self, examples: Sequence[Example], kind: Literal["single", "multi", "regression"]
    ) -> Callable[[Sequence[Example]], tuple[list[Any], np.ndarray]]:
        """The linear baseline: labels, and how likely each is."""
        model = self.linear(examples, kind)
        return lambda asked: model.predict(self.plain(asked))

    def linear(
        self, examples: Sequence[Example], kind: Literal["single", "multi", "regression"], strength: float | None = None
    ) -> LinearTexts:
        """The linear baseline itself."""
        return LinearTexts.fit(self.plain(examples), [e.wanted for e in examples], task=kind, strength=strength)

    def plain(self, examples: Sequence[Example]) -> Any:
        """What the linear baseline reads: texts, or pairs of them."""
        if self.second is None:
            return [e.given[self.text] for e in examples]
        return [(e.given[self.text], e.given[self.second]) for e in examples]

    def rows(self, examples: Sequence[Example], coder: Coder, targets: Sequence[dict[str, Any]]) -> Iterator[Item]:
        """One row an example."""
        firsts = [e.given[self.text] for e in examples]
        seconds = None if self.second is None else [e.given[self.second] for e in examples]
        for i, (coded, target) in enumerate(zip(coder.texts(firsts, seconds), targets, strict=True)):
            yield Item(i, coded.ids, kinds=coded.kinds, **target)


@register
@dataclass(frozen=True, kw_only=True)
class Classification(_OfTexts):
    """One label a text.

    Attributes:
        names: what labels are called in answers: {"0": "negative", "1": "positive"}.
        balance: classes count in the loss by the inverse of how often they occur.
        labels: all, learned.
    """

    name = "classification"
    best = "accuracy"
    shown = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "roc_auc", "pr_auc", "ece")

    names: dict[str, str] | None = None
    balance: bool = False
    labels: tuple[str, ...] = learned(())
    weights: tuple[float, ...] | None = learned(None)

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        if isinstance(wanted, list | dict):
            raise InputError(
                f"{self.target} is a {type(wanted).__name__}, and this task has one label a text", where=where,
                remedy="give one label, or use the task multilabel",
            )  # fmt: skip
        return Example(self.texts_of(fields, where), None if wanted is None else self.called(wanted), where)

    def called(self, label: Any) -> str:
        """What a label of a file is called."""
        said = str(int(label)) if isinstance(label, bool) else str(label).strip()
        return (self.names or {}).get(said, said)

    def learn(self, examples: Sequence[Example]) -> Self:
        counts = Counter(e.wanted for e in examples if e.wanted is not None)
        if len(counts) < 2:
            only = f"all examples have the label {next(iter(counts))!r}" if counts else "no example has a label"
            raise InputError(only, where=self.target, remedy="give examples of two labels or more")
        labels = sorted(counts, key=_in_order)
        mean = sum(counts.values()) / len(labels)
        weights = tuple(mean / counts[label] for label in labels) if self.balance else None
        return replace(self, labels=tuple(labels), weights=weights)

    def unlike(self, example: Example) -> str | None:
        return None if example.wanted in self.labels else f"the label {example.wanted!r} is not in the training text"

    def is_right(self, example: Example, answer: Answer) -> bool:
        return bool(answer["label"] == example.wanted)

    def meant(self, answer: Answer) -> Any:
        return self.called(answer["label"])

    def floor(self, examples: Sequence[Example]) -> Answering:
        model = self.linear(examples, "single")
        none = dict.fromkeys(self.labels, 0.0)  # of labels that these examples do not have

        def answers(asked: Sequence[Example]) -> list[Answer]:
            labels, chances = model.predict(self.plain(asked))
            return [
                {"label": label, "probabilities": none | dict(zip(model.labels, map(float, row), strict=True))}
                for label, row in zip(labels, chances, strict=True)
            ]

        return answers

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("class", len(self.labels), weights=self.weights)

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        number = {label: i for i, label in enumerate(self.labels)}
        targets = [{"targets": np.array([number.get(e.wanted, -1)])} for e in examples]
        yield from self.rows(examples, coder, targets)

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        likely = _softmax(said[0].values)
        chances = {label: float(p) for label, p in zip(self.labels, likely, strict=True)}
        return {"label": self.labels[int(likely.argmax())], "probabilities": chances}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        wanted = [e.wanted for e in examples]
        table = classification(wanted, [a["label"] for a in answers], labels=self.labels)
        if not all("probabilities" in a for a in answers):  # of somebody who gives labels alone
            return table
        chances = np.array([[a["probabilities"][label] for label in self.labels] for a in answers])
        return together(table, probabilities(wanted, chances, self.labels))


@register
@dataclass(frozen=True, kw_only=True)
class MultiLabel(_OfTexts):
    """Any number of labels a text.

    Attributes:
        threshold: a label is given where it is as likely as this.
    """

    name = "multilabel"
    best = "micro_f1"
    shown = ("subset_accuracy", "micro_precision", "micro_recall", "micro_f1", "macro_f1")

    target: str = "labels"
    threshold: float = 0.5
    labels: tuple[str, ...] = learned(())

    def read(self, fields: Fields, where: str) -> Example:
        wanted = fields.get(self.target)
        if wanted is not None and not isinstance(wanted, list):
            raise InputError(
                f"{self.target} is no list", where=where, remedy='write ["a", "b"], or use the task classification'
            )
        labels = None if wanted is None else sorted({str(label) for label in wanted}, key=_in_order)
        return Example(self.texts_of(fields, where), labels, where)

    def learn(self, examples: Sequence[Example]) -> Self:
        labels = sorted({label for e in examples for label in e.wanted or ()}, key=_in_order)
        if not labels:
            raise InputError("no example has a label", where=self.target, remedy="give examples with labels")
        return replace(self, labels=tuple(labels))

    def unlike(self, example: Example) -> str | None:
        new = [label for label in example.wanted or () if label not in self.labels]
        return f"the label {new[0]!r} is not in the training text" if new else None

    def is_right(self, example: Example, answer: Answer) -> bool:
        return set(answer["labels"]) == set(example.wanted)

    def meant(self, answer: Answer) -> Any:
        return answer["labels"]

    def floor(self, examples: Sequence[Example]) -> Answering:
        predict = self.floor_of(examples, "multi")
        return lambda asked: [{"labels": list(labels)} for labels in predict(asked)[0]]

    @property
    def head(self) -> HeadConfig:
        return HeadConfig("labels", len(self.labels))

    def items(self, examples: Sequence[Example], coder: Coder) -> Iterator[Item]:
        targets = [
            {"targets": np.array([-1 if e.wanted is None else int(label in e.wanted) for label in self.labels])}
            for e in examples
        ]
        yield from self.rows(examples, coder, targets)

    def answer(self, example: Example, said: Sequence[Said]) -> Answer:
        likely = 1 / (1 + np.exp(-said[0].values.astype(np.float64)))
        chances = {label: float(p) for label, p in zip(self.labels, likely, strict=True)}
        return {"labels": [label for label, p in chances.items() if p >= self.threshold], "probabilities": chances}

    def measure(self, examples: Sequence[Example], answers: Sequence[Answer]) -> Measure:
        return multilabel([e.wanted for e in examples], [a["labels"] for a in answers], labels=self.labels)


def _in_order(label: str) -> tuple[bool, float, str]:
    """Numbers by their size, before words."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def _softmax(logits_L: np.ndarray) -> np.ndarray:
    away = np.exp(logits_L.astype(np.float64) - logits_L.max())
    return np.asarray(away / away.sum())
