"""What word vectors are good for: similarity of words as people see it, and analogies.

    files -> `read` -> pairs with people's scores, or questions a : b = c : d in sections
          -> `evaluate(vectors, files)` -> one result a file, and one a section, each with interval and coverage

Similarity is Spearman's correlation of cosines and scores; its interval is a bootstrap over pairs. Analogies are the
share of questions that 3CosAdd answers (Mikolov et al. 2013). Questions are made of a few pairs of words, each with
each, so they say less than their number suggests: variances are those of such dyads (Aronow, Samii and Assenova 2015),
intervals Clopper and Pearson's with the number of independent questions that has this variance (Korn and Graubard
1998).

Words are matched whatever their case; of words that differ in nothing else, the first (most frequent) one counts.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import zstandard
from scipy import stats

from assay.errors import InputError

LEVEL = 0.9
RESAMPLES = 1000
Question = tuple[str, str, str, str]


class Vectors(Protocol):
    """What is asked of word vectors (`models.vectors.WordVectors`)."""

    @property
    def words(self) -> Sequence[str]: ...

    def similarity(self, one: str, other: str) -> float | None: ...

    def analogies(self, questions: Sequence[Question]) -> np.ndarray: ...


@dataclass(frozen=True)
class Similarities:
    """Pairs of words and how similar people find them."""

    name: str
    pairs: list[tuple[str, str]]
    scores: np.ndarray


@dataclass(frozen=True)
class Analogies:
    """Questions a : b = c : d by section."""

    name: str
    sections: dict[str, list[Question]]


@dataclass(frozen=True)
class Result:
    """What one file, or one of its sections, says about vectors.

    Attributes:
        section: None for a whole file.
        value: Spearman's correlation, or the share of right answers, of the `n_used`; None where they allow none.
        interval: of the value at `level`; None where there is no value.
        n: pairs or questions in all.
        n_known: those whose words are all among the vectors' words.
        n_used: those whose words all have a vector, which FastText also makes of the pieces of a word that it does not
            know; analogies are asked about known words alone.
    """

    file: str
    kind: Literal["similarity", "analogies"]
    section: str | None
    value: float | None
    interval: tuple[float, float] | None
    level: float
    n: int
    n_known: int
    n_used: int


def evaluate(vectors: Vectors, files: Sequence[Path], level: float = LEVEL) -> list[Result]:
    """Results of every file, in the order given; of analogies the whole first, then its sections.

    Raises:
        InputError: a file cannot be read, or a line of it is neither pair nor question.
    """
    read_first = [read(path) for path in files]
    spelling = _Spelling(vectors.words)
    results: list[Result] = []
    for asked in read_first:
        if isinstance(asked, Similarities):
            results.append(_similarity(vectors, asked, spelling, level))
        else:
            results += _analogies(vectors, asked, spelling, level)
    return results


class _Spelling:
    """How the vectors spell a word."""

    def __init__(self, words: Sequence[str]) -> None:
        self._known = {word.upper(): word for word in reversed(words)}
        self._lower = all(word == word.lower() for word in words)

    def known(self, *words: str) -> bool:
        return all(word.upper() in self._known for word in words)

    def of(self, word: str) -> str:
        return self._known.get(word.upper(), word.lower() if self._lower else word)


def _similarity(vectors: Vectors, asked: Similarities, spelling: _Spelling, level: float) -> Result:
    cosines = [vectors.similarity(spelling.of(a), spelling.of(b)) for a, b in asked.pairs]
    used = np.array([cosine is not None for cosine in cosines], dtype=bool)
    found = np.array([cosine for cosine in cosines if cosine is not None])
    scores = asked.scores[used]
    value = interval = None
    if len(found) >= 3 and np.ptp(found) > 0 and np.ptp(scores) > 0:
        value = float(stats.spearmanr(found, scores).statistic)
        interval = _bootstrap(found, scores, level)
    known = sum(spelling.known(*pair) for pair in asked.pairs)
    return Result(asked.name, "similarity", None, value, interval, level, len(asked.pairs), known, len(found))


def _bootstrap(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, float]:
    """Percentiles of Spearman's correlation over resampled pairs; the same draws for the same number of pairs."""
    rng = np.random.default_rng(0)
    drawn = []
    for start in range(0, RESAMPLES, 100):  # a hundred at a time bounds memory
        rows = rng.integers(0, len(x), (min(100, RESAMPLES - start), len(x)))
        a, b = (stats.rankdata(values[rows], axis=1) for values in (x, y))
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
        drawn.append(np.divide((a * b).sum(axis=1), norms, out=np.full(len(rows), np.nan), where=norms > 0))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _analogies(vectors: Vectors, asked: Analogies, spelling: _Spelling, level: float) -> list[Result]:
    parts = []
    for name, questions in asked.sections.items():
        hits = vectors.analogies([(spelling.of(a), spelling.of(b), spelling.of(c), spelling.of(d))
                                  for a, b, c, d in questions])  # fmt: skip
        used = ~np.isnan(hits)
        ends = [((name, a, b), (name, c, d)) for (a, b, c, d), use in zip(questions, used, strict=True) if use]
        parts.append((name, len(questions), hits[used], ends))

    def result(section: str | None, n: int, hits: np.ndarray, ends: Sequence[tuple[Hashable, Hashable]]) -> Result:
        value = float(hits.mean()) if len(hits) else None
        interval = share_of_dyads(hits, ends, level) if len(hits) else None
        return Result(asked.name, "analogies", section, value, interval, level, n, len(hits), len(hits))

    whole = result(
        None,
        sum(n for _, n, _, _ in parts),
        np.concatenate([hits for _, _, hits, _ in parts]),
        [pair for _, _, _, ends in parts for pair in ends],
    )
    return [whole, *(result(name, n, hits, ends) for name, n, hits, ends in parts)]


