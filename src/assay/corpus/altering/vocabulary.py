"""Words that are taken out of texts: stop words of a list, and words that a corpus holds seldom.

    Texts -> words (`text.cuts`) -> the hash of each -> in the list? seldom? -> the text without it

    parts of documents -> hashes of words and how often each stands there, sorted, part by part
                       -> added up, a range of hashes at a time -> the hashes of words that are frequent enough

Memory is bounded by the frequent words, at 8 bytes each, not by all that the corpus holds. Hashes have 64 bits: that
two of ten million words share one has a chance of 3 in a million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.altering import chinese
from assay.corpus.altering.edits import Bools, Texts
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.compiled import BASE, compiled, place_among
from assay.corpus.text.cuts import Spans, spans
from assay.store import whole_file

COUNTS = pa.schema([pa.field("word", pa.uint64(), nullable=False), pa.field("count", pa.int64(), nullable=False)])
_AT_ONCE = 1 << 23  # rows of counts that are added up together


def languages() -> tuple[str, ...]:
    """Those that there are stop words of."""
    from stopwordsiso import langs

    return tuple(sorted(langs()))


@lru_cache(maxsize=4)
def stop_words(wanted: tuple[str, ...]) -> ch.U64:
    """Hashes of the stop words of some languages, sorted. What is listed without a letter (、) is no word."""
    from stopwordsiso import stopwords

    form = listed_form()
    listed = {
        "".join(chr(form[ord(c)]) for c in word) for word in stopwords(list(wanted)) if any(map(str.isalnum, word))
    }
    return np.array(sorted(set(map(hash_of, listed))), dtype=np.uint64)


def hash_of(word: str) -> int:
    """The hash of a word, as `hashes` has it."""
    key = 0
    for char in word:
        key = (key * int(BASE) + ord(char) + 1) % (1 << 64)
    return key


@lru_cache(maxsize=1)
def listed_form() -> ch.U32:
    """Every code point as words are looked up: in lower case, an apostrophe as ASCII's, Chinese as simplified."""
    table = ch.lowered()[chinese.simplified()]
    table[ord("’")] = ord("'")
    return table


def without_stop_words(texts: Texts, wanted: tuple[str, ...]) -> Texts:
    """The texts without the stop words of some languages, in either case, and in either script of Chinese. `don't` is
    one, though it is two words."""
    points, offsets = texts.points
    found = spans(points, offsets)
    keep = np.ones(len(found.begins), dtype=bool)
    _find_listed(points, listed_form(), found.begins, found.ends, found.offsets, stop_words(wanted), keep)
    return without(texts, found, keep)


def without_rare_words(texts: Texts, frequent: ch.U64) -> Texts:
    """The texts without words that are not among the `frequent` ones (sorted hashes). Punctuation marks stay."""
    points, offsets = texts.points
    found = spans(points, offsets)
    spelt = hashes(points, found)
    at = np.searchsorted(frequent, spelt)
    known = at < len(frequent)
    known[known] = frequent[at[known]] == spelt[known]
    return without(texts, found, known | ((found.kinds & w.WORD) == 0))


def hashes(points: ch.U32, found: Spans, form: ch.U32 | None = None) -> ch.U64:
    """The hash of every word; `form` is a table of what each code point counts as."""
    return ch.stretches(points if form is None else form[points], found.begins, found.ends)


@compiled
def _find_listed(points: Any, form: Any, begins: Any, ends: Any, offsets: Any, listed: Any, keep: Any) -> None:
    """Words in the list, by themselves or with the word that follows without a space (do n't)."""
    for d in range(len(offsets) - 1):
        i = offsets[d]
        while i < offsets[d + 1]:
            key = np.uint64(0)
            for j in range(begins[i], ends[i]):
                key = key * BASE + np.uint64(form[points[j]]) + np.uint64(1)
            if i + 1 < offsets[d + 1] and begins[i + 1] == ends[i]:
                both = key
                for j in range(begins[i + 1], ends[i + 1]):
                    both = both * BASE + np.uint64(form[points[j]]) + np.uint64(1)
                if place_among(listed, both) >= 0:
                    keep[i] = keep[i + 1] = False
                    i += 2
                    continue
            keep[i] = place_among(listed, key) < 0
            i += 1


