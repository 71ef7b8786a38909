"""A small model proposes tokens, the model itself checks them all in one step (Leviathan et al. 2023).

    draft      d1 .. dK, each drawn from q
    model      reads them at once: p after each
    accept     d with probability min(1, p(d) / q(d)); the first that is not is drawn anew from max(p - q, 0)
    all taken  one more is drawn from p

So the answer is the model's own: greedily the same tokens as without a draft, drawn with the same probabilities (but
other random numbers, so that a seed gives another answer). What it costs is the draft's steps; what it saves is steps
of the model, whose weights are read once for several tokens. K grows by two where all were taken, and shrinks by one
where not. It pays for rows alone, so each answer is written by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.constraint import Constraint
from assay.inference.generate import Token, asked_of, nothing_left, whole
from assay.inference.limits import USUAL, End, Limits, Written, room_of
from assay.inference.protocol import Ids, Stepper, Writing, padded_before
from assay.inference.sampling import GREEDY, NO_RULES, Rules, Sampling
from assay.inference.steppers import stepper

FIRST, MOST = 4, 16  # proposals at a time, at first and at most


def speculate(
    model: Any,
    draft: Any,
    prompts: Sequence[Ids],
    how: Sampling = GREEDY,
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    returns: int = 1,
    seed: int = 0,
) -> list[list[Written]]:
    """Answers to each prompt, `returns` of them; see `speculative_stream`."""
    found = whole(speculative_stream(model, draft, prompts, how, limits, rules, returns=returns, seed=seed))
    return [[found[i * returns + n] for n in range(returns)] for i in range(len(prompts))]


def speculative_stream(
    model: Any,
    draft: Any,
    prompts: Sequence[Ids],
    how: Sampling = GREEDY,
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    returns: int = 1,
    seed: int = 0,
) -> Iterator[list[Token]]:
    """`generate.stream` with a draft: a list for each step of the model, of the tokens of one row.

    Args:
        draft: a model of the same ids.

    Raises:
        InputError: as `generate.stream`; or the draft has another number of ids.
    """
    of, asked = asked_of(model, prompts, limits, rules)
    small = stepper(draft)
    if of.vocabulary != small.vocabulary:
        raise InputError(
            f"the draft has {small.vocabulary} ids, and the model {of.vocabulary}", where="draft",
            remedy="give a draft of the same tokenizer",
        )  # fmt: skip
    if returns < 1:
        raise InputError(f"{returns} answers", where="returns", remedy="give 1 or more")
    return (
        tokens
        for i, prompt in enumerate(asked)
        for n, key in enumerate(sampling.keys_of(seed, prompt, returns))
        for tokens in _row(i * returns + n, of, small, prompt, how, limits, rules, key)
    )


@dataclass
class _Reader:
    """One row of a model: what it has read, and what it has still to read.

    Attributes:
        known_V: logits after all that it has read; None where the last of it was taken back.
        pending: ids that are part of the answer.
        ahead: ids that it has read and that may not be.
    """

    writing: Writing
    device: torch.device
    known_V: Tensor | None
    pending: list[int] = field(default_factory=list)
    ahead: int = 0

    @classmethod
    def of(cls, of: Stepper, prompt: list[int]) -> _Reader:
        writing = of.begin([prompt])
        return cls(writing, of.device, writing.logits()[0])

    def after(self, ids: Sequence[int]) -> Tensor:
        """(n + 1, V) logits after what was pending, and after each of n ids more."""
        unread = [*self.pending, *ids]
        first = [] if self.known_V is None else [self.known_V[None]]
        rows = [self.writing.extend(torch.tensor([unread], device=self.device))[0]] if unread else []
        found_NV = torch.cat([*first, *rows])[-len(ids) - 1 :]
        self.pending, self.known_V, self.ahead = [], found_NV[-1], self.ahead + len(ids)
        return found_NV

    def settle(self, taken: int, ids: list[int]) -> None:
        """These ids are the answer's next ones, of which so many were proposed; others are taken back."""
        kept = min(taken, self.ahead)
        if self.ahead > kept:
            self.writing.back(self.ahead - kept)
            self.known_V = None
        self.pending, self.ahead = [*self.pending, *ids[kept:]], 0


class _Draws:
    """Random numbers of one answer, one after the other."""

    def __init__(self, key: np.uint64) -> None:
        self._key, self._step = np.array([key], dtype=np.uint64), 0

    def next(self) -> float:
        self._step += 1
        return float(sampling.uniforms(self._key, self._step)[0])