def share_of_dyads(hits: np.ndarray, ends: Sequence[tuple[Hashable, Hashable]], level: float) -> tuple[float, float]:
    """Interval of the share of ones among questions that are each made of two things which others are made of too.

    Args:
        hits: (n,) ones and zeros.
        ends: of each question what it is made of.
    """
    n, share = len(hits), float(hits.mean())
    numbers = {end: i for i, end in enumerate(dict.fromkeys(end for both in ends for end in both))}
    first, second = np.array([(numbers[a], numbers[b]) for a, b in ends]).T
    variance = share * (1 - share) / n
    independent = float(min(n, len(numbers)))  # nothing varies: no more can be told apart than what they are made of
    if variance > 0:
        rest = hits - share
        other = first != second
        of_end = np.bincount(first, rest, len(numbers)) + np.bincount(second[other], rest[other], len(numbers))
        dyads = np.minimum(first, second) * len(numbers) + np.maximum(first, second)
        of_dyad = np.bincount(np.unique(dyads[other], return_inverse=True)[1], rest[other])
        seen = (np.sum(of_end**2) - np.sum(of_dyad**2)) / n**2
        independent = n * variance / max(variance, float(seen))
    tail = (1 - level) / 2
    right, wrong = share * independent, (1 - share) * independent
    low = float(stats.beta.ppf(tail, right, wrong + 1)) if right > 0 else 0.0
    high = float(stats.beta.isf(tail, right + 1, wrong)) if wrong > 0 else 1.0
    return low, high


def read(path: Path) -> Similarities | Analogies:
    """A file of pairs (word, word, score; between tabs or spaces) or of questions (four words a line, `: name` before
    each section), plain or `.gz` or `.zst`. Lines that are empty or begin with # are passed over.

    Raises:
        InputError: it cannot be read, a line is neither, or there are none.
    """
    lines = list(_lines(path))
    if not lines:
        raise InputError("holds no pairs of words and no analogies", where=path, remedy="give a file that does")
    return _read_analogies(path, lines) if lines[0][1].startswith(":") else _read_similarities(path, lines)


def _read_similarities(path: Path, lines: list[tuple[int, str]]) -> Similarities:
    pairs, scores = [], []
    for number, line in lines:
        fields = [field.strip() for field in line.split("\t")] if "\t" in line else line.split()
        try:
            one, other, score = fields
            scores.append(float(score))
        except ValueError:
            scores.append(np.nan)
        if not np.isfinite(scores[-1]):
            raise InputError(
                "is not two words and a score", where=f"{path}:{number}",
                remedy="write: word, tab, word, tab, number; or begin a file of analogies with `: name`",
            )  # fmt: skip
        pairs.append((one, other))
    return Similarities(_name(path), pairs, np.array(scores))


def _read_analogies(path: Path, lines: list[tuple[int, str]]) -> Analogies:
    sections: dict[str, list[Question]] = {}
    here: list[Question] = []
    for number, line in lines:
        if line.startswith(":"):
            here = sections.setdefault(line[1:].strip(), [])
            continue
        words = line.split()
        if len(words) != 4:
            raise InputError(
                f"holds {len(words)} words, not four",
                where=f"{path}:{number}",
                remedy="write: a b c d, for a : b = c : d",
            )
        here.append((words[0], words[1], words[2], words[3]))
    if not any(sections.values()):
        raise InputError("holds no analogies", where=path, remedy="give a file that does")
    return Analogies(_name(path), {name: questions for name, questions in sections.items() if questions})


def _name(path: Path) -> str:
    """The file's name without .txt, .gz and .zst."""
    name = path.name
    for ending in (".zst", ".gz", ".txt"):
        name = name.removesuffix(ending)
    return name


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line) of lines that say something."""
    remedy = "give a file of word pairs or analogies"
    try:
        data = path.read_bytes()
        if path.suffix == ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
        elif path.suffix == ".gz":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("does not exist", where=path, remedy=remedy) from None
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise InputError(f"cannot be read ({error})", where=path, remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", where=path, remedy=remedy) from error
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if (said := line.strip()) and not said.startswith("#"):
            yield number, said