def without(texts: Texts, found: Spans, keep: Bools) -> Texts:
    """Texts without some of their words, each with the spaces behind it, or before it where a line ends: those that
    stay are apart as before, and lines stay lines."""
    if keep.all():
        return texts
    points, offsets = texts.points
    made, places = np.empty(len(points), dtype=np.uint32), np.zeros(len(offsets), dtype=np.int64)
    n = _drop(points, offsets, ch.classes(), found.begins, found.ends, found.offsets, keep, made, places)
    return Texts(points=(made[:n].copy(), places))


@compiled
def _drop(
    points: Any, offsets: Any, classes: Any, begins: Any, ends: Any, words: Any, keep: Any, made: Any, places: Any
) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        i, word = offsets[d], words[d]
        taken = False  # a word was taken out, and nothing but spaces has come since
        while i < offsets[d + 1]:
            if word < words[d + 1] and i == begins[word]:
                if not keep[word]:
                    i, taken = ends[word], True
                    word += 1
                    continue
                word += 1
            point = points[i]
            if classes[point] & ch.SPACE and point != 0x0A:
                fresh = n == places[d] or classes[made[n - 1]] & ch.SPACE
                if taken and fresh:
                    i += 1
                    continue
            elif point == 0x0A and taken:
                n = _trimmed(made, classes, places[d], n)
            taken = taken and classes[point] & ch.SPACE > 0 and point != 0x0A
            made[n] = point
            n += 1
            i += 1
        if taken:
            n = _trimmed(made, classes, places[d], n)
        places[d + 1] = n
    return n


@compiled
def _trimmed(made: Any, classes: Any, begin: int, n: int) -> int:
    while n > begin and classes[made[n - 1]] & ch.SPACE and made[n - 1] != 0x0A:
        n -= 1
    return n


def count_part(part: Path, target: Path, threads: int, *, prepared: Callable[[Texts], Texts]) -> dict[str, Any]:
    """Write the hash of every word in one part of the documents, as `prepared` leaves their texts, and how often it
    stands there; sorted by hash."""
    del threads
    table = pl.DataFrame(schema={"word": pl.UInt64, "count": pl.Int64})
    for batch in documents.read([part], ["text"]):
        found = [table]
        for piece in ch.slices(batch):
            texts = prepared(Texts(piece.column("text")))
            points, offsets = texts.points
            words = spans(points, offsets)
            spelt, counts = np.unique(hashes(points, words)[(words.kinds & w.WORD) > 0], return_counts=True)
            found.append(pl.DataFrame({"word": spelt, "count": counts.astype(np.int64)}))
        table = pl.concat(found).group_by("word").agg(pl.col("count").sum())
    table = table.sort("word")
    with whole_file(target) as path:
        table.write_parquet(path, compression="zstd", compression_level=1)
    return {"rows": len(table), "words": int(table["count"].sum())}


def frequent(parts: Sequence[Path], rows: int, least: int) -> tuple[ch.U64, dict[str, int]]:
    """Hashes of the words that stand `least` times or more in all parts together, sorted; and how many different words
    there are, how many are rarer, and how often those stand in all.

    Args:
        rows: of all parts.
    """
    ranges = max(1, -(-rows // _AT_ONCE))
    edges = [(1 << 64) * i // ranges for i in range(ranges + 1)]
    kept, told = [np.empty(0, dtype=np.uint64)], {"different": 0, "rare": 0, "places": 0}
    for low, high in pairwise(edges):
        here = pl.col("word").is_between(pl.lit(low, pl.UInt64), pl.lit(high - 1, pl.UInt64))
        lazy = pl.scan_parquet(list(parts), glob=False).filter(here)
        table = lazy.group_by("word").agg(pl.col("count").sum()).collect()
        often = table["count"] >= least
        kept.append(np.sort(table.filter(often)["word"].to_numpy()))
        rest = table.filter(~often)
        told["different"] += len(table)
        told["rare"] += len(rest)
        told["places"] += int(rest["count"].sum())
    return np.concatenate(kept), told