@dataclass
class _Row:
    """An answer on its way.

    Attributes:
        said: prompt and answer, as rules look back on it.
    """

    said: list[int]
    most: int
    how: Sampling
    limits: Limits
    rules: Rules
    draws: _Draws
    new: list[int] = field(default_factory=list)

    def probabilities(self, logits_NV: Tensor, proposed: Sequence[int], allowed_NV: Tensor | None) -> Tensor:
        """(N, V) by which the next tokens are drawn, after the last N - 1 or fewer of what was proposed; of a greedy
        search all of it is the likeliest one's. Nothing left: nothing at all."""
        N = len(logits_NV)
        firsts = range(len(proposed) + 1 - N, len(proposed) + 1)  # how many proposals stand before each
        said_NT = None
        if self.rules.look_back:
            said_NT = padded_before([[*self.said, *proposed[:n]] for n in firsts], -1, logits_NV.device)[0]
        shaped = self.rules.apply(logits_NV, said_NT, allowed_NV)
        early = [len(self.new) + n < self.limits.least for n in firsts]
        if self.limits.stop and any(early):
            without = sampling.without(shaped, self.limits.stop)
            shaped = torch.where(torch.tensor(early, device=shaped.device)[:, None], without, shaped)
        shaped = self.how.shape(shaped)
        if not self.how.greedy:
            return shaped.double().softmax(dim=-1).nan_to_num(0.0)
        best_N1 = shaped.argmax(dim=-1, keepdim=True)
        chosen = torch.zeros_like(shaped, dtype=torch.float64)
        return chosen.scatter_(1, best_N1, (shaped.gather(1, best_N1) > sampling.NEVER).double())

    def drawn(self, p_V: Tensor) -> int | None:
        """An id by these shares, which need not sum to 1; None where there is none."""
        sums = p_V.cumsum(dim=0)
        if not sums[-1] > 0:
            return None
        if self.how.greedy:
            return int(p_V.argmax())
        last = int((sums < sums[-1]).sum())
        at = int(torch.searchsorted(sums, sums[-1] * self.draws.next(), right=True))
        return min(at, last)


@torch.inference_mode()
def _row(
    place: int, of: Stepper, small: Stepper, prompt: list[int], how: Sampling, limits: Limits, rules: Rules,
    key: np.uint64,
) -> Iterator[list[Token]]:  # fmt: skip
    row = _Row(of.history(prompt), room_of(of, prompt, limits), how, limits, rules, _Draws(key))
    reads = small.reads is None or len(prompt) <= small.reads
    ours, theirs = _Reader.of(of, prompt), _Reader.of(small, prompt) if reads else None
    drafted = room_of(small, prompt, limits) if reads else 0  # tokens that the draft has positions for
    form = None if rules.constraint is None else rules.constraint()
    at_once = FIRST
    while True:
        size = max(0, min(at_once, row.most - len(row.new) - 1, drafted - len(row.new) - 1))
        proposed, q_KV, allowed_NV = _propose(row, theirs, size, form, of)
        ours.writing.mark()
        logits_NV = ours.after(proposed)
        p_NV = row.probabilities(logits_NV, proposed, allowed_NV)
        taken, ids = _accepted(row, proposed, q_KV, p_NV)
        if ids is None:
            raise nothing_left(f"answer {place}, token {len(row.new) + taken}")
        tokens: list[Token] = []
        for n, token in enumerate(ids):
            row.new.append(token)
            end = _end(row, form)
            score = float(logits_NV[n].log_softmax(dim=-1)[token])
            tokens.append(Token(place, token, score, *(end or ())))
            if end is not None:
                break
        yield tokens
        if tokens[-1].end is not None:
            return
        row.said += ids
        ours.settle(taken, ids)
        if theirs is not None:
            theirs.settle(taken, ids)
        at_once = min(MOST, at_once + 2) if taken == len(proposed) else max(1, at_once - 1)


def _propose(
    row: _Row, theirs: _Reader | None, size: int, form: Constraint | None, of: Stepper
) -> tuple[list[int], list[Tensor], Tensor | None]:
    """(proposals, what each was drawn by, what may come at each and behind the last)."""
    form = None if form is None else form.copy()
    proposed: list[int] = []
    q_KV: list[Tensor] = []
    masks = [] if form is None else [form.allowed().to(of.device)]
    if theirs is not None and size:
        theirs.writing.mark()
    while theirs is not None and len(proposed) < size:
        logits_1V = theirs.after(proposed[-1:])[-1:].to(of.device)
        q_V = row.probabilities(logits_1V, proposed, masks[-1][None] if masks else None)[0]
        token = row.drawn(q_V)
        if token is None:
            break
        proposed.append(token)
        q_KV.append(q_V / q_V.sum())
        if form is not None:
            form.tell(token)
            if form.done:
                masks.append(torch.ones_like(masks[0]))
                break
            masks.append(form.allowed().to(of.device))
    return proposed, q_KV, torch.stack(masks) if masks else None


def _accepted(row: _Row, proposed: list[int], q_KV: list[Tensor], p_NV: Tensor) -> tuple[int, list[int] | None]:
    """(how many proposals were taken, these with the token behind them); None where nothing is left to choose."""
    for n, (token, q_V) in enumerate(zip(proposed, q_KV, strict=True)):
        p_V = p_NV[n]
        accepted = p_V[token] > 0 if row.how.greedy else row.draws.next() * q_V[token] < p_V[token]
        if accepted:
            continue
        left_V = (p_V - q_V).clamp_min(0)
        other = row.drawn(p_V if row.how.greedy or not left_V.any() else left_V)
        return n, None if other is None else [*proposed[:n], other]
    last = row.drawn(p_NV[-1])
    return len(proposed), None if last is None else [*proposed, last]


def _end(row: _Row, form: Constraint | None) -> tuple[End, int] | None:
    """How the row ends with its last token; None: it goes on."""
    if form is not None:
        form.tell(row.new[-1])
    end = row.limits.end(row.new, row.most)
    is_whole = form is not None and form.done
    return ("stop", 0) if is_whole and (end is None or end[0] != "stop") else end
