"""Chains of labels (Lafferty, McCallum and Pereira 2001), compiled: scores of features at each place, and of each pair
of labels side by side.

Arrays: weights (features, labels) and steps (labels + 1, labels), the last row of which is of a sentence's first label;
`found` (places, n) has the numbers of each place's features, -1 where one is not known; ends (sentences + 1,). Without
`chained` the steps count for nothing, and time does not grow with the square of the labels. No loop allocates anything.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from assay.corpus.text.compiled import compiled


class Room(NamedTuple):
    """Where the loops write, for the longest sentence: scores, ahead, back, chances, came (places, labels); turns and
    moves like the steps."""

    scores: Any
    ahead: Any
    back: Any
    chances: Any
    came: Any
    turns: Any
    moves: Any


def room(longest: int, n_labels: int) -> Room:
    """Such arrays for sentences of at most so many places."""
    scores, ahead, back, chances = (np.zeros((longest, n_labels)) for _ in range(4))
    turns, moves = np.zeros((n_labels + 1, n_labels)), np.zeros((n_labels + 1, n_labels))
    return Room(scores, ahead, back, chances, np.zeros((longest, n_labels), dtype=np.int64), turns, moves)


@compiled
def _exponential(steps: Any, turns: Any) -> None:
    for before in range(steps.shape[0]):
        for label in range(steps.shape[1]):
            turns[before, label] = math.exp(steps[before, label])


@compiled
def _scored(weights: Any, found: Any, begin: int, end: int, scores: Any) -> None:
    """scores (places, labels) of what stands at the places of one sentence."""
    n_labels = weights.shape[1]
    for place in range(begin, end):
        row = scores[place - begin]
        for label in range(n_labels):
            row[label] = 0.0
        for i in range(found.shape[1]):
            feature = found[place, i]
            if feature >= 0:
                for label in range(n_labels):
                    row[label] += weights[feature, label]


@compiled
def _forward(own: Room, n: int, chained: bool) -> None:
    """`ahead`: how likely each label is by all that stands up to its place. Place by place scaled, so that nothing
    overflows; `scores` becomes its exponential, of a place over its largest."""
    scores, ahead, turns, n_labels = own.scores, own.ahead, own.turns, own.scores.shape[1]
    for place in range(n):
        top = -1e30
        for label in range(n_labels):
            top = max(top, scores[place, label])
        total = 0.0
        for label in range(n_labels):
            scores[place, label] = math.exp(scores[place, label] - top)
            value = turns[n_labels, label]
            if place and chained:
                value = 0.0
                for before in range(n_labels):
                    value += ahead[place - 1, before] * turns[before, label]
            ahead[place, label] = value * scores[place, label]
            total += ahead[place, label]
        for label in range(n_labels):
            ahead[place, label] /= total


@compiled
def _marginals(own: Room, n: int, chained: bool) -> None:
    """`chances` of each label at each place, whatever the others are: `ahead` by all up to there, `back` by what stands
    behind."""
    _forward(own, n, chained)
    scores, ahead, back, turns, n_labels = own.scores, own.ahead, own.back, own.turns, own.scores.shape[1]
    for place in range(n - 1, -1, -1):
        total = 0.0
        for label in range(n_labels):
            value = 1.0
            if chained and place < n - 1:
                value = 0.0
                for after in range(n_labels):
                    value += turns[label, after] * scores[place + 1, after] * back[place + 1, after]
            back[place, label] = value
            total += value
        whole = 0.0
        for label in range(n_labels):
            back[place, label] /= total
            own.chances[place, label] = ahead[place, label] * back[place, label]
            whole += own.chances[place, label]
        for label in range(n_labels):
            own.chances[place, label] /= whole


@compiled
def _moved(own: Room, n: int, labels: Any, begin: int) -> None:
    """`moves`: how often one label stands before another, less how often the model expects it."""
    scores, ahead, back, turns, moves = own.scores, own.ahead, own.back, own.turns, own.moves
    n_labels = scores.shape[1]
    moves[:, :] = 0.0
    for place in range(1, n):
        total = 0.0
        for before in range(n_labels):
            for label in range(n_labels):
                total += ahead[place - 1, before] * turns[before, label] * scores[place, label] * back[place, label]
        for label in range(n_labels):
            behind = scores[place, label] * back[place, label] / total
            for before in range(n_labels):
                moves[before, label] -= ahead[place - 1, before] * turns[before, label] * behind
        moves[labels[begin + place - 1], labels[begin + place]] += 1.0
    for label in range(n_labels):
        moves[n_labels, label] -= own.chances[0, label]
    moves[n_labels, labels[begin]] += 1.0


@compiled
def _stepped(values: Any, squares: Any, row: int, label: int, slope: float, rate: float, strength: float) -> None:
    """AdaGrad (Duchi, Hazan and Singer 2011): smaller steps where slopes were large."""
    slope -= strength * values[row, label]
    squares[row, label] += slope * slope
    values[row, label] += rate * slope / math.sqrt(squares[row, label] + 1e-8)


@compiled
def learned(
    weights: Any, squares: Any, steps: Any, steps_squares: Any, found: Any, ends: Any, labels: Any, order: Any,
    chained: bool, rate: float, strength: float, own: Room,
) -> None:  # fmt: skip
    """One pass over the sentences in an order, a step towards a higher likelihood of its labels at each."""
    n_labels = weights.shape[1]
    _exponential(steps, own.turns)
    for one in order:
        begin, n = ends[one], ends[one + 1] - ends[one]
        if n == 0:
            continue
        _scored(weights, found, begin, begin + n, own.scores)
        _marginals(own, n, chained)
        if chained:
            _moved(own, n, labels, begin)
            for before in range(n_labels + 1):
                for label in range(n_labels):
                    _stepped(steps, steps_squares, before, label, own.moves[before, label], rate, strength)
            _exponential(steps, own.turns)
        for place in range(n):
            own.chances[place, labels[begin + place]] -= 1.0
            for i in range(found.shape[1]):
                feature = found[begin + place, i]
                for label in range(n_labels if feature >= 0 else 0):
                    _stepped(weights, squares, feature, label, -own.chances[place, label], rate, strength)


@compiled
def _likeliest(steps: Any, own: Room, n: int, begin: int, chained: bool, best: Any) -> None:
    """The likeliest labels of a sentence as a whole (Viterbi 1967); `ahead` has the scores of the best ways."""
    scores, ahead, came, n_labels = own.scores, own.ahead, own.came, own.scores.shape[1]
    for place in range(n):
        for label in range(n_labels):
            top, which = steps[n_labels, label], 0
            if place and chained:
                top = -1e30
                for before in range(n_labels):
                    value = ahead[place - 1, before] + steps[before, label]
                    if value > top:
                        top, which = value, before
            ahead[place, label] = top + scores[place, label]
            came[place, label] = which
    for place in range(n - 1, -1, -1):
        if chained and place < n - 1:
            best[begin + place] = came[place + 1, best[begin + place + 1]]
            continue
        which = 0
        for label in range(n_labels):
            if ahead[place, label] > ahead[place, which]:
                which = label
        best[begin + place] = which


@compiled
def decoded(
    weights: Any, steps: Any, found: Any, ends: Any, chained: bool, best: Any, chance: Any, own: Room
) -> None:  # fmt: skip
    """best (places,): the likeliest labels; chance (places,): of that label at its place, whatever the others are."""
    _exponential(steps, own.turns)
    for one in range(len(ends) - 1):
        begin, n = ends[one], ends[one + 1] - ends[one]
        if n == 0:
            continue
        _scored(weights, found, begin, begin + n, own.scores)
        _likeliest(steps, own, n, begin, chained, best)
        _marginals(own, n, chained)
        for place in range(begin, begin + n):
            chance[place] = own.chances[place - begin, best[place]]


@compiled
def likely(weights: Any, steps: Any, found: Any, ends: Any, chained: bool, made: Any, own: Room) -> None:
    """made (places, labels): the chance of each label at its place, whatever the others are."""
    _exponential(steps, own.turns)
    for one in range(len(ends) - 1):
        begin, n = ends[one], ends[one + 1] - ends[one]
        if n == 0:
            continue
        _scored(weights, found, begin, begin + n, own.scores)
        _marginals(own, n, chained)
        for place in range(n):
            for label in range(weights.shape[1]):
                made[begin + place, label] = own.chances[place, label]
