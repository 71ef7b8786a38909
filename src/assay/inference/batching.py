"""Continuous batching (Yu et al. 2022): rows join and leave a batch that is being written, between its steps.

    batch.add(asked) -> numbers of its rows      waits for its turn, first come first served
    batch.step()     -> a token of each row      prompts are read, what is done leaves, who waits joins
    batch.cancel(numbers)                        rows that nobody wants any more leave with the next step

Each row has its own settings, limits and random numbers, and says what `generate` says to its prompt alone. A step
reads no more than so many tokens of prompts: a long one is read in pieces, while the others go on writing. There are no
threads here: whoever calls `step` does the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.errors import InputError
from assay.inference import sampling
from assay.inference.constraint import Constraint, masks
from assay.inference.generate import DROPPED, ROWS, Token, check, nothing_left
from assay.inference.limits import USUAL, End, Limits, room_of
from assay.inference.protocol import Ids, Stepper, Writing, checked, padded_before
from assay.inference.sampling import GREEDY, NO_RULES, NO_SHIFTS, Rules, Sampling, Shifts
from assay.inference.steppers import stepper

PROMPT_TOKENS = 512  # read in a step


@dataclass(frozen=True)
class Asked:
    """A prompt, and how it is answered.

    Attributes:
        returns: answers, drawn independently of each other.
        seed: of what is drawn, as of `generate`.
        shifts: what is added to logits, after the rules.
        likeliest: so many of the most likely ids are told beside each token.
    """

    prompt: Ids
    how: Sampling = GREEDY
    limits: Limits = USUAL
    rules: Rules = NO_RULES
    shifts: Shifts = NO_SHIFTS
    returns: int = 1
    seed: int = 0
    likeliest: int = 0


@dataclass(frozen=True)
class Failed:
    """A row that could not go on."""

    row: int
    error: InputError


@dataclass
class _Row:
    """A row.

    Attributes:
        most: tokens that it has room for.
        form: that its answer has to have.
    """

    number: int
    asked: Asked
    key: np.uint64
    most: int
    history: list[int]
    form: Constraint | None
    new: list[int] = field(default_factory=list)
    done: bool = False

    def is_full(self, room: int | None) -> bool:
        """Whether the model can read no more of it."""
        return room is not None and len(self.new) >= room

    def end(self) -> tuple[End, int] | None:
        """How it ends with its last token; None: it goes on."""
        if self.form is not None:
            self.form.tell(self.new[-1])
        end = self.asked.limits.end(self.new, self.most)
        is_whole = self.form is not None and self.form.done
        return ("stop", 0) if is_whole and (end is None or end[0] != "stop") else end

    @property
    def settings(self) -> tuple[Any, ...]:
        """Rows of equal ones are chosen for together."""
        limits = self.asked.limits
        return self.asked.how, self.asked.rules, limits.stop if len(self.new) < limits.least else ()


class Batch:
    """Rows that are written together; see the top of the module.

    Args:
        model: as of `generate`.
        rows: that are written at a time at most.
        prompt_tokens: that are read in a step at most, padding among them; of an encoder-decoder, which reads a source
            at once, one source at least.
    """

    def __init__(self, model: Any, *, rows: int = ROWS, prompt_tokens: int = PROMPT_TOKENS) -> None:
        if rows < 1 or prompt_tokens < 1:
            raise InputError(f"{rows} rows, {prompt_tokens} tokens a step", where="batch", remedy="give 1 or more")
        self.of: Stepper = stepper(model)
        self.rows, self.prompt_tokens = rows, prompt_tokens
        self._number = 0
        self._waiting: deque[list[_Row]] = deque()
        self._reading: tuple[list[_Row], Writing, int] | None = None  # a prompt of which so many tokens were read
        self._open: list[_Row] = []  # rows of `_writing`, in their order
        self._writing: Writing | None = None

    @property
    def writing(self) -> int:
        """Rows that are being written, or whose prompt is being read."""
        return sum(not row.done for row in self._open) + (len(self._reading[0]) if self._reading else 0)

    @property
    def waiting(self) -> int:
        """Rows that wait for a place."""
        return sum(map(len, self._waiting))

    def add(self, asked: Asked) -> list[int]:
        """A row for each answer; returns their numbers.

        Raises:
            InputError: as `generate`; or there are more answers than rows.
        """
        prompt = checked(self.of, asked.prompt, "prompt")
        asked = replace(asked, prompt=prompt)
        check(self.of, asked.limits, asked.rules)
        checked(self.of, asked.shifts.ids, "shifts.bias", is_prompt=False)
        if not 1 <= asked.returns <= self.rows:
            what = f"{asked.returns} answers, and {self.rows} rows are written at a time"
            raise InputError(what, where="returns", remedy="ask for fewer")
        most, history = room_of(self.of, prompt, asked.limits), self.of.history(prompt)
        keys = sampling.keys_of(asked.seed, prompt, asked.returns)
        first, self._number = self._number, self._number + asked.returns
        make = asked.rules.constraint
        rows = [
            _Row(first + n, asked, keys[n], most, history, None if make is None else make())
            for n in range(asked.returns)
        ]
        self._waiting.append(rows)
        return [row.number for row in rows]

    def cancel(self, numbers: Sequence[int]) -> None:
        """These rows are asked for no more; those that are done or unknown are passed over."""
        gone = set(numbers)
        for row in self._open:
            row.done = row.done or row.number in gone
        if self._reading is not None:
            for row in self._reading[0]:
                row.done = row.done or row.number in gone
            if all(row.done for row in self._reading[0]):
                self._reading = None
        left = ([row for row in rows if row.number not in gone] for rows in self._waiting)
        self._waiting = deque(rows for rows in left if rows)

    def step(self) -> list[Token | Failed]:
        """The next token of every row that is being written; nothing where none is, or only prompts were read."""
        self._go_on()
        left = self.prompt_tokens
        while left > 0 and (read := self._read(left)):
            left -= read
        return [*self._chosen()]

    def _go_on(self) -> None:
        """What was chosen is read; rows that are done leave where that is worth its copying, or they must."""
        if self._writing is None:
            return
        kept = [b for b, row in enumerate(self._open) if not row.done]
        gone = len(self._open) - len(kept)
        full = any(row.done and row.is_full(self.of.room(row.asked.prompt)) for row in self._open)
        if not kept:
            self._drop(kept)
            return
        if full or (not self._waiting and gone * DROPPED >= len(self._open)):  # who waits may take their places
            self._drop(kept)
        self._writing.step(torch.tensor([row.new[-1] for row in self._open], device=self.of.device))
        for row in self._open:
            if row.done:  # it is read on until it leaves
                row.new.append(row.new[-1])

    def _drop(self, kept: list[int]) -> None:
        if not kept:
            self._open, self._writing = [], None
        elif len(kept) < len(self._open) and self._writing is not None:
            self._writing = self._writing.take(torch.tensor(kept, device=self.of.device))
            self._open = [self._open[b] for b in kept]

    def _read(self, most: int) -> int:
        """Read so many tokens of prompts at most, and let rows join whose prompt is read; returns how many were."""
        if self._reading is not None:
            return self._piece(most)
        free = self.rows - self.writing
        if not self._waiting or len(self._waiting[0]) > free:
            return 0
        if len(self._waiting[0][0].asked.prompt) > most and self.of.in_pieces:
            rows = self._waiting.popleft()
            writing = self.of.begin([[*rows[0].asked.prompt][:most]])
            self._reading = rows, writing, most
            return most
        taken = [self._waiting.popleft()]
        free -= len(taken[0])
        longest = len(taken[0][0].asked.prompt)
        while self._waiting and len(self._waiting[0]) <= free:
            longest_then = max(longest, len(self._waiting[0][0].asked.prompt))
            if longest_then * (len(taken) + 1) > most:
                break
            taken.append(self._waiting.popleft())
            longest, free = longest_then, free - len(taken[-1])
        self._join(self.of.begin([[*rows[0].asked.prompt] for rows in taken]), taken)
        return longest * len(taken)

    def _piece(self, most: int) -> int:
        assert self._reading is not None
        rows, writing, at = self._reading
        piece = [*rows[0].asked.prompt][at : at + most]
        writing.read(torch.tensor([piece], device=self.of.device))
        self._reading = rows, writing, at + len(piece)
        if at + len(piece) == len(rows[0].asked.prompt):
            self._reading = None
            self._join(writing, [rows])
        return len(piece)

    def _join(self, writing: Writing, taken: list[list[_Row]]) -> None:
        """Rows of prompts that were read are written from now on, each as often as it is asked for."""
        of = [i for i, rows in enumerate(taken) for row in rows if not row.done]
        if of != list(range(len(taken))):
            writing = writing.take(torch.tensor(of, device=self.of.device))
        new = [row for rows in taken for row in rows if not row.done]
        places = [b for b, row in enumerate(self._open) if row.done][: len(new)]
        if self._writing is not None and len(places) == len(new) and self._writing.put(writing, places):
            for b, row in zip(places, new, strict=True):
                self._open[b] = row
            return
        self._drop([b for b, row in enumerate(self._open) if not row.done])
        self._writing = writing if self._writing is None else self._writing.join(writing)
        self._open += new

    @torch.inference_mode()
    def _chosen(self) -> Iterator[Token | Failed]:
        """The next token of each row, by groups of equal settings."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for b, row in enumerate(self._open):
            if not row.done:
                groups.setdefault(row.settings, []).append(b)
        if not groups or self._writing is None:
            return
        logits_BV = self._writing.logits()
        for places in groups.values():
            rows = [self._open[b] for b in places]
            own_BV = logits_BV if len(places) == len(logits_BV) else logits_BV[torch.tensor(places)]
            likeliest = sampling.likeliest(own_BV, [row.asked.likeliest for row in rows])
            for row, (i, score), beside in zip(rows, _choose(own_BV, rows), likeliest, strict=True):
                yield self._told(row, i, score, beside)

    def _told(self, row: _Row, i: int, score: float | None, beside: tuple[tuple[int, float], ...]) -> Token | Failed:
        row.new.append(i)
        if score is None:
            row.done = True
            return Failed(row.number, nothing_left(f"token {len(row.new) - 1}"))
        end = row.end()
        row.done = end is not None
        how, stopped_by = end or (None, 0)
        return Token(row.number, i, score, how, stopped_by, beside)


def _choose(logits_BV: Tensor, rows: list[_Row]) -> list[tuple[int, float | None]]:
    """Each row's next id and the model's log-probability of it, None where nothing was left; the rows are of equal
    settings. As `generate` chooses."""
    how, rules, excluded = rows[0].settings
    said_BT = allowed_BV = uniform_B = None
    if rules.constraint is not None:
        allowed_BV = masks([row.form for row in rows], logits_BV.shape[-1], logits_BV.device)
    if rules.look_back:
        said_BT = padded_before([[*row.history, *row.new] for row in rows], -1, logits_BV.device)[0]
    left_BV = rules.apply(logits_BV, said_BT, allowed_BV)
    if any(row.asked.shifts != NO_SHIFTS for row in rows):
        left_BV = torch.stack([row.asked.shifts.apply(own, row.new) for own, row in zip(left_BV, rows, strict=True)])
    if not how.greedy:
        uniform_B = np.concatenate([sampling.uniforms(np.array([row.key]), len(row.new)) for row in rows])
    ids_B, scores = sampling.pick(logits_BV, left_BV, how, excluded, uniform_B)
    return list(zip(ids_B.tolist(), scores, strict=True))
