"""Contrastive search (Su et al. 2022): likely tokens that are unlike what was said, without chance.

At every step each of the k likeliest tokens v is read, and the one with the greatest

    (1 - alpha) p(v) - alpha max_j cos(h_v, h_j)

is kept: h_v is the final state once v was read, h_j those of the prompt's and the answer's tokens. Text that repeats
itself has states that repeat themselves, so it is left for something else that is likely. A step reads k rows a prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.generate import ROWS, Token, asked_of, nothing_left, whole
from assay.inference.limits import USUAL, Limits, Written, batches, room_of
from assay.inference.protocol import Ids, Stepper, Writing, padded_before
from assay.inference.sampling import NO_RULES, Rules


@dataclass(frozen=True)
class Contrast:
    """How the next token is chosen.

    Attributes:
        alpha: weight of being unlike what was said; 0: greedy decoding.
        candidates: k.
    """

    alpha: float = 0.6
    candidates: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.candidates < 1:
            what = f"alpha {self.alpha} over {self.candidates} candidates"
            raise InputError(what, where="contrast", remedy="give 0 <= alpha <= 1, and 1 candidate or more")


def contrastive_search(
    model: Any,
    prompts: Sequence[Ids],
    how: Contrast = Contrast(),
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    rows: int = ROWS,
) -> list[Written]:
    """An answer to each prompt; see `contrastive_stream`."""
    found = whole(contrastive_stream(model, prompts, how, limits, rules, rows=rows))
    return [found[i] for i in range(len(prompts))]


def contrastive_stream(
    model: Any,
    prompts: Sequence[Ids],
    how: Contrast = Contrast(),
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    rows: int = ROWS,
) -> Iterator[list[Token]]:
    """`generate.stream` by contrastive search.

    Args:
        rows: that are written together at most: `rows` over k prompts, one at least.

    Raises:
        InputError: as `generate.stream`; the model has no states (n-grams), or the rules have a constraint.
    """
    of, asked = asked_of(model, prompts, limits, rules)
    if rules.constraint is not None:
        remedy = "take another search, or leave the constraint out"
        raise InputError("contrastive search knows no constraint", where="rules.constraint", remedy=remedy)
    return _streamed(of, asked, how, limits, rules, rows)


def _streamed(
    of: Stepper, asked: list[list[int]], how: Contrast, limits: Limits, rules: Rules, rows: int
) -> Iterator[list[Token]]:
    for places in batches([len(p) for p in asked], how.candidates, rows):
        some = [asked[i] for i in places]
        writing, history = of.begin(some), [of.history(p) for p in some]
        states_BTD = writing.states()
        if states_BTD is None:
            remedy = "give a neural model, or another search"
            raise InputError("the model has no states to compare", where="contrastive search", remedy=remedy)
        lengths = torch.tensor([len(ids) for ids in history], device=of.device)
        T = states_BTD.shape[1]
        seen_BT = torch.arange(T, device=of.device) >= T - lengths[:, None]
        said_BT = padded_before(history, -1, of.device)[0] if rules.look_back else None
        most, rooms = [room_of(of, prompt, limits) for prompt in some], [of.room(prompt) for prompt in some]
        known = _Known(functional.normalize(states_BTD, dim=-1), seen_BT, said_BT)
        yield from _batch(writing, known, places, most, how, limits, rules, rooms)


@dataclass(frozen=True)
class _Known:
    """What was said in each row.

    Attributes:
        states_BTD: of length 1.
        seen_BT: which of them are of tokens, and not of padding.
        said_BT: ids, where a rule looks back.
    """

    states_BTD: Tensor
    seen_BT: Tensor
    said_BT: Tensor | None

    def likeness(self, states_BKD: Tensor) -> Tensor:
        """(B, K) the greatest cosine between each candidate's state and one that is known."""
        cosines_BKT = functional.normalize(states_BKD, dim=-1) @ self.states_BTD.transpose(1, 2)
        return cosines_BKT.masked_fill(~self.seen_BT[:, None], sampling.NEVER).amax(dim=-1)

    def rows(self, rows_N: Tensor) -> _Known:
        said_NT = None if self.said_BT is None else self.said_BT[rows_N]
        return _Known(self.states_BTD[rows_N], self.seen_BT[rows_N], said_NT)

    def more(self, states_BD: Tensor, ids_B: Tensor) -> _Known:
        states = torch.cat([self.states_BTD, functional.normalize(states_BD, dim=-1)[:, None]], dim=1)
        seen = functional.pad(self.seen_BT, (0, 1), value=True)
        said = None if self.said_BT is None else torch.cat([self.said_BT, ids_B[:, None]], dim=1)
        return _Known(states, seen, said)


