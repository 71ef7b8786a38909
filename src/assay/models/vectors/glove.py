"""GloVe (Pennington, Socher and Manning 2014), our own.

    sentences -> vocabulary -> ids -> `cooccurrences`: how often each pair stands within a window, nearer ones more
              -> `descend`: weighted least squares on their logarithms by AdaGrad -> vectors

Counts are sorted and merged block by block, so that memory grows with the distinct pairs and not with the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from assay.errors import WorkError
from assay.models.vectors.config import VectorsConfig
from assay.models.vectors.values import WordVectors

BLOCK_TOKENS = 1 << 20
TILE_WORDS = 512  # their vectors and what AdaGrad keeps of them: 0.8 MB at width 100, words and contexts together

Counts = tuple[np.ndarray, np.ndarray]
"""(n,) sorted keys of pairs, (n,) their weights."""


def glove(
    config: VectorsConfig,
    sentences: Iterable[Sequence[str]],
    progress: Callable[[int, int], None] | None = None,
) -> WordVectors:
    """Vectors of all words that occur `min_count` times; rarer ones, and those that `subsample` skips, are left out
    before windows are laid, as word2vec does (Levy, Goldberg and Dagan 2015)."""
    counts = vocabulary(sentences, config.min_count)
    pairs, weights = cooccurrences(_ids(config, sentences, counts), len(counts), config.window)
    return WordVectors(list(counts), descend(config, len(counts), pairs, weights, progress), config=config)


def vocabulary(sentences: Iterable[Sequence[str]], min_count: int) -> dict[str, int]:
    """How often words occur that occur often enough, the most frequent first; among equals, in the order of the
    text."""
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(sentence)
    return {word: n for word, n in counts.most_common() if n >= min_count}


def kept(counts: Sequence[int], subsample: float) -> np.ndarray:
    """The share of each word's occurrences that is read: what word2vec's program does, not what its paper says."""
    excess = np.array(counts, dtype=float) / (subsample * sum(counts))
    return np.minimum(1.0, (np.sqrt(excess) + 1) / excess)


def _ids(config: VectorsConfig, sentences: Iterable[Sequence[str]], counts: dict[str, int]) -> Iterator[np.ndarray]:
    places = {word: i for i, word in enumerate(counts)}
    subsample = config.skipped_above
    shares = kept(list(counts.values()), subsample) if subsample and counts else None
    rng = np.random.default_rng(config.seed)
    for sentence in sentences:
        ids = np.array([places[word] for word in sentence if word in places], dtype=np.int64)
        yield ids if shares is None else ids[rng.random(len(ids)) < shares[ids]]


def cooccurrences(documents: Iterable[np.ndarray], vocabulary: int, window: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of words within `window` of one another in a document, each weighted by 1 / distance, both ways.

    Args:
        documents: word ids, -1 for a word that is none of the vocabulary (it keeps its place).

    Returns:
        (pairs, 2) word and context, sorted; (pairs,) their weights, float64.
    """
    # Runs of merged counts, each less than half as long as the one before: a pair is merged a few times, not once a
    # block. Within a key the smaller word comes first; the other way round is the same number.
    runs: list[Counts] = []
    block: list[np.ndarray] = []
    held = 0
    gap = np.full(window, -1, dtype=np.int64)  # no pair crosses from one document into the next
    for document in documents:
        block += [np.asarray(document, dtype=np.int64), gap]
        held += len(document)
        if held >= BLOCK_TOKENS:
            runs.append(_pairs(np.concatenate(block), vocabulary, window))
            block, held = [], 0
            while len(runs) > 1 and len(runs[-2][0]) < 2 * len(runs[-1][0]):
                runs[-2:] = [_merged(runs[-2:])]
    if block:
        runs.append(_pairs(np.concatenate(block), vocabulary, window))
    keys, weights = _merged(runs) if runs else (np.zeros(0, dtype=np.int64), np.zeros(0))
    low, high = keys // max(1, vocabulary), keys % max(1, vocabulary)
    weights = np.where(low == high, 2 * weights, weights)
    other = low != high
    keys = np.concatenate([keys, high[other] * vocabulary + low[other]])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    pairs = np.stack([keys // max(1, vocabulary), keys % max(1, vocabulary)], axis=1)
    return pairs, np.concatenate([weights, weights[other]])[order]


def _pairs(ids: np.ndarray, vocabulary: int, window: int) -> Counts:
    keys, weights = [], []
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        known = (left >= 0) & (right >= 0)
        left, right = left[known], right[known]
        keys.append(np.minimum(left, right) * vocabulary + np.maximum(left, right))
        weights.append(np.full(len(left), 1.0 / distance))
    return _merged(list(zip(keys, weights, strict=True)))


def _merged(runs: Sequence[Counts]) -> Counts:
    """Equal keys as one, their weights added."""
    keys = np.concatenate([run[0] for run in runs])
    order = np.argsort(keys, kind="stable")  # sorted runs are merged in one pass
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    weights = np.concatenate([run[1] for run in runs])[order]
    return keys[first], np.add.reduceat(weights, first) if len(first) else weights


def descend(
    config: VectorsConfig,
    n_words: int,
    pairs: np.ndarray,
    weights: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """(words, width) sums of word and context vectors, as the paper proposes.

    Pairs are taken in random order, some at a time: their gradients are all of the same weights, and are added up.

    Args:
        pairs, weights: from `cooccurrences`.
    """
    generator = torch.Generator().manual_seed(config.seed)
    D = config.width
    # A word is [vector, bias, 1], a context [vector, 1, bias]: then one product is all of the model. Ones stay ones,
    # since a step is divided by the root of what has been seen of a weight, and theirs is infinite.
    drawn = (torch.rand(2, n_words, D + 1, generator=generator) - 0.5) / D
    tables = torch.ones(2, n_words, D + 2)
    tables[:, :, :D] = drawn[:, :, :D]
    tables[0, :, D], tables[1, :, D + 1] = drawn[0, :, D], drawn[1, :, D]
    squares = torch.ones_like(tables)
    squares[0, :, D + 1] = squares[1, :, D] = torch.inf
    order, tiles = _tiles(pairs, n_words)
    places = torch.from_numpy(pairs.T.astype(np.int32)[:, order])
    targets = torch.from_numpy(np.log(weights).astype(np.float32)[order])
    counts = torch.from_numpy((np.minimum(1.0, weights / config.most) ** config.power).astype(np.float32)[order])
    for epoch in range(config.epochs):
        for tile in torch.randperm(len(tiles), generator=generator).tolist():
            start, n = tiles[tile]
            for rows in (start + torch.randperm(n, generator=generator)).split(config.batch):
                _step(tables, squares, places[:, rows], targets[rows], counts[rows], config.learning_rate)
        if not bool(tables.isfinite().all()):
            raise WorkError("the vectors grew beyond all bounds", remedy="use a smaller rate or a smaller batch")
        if progress:
            progress(epoch + 1, config.epochs)
    return np.asarray(tables[:, :, :D].sum(dim=0).numpy())


def _tiles(pairs: np.ndarray, n_words: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """An order of the pairs in which those of the same `TILE_WORDS` words and as many contexts stand together, and
    (start, length) of each such tile.

    Rows of a tile stay in the processor's cache: twice as many pairs a second as in an order that is random as a whole.
    Tiles are taken in random order, and so are the pairs in each (as the buckets of Lerer et al. 2019).
    """
    across = -(-n_words // TILE_WORDS)
    tile = pairs[:, 0] // TILE_WORDS * across + pairs[:, 1] // TILE_WORDS
    order = np.argsort(tile, kind="stable")
    starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
    lengths = np.diff(starts, append=len(tile))
    return order, list(zip(starts.tolist(), lengths.tolist(), strict=True))


def _step(tables: Tensor, squares: Tensor, places_2B: Tensor, targets_B: Tensor, counts_B: Tensor, rate: float) -> None:
    """AdaGrad on a batch of pairs, changing `tables` and `squares` (2, V, D + 2).

    As in the authors' program, and unlike Duchi et al. 2011, what is squared and added up is a gradient times the rate:
    at a rate of 0.05 steps shrink 20 times as slowly.
    """
    chosen = [table.index_select(0, at) for table, at in zip(tables, places_2B, strict=True)]
    error_B1 = (rate * counts_B * ((chosen[0] * chosen[1]).sum(dim=1) - targets_B))[:, None]
    for table, square, at, other in zip(tables, squares, places_2B, reversed(chosen), strict=True):
        step = error_B1 * other
        table.index_add_(0, at, step * square.index_select(0, at).rsqrt_(), alpha=-1)
        square.index_add_(0, at, step.square_())
