"""Labels that are likely wrong themselves: confident learning (Northcutt, Jiang and Chuang 2021), by cleanlab.

    rows -> k folds, equal texts in one -> the linear floor of the other folds says how likely each label is
         -> cleanlab: labels that are as unlikely as wrong ones are -> a list, the unlikeliest first

The floor never sees the label that it judges. Texts with one label, or several, and tags of tokens are judged.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.errors import InputError
from assay.machine import one_thread
from assay.tasks.baseline.tagger import Tagger
from assay.tasks.checks.finding import whole
from assay.tasks.classification import Classification, MultiLabel
from assay.tasks.coding import joined
from assay.tasks.protocol import Example, Task
from assay.tasks.reading import cutting
from assay.tasks.reading.rows import Rows
from assay.tasks.tagging import Tagging

FOLDS = 5
REPEATS, FEW = 3, 10_000
"""How often texts, where they are so few, are dealt into folds; chances are averaged. Of the 100 likeliest in SST-2
with a tenth of its labels wrong, 74 are; 63 where folds are dealt once, each with a strength of its own."""
OF_TEXTS, OF_TAGS = "confident_learning", "prune_by_noise_rate"
"""cleanlab's filters, those whose lists were best: of a tenth of the labels of SST-2 that were made wrong the first
finds 62 of 100, and 39 of 100 that it lists are wrong (the second: 71, 32); of entities of CoNLL-2003 the second finds
84, and 76 of 100 tokens are wrong (the first: 71, 83). Both give one order."""
_LONG = 400  # characters
_AROUND = 8  # tokens
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suspect:
    """A label that is likely wrong.

    Attributes:
        text: of the example; of tags the tokens, in brackets within what stands around it.
        given, likely: the label that is there, and the one that the floor finds likeliest.
        chance: of the label that is there, by the floor: the lower, the likelier wrong.
        token, end: the tokens that it is of, which are side by side and alike, [token, end) from 0 on; None: of the
            whole text.
    """

    where: str
    text: str
    given: str
    likely: str
    chance: float
    token: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Suspected:
    """What was listed.

    Attributes:
        listed: the likeliest to be wrong first.
        n: labels that were looked at.
        agreed: share of them that the floor says, too: the lower, the more of the list are the floor's own errors.
    """

    listed: list[Suspect]
    n: int
    agreed: float


def available() -> Any:
    """cleanlab.

    Raises:
        InputError: it is not installed.
    """
    try:
        import cleanlab
    except ImportError as error:
        remedy = 'install it: pip install "assay[errors]"'
        raise InputError("label errors are found by cleanlab, which is not installed", remedy=remedy) from error
    return cleanlab


def suspects(
    task: Task, rows: Rows, examples: Sequence[Example], *, k: int = FOLDS, seed: int = 0,
    tell: Callable[[float], None] = lambda share: None,
) -> Suspected:  # fmt: skip
    """The labels that are likely wrong.

    Args:
        examples: of the rows, in their order.
        tell: is called with the share that is done.

    Raises:
        InputError: no cleanlab, a task whose labels it cannot judge, or too few different texts.
    """
    available()
    if not isinstance(task, Classification | MultiLabel | Tagging):
        raise InputError(f"label errors of {task.name} are not looked for", where="--label-errors",
                         remedy="give a classification, multilabel or tagging task")  # fmt: skip
    learned = task.learn(examples)
    number = {id(row): i for i, row in enumerate(rows)}
    chances: list[Any] = [0.0] * len(examples)
    by = None if isinstance(task, Tagging) else [name for name in (task.text, task.second) if name]
    label = task.target if isinstance(task, Classification) else None
    again = REPEATS if len(examples) <= FEW and not isinstance(task, Tagging) else 1
    ask = _Floor(learned)
    for turn in range(again):
        for done, (rest, fold) in enumerate(cutting.folds(rows, k, seed + turn, label=label, by=by), 1):
            seen, asked = ([examples[number[id(row)]] for row in part] for part in (rest, fold))
            for row, own in zip(fold, ask(seen, asked), strict=True):
                chances[number[id(row)]] += own / again
            tell((turn * k + done) / (again * k))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that few examples have
        if isinstance(learned, Tagging):
            return _of_tags(learned, examples, chances)
        if isinstance(learned, MultiLabel):
            return _of_sets(learned, examples, np.array(chances))
        return _of_labels(learned.labels, examples, np.array(chances))


class _Floor:
    """Asks floors of a task that learned from other examples. All texts' floors are of the strength that suited the
    first: chances of others would be on another scale."""

    def __init__(self, task: Classification | MultiLabel | Tagging) -> None:
        self.task = task
        self.strength: float | None = None

    def __call__(self, seen: Sequence[Example], asked: Sequence[Example]) -> list[F64]:
        """Of each example that is asked (labels,), or (tokens, labels): how likely the floor finds each label."""
        task = self.task
        if isinstance(task, Tagging):
            tagger = Tagger.fit([e.given["tokens"] for e in seen], [_tags(task, e) for e in seen])
            names = _names(task)
            place = [names.index(label) for label in tagger.labels]
            return [_spread(own, place, len(names)) for own in tagger.chances([e.given["tokens"] for e in asked])]
        linear = task.linear(seen, "multi" if isinstance(task, MultiLabel) else "single", self.strength)
        self.strength = linear.strength
        place = [task.labels.index(label) for label in linear.labels]
        return list(_spread(linear.predict(task.plain(asked))[1], place, len(task.labels)))


def _spread(chances: F64, place: Sequence[int], n: int) -> F64:
    """(rows, some labels) as (rows, labels), 0 for the others."""
    made = np.zeros((len(chances), n))
    made[:, place] = chances
    return made


def _shown(text: str) -> str:
    """As much of a text as whoever judges its label wants."""
    return text if len(text) <= _LONG else text[:_LONG] + "…"


def _names(task: Tagging) -> list[str]:
    """What tags are told apart by: types alone, since a wrong type is one error, not one a token's place in it."""
    return list(dict.fromkeys(_type(label) for label in task.labels)) if task.kind == "spans" else list(task.labels)