def _batch(
    writing: Writing, known: _Known, places: list[int], most: list[int], how: Contrast, limits: Limits, rules: Rules,
    rooms: list[int | None],
) -> Iterator[list[Token]]:  # fmt: skip
    """Prompts that are written together; one that is done is dropped.

    Args:
        most: tokens that each may have; rooms: that it has positions for. The last one that it has a position for
            cannot be read, so it is the likeliest.
    """
    new: list[list[int]] = [[] for _ in places]
    for step in range(limits.new):
        last = [b for b, room in enumerate(rooms) if room is not None and step + 1 >= room]
        for reads in (False, True):
            rows = [b for b in range(len(places)) if (b not in last) == reads]
            if not rows:
                continue
            found = _likely(writing, known, step, how.candidates, limits, rules)
            if reads:
                writing, known, at = _contrasted(writing, known, found, how)
            else:
                at = [0] * len(places)
            tokens, done = [], set()
            for b in rows:
                token, score = int(found.ids_BK[b, at[b]]), float(found.scores_BK[b, at[b]])
                if not bool(found.possible_BK[b, at[b]]):
                    raise nothing_left(f"answer {places[b]}, token {step}")
                new[b].append(token)
                end = limits.end(new[b], most[b])
                tokens.append(Token(places[b], token, score, *(end or ())))
                done |= {b} if end is not None else set()
            yield tokens
            if done:
                kept = [b for b in range(len(places)) if b not in done]
                if not kept:
                    return
                rows_N = torch.tensor(kept, device=known.states_BTD.device)
                writing, known = writing.take(rows_N, last=True), known.rows(rows_N)
                places, most, new = [places[b] for b in kept], [most[b] for b in kept], [new[b] for b in kept]
                rooms, last = [rooms[b] for b in kept], []


@dataclass(frozen=True)
class _Likely:
    """The likeliest tokens of each row, each (B, K): ids, their probabilities under the rules, the model's
    log-probabilities, and whether the rules leave them."""

    ids_BK: Tensor
    shares_BK: Tensor
    scores_BK: Tensor
    possible_BK: Tensor


@torch.inference_mode()
def _likely(writing: Writing, known: _Known, step: int, candidates: int, limits: Limits, rules: Rules) -> _Likely:
    logits_BV = writing.logits()
    shaped_BV = rules.apply(logits_BV, known.said_BT)
    if step < limits.least and limits.stop:
        shaped_BV = sampling.without(shaped_BV, limits.stop)
    shares_BK, ids_BK = shaped_BV.softmax(dim=-1).topk(min(candidates, shaped_BV.shape[-1]), dim=-1)
    scores_BK = logits_BV.log_softmax(dim=-1).gather(1, ids_BK)
    return _Likely(ids_BK, shares_BK, scores_BK, shaped_BV.gather(1, ids_BK) > sampling.NEVER)


@torch.inference_mode()
def _contrasted(writing: Writing, known: _Known, found: _Likely, how: Contrast) -> tuple[Writing, _Known, list[int]]:
    """Rows that have read the best of the likely tokens, what is then known, and which of them it is."""
    B, K = found.ids_BK.shape
    rows_B = torch.arange(B, device=found.ids_BK.device)
    after = writing.take(rows_B.repeat_interleave(K))
    after.step(found.ids_BK.flatten())
    states = after.states()
    assert states is not None
    states_BKD = states[:, -1].view(B, K, -1)
    value_BK = (1 - how.alpha) * found.shares_BK - how.alpha * known.likeness(states_BKD)
    at_B = value_BK.masked_fill(~found.possible_BK, sampling.NEVER).argmax(dim=-1)
    known = known.more(states_BKD[rows_B, at_B], found.ids_BK[rows_B, at_B])
    return after.take(rows_B * K + at_B, last=True), known, at_B.tolist()
