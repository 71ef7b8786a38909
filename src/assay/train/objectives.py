"""What a model is asked: rows of tokens -> a batch with something to predict. Pure functions of (rows, seed, step).

    Causal             the next token                                          decoders, recurrent models
    Masked             some tokens hidden, some of these shown wrong or as they are (Devlin et al. 2019)    encoders
    SpanCorruption     spans replaced by one sentinel each, to be written out after it (Raffel et al. 2020)  T5
    Denoising          spans replaced by one mask each, the whole text to be written again (Lewis et al. 2020)  BART
    Pairs              the target of each source: translations, summaries, answers         encoder-decoders

Rows are (B, T + 1) token ids as the sampler gives them: documents on end, each begun by the special token; how pairs
stand in them, `tokens.pairs` says. What is drawn is drawn anew at every step ("dynamic masking", Liu et al. 2019), and
the same again for the same step, so a run that was stopped goes on with the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from assay.models.attention import PADDING
from assay.models.protocol import WHOLE, Batch, Shares
from assay.tokens.stream import END_OF_TEXT_ID, segments_of


class Objective(Protocol):
    """Turns (B, T + 1) rows into a batch on the CPU."""

    @property
    def shares(self) -> Shares:
        """What becomes of a row's tokens, on average."""

    def __call__(self, rows_BT1: np.ndarray, seed: int, step: int) -> Batch: ...


def _tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


@dataclass(frozen=True)
class Causal:
    """Predict the next token."""

    @property
    def shares(self) -> Shares:
        return WHOLE

    def __call__(self, rows_BT1: np.ndarray, seed: int = 0, step: int = 0) -> Batch:
        inputs, targets, segments = _tensors(rows_BT1[:, :-1], rows_BT1[:, 1:], segments_of(rows_BT1[:, :-1]))
        return Batch(inputs, targets, segments)


NEXT_TOKEN = Causal()


@dataclass(frozen=True, eq=False)
class Masked:
    """Predict tokens that are hidden.

    Attributes:
        mask_id: what hides a token.
        vocabulary: ids that wrong tokens are drawn from, END_OF_TEXT_ID and `mask_id` aside.
        share: of the tokens that are to be predicted; of these 80 % are hidden, 10 % wrong, 10 % as they are.
        continues: of (B, T) rows, whether a token goes on with the word of the one before it: then words are hidden
            whole (Cui et al. 2021 for Chinese). None: each token for itself.
    """

    mask_id: int
    vocabulary: int
    share: float = 0.15
    continues: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def shares(self) -> Shares:
        return Shares(predicted=self.share)

    def __call__(self, rows_BT1: np.ndarray, seed: int, step: int) -> Batch:
        inputs = rows_BT1[:, :-1]
        rng = np.random.default_rng([seed, step])
        special = inputs == END_OF_TEXT_ID
        words = self._words(inputs, special)
        chosen = (rng.random(int(words.max()) + 1) < self.share)[words] & ~special
        if not chosen.any():  # a batch without a target teaches nothing: one word is drawn
            chosen = (words == rng.choice(words[~special])) & ~special
        fate = rng.random(inputs.shape)
        wrong = rng.integers(0, self.vocabulary, inputs.shape)
        wrong = np.where((wrong == END_OF_TEXT_ID) | (wrong == self.mask_id), inputs, wrong)
        shown = np.where(fate < 0.8, self.mask_id, np.where(fate < 0.9, wrong, inputs))
        made = _tensors(np.where(chosen, shown, inputs), np.where(chosen, inputs, -1), segments_of(inputs))
        return Batch(*made)

    def _words(self, inputs: np.ndarray, special: np.ndarray) -> np.ndarray:
        """(B, T) number of the word that each token belongs to."""
        begins = np.ones(inputs.shape, dtype=bool)
        if self.continues is not None:
            begins = special | ~self.continues(inputs)
            begins[:, 0] = True
            begins[:, 1:] |= special[:, :-1]
        return np.asarray(begins.cumsum().reshape(inputs.shape) - 1)


def noise_spans(length: int, share: float, mean: float, rng: np.random.Generator) -> np.ndarray:
    """(length,) True in random spans that make up `share` of a row and are `mean` tokens long on average.

    Spans never touch: kept and hidden stretches alternate, each of at least one token (Raffel et al. 2020). All False
    where a row is too short for one of each.
    """
    hidden = min(max(round(length * share), 1), length - 1)
    if length < 2:
        return np.zeros(length, dtype=bool)
    spans = min(max(round(hidden / mean), 1), hidden, length - hidden)

    def pieces(total: int) -> np.ndarray:
        """`total` cut into `spans` random pieces of at least one."""
        cuts = np.sort(rng.choice(total - 1, spans - 1, replace=False)) + 1
        return np.diff(np.concatenate([[0], cuts, [total]]))

    lengths = np.stack([pieces(length - hidden), pieces(hidden)], axis=1).ravel()
    return np.repeat(np.arange(2 * spans) % 2 == 1, lengths)


Pair = tuple[np.ndarray, np.ndarray]
"""Source and target of one document, each with its end."""