def _tags(task: Tagging, example: Example) -> list[str]:
    return [_type(tag) if task.kind == "spans" else tag for tag in task.inside(example.wanted)]


def _type(tag: str) -> str:
    return tag.partition("-")[2] or tag


def _of_labels(names: Sequence[str], examples: Sequence[Example], chances: F64) -> Suspected:
    from cleanlab.filter import find_label_issues

    labels = np.array([names.index(e.wanted) for e in examples])
    ranked = find_label_issues(
        labels, chances, return_indices_ranked_by="self_confidence", filter_by=OF_TEXTS, n_jobs=1
    )
    found = [
        Suspect(examples[i].where, _shown(whole(examples[i])), examples[i].wanted, names[int(chances[i].argmax())],
                float(chances[i, labels[i]]))
        for i in ranked.tolist()
    ]  # fmt: skip
    return Suspected(found, len(labels), float((chances.argmax(axis=1) == labels).mean()))


def _of_sets(task: MultiLabel, examples: Sequence[Example], chances: F64) -> Suspected:
    from cleanlab.multilabel_classification.filter import find_label_issues

    labels = [[task.labels.index(label) for label in e.wanted] for e in examples]
    ranked = find_label_issues(labels, chances, return_indices_ranked_by="self_confidence", filter_by=OF_TEXTS)
    found = []
    for i in ranked.tolist():
        own = set(labels[i])
        each = np.array([p if j in own else 1 - p for j, p in enumerate(chances[i])])
        likely = [label for label, p in zip(task.labels, chances[i], strict=True) if p >= task.threshold]
        given, better = (" ".join(map(str, some)) or "–" for some in (examples[i].wanted, likely))
        found.append(Suspect(examples[i].where, _shown(whole(examples[i])), given, better, float(each.min())))
    right = [[label in e.wanted for label in task.labels] for e in examples]
    return Suspected(found, len(examples), float(((chances >= task.threshold) == right).all(axis=1).mean()))


def _of_tags(task: Tagging, examples: Sequence[Example], chances: list[F64]) -> Suspected:
    from cleanlab.token_classification.filter import find_label_issues

    names = _names(task)
    labels = [[names.index(tag) for tag in _tags(task, e)] for e in examples]
    how = {"return_indices_ranked_by": "self_confidence", "filter_by": OF_TAGS, "n_jobs": 1}
    said = {
        (int(i), int(j)): (names[labels[i][j]], names[int(chances[i][j].argmax())])
        for i, j in find_label_issues(labels, chances, **how)
    }
    found, done = [], set[tuple[int, int]]()
    for (i, j), (given, likely) in said.items():
        if (i, j) in done:
            continue
        begin, end = j, j + 1
        while said.get((i, begin - 1)) == (given, likely):
            begin -= 1
        while said.get((i, end)) == (given, likely):
            end += 1
        done.update((i, place) for place in range(begin, end))
        chance = float(chances[i][begin:end, labels[i][j]].min())
        found.append(Suspect(examples[i].where, _marked(examples[i], begin, end), given, likely, chance, begin, end))
    flat = np.concatenate([own.argmax(axis=1) for own in chances])
    return Suspected(found, len(flat), float((flat == np.concatenate(labels)).mean()))


def _marked(example: Example, begin: int, end: int) -> str:
    """Tokens in brackets, within what stands around them."""
    tokens = example.given["tokens"]
    before, after = tokens[max(0, begin - _AROUND) : begin], tokens[end : end + _AROUND]
    return f"{joined(before)} [{joined(tokens[begin:end])}] {joined(after)}".strip()
