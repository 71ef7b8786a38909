"""What documents are about: topics named by their most telling words, and a map on which like stands by like.

    words of a sample -> TF-IDF (words in at least 5 documents, stop words aside) -> truncated SVD, 50 directions
        -> k-means of the directions (rows of length one, so that it goes by angle)
        -> topics, their words and shares; documents far from all centres belong to none
        -> t-SNE of a smaller sample (van der Maaten and Hinton 2008) -> two coordinates a document

scikit-learn does it. All draws are seeded, the sample is in the order of ids, and sums are those of one thread, so that
nothing depends on the order of files or the number of cores. A topic's words are those for which p log2(p / q) is
largest: p is the share of its documents that hold the word, q that of all. What the distances between far points of
the map are, and how dense a cloud is, says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from assay.machine import one_thread

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LEAST = 40
"""Documents with enough words, for topics to be told."""
TOPICS = 12
"""At most; one for every 20 documents where there are fewer."""
DIRECTIONS = 50
PERPLEXITY = 30.0
SEED = 0
NEAR = 0.35
"""The cosine between a document and the centre of its cluster below which it belongs to no topic."""
SMALLEST = 5
"""Documents of a topic."""
TERMS = 8
MAPPED = 1_200
_VOCABULARY, _LEAST_DOCUMENTS, _MOST_SHARE = 20_000, 5, 0.5
_STARTS = 16
_ELISIONS = frozenset("'’")  # n't
_FIRST_CHARACTER = 0x2E80  # of Chinese and its neighbours: a single one is a word
_SURE_LANGUAGE = 0.02  # share of the sample in a language from which on its stop words are left out


@one_thread()
def topics(
    words: Sequence[Sequence[str]], languages: Sequence[str], groups: Sequence[int], n_groups: int
) -> dict[str, Any] | None:
    """
    Args:
        words: of each document of the sample, in the order of ids.
        languages, groups: of each.

    Returns:
        `topics`, the largest first: `terms`, `documents` and `sources` (documents by group), `languages`; `none`:
        documents of no topic, by group; `documents` of the sample that have words enough, by group in `sources`; `map`:
        [x, y, topic or -1, group] of some of them. None where there is too little text.
    """
    terms, holds = _vocabulary(words, _stop_words(languages))
    rows = np.flatnonzero(np.diff(holds.indptr) >= 3)
    if len(rows) < LEAST or len(terms) < 2 * TERMS:
        return None
    holds = holds[rows]
    group, language = np.asarray(groups)[rows], [languages[i] for i in rows.tolist()]
    places = _places(holds)
    topic = _clusters(places)
    topic = _by_size(np.where(_cosines(places, topic) >= NEAR, topic, -1))
    present = (holds > 0).astype(np.float64)
    told = []
    for t in range(int(topic.max()) + 1):
        own = topic == t
        tongues = Counter(tongue for tongue, member in zip(language, own, strict=True) if member)
        told.append(
            {
                "terms": [terms[i] for i in _telling(present, own)],
                "documents": int(own.sum()),
                "sources": np.bincount(group[own], minlength=n_groups).tolist(),
                "languages": dict(sorted(tongues.items(), key=lambda item: (-item[1], item[0]))[:3]),
            }
        )
    shown = _spread(group, MAPPED)
    at = mapped(places[shown])
    return {
        "documents": len(rows),
        "sources": np.bincount(group, minlength=n_groups).tolist(),
        "topics": told,
        "none": np.bincount(group[topic < 0], minlength=n_groups).tolist(),
        "map": [
            [round(float(x), 3), round(float(y), 3), int(topic[i]), int(group[i])]
            for (x, y), i in zip(at, shown, strict=True)
        ],
    }


def _stop_words(languages: Sequence[str]) -> frozenset[str]:
    """Those of the languages that a good part of the documents is in (stopwords-iso)."""
    from stopwordsiso import has_lang, stopwords

    counts = Counter(languages)
    held = [code for code, n in counts.items() if n >= _SURE_LANGUAGE * len(languages) and has_lang(code)]
    return frozenset(stopwords(sorted({*held, "en", "zh"})))


def _vocabulary(words: Sequence[Sequence[str]], without: frozenset[str]) -> tuple[list[str], sparse.csr_matrix]:
    """The terms, and how often each document holds each (documents x terms)."""
    from sklearn.feature_extraction.text import CountVectorizer

    def naming(own: Sequence[str]) -> list[str]:
        return [word for word in own if word not in without and _names(word)]

    most = max(_LEAST_DOCUMENTS, int(_MOST_SHARE * len(words)))
    counting = CountVectorizer(analyzer=naming, min_df=_LEAST_DOCUMENTS, max_df=most, max_features=_VOCABULARY)
    try:
        holds = counting.fit_transform(words)
    except ValueError:  # it has no word for a vocabulary of none
        return [], sparse.csr_matrix((len(words), 0))
    return counting.get_feature_names_out().tolist(), holds


def _names(word: str) -> bool:
    """Whether a word can name something: begins with a letter, and is no single one, unless a character does."""
    return word[0].isalpha() and (len(word) > 1 or ord(word) >= _FIRST_CHARACTER) and not _ELISIONS & set(word)


def _places(holds: sparse.csr_matrix) -> F64:
    """The rows of TF-IDF (log counts, of length one) along their main directions, again of length one."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import normalize

    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(holds)
    svd = TruncatedSVD(min(DIRECTIONS, min(holds.shape) - 1), algorithm="arpack", random_state=SEED)
    return np.asarray(np.round(normalize(svd.fit_transform(weighed)), 9))