@dataclass(frozen=True)
class SpanCorruption:
    """Write out what sentinels stand for.

    Attributes:
        sentinels: ids of the sentinels, as many as a document's piece in a row can have spans, in their order.
        end: id that ends source and target.  start: id that a target begins with.
    """

    sentinels: tuple[int, ...]
    end: int
    start: int
    share: float = 0.15
    mean: float = 3.0

    @property
    def shares(self) -> Shares:
        """Each span leaves one sentinel in the source and stands behind one in the target; ends are not counted."""
        spans = self.share / self.mean
        return Shares(source=1 - self.share + spans, target=self.share + spans)

    def __call__(self, rows_BT1: np.ndarray, seed: int, step: int) -> Batch:
        def pair(text: np.ndarray, hidden: np.ndarray) -> Pair:
            source, target = self._with_sentinels(text, hidden), self._with_sentinels(text, ~hidden)
            return np.append(source, self.end), np.append(target, self.end)

        return _packed(_by_document(rows_BT1, seed, step, self.share, self.mean, pair), self.start)

    def _with_sentinels(self, text: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The text with each span of `out` replaced by the next sentinel."""
        begins = _begins(out)
        number = begins.cumsum() - 1
        if number[-1] >= len(self.sentinels):
            raise ValueError(f"{number[-1] + 1} spans, and there are {len(self.sentinels)} sentinels")
        replaced = np.where(begins, np.asarray(self.sentinels)[np.maximum(number, 0)], text)
        return np.asarray(replaced[begins | ~out])


@dataclass(frozen=True)
class Denoising:
    """Write the text again of which spans were replaced by one mask each (text infilling)."""

    mask_id: int
    end: int
    start: int
    share: float = 0.3
    mean: float = 3.0

    @property
    def shares(self) -> Shares:
        return Shares(source=1 - self.share + self.share / self.mean)

    def __call__(self, rows_BT1: np.ndarray, seed: int, step: int) -> Batch:
        def pair(text: np.ndarray, hidden: np.ndarray) -> Pair:
            begins = _begins(hidden)
            source = np.where(begins, self.mask_id, text)[begins | ~hidden]
            return np.append(source, self.end), np.append(text, self.end)

        return _packed(_by_document(rows_BT1, seed, step, self.share, self.mean, pair), self.start)


_HALVES = Shares(source=0.5, target=0.5)


@dataclass(frozen=True)
class Pairs:
    """Write the target of each source.

    Attributes:
        end: id that ends source and target.  start: id that a target begins with.
        shares: of the data (`PairStream.sides`).
    """

    end: int
    start: int
    shares: Shares = _HALVES

    def __call__(self, rows_BT1: np.ndarray, seed: int = 0, step: int = 0) -> Batch:
        filled = [np.trim_zeros(row, "b") for row in rows_BT1]  # END_OF_TEXT_ID fills rows, and ends no pair
        return _packed([[self.pair(text) for text in _texts(row)] for row in filled], self.start)

    def pair(self, document: np.ndarray) -> Pair:
        """Source and target of a document of a `PairStream`."""
        cut = int((document == self.end).argmax()) + 1
        return document[1:cut], np.append(document[cut:], self.end)


def pairs(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], start: int) -> Batch:
    """A batch of translations, summaries, questions and answers: token ids, each with its end; one pair a row."""
    return _packed([[(np.asarray(s), np.asarray(t))] for s, t in zip(sources, targets, strict=True)], start)


def _begins(spans: np.ndarray) -> np.ndarray:
    """True at the first place of each stretch of True."""
    return np.asarray(spans & ~np.concatenate([[False], spans[:-1]]))


def _texts(row: np.ndarray) -> list[np.ndarray]:
    """The documents, or pieces of them, that a row holds."""
    return np.split(row, np.flatnonzero(row[1:] == END_OF_TEXT_ID) + 1)


def _by_document(
    rows_BT1: np.ndarray,
    seed: int,
    step: int,
    share: float,
    mean: float,
    pair: Callable[[np.ndarray, np.ndarray], Pair],
) -> list[list[Pair]]:
    """Source and target of every document's piece in every row: `pair` makes them from its tokens and from where
    `noise_spans` hides them."""
    made = []
    for b, row in enumerate(rows_BT1[:, :-1]):
        rng = np.random.default_rng([seed, step, b])
        made.append([pair(text, noise_spans(len(text), share, mean, rng)) for text in _texts(row)])
    return made


def _packed(rows: list[list[Pair]], start: int) -> Batch:
    """A batch of an encoder-decoder: in each row documents on end, each target shifted by one behind `start`, and each
    seeing its own source alone; what fills rows counts for nothing."""

    def joined(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
        return [np.concatenate(row) for row in parts]

    def numbered(parts: list[list[np.ndarray]]) -> np.ndarray:
        return _padded([np.repeat(np.arange(len(row)), [len(p) for p in row]) for row in parts], PADDING)

    sources = [[source for source, _ in row] for row in rows]
    targets = [[target for _, target in row] for row in rows]
    inputs = [[np.concatenate([[start], target[:-1]]) for target in row] for row in targets]
    made = _tensors(
        _padded(joined(inputs), END_OF_TEXT_ID), _padded(joined(targets), -1), numbered(targets),
        _padded(joined(sources), END_OF_TEXT_ID), numbered(sources),
    )  # fmt: skip
    return Batch(made[0], made[1], made[2], source_BS=made[3], source_segments_BS=made[4])


def _padded(rows: list[np.ndarray], filling: int) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), filling, dtype=np.int64)
    for b, row in enumerate(rows):
        out[b, : len(row)] = row
    return out
