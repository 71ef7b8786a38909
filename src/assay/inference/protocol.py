"""What search asks of a model: prompts in, logits of the next token out, step by step.

    stepper(model).begin(prompts) -> Writing       rows that are being written, one a prompt
    writing.logits()                               (B, V) of each row's next token
    writing.step(ids_B)                            each row has its next token
    writing.take(rows_N) -> Writing                other rows: some dropped, some twice (beams), in another order
    writing.join(other) -> Writing                 its rows, and behind them another's, at other lengths maybe
    writing.put(other, at) -> bool                 another's rows in the places of some that are done, if they fit there
    writing.read(ids_BT)                           each row has its next tokens, several at once
    writing.follow(ids_BT)                         log-probability of what is given to follow
    writing.states()                               states of what was read last: for contrastive search
    writing.mark(), extend(ids_BT), back(n)        several tokens at once, some of them taken back: for drafts

`steppers` has every family of models behind it; a class of one's own that has these methods is searched as they are.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from assay.errors import InputError

Ids = Sequence[int]


class Writing(Protocol):
    """Rows that are being written."""

    def logits(self) -> Tensor:
        """(B, V) of each row's next token, in float32 (of n-grams: log-probabilities, in float64)."""

    def step(self, ids_B: Tensor) -> None:
        """Each row's next token (int64), after which the logits are those of the one after it."""

    def take(self, rows_N: Tensor, *, last: bool = False) -> Writing:
        """These rows in this order, each as often as it is named.

        Args:
            last: what they are taken from is not asked for anything more; otherwise it stays as it was.
        """

    def join(self, other: Writing) -> Writing:
        """These rows and, behind them, those of another writing with the same model. Neither of both is asked for
        anything more."""

    def put(self, other: Writing, at: Sequence[int]) -> bool:
        """The rows of another writing take the places of some of these, which nobody asks for any more: nothing else
        is copied. False: they do not fit there, or would keep alive what should be let go, and nothing was done; the
        way is then `take` and `join`."""

    def read(self, ids_BT: Tensor) -> None:
        """Each row's next tokens: as many steps, in one."""

    def follow(self, ids_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(log-probability of each id after those before it, whether it was the most likely one), each (B, T). Negative
        ids, at the ends of rows, count for nothing: 0 and True. The rows are used up."""

    def states(self) -> Tensor | None:
        """(B, T, D) final states of what was read last: the prompt's tokens (of an encoder-decoder, the target's
        start), shorter ones behind padding, or the last step's token. None where a model has none. Asked for before
        rows are taken."""

    def mark(self) -> None:
        """What is read from now on may be taken back."""

    def extend(self, ids_BT: Tensor) -> Tensor:
        """Several tokens of each row; logits (B, T, V) after each."""

    def back(self, count: int) -> None:
        """The last tokens of every row are taken back, none of those before the mark. The logits are those of one
        that was taken back until something is read again."""


class Stepper(Protocol):
    """A model that writes.

    Attributes:
        vocabulary: V; ids are 0 to V - 1.
        device: that the model is on.
        reads: the most tokens of a prompt; None: any number.
        in_pieces: a prompt can be begun with its first tokens, and the others be read later; else it is read at once.
    """

    vocabulary: int
    device: torch.device
    reads: int | None
    in_pieces: bool

    def history(self, prompt: Ids) -> list[int]:
        """The ids that stand in a row before what is written: what a repetition is one of."""

    def room(self, prompt: Ids) -> int | None:
        """How many tokens can be written after a prompt; None: any number."""

    def begin(self, prompts: Sequence[Ids]) -> Writing:
        """A row for each prompt; they were checked."""


def checked(of: Stepper, ids: Ids, where: str, *, is_prompt: bool = True) -> list[int]:
    """Ids as a list of numbers.

    Args:
        where: they are from, for the error.
        is_prompt: they are read by the model, so there has to be one at least, and not too many.

    Raises:
        InputError: there are none, too many, or some are outside of the vocabulary.
    """
    found = [operator.index(i) for i in ids]
    if not found and is_prompt:
        raise InputError(
            "an empty prompt", where=where, remedy="begin it with the id that documents begin with in training"
        )
    if is_prompt and of.reads is not None and len(found) > of.reads:
        raise InputError(
            f"{len(found)} tokens, and the model has {of.reads} positions", where=where, remedy="cut the prompt"
        )
    if found and (min(found) < 0 or max(found) >= of.vocabulary):
        worst = min(found) if min(found) < 0 else max(found)
        raise InputError(
            f"token id {worst}, and the model's are 0 to {of.vocabulary - 1}", where=where,
            remedy="encode the text with the tokenizer that the model was trained with",
        )  # fmt: skip
    return found


def padded_before(rows: Sequence[Ids], filler: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(ids (B, T), number of fillers (B,) before each row's ids)."""
    longest = max(len(row) for row in rows)
    ids_BT = torch.tensor([[*[filler] * (longest - len(row)), *row] for row in rows], device=device)
    return ids_BT, torch.tensor([longest - len(row) for row in rows], device=device)
