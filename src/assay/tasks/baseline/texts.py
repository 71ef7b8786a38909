"""The floor of classification and regression: TF-IDF of word or character n-grams, and a linear model.

    texts -> words and pairs of them; where the training texts are mostly of scripts without spaces (Chinese, Japanese,
    Thai), one to three characters -> TF-IDF -> logistic regression (one label, or several at once) or ridge regression
    pairs of texts -> both, what they share, in what they differ, and how much

How strong the penalty is, cross-validation on the training texts alone says. scikit-learn fits, with one thread, so
that the same rows give the same weights. Wang and Manning (2012) is why such a floor is not low.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse, special

from assay.corpus.text import characters
from assay.errors import InputError
from assay.machine import one_thread
from assay.tasks.baseline import stored

KIND = "texts"
Task = Literal["single", "multi", "regression"]
Texts = Sequence[str] | Sequence[tuple[str, str]]
F64 = npt.NDArray[np.float64]
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""C of the logistic regression, from the strongest penalty on; of ridge regression, one over it."""
_WORDS = r"\w+|[^\w\s]"
_MOST_FEATURES = 300_000
_MOST_WEIGHTS = 1 << 26
_LARGE = 1_000_000
"""Weights beyond which n-grams of a single text are left out: they cost most of the time, and tell little (THUCNews
titles: 0.863 of them right with all, 0.870 without, in a fifth of the time)."""
_CHOSEN_FROM = 6000  # examples that cross-validation looks at
_FOLDS = 3
_ROUGH = 1e-3  # tolerance of the fits that only choose
_SURE = 20.0  # logit of a label that all or none of the examples have


