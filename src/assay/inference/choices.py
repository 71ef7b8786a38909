"""How likely each of several continuations is: what multiple-choice questions are answered by.

A prompt is read once, whatever the number of its continuations, and each goes on from what was remembered of it.
Scores are those of `model.loss` at the continuation's positions, and do not depend on what is scored together, up to
the rounding of products of another size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from assay.errors import InputError
from assay.inference.generate import ROWS
from assay.inference.limits import prompts_of
from assay.inference.protocol import Ids, Stepper, checked
from assay.inference.steppers import stepper


@dataclass(frozen=True)
class Likelihood:
    """Of one continuation, in nats.

    Attributes:
        by_token: log-probability of each token after those before it.
        most_likely: every token is the most likely one at its place: greedy decoding would write the continuation.
        n_bytes: of its text, where they were given.
    """

    by_token: tuple[float, ...]
    most_likely: bool
    n_bytes: int | None = None

    @property
    def total(self) -> float:
        """The log-probability of the whole."""
        return math.fsum(self.by_token)

    @property
    def per_token(self) -> float:
        return self.total / len(self.by_token)

    @property
    def per_byte(self) -> float:
        """Comparable between continuations whose tokens have different lengths.

        Raises:
            InputError: the number of bytes was not given.
        """
        if not self.n_bytes:
            raise InputError("no number of bytes", where="n_bytes", remedy="give the bytes of each continuation's text")
        return self.total / self.n_bytes


def choices(
    model: Any, prompt: Ids, continuations: Sequence[Ids], n_bytes: Sequence[int] | None = None, *, rows: int = ROWS
) -> list[Likelihood]:
    """How likely each continuation of a prompt is: `likelihoods` of one prompt."""
    return likelihoods(model, [prompt], [continuations], None if n_bytes is None else [n_bytes], rows=rows)[0]


def likelihoods(
    model: Any,
    prompts: Sequence[Ids],
    continuations: Sequence[Sequence[Ids]],
    n_bytes: Sequence[Sequence[int]] | None = None,
    *,
    rows: int = ROWS,
) -> list[list[Likelihood]]:
    """How likely each of a prompt's continuations is, for many prompts.

    Args:
        model: a decoder, encoder-decoder, recurrent or n-gram model, or a `Stepper` of one's own.
        prompts: token ids; an encoder-decoder's are sources, and its continuations targets.
        continuations: of each prompt, token ids; where the end counts, the id that ends a text is their last.
        n_bytes: of the text of each.
        rows: that are scored together at most.

    Raises:
        InputError: a prompt or a continuation is empty, too long for the model's positions together, or has ids that
            are not the model's; the lengths of the arguments differ; the model gives no likelihood.
    """
    of = stepper(model)
    asked = prompts_of(of, prompts)
    if len(continuations) != len(asked) or (n_bytes is not None and [*map(len, n_bytes)] != [*map(len, continuations)]):
        raise InputError(
            "prompts, continuations and bytes are not of one number", where="continuations",
            remedy="give a list of continuations for each prompt, and a number of bytes for each of them",
        )  # fmt: skip
    if rows < 1:
        raise InputError(f"{rows} rows", where="rows", remedy="give 1 or more")
    given = [
        [_checked(of, asked[i], ids, f"continuations[{i}][{j}]") for j, ids in enumerate(own)]
        for i, own in enumerate(continuations)
    ]
    found: dict[tuple[int, int], Likelihood] = {}
    for places in _groups(of, asked, given, rows):
        writing = of.begin([asked[i] for i in places])
        items = [(b, i, j) for b, i in enumerate(places) for j in range(len(given[i]))]
        for at in range(0, len(items), rows):
            some = items[at : at + rows]
            longest = max(len(given[i][j]) for _, i, j in some)
            padded = [[*given[i][j], *[-1] * (longest - len(given[i][j]))] for _, i, j in some]
            one_each = len(items) == len(places) <= rows
            taken = writing if one_each else writing.take(torch.tensor([b for b, _, _ in some], device=of.device))
            scores, best = (x.tolist() for x in taken.follow(torch.tensor(padded, device=of.device)))
            for row, (_, i, j) in enumerate(some):
                n = len(given[i][j])
                size = None if n_bytes is None else n_bytes[i][j]
                found[i, j] = Likelihood(tuple(scores[row][:n]), all(best[row][:n]), size)
    return [[found[i, j] for j in range(len(own))] for i, own in enumerate(given)]


def _checked(of: Stepper, prompt: list[int], ids: Ids, where: str) -> list[int]:
    found = checked(of, ids, where, is_prompt=False)
    room = of.room(prompt)
    if not found:
        raise InputError("an empty continuation", where=where, remedy="give one token at least")
    if room is not None and len(found) > room:
        raise InputError(
            f"{len(found)} tokens, and the model has positions for {room} more after this prompt", where=where,
            remedy="cut the prompt",
        )  # fmt: skip
    return found


def _groups(of: Stepper, prompts: list[list[int]], given: list[list[list[int]]], rows: int) -> Iterator[list[int]]:
    """Places of prompts that are read together: alike in length, with at most `rows` continuations in all, or one.

    Rows of a group are as long as its longest prompt with its longest continuation, for which there has to be room.
    """
    group: list[int] = []
    size = longest = 0
    for i in sorted((i for i in range(len(prompts)) if given[i]), key=lambda i: -len(prompts[i])):
        own = max(map(len, given[i]))
        room = of.room(prompts[group[0]]) if group else None
        if group and (size + len(given[i]) > rows or (room is not None and max(longest, own) > room)):
            yield group
            group, size, longest = [], 0, 0
        group.append(i)
        size, longest = size + len(given[i]), max(longest, own)
    if group:
        yield group
