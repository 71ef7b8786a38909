"""Which tokens an answer rests on: how much each one raises the log-probability of what the model says.

    occlusion              a token becomes the average token, and the answer is asked again (tokens that spell one
                           character together, together)
    integrated gradients   the way from all average tokens to the text, and what each token adds along it (Sundararajan
                           et al. 2017): the shares of all tokens sum to the whole difference

The average token is the mean row of the embedding, in every table that tokens index. Special tokens around a text stay
what they are. The integral is a Gauss-Legendre quadrature with as many points as it takes; what its sum still lacks is
told (`Shares.gap`).

The rows of a text stand in for the table itself: a model is called with ids 0, 1, 2, .. and a table of the text's own
rows, so every family that looks tokens up is asked in one way, value embeddings and tied output matrices included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from assay.errors import InputError
from assay.models.decoder import Decoder
from assay.models.heads import Headed
from assay.models.protocol import Batch
from assay.models.recurrent import Recurrent
from assay.models.seq2seq import Seq2Seq

ROWS = 16  # of the text that are asked together
POINTS = (16, 32, 64, 128, 256)
CLOSE = 0.005  # of the difference, that the sum may lack
NEAR = 1e-4  # nats that it may lack in any case
Tables = Mapping[str, Tensor]
Method = Literal["occlusion", "gradients"]
Units = list[tuple[int, int]] | None
Answer = Callable[[Any, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Question:
    """A text and what is asked of it.

    Attributes:
        ids_T: its tokens.
        fixed_T: those that stay what they are.
        units: first token and end of what is weighed as one: tokens that spell a character together.
        also_N: other tokens that the answer looks up, which stay what they are.
        answer: (model, ids (B, T), ids of the other tokens (N,)) -> (B,) the number that is explained, in nats.
    """

    model: nn.Module
    ids_T: Tensor
    fixed_T: Tensor
    units: list[tuple[int, int]]
    also_N: Tensor
    answer: Answer


@dataclass(frozen=True)
class Shares:
    """What each unit adds to the answer.

    Attributes:
        by_unit: nats; 0 for special tokens.
        whole, without: the answer to the text, and to average tokens alone.
        gap: the sum of the shares less the difference of both; None of occlusion, whose shares need not sum to it.
    """

    by_unit: np.ndarray
    whole: float
    without: float
    gap: float | None


def next_token(model: Any, ids: list[int], special: set[int], token: int, units: Units = None) -> Question:
    """Why a language model says a token next.

    Raises:
        InputError: the model looks no tokens up in a table.
    """
    if not isinstance(model, Decoder | Recurrent):
        what = "tokens are weighed by gradients through an embedding, which this model has not"
        raise InputError(what, where="model", remedy="choose a decoder or a recurrent model")

    def answer(of: Any, ids_BT: Tensor, _: Tensor) -> Tensor:
        found = of.hidden(ids_BT)
        x_BTD = found[0] if isinstance(found, tuple) else found
        return of.logits(x_BTD[:, -1]).float().log_softmax(-1)[:, token]

    return _question(model, ids, special, units, answer)


def translated(
    model: Seq2Seq, source: list[int], target: list[int], special: set[int], token: int, units: Units = None
) -> Question:
    """Why an encoder-decoder writes a token after those of a target: which tokens of its source it rests on."""

    def answer(of: Any, ids_BS: Tensor, target_T: Tensor) -> Tensor:
        states = of.encode(ids_BS)
        x_BTD = of.hidden(states, target_T.expand(len(ids_BS), -1))
        return of.logits(x_BTD[:, -1]).float().log_softmax(-1)[:, token]

    return _question(model, source, special, units, answer, target)


def label_of(model: Headed, batch: Batch, special: set[int], label: int, units: Units = None) -> Question:
    """Why a model of a task gives a label to a text, or a number.

    Args:
        batch: of one row.

    Raises:
        InputError: its answer is not one for the whole text.
    """
    kind = model.config.head.kind
    if kind not in ("class", "labels", "value"):
        what = "a text has many answers in this task"
        raise InputError(what, where="model", remedy="choose a model that gives a text a label or a number")
    ids = batch.inputs_BT[0].tolist()

    def answer(of: Any, ids_BT: Tensor, _: Tensor) -> Tensor:
        n = len(ids_BT)
        types = None if batch.token_types_BT is None else batch.token_types_BT.expand(n, -1)
        marks = None if batch.marks_BT is None else batch.marks_BT.expand(n, -1)
        asked = Batch(ids_BT, torch.full((n, 1), -1), token_types_BT=types, marks_BT=marks)
        found = of(asked).float()
        if kind == "class":
            return found.log_softmax(-1)[:, label]
        return nn.functional.logsigmoid(found[:, label]) if kind == "labels" else found[:, 0]

    return _question(model, ids, special, units, answer)


def shares(question: Question, method: Method) -> Shares:
    """What each unit adds, by one of both methods."""
    model = question.model
    was, _ = model.training, model.eval()
    try:
        return (_occluded if method == "occlusion" else _integrated)(question)
    finally:
        model.train(was)


def _question(
    model: nn.Module, ids: list[int], special: set[int], units: Units, answer: Answer, also: Sequence[int] = ()
) -> Question:
    fixed_T = torch.tensor([i in special for i in ids])
    every = units or [(i, i + 1) for i in range(len(ids))]
    return Question(model, torch.tensor(ids), fixed_T, every, torch.tensor(also, dtype=torch.long), answer)


def _ends(question: Question) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """The rows (T, D) of the text in each table that tokens index, those of average tokens, and those (N, D) of the
    other tokens."""
    model, ids = question.model, question.ids_T
    vocabulary = model.config.body.vocabulary if isinstance(model, Headed) else model.config.vocabulary  # type: ignore[union-attr]
    tables = {
        name: p.detach() for name, p in model.named_parameters(remove_duplicate=False)
        if name.rpartition(".")[2] == "embedding" and len(p) == vocabulary
    }  # fmt: skip
    text = {name: table[ids] for name, table in tables.items()}
    mean = {name: torch.where(question.fixed_T[:, None], text[name], table.mean(0)) for name, table in tables.items()}
    return text, mean, {name: table[question.also_N] for name, table in tables.items()}


class _Asking(nn.Module):
    """The question as a module, so that its tables can be others."""

    def __init__(self, question: Question, also: Tables) -> None:
        super().__init__()
        self.model, self.answer, self.also = question.model, question.answer, also

    def forward(self, ids_BT: Tensor, also_N: Tensor) -> Tensor:
        return self.answer(self.model, ids_BT, also_N)


def _asked(asking: _Asking, rows: Tables) -> Tensor:
    """(B,) answers to texts given as rows (B, T, D) of each table."""
    B, T = next(iter(rows.values())).shape[:2]
    tables = {f"model.{name}": torch.cat([x.flatten(0, 1), asking.also[name]]) for name, x in rows.items()}
    n = len(next(iter(asking.also.values())))
    ids = torch.arange(B * T).view(B, T), torch.arange(B * T, B * T + n)
    found: Tensor = functional_call(asking, tables, ids, tie_weights=False)
    return found


@torch.no_grad()
def _two(asking: _Asking, text: Tables, mean: Tables) -> tuple[float, float]:
    whole, without = _asked(asking, {name: torch.stack([text[name], mean[name]]) for name in text}).tolist()
    return whole, without


@torch.no_grad()
def _occluded(question: Question) -> Shares:
    text, mean, also = _ends(question)
    asking = _Asking(question, also)
    whole, without = _two(asking, text, mean)
    found = np.zeros(len(question.units))
    numbers = [i for i, (first, end) in enumerate(question.units) if not question.fixed_T[first:end].all()]
    for begin in range(0, len(numbers), ROWS):
        own = numbers[begin : begin + ROWS]
        rows = {name: x.expand(len(own), *x.shape).clone() for name, x in text.items()}
        for i, unit in enumerate(own):
            places = slice(*question.units[unit])
            for name, x in rows.items():
                x[i, places] = mean[name][places]
        found[own] = whole - _asked(asking, rows).double().numpy()
    return Shares(found, whole, without, None)


def _integrated(question: Question) -> Shares:
    text, mean, also = _ends(question)
    asking = _Asking(question, also)
    whole, without = _two(asking, text, mean)
    found, gap = np.zeros(len(question.ids_T)), 0.0
    for points in POINTS:
        found = sum(_along(asking, text, mean, points), np.zeros(len(question.ids_T)))
        gap = float(found.sum()) - (whole - without)
        if abs(gap) <= max(NEAR, CLOSE * abs(whole - without)):
            break
    by_unit = np.array([found[first:end].sum() for first, end in question.units])
    return Shares(by_unit, whole, without, gap)


def _along(asking: _Asking, text: Tables, mean: Tables, points: int) -> Iterator[np.ndarray]:
    """(T,) what some points of the way add."""
    places, weights = np.polynomial.legendre.leggauss(points)
    for begin in range(0, points, ROWS):
        at = torch.tensor((places[begin : begin + ROWS] + 1) / 2, dtype=torch.float32)[:, None, None]
        weight = torch.tensor(weights[begin : begin + ROWS] / 2)[:, None]
        rows = {name: (mean[name] + at * (text[name] - mean[name])).requires_grad_() for name in text}
        with torch.enable_grad():
            slopes = torch.autograd.grad(_asked(asking, rows).sum(), list(rows.values()), allow_unused=True)
        for name, slope in zip(rows, slopes, strict=True):
            if slope is not None:
                yield ((slope * (text[name] - mean[name])).sum(-1).double() * weight).sum(0).numpy()
