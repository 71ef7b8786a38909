"""Word2vec and FastText through gensim: our settings -> its model -> values that need no gensim to be used.

gensim is an extra: it is the reference for these two methods, and nothing else here needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.errors import InputError
from assay.models.vectors.config import VectorsConfig
from assay.models.vectors.values import Subwords, WordVectors

Progress = Callable[[int, int], None]
LONGEST = 10_000  # words of a sentence that gensim reads; it drops the rest without a word


def word2vec(
    config: VectorsConfig, sentences: Iterable[Sequence[str]], progress: Progress | None = None
) -> WordVectors:
    """Skip-gram or CBOW with negative sampling (Mikolov et al. 2013)."""
    model = _fitted(_models().Word2Vec(**settings(config)), sentences, progress)
    return WordVectors(list(model.wv.index_to_key), _table(model.wv.vectors), config=config)


def fasttext(
    config: VectorsConfig, sentences: Iterable[Sequence[str]], progress: Progress | None = None
) -> WordVectors:
    """The same with pieces of words (Bojanowski et al. 2017), which give words that were never seen a vector."""
    model = _fitted(_models().FastText(**settings(config)), sentences, progress)
    subwords = Subwords(_table(model.wv.vectors_ngrams), config.shortest, config.longest)
    return WordVectors(list(model.wv.index_to_key), _table(model.wv.vectors), subwords, config)


def settings(config: VectorsConfig) -> dict[str, Any]:
    """What gensim calls our settings."""
    chosen: dict[str, Any] = {
        "vector_size": config.width,
        "window": config.window,
        "min_count": config.min_count,
        "epochs": config.epochs,
        "alpha": config.learning_rate,
        "seed": config.seed,
        "workers": config.workers,
        "negative": config.negative,
        "sample": config.skipped_above,
        "sg": int(config.objective == "skipgram"),
    }
    if config.family == "fasttext":
        chosen |= {"min_n": config.shortest, "max_n": config.longest, "bucket": config.buckets}
    return chosen


def _models() -> Any:
    try:
        import gensim.models
    except ImportError as error:
        raise InputError("word2vec and FastText need gensim", remedy='pip install "assay[vectors]"') from error
    return gensim.models


def _fitted(model: Any, sentences: Iterable[Sequence[str]], progress: Progress | None) -> Any:
    corpus = _Pieces(sentences)
    model.build_vocab(corpus)
    if not len(model.wv):  # gensim would fail with a word on its own steps; `fit` says what is wrong
        return model
    callbacks = [_told(progress, model.epochs)] if progress else []
    model.train(
        corpus, total_examples=model.corpus_count, total_words=model.corpus_total_words, epochs=model.epochs,
        callbacks=callbacks,
    )  # fmt: skip
    return model


@dataclass(frozen=True)
class _Pieces:
    """Sentences, none longer than gensim reads."""

    sentences: Iterable[Sequence[str]]

    def __iter__(self) -> Iterator[list[str]]:
        for sentence in self.sentences:
            for start in range(0, len(sentence), LONGEST):
                yield list(sentence[start : start + LONGEST])


def _told(progress: Progress, epochs: int) -> Any:
    from gensim.models.callbacks import CallbackAny2Vec

    class Told(CallbackAny2Vec):
        """Counts the epochs that are done."""

        done = 0

        def on_epoch_end(self, model: Any) -> None:
            self.done += 1
            progress(self.done, epochs)

    return Told()


def _table(values: np.ndarray) -> np.ndarray:
    return np.array(values, dtype=np.float32)