def _clusters(places: F64) -> I64:
    """The cluster of each row: k-means, the best of several starts."""
    from sklearn.cluster import KMeans

    k = min(int(np.clip(len(places) // 20, 2, TOPICS)), len(np.unique(places, axis=0)))
    label = KMeans(k, n_init=_STARTS, random_state=SEED).fit_predict(places)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


@one_thread()
def mapped(places: F64) -> F64:
    """Two coordinates for each of some points (n x d, the columns by importance), about 0, at most 1 away: t-SNE."""
    from sklearn.manifold import TSNE

    n = len(places)
    if n < 3:
        return np.array([[-1.0, 0.0], [1.0, 0.0]])[:n] * (n - 1)
    begin = places[:, :2] - places[:, :2].mean(axis=0)
    begin *= 1e-4 / max(float(begin.std()), 1e-12)
    at = TSNE(perplexity=min(PERPLEXITY, (n - 1) / 3), init=begin, random_state=SEED).fit_transform(places)
    return np.asarray(at / max(float(np.abs(at).max()), 1e-12), dtype=np.float64)


def _cosines(places: F64, label: I64) -> F64:
    """Of each row, that of the angle to the centre of its cluster."""
    n = int(label.max()) + 1
    centres = np.stack([places[label == t].mean(axis=0) for t in range(n)])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return np.asarray((places * centres[label]).sum(axis=1))


def _by_size(label: I64) -> I64:
    """Labels with 0 for the largest cluster, and -1 for those that are too small."""
    counts = np.bincount(label[label >= 0], minlength=1)
    order = np.argsort(-counts, kind="stable")
    place = np.full(len(counts) + 1, -1, dtype=np.int64)
    place[order] = np.where(counts[order] >= SMALLEST, np.arange(len(order)), -1)
    return place[label]


def _telling(present: sparse.csr_matrix, own: npt.NDArray[np.bool_]) -> list[int]:
    """The columns of the words that tell a topic."""
    inside = np.asarray(present[own].sum(axis=0)).ravel() / max(own.sum(), 1)
    every = np.asarray(present.sum(axis=0)).ravel() / present.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(inside > 0, inside * np.log2(inside / every), 0.0)
    return [int(i) for i in np.argsort(-score, kind="stable")[:TERMS] if score[i] > 0]


def _spread(group: I64, most: int) -> I64:
    """The first rows of each group, so many in all, in order."""
    n = int(group.max()) + 1
    each, taken = max(1, most // n), np.zeros(len(group), dtype=bool)
    for g in range(n):
        taken[np.flatnonzero(group == g)[:each]] = True
    rest = np.flatnonzero(~taken)[: max(0, most - int(taken.sum()))]
    taken[rest] = True
    return np.flatnonzero(taken)
