"""A language model as texts see it: how likely a text goes on in a way, and what it goes on with.

    prompt, continuations -> token ids -> `inference.likelihoods` -> a log-probability of each token
    prompts               -> token ids -> `inference.generate`    -> texts

**Where prompt and continuation meet.** Both are encoded together, as lm-evaluation-harness does it: white space at the
end of a prompt is moved to its continuations, the tokens of prompt and continuation are those of the whole, and the
continuation's are what stands behind as many as the prompt alone has. Where a token would straddle the place ("：A"),
that rule would score another text, or none; then the continuations of this prompt are all encoded by themselves, and
that is counted. The id that begins a document in training stands before every prompt.

**What is too long** loses whole shots, the farthest first, then tokens at the left; both are counted. A continuation
that alone is longer than the window is read in windows that overlap by half, as `assay eval` reads a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from assay.errors import InputError
from assay.generation.opened import Writer
from assay.inference.choices import Likelihood, likelihoods
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models.ngram import KneserNey
from assay.tasks.prompting import Prompt

ROWS = 32
AT_ONCE = 1024  # prompts between two words of progress
Ids = tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """A prompt with what may go on, as token ids.

    Attributes:
        shots_cut: shots that were left out; cut: tokens that were cut off at the left.
        long: a continuation is longer than the window.
        apart: the continuations were encoded by themselves.
    """

    prompt: Ids
    continuations: tuple[Ids, ...]
    shots_cut: int = 0
    cut: int = 0
    long: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Written:
    """What a model goes on with.

    Attributes:
        stopped: by one of the stops, or the end of a document; else it has as many tokens as there may be.
    """

    text: str
    stopped: bool


@dataclass(frozen=True)
class LanguageModel(Writer):
    """A model that goes on with text, and says how likely a text goes on in a way.

    Attributes:
        window: tokens that it sees at once, fewer than it has positions; None: all.
    """

    window: int | None = None

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", window: int | None = None) -> LanguageModel:
        """The model of a directory, or of a run's folder.

        Raises:
            InputError: there is none, or it is of a family that does not write.
        """
        made = replace(super().load(folder, device), window=window)
        if window is not None and made.positions is not None and window > made.positions:
            what = f"{window} tokens, and the model has {made.positions} positions"
            raise InputError(what, where="--window", remedy="give fewer")
        return made

    @property
    def room(self) -> int | None:
        """Tokens that it sees at once; None: any number."""
        return self.window or self.positions

    # How likely

    def encoded(
        self, prompts: Sequence[Prompt], continuations: Sequence[Sequence[str]], places: Sequence[str] | None = None
    ) -> list[Encoded]:
        """Prompts and their continuations as token ids that fit.

        Args:
            places: of the items, for errors.

        Raises:
            InputError: a continuation is empty or longer than the model's window; or a prompt is empty, and the model
                knows nothing to begin with.
        """
        where = places or [f"prompt {i}" for i in range(len(prompts))]

        def make(numbers: list[int], texts: list[str]) -> list[Encoded]:
            return self._together(texts, [continuations[i] for i in numbers], [where[i] for i in numbers])

        return self._shortened(prompts, make, where)

    def _shortened(
        self, prompts: Sequence[Prompt], make: Callable[[list[int], list[str]], list[Encoded]], where: Sequence[str]
    ) -> list[Encoded]:
        """What is made of prompts, shot by shot shorter until it fits; then token by token."""
        found: dict[int, Encoded] = {}
        waiting, cut = list(range(len(prompts))), [0] * len(prompts)
        while waiting:
            again = []
            for i, one in zip(waiting, make(waiting, [prompts[i].without(cut[i]).text for i in waiting]), strict=True):
                if cut[i] < len(prompts[i].shots) and not self._fits(one):
                    cut[i] += 1
                    again.append(i)
                else:
                    found[i] = replace(self._cut(one, where[i]), shots_cut=cut[i])
            waiting = again
        return [found[i] for i in range(len(prompts))]

    def _together(
        self, prompts: Sequence[str], continuations: Sequence[Sequence[str]], where: Sequence[str]
    ) -> list[Encoded]:
        """Token ids of any length, the prompts behind what begins a document."""
        texts: list[str] = []
        for prompt, own, place in zip(prompts, continuations, where, strict=True):
            bare = prompt.rstrip()
            moved = [prompt[len(bare) :] + text for text in own]
            if not all(moved) or not moved:
                raise InputError("there is an empty continuation", where=place, remedy="give one with text in it")
            texts += [bare, *(bare + text for text in moved), *moved]
        ids = iter(self.ids(texts))
        found = []
        for own, place in zip(continuations, where, strict=True):
            prompt_ids, whole, alone = next(ids), [next(ids) for _ in own], [next(ids) for _ in own]
            n = len(prompt_ids)
            fits = all(one[:n] == prompt_ids and len(one) > n for one in whole)
            apart = self.is_translator or not fits
            ends = alone if apart else [one[n:] for one in whole]
            if not all(ends):
                what = "the tokenizer makes no token of a continuation"
                raise InputError(what, where=place, remedy="give one with text in it, or another model")
            found.append(Encoded(self.begun(prompt_ids, place), tuple(ends), apart=apart))
        return found

    def _fits(self, one: Encoded) -> bool:
        return self.room is None or len(one.prompt) + self._behind(one) <= self.room

    def _behind(self, one: Encoded) -> int:
        """Tokens that the model reads behind the prompt: all of the longest continuation but the last; a translator's
        source is by itself."""
        return 0 if self.is_translator else max(map(len, one.continuations)) - 1

    def _cut(self, one: Encoded, where: str) -> Encoded:
        """Without what is too much at the left; what begins a document stays."""
        longest = max(map(len, one.continuations))
        if self.is_translator and self.positions is not None and longest > self.positions:
            what = f"a choice of {longest} tokens, and the model has {self.positions} positions"
            raise InputError(what, where=where, remedy="take the row out, or skip such rows with --on-error skip")
        if self._fits(one):
            return one
        assert self.room is not None
        most = self.room - self._behind(one)
        long = most < 1
        if long:
            most = max(1, self.room // 2)
        first = one.prompt[:1] if self.begin is not None else ()
        kept = (*first, *one.prompt[len(one.prompt) - (most - len(first)) :]) if most > len(first) else first
        kept = kept if len(one.prompt) > most else one.prompt
        return replace(one, prompt=kept, cut=len(one.prompt) - len(kept), long=long)

    def scored(
        self,
        items: Sequence[Encoded],
        rows: int = ROWS,
        *,
        greedy: bool = False,
        tell: Callable[[int], None] = lambda n: None,
    ) -> list[list[Likelihood]]:
        """How likely each continuation is; equal ones of a prompt are scored once, so that they are equal.

        Args:
            rows: continuations that are scored together at most.
            greedy: `most_likely` is asked for; else that of an n-gram model is False.
            tell: is told how many items are done since it was last told.
        """
        counted = isinstance(self.model, KneserNey) and not greedy  # without windows
        long = [i for i, one in enumerate(items) if one.long and not counted]
        found = {i: self._by_windows(items[i], rows) for i in long}
        tell(len(long))
        order = [i for i in range(len(items)) if i not in found]
        order.sort(key=lambda i: (-len(items[i].prompt), -max(map(len, items[i].continuations))))
        for at in range(0, len(order), AT_ONCE):
            some = order[at : at + AT_ONCE]
            different = [list(dict.fromkeys(items[i].continuations)) for i in some]
            prompts = [items[i].prompt for i in some]
            if counted:
                scores = _counted(self.model, prompts, different)
            else:
                scores = likelihoods(self.model, prompts, different, rows=rows)
            for i, texts, own in zip(some, different, scores, strict=True):
                by_text = dict(zip(texts, own, strict=True))
                found[i] = [by_text[text] for text in items[i].continuations]
            tell(len(some))
        return [found[i] for i in range(len(items))]

    def _by_windows(self, one: Encoded, rows: int) -> list[Likelihood]:
        """Likelihoods of continuations of any length, in windows that overlap by half."""
        found = []
        for ids in one.continuations:
            contexts, pieces, at = [one.prompt], [], 0
            while at < len(ids):
                if at:
                    contexts.append((one.prompt + ids[:at])[-max(1, (self.room or 0) // 2) :])
                room = len(ids) if self.room is None else self.room + 1 - len(contexts[-1])
                pieces.append(ids[at : at + room])
                at += room
            parts = [own for (own,) in likelihoods(self.model, contexts, [[p] for p in pieces], rows=rows)]
            by_token = tuple(score for part in parts for score in part.by_token)
            found.append(Likelihood(by_token, all(part.most_likely for part in parts)))
        return found

    # What it goes on with

    def written(
        self, prompts: Sequence[Prompt], stop: Sequence[str], most: int, rows: int = ROWS
    ) -> Iterator[tuple[int, Written, Encoded]]:
        """(number, what the model goes on with greedily, the prompt) of each prompt, in no order.

        Args:
            stop: texts that end an answer, and are no part of it.
            most: tokens of an answer.

        Raises:
            InputError: an answer of as many tokens leaves no room for a prompt.
        """
        filler, where = tuple([0] * most), [f"prompt {i}" for i in range(len(prompts))]

        def make(numbers: list[int], texts: list[str]) -> list[Encoded]:
            ids = self.ids(texts)
            return [Encoded(self.begun(own, where[i]), (filler,)) for i, own in zip(numbers, ids, strict=True)]

        fitting = sorted(enumerate(self._shortened(prompts, make, where)), key=lambda pair: -len(pair[1].prompt))
        ends = tuple(dict.fromkeys(i for i in (self.end if self.is_translator else self.begin,) if i is not None))

        def when(ids: Sequence[int]) -> bool:
            text = self.encoder.decode(np.array(ids))
            return any(one in text for one in stop)

        limits = Limits(most, stop=ends, when=when if stop else None)
        for at in range(0, len(fitting), rows):
            some = fitting[at : at + rows]
            for (i, one), (answer,) in zip(
                some, generate(self.model, [one.prompt for _, one in some], limits=limits, rows=rows), strict=True
            ):
                text = self.encoder.decode(np.array(answer.kept, dtype=np.int64)) if answer.kept else ""
                places = [text.find(end) for end in stop if end in text]
                yield i, Written(text[: min(places)] if places else text, answer.end == "stop"), one


def _counted(
    model: KneserNey, prompts: Sequence[Ids], continuations: Sequence[Sequence[Ids]]
) -> list[list[Likelihood]]:
    """Likelihoods of an n-gram model, all in one go: of a prompt its last tokens count."""
    kept = max(1, model.order - 1)
    rows = [(*prompt[-kept:], *own) for prompt, texts in zip(prompts, continuations, strict=True) for own in texts]
    ends = np.cumsum([len(row) for row in rows])
    cuts = np.concatenate([[0], ends[:-1]])
    values = model.log_probabilities(np.concatenate([np.array(row) for row in rows]), cuts)
    last = iter(ends.tolist())
    return [
        [Likelihood(tuple(values[end - len(own) : end].tolist()), False) for own, end in zip(texts, last, strict=False)]
        for texts in continuations
    ]