@dataclass(frozen=True)
class LinearTexts:
    """A fitted linear model of texts, or of pairs of them.

    Attributes:
        task: "single": one label a text; "multi": any number of them; "regression": a number.
        labels: in the order of the rows of weights; none of a regression.
        terms: (terms,) the n-grams. idf: (terms,) float64, how rare each is.
        weights: (labels, features) float32; one row for a regression. bias: (labels,) float64.
        by_character: whether the n-grams are of characters.
        pairs: whether texts are pairs.
        strength: what cross-validation chose of STRENGTHS.
    """

    task: Task
    labels: tuple[Any, ...]
    terms: tuple[str, ...]
    idf: F64
    weights: npt.NDArray[np.float32]
    bias: F64
    by_character: bool
    pairs: bool
    strength: float

    @classmethod
    def fit(
        cls, texts: Texts, labels: Sequence[Any], *, task: Task = "single", seed: int = 0, strength: float | None = None
    ) -> LinearTexts:
        """Learn from texts, or pairs of them, and a label each: a value, a list of values, or a number.

        Args:
            strength: of STRENGTHS; None: cross-validation chooses.

        Raises:
            InputError: there is nothing to learn from, or all examples have one label.
        """
        if len(texts) != len(labels) or len(texts) < 2:
            what = f"{len(texts)} texts have {len(labels)} labels: two of each at least are needed"
            raise InputError(what, remedy="give each text its label")
        pairs = not isinstance(texts[0], str)
        flat = _sides(texts, pairs)
        whole = [text for side in flat for text in side]
        by_character = unspaced(whole)
        known, target = _target(labels, task)
        most = min(_MOST_FEATURES, _MOST_WEIGHTS // (max(1, len(known)) * (4 if pairs else 1)))
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of labels rarer than folds, and of fits that could go on
            vectorizer = _vectorizer(by_character, most)
            try:
                vectorizer.fit(whole)
                if len(vectorizer.vocabulary_) * len(known) > _LARGE:
                    vectorizer = _vectorizer(by_character, most, least=2).fit(whole)
            except ValueError as error:
                raise InputError("the texts hold too few words", remedy="give other texts") from error
            held = _features(vectorizer, flat)
            strength = _chosen(held, target, task, seed) if strength is None else strength
            weights, bias = _fitted(held, target, task, strength)
        terms = tuple(str(term) for term in vectorizer.get_feature_names_out())
        return cls(task, known, terms, vectorizer.idf_, weights.astype(np.float32), bias, by_character, pairs, strength)

    def predict(self, texts: Texts) -> tuple[list[Any], F64]:
        """The labels of texts, and (texts, labels) how likely each is; numbers, and (texts, 0), of a regression."""
        if not len(texts):
            return [], np.zeros((0, len(self.labels)))
        with one_thread():
            scores = _features(self._vectorizer, _sides(texts, self.pairs)) @ self.weights.T.astype(np.float64)
        scores = np.asarray(scores) + self.bias
        if self.task == "regression":
            return scores[:, 0].tolist(), np.zeros((len(texts), 0))
        if self.task == "multi":
            chances = special.expit(scores)
            return [[one for one, p in zip(self.labels, row, strict=True) if p >= 0.5] for row in chances], chances
        chances = special.softmax(scores, axis=1)
        return [self.labels[i] for i in chances.argmax(axis=1)], chances

    @cached_property
    def _vectorizer(self) -> Any:
        made = _vectorizer(self.by_character, None, list(self.terms))
        made.idf_ = self.idf
        return made

    def save(self, folder: Path) -> None:
        """Write the model as JSON and safetensors."""
        config = {
            "task": self.task, "labels": list(self.labels), "terms": list(self.terms),
            "by_character": self.by_character, "pairs": self.pairs, "strength": self.strength,
        }  # fmt: skip
        stored.save(folder, KIND, config, {"idf": self.idf, "weights": self.weights, "bias": self.bias})

    @classmethod
    def of(cls, config: dict[str, Any], held: stored.Arrays) -> LinearTexts:
        """What `save` wrote."""
        return cls(
            config["task"], tuple(config["labels"]), tuple(config["terms"]), held["idf"], held["weights"], held["bias"],
            config["by_character"], config["pairs"], config["strength"],
        )  # fmt: skip


def unspaced(texts: Sequence[str]) -> bool:
    """Whether most letters of texts are of scripts that put no spaces between words."""
    step = max(1, len(texts) // 2000)
    points, _ = characters.points_of(pa.array(list(texts[::step]), pa.large_string()))
    letters = (characters.classes()[points] & characters.LETTER) > 0
    return bool(2 * characters.unspaced()[points].sum() > letters.sum())


def _sides(texts: Texts, pairs: bool) -> list[list[str]]:
    return [[str(pair[side]) for pair in texts] for side in (0, 1)] if pairs else [[str(text) for text in texts]]


def _vectorizer(by_character: bool, most: int | None, terms: list[str] | None = None, least: int = 1) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    how = (
        {"analyzer": "char", "ngram_range": (1, 3)}
        if by_character
        else {"token_pattern": _WORDS, "ngram_range": (1, 2)}
    )
    return TfidfVectorizer(**how, sublinear_tf=True, max_features=most, vocabulary=terms, min_df=least)


def _features(vectorizer: Any, sides: list[list[str]]) -> Any:
    """(texts, features) sparse; of pairs: both sides, what both have, what one has, and three numbers of likeness."""
    if len(sides) == 1:
        return vectorizer.transform(sides[0])
    one, other = (vectorizer.transform(side) for side in sides)
    both, apart = one.multiply(other), abs(one - other)
    lengths = np.array([[len(a), len(b)] for a, b in zip(*sides, strict=True)], dtype=np.float64) + 1
    shared = np.asarray((one.sign().multiply(other.sign())).sum(axis=1)).ravel()
    union = np.asarray((one + other).sign().sum(axis=1)).ravel()
    like = np.column_stack(
        [np.asarray(both.sum(axis=1)).ravel(), shared / np.maximum(union, 1), lengths.min(axis=1) / lengths.max(axis=1)]
    )
    return sparse.hstack([one, other, both, apart, sparse.csr_matrix(like)], format="csr")


def _target(labels: Sequence[Any], task: Task) -> tuple[tuple[Any, ...], npt.NDArray[Any]]:
    """The labels there are, and which each example has: (examples,) their numbers, (examples, labels), or the numbers
    that they are.

    Raises:
        InputError: all examples have one, or a number is none.
    """
    if task == "regression":
        found = np.array([float(one) for one in labels])
        if not np.isfinite(found).all():
            raise InputError("a label is not a finite number", remedy="give each text a number")
        return (), found
    lists = [one if task == "multi" else [one] for one in labels]
    known = tuple(sorted({x for own in lists for x in own}, key=lambda x: (type(x).__name__, x)))
    number = {label: i for i, label in enumerate(known)}
    if len(known) < (2 if task == "single" else 1):
        what = f"all examples have one label: {known[0]!r}" if known else "no example has a label"
        raise InputError(what, remedy="give examples of two labels at least")
    if task == "single":
        return known, np.array([number[own[0]] for own in lists])
    made = np.zeros((len(lists), len(known)), dtype=np.int64)
    for row, own in enumerate(lists):
        made[row, [number[x] for x in own]] = 1
    return known, made


def _fitted(held: Any, target: npt.NDArray[Any], task: Task, strength: float, tol: float = 1e-4) -> tuple[F64, F64]:
    """Weights (labels, features) and bias (labels,)."""
    from sklearn.linear_model import LogisticRegression, Ridge

    if task == "regression":
        ridge = Ridge(alpha=1 / strength, solver="sparse_cg", tol=1e-6).fit(held, target)
        return ridge.coef_[None, :], np.array([ridge.intercept_])

    def logistic(y: npt.NDArray[Any]) -> Any:
        return LogisticRegression(C=strength, tol=tol, max_iter=500 if tol < _ROUGH else 100).fit(held, y)

    if task == "multi":
        weights, bias = np.zeros((target.shape[1], held.shape[1])), np.zeros(target.shape[1])
        for label, y in enumerate(target.T):
            if y.min() == y.max():
                bias[label] = _SURE if y[0] else -_SURE
                continue
            model = logistic(y)
            weights[label], bias[label] = model.coef_[0], model.intercept_[0]
        return weights, bias
    model = logistic(target)
    n = int(target.max()) + 1
    weights, bias = np.zeros((n, held.shape[1])), np.full(n, -_SURE)
    if len(model.classes_) == 2:  # one row of weights is of the second label against the first
        weights[model.classes_[1]], bias[model.classes_] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return weights, bias


def _chosen(held: Any, target: npt.NDArray[Any], task: Task, seed: int) -> float:
    """The strength that folds of the training examples find best; of several as good, the strongest penalty."""
    from sklearn.model_selection import KFold, StratifiedKFold

    draw = np.random.default_rng(seed)
    some = np.sort(draw.permutation(held.shape[0])[:_CHOSEN_FROM])
    held, target = held[some], target[some]
    held = held[:, np.flatnonzero(held.getnnz(axis=0))]  # time goes with the columns, and most are empty now
    k = min(_FOLDS, len(some))
    stratified = task == "single" and np.bincount(target).max() >= k
    kind = StratifiedKFold if stratified else KFold
    parts = list(kind(k, shuffle=True, random_state=seed).split(held, target if stratified else None))
    best, chosen, worse = -np.inf, STRENGTHS[0], 0
    for strength in STRENGTHS:
        scores = []
        for rest, fold in parts:
            if task == "single" and len(np.unique(target[rest])) < 2:
                continue
            weights, bias = _fitted(held[rest], target[rest], task, strength, _ROUGH)
            said = np.asarray(held[fold] @ weights.T) + bias
            scores.append(_SCORES[task](said, target[fold]))
        score = float(np.mean(scores)) if scores else 0.0
        if score > best:
            best, chosen, worse = score, strength, 0
        else:
            worse += 1
        if worse == 2:  # past its top
            break
    return chosen


def _f1(said: F64, target: npt.NDArray[Any]) -> float:
    hits = ((said >= 0) & (target == 1)).sum()
    return float(2 * hits / max(1, (said >= 0).sum() + target.sum()))


_SCORES: dict[str, Callable[[F64, npt.NDArray[Any]], float]] = {
    "single": lambda said, target: float((said.argmax(axis=1) == target).mean()),
    "multi": _f1,
    "regression": lambda said, target: -float(((said[:, 0] - target) ** 2).mean()),
}
