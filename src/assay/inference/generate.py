"""Greedy and sampled continuations of prompts, step by step.

    generate(model, prompts)   -> answers
    stream(model, prompts)     -> an iterator: each row's next token, as it is chosen

An answer depends on the model, its prompt, its seed and the settings: not on the prompts beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.constraint import Constraint, masks
from assay.inference.limits import USUAL, End, Limits, Written, batches, prompts_of, room_of
from assay.inference.protocol import Ids, Stepper, Writing, checked, padded_before
from assay.inference.sampling import GREEDY, NO_RULES, Rules, Sampling
from assay.inference.steppers import stepper

ROWS = 64
DROPPED = 8  # rows are dropped when one in so many is done: dropping copies what the others remember


@dataclass(frozen=True)
class Token:
    """One token of one row.

    Attributes:
        row: number of the answer: the prompt's number times the answers a prompt, plus the answer's own.
        id: what was chosen.
        log_probability: of it, in nats, as the model has it: before rules and sampling.
        end: how the row ends with this token; None: it goes on.
        stopped_by: how many of the row's last ids are the stop.
        likeliest: the most likely ids in its place, as many as were asked for, with their log-probabilities.
    """

    row: int
    id: int
    log_probability: float
    end: End | None = None
    stopped_by: int = 0
    likeliest: tuple[tuple[int, float], ...] = ()


@dataclass
class _Row:
    """A row that is being written.

    Attributes:
        place: among the answers.
        most: tokens that it has room for.
        form: that it has to have.
    """

    place: int
    most: int
    form: Constraint | None
    new: list[int] = field(default_factory=list)

    def end(self, limits: Limits) -> tuple[End, int] | None:
        """How it ends with its last token; None: it goes on."""
        if self.form is not None:
            self.form.tell(self.new[-1])
        end = limits.end(self.new, self.most)
        is_whole = self.form is not None and self.form.done
        return ("stop", 0) if is_whole and (end is None or end[0] != "stop") else end


def generate(
    model: Any,
    prompts: Sequence[Ids],
    how: Sampling = GREEDY,
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    returns: int = 1,
    seed: int | Sequence[int] = 0,
    rows: int = ROWS,
) -> list[list[Written]]:
    """Answers to each prompt, `returns` of them.

    Args:
        model: a decoder, encoder-decoder, recurrent or n-gram model, or a `Stepper` of one's own.
        prompts: token ids; an encoder-decoder's are sources.
        returns: answers to a prompt, drawn independently of each other.
        seed: of what is drawn; or one for each prompt. An answer's random numbers follow from seed, prompt and the
            answer's number, so a prompt that is given twice with one seed gets one answer twice.
        rows: that are written together at most.

    Raises:
        InputError: a prompt is empty, longer than the model's positions or has ids that are not the model's, the model
            cannot write, or the settings leave no token to choose.
    """
    answers = whole(stream(model, prompts, how, limits, rules, returns=returns, seed=seed, rows=rows))
    return [[answers[i * returns + n] for n in range(returns)] for i in range(len(prompts))]


def whole(steps: Iterable[list[Token]]) -> dict[int, Written]:
    """What is streamed, as whole answers, by row."""
    written: dict[int, tuple[list[int], list[float]]] = {}
    answers: dict[int, Written] = {}
    for tokens in steps:
        for token in tokens:
            ids, scores = written.setdefault(token.row, ([], []))
            ids.append(token.id)
            scores.append(token.log_probability)
            if token.end is not None:
                answers[token.row] = Written(tuple(ids), tuple(scores), token.end, token.stopped_by, sum(scores))
    return answers


def stream(
    model: Any,
    prompts: Sequence[Ids],
    how: Sampling = GREEDY,
    limits: Limits = USUAL,
    rules: Rules = NO_RULES,
    *,
    returns: int = 1,
    seed: int | Sequence[int] = 0,
    rows: int = ROWS,
) -> Iterator[list[Token]]:
    """`generate` as it goes: a list for each step, of one token for each row that is being written. Where there are
    more than `rows`, some end before others begin.

    Raises:
        InputError: as `generate`, all but the last before the first token is chosen.
    """
    of, asked = asked_of(model, prompts, limits, rules)
    if returns < 1 or rows < 1:
        raise InputError(f"{returns} answers in {rows} rows", where="returns, rows", remedy="give 1 or more")
    seeds = list(seed) if isinstance(seed, Sequence) else [seed] * len(asked)
    if len(seeds) != len(asked):
        raise InputError(f"{len(seeds)} seeds for {len(asked)} prompts", where="seed", remedy="give one, or one each")
    return _streamed(of, asked, how, limits, rules, returns, seeds, rows)


def _streamed(
    of: Stepper,
    prompts: list[list[int]],
    how: Sampling,
    limits: Limits,
    rules: Rules,
    returns: int,
    seeds: list[int],
    rows: int,
) -> Iterator[list[Token]]:
    for places in batches([len(p) for p in prompts], returns, rows):
        some = [prompts[i] for i in places]
        writing, each = of.begin(some), range(returns)
        if returns > 1:
            writing = writing.take(torch.arange(len(some), device=of.device).repeat_interleave(returns))
        make = rules.constraint
        open_rows = [
            _Row(i * returns + n, room_of(of, prompts[i], limits), None if make is None else make())
            for i in places
            for n in each
        ]
        keys_B = np.concatenate([sampling.keys_of(seeds[i], prompts[i], returns) for i in places])
        said_BT = None
        if rules.look_back:
            said_BT = padded_before([of.history(p) for p in some for _ in each], -1, of.device)[0]
        yield from _batch(writing, open_rows, keys_B, said_BT, how, limits, rules)


def _batch(
    writing: Writing,
    rows: list[_Row],
    keys_B: np.ndarray,
    said_BT: Tensor | None,
    how: Sampling,
    limits: Limits,
    rules: Rules,
) -> Iterator[list[Token]]:
    """Rows that are written together. A row that is done is passed over until it is dropped."""
    done: set[int] = set()  # places in `rows`
    for step in range(limits.new):
        uniform_B = None if how.greedy else sampling.uniforms(keys_B, step)
        logits_BV, allowed_BV = writing.logits(), None
        if rules.constraint is not None:
            forms = [None if b in done else row.form for b, row in enumerate(rows)]
            allowed_BV = masks(forms, logits_BV.shape[-1], logits_BV.device)
        excluded = limits.stop if step < limits.least else ()
        with torch.inference_mode():
            left_BV = rules.apply(logits_BV, said_BT, allowed_BV)
            ids_B, scores = sampling.pick(logits_BV, left_BV, how, excluded, uniform_B)
        ids, tokens = ids_B.tolist(), []
        for b, row in enumerate(rows):
            if b in done:
                continue
            if scores[b] is None:
                raise nothing_left(f"answer {row.place}, token {step}")
            row.new.append(ids[b])
            end = row.end(limits)
            tokens.append(Token(row.place, ids[b], scores[b] or 0.0, *(end or ())))
            if end is not None:
                done.add(b)
        yield tokens
        if len(done) == len(rows):
            return
        if said_BT is not None:
            said_BT = torch.cat([said_BT, ids_B[:, None]], dim=1)
        is_full = any(step + 1 >= rows[b].most for b in done)  # the model cannot read on, whenever the row was done
        if is_full or len(done) * DROPPED >= len(rows):
            kept = [b for b in range(len(rows)) if b not in done]
            kept_N = torch.tensor(kept, device=ids_B.device)
            writing, ids_B = writing.take(kept_N, last=True), ids_B[kept_N]
            rows, keys_B, done = [rows[b] for b in kept], keys_B[kept], set()
            said_BT = None if said_BT is None else said_BT[kept_N]
        writing.step(ids_B)


def asked_of(model: Any, prompts: Sequence[Ids], limits: Limits, rules: Rules) -> tuple[Stepper, list[list[int]]]:
    """What writes with a model, and the prompts that it goes on from, as every search begins.

    Raises:
        InputError: as `generate`.
    """
    of = stepper(model)
    asked = prompts_of(of, prompts)
    check(of, limits, rules)
    return of, asked


def check(of: Stepper, limits: Limits, rules: Rules) -> None:
    """Raises InputError: the ids of limits or rules are not the model's."""
    limits.check(of)
    checked(of, rules.banned, "rules.banned", is_prompt=False)


def nothing_left(where: str) -> InputError:
    remedy = "allow more in rules, or ask for fewer tokens"
    return InputError("the settings leave no token to choose", where=where, remedy=remedy)
