"""When a row is done, and what is handed back of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from assay.errors import InputError
from assay.inference.protocol import Ids, Stepper, checked

End = Literal["stop", "length", "full"]


@dataclass(frozen=True)
class Limits:
    """When a row is done.

    Attributes:
        new: the most tokens that are written.
        least: so many are written before what stops a row: until then stop ids are excluded, and all else that would
            stop it does not.
        stop: ids that end a row.
        sequences: several ids on end that end a row, however the model came to write them.
        when: is shown what is written so far after each token, and says whether that is the end. For stop strings: one
            and the same text has many token sequences, so the caller decodes and looks.
    """

    new: int = 128
    least: int = 0
    stop: tuple[int, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()
    when: Callable[[Sequence[int]], bool] | None = None

    def __post_init__(self) -> None:
        if self.new < 1 or not 0 <= self.least <= self.new:
            raise InputError(
                f"{self.least} to {self.new} new tokens",
                where="limits",
                remedy="give 0 <= least <= new, new at least 1",
            )
        if any(not sequence for sequence in self.sequences):
            raise InputError("an empty stop sequence", where="limits.sequences", remedy="leave it out")

    def end(self, ids: Sequence[int], most: int) -> tuple[End, int] | None:
        """How a row ends that has these new ids, and how many of its last ones are the stop; None: it goes on.

        Args:
            most: tokens that can be written; less than `new` where the model has no more positions.
        """
        n = len(ids)
        if n > self.least and ids[-1] in self.stop:
            return "stop", 1
        for sequence in self.sequences:
            if n - len(sequence) >= self.least and tuple(ids[-len(sequence) :]) == sequence:
                return "stop", len(sequence)
        if self.when is not None and n >= self.least and self.when(ids):
            return "stop", 0
        return self.end_of_room(n, most)

    def end_of_room(self, length: int, most: int) -> tuple[End, int] | None:
        """How a row of so many new tokens ends that nothing stopped; None: it goes on."""
        if length < most:
            return None
        return ("length" if most == self.new else "full"), 0

    def check(self, of: Stepper) -> None:
        """That all ids are the model's.

        Raises:
            InputError: they are not.
        """
        checked(of, self.stop, "limits.stop", is_prompt=False)
        for sequence in self.sequences:
            checked(of, sequence, "limits.sequences", is_prompt=False)


USUAL = Limits()


@dataclass(frozen=True)
class Written:
    """What was written after a prompt.

    Attributes:
        ids: new ids, with what stopped them.
        log_probabilities: of each, in nats, as the model has it: before rules and sampling.
        end: stop: by `stop`, `sequences` or `when`; length: as many as were asked for; full: the model has no more
            positions.
        stopped_by: how many of the last ids are the stop; 0 where `when` stopped it.
        score: what beams were ranked by; of other ways, the sum of the log-probabilities.
    """

    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    end: End
    stopped_by: int
    score: float

    @property
    def kept(self) -> tuple[int, ...]:
        """The ids without what stopped them."""
        return self.ids[: len(self.ids) - self.stopped_by]


def prompts_of(of: Stepper, prompts: Sequence[Ids]) -> list[list[int]]:
    """Prompts as lists, checked: see `protocol.checked`."""
    return [checked(of, prompt, f"prompts[{i}]") for i, prompt in enumerate(prompts)]


def room_of(of: Stepper, prompt: Ids, limits: Limits) -> int:
    """How many tokens are written after a prompt at most."""
    room = of.room(prompt)
    return limits.new if room is None else min(limits.new, room)


def batches(lengths: Sequence[int], each: int, rows: int) -> list[list[int]]:
    """Places of prompts, as many together as give `rows` rows of `each` a prompt; alike in length, the longest first,
    so that what does not fit into memory is seen at once."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    size = max(1, rows // each)
    return [order[i : i + size] for i in range(0, len(order), size)]
