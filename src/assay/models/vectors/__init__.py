"""Word vectors: sentences (lists of words, read as often as wanted) -> a vector for each word.

    fit(config, sentences) -> WordVectors         word2vec and FastText through gensim, GloVe of our own
    save(vectors, folder), load(path)             a directory of safetensors, JSON and a list of words; or text
    embedding_for(tokens, vectors), put(model)    the input layer of any model

How sentences come about is not known here (`tokens/sentences.py`), nor what vectors are judged by (`metrics/words.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from assay.errors import InputError
from assay.models.vectors import glove, learned
from assay.models.vectors.config import VectorsConfig
from assay.models.vectors.files import load, save
from assay.models.vectors.layer import embedding_for, put
from assay.models.vectors.values import Subwords, WordVectors

__all__ = ["Subwords", "VectorsConfig", "WordVectors", "embedding_for", "fit", "load", "put", "save"]


def fit(
    config: VectorsConfig,
    sentences: Iterable[Sequence[str]],
    progress: Callable[[int, int], None] | None = None,
) -> WordVectors:
    """Learn vectors; equal settings and sentences give equal vectors, bit for bit, where one thread works.

    Args:
        sentences: read several times, so a list or an object that starts anew each time, no generator. Windows do
            not cross from one sentence into the next.
        progress: gets (epochs done, epochs in all).

    Raises:
        InputError: no word is frequent enough, or gensim is wanted and not installed.
        WorkError: the numbers grew beyond all bounds (GloVe).
    """
    if iter(sentences) is sentences:
        raise TypeError("sentences are read several times: give a list or an object that starts anew each time")
    families = {"word2vec": learned.word2vec, "fasttext": learned.fasttext, "glove": glove.glove}
    made = families[config.family](config, sentences, progress)
    if len(made.words) < 2:
        raise InputError(
            f"{len(made.words)} words occur {config.min_count} times or more",
            remedy="give more text or a smaller min_count",
        )
    return made
