"""How much a document repeats itself: lines, paragraphs, word n-grams (Gopher, Rae et al. 2021, table A1).

The definitions are datatrove's, whose filters most corpora of today went through:
- a line ends at one or more newlines, a paragraph at two or more; repeated is what stands earlier in the document;
- top n-gram: the characters of the most frequent one (its words joined by spaces) times how often it stands there;
- duplicated n-grams: reading from the left, an n-gram read before counts with its characters and is stepped over whole;
- repeated 10-grams: of all windows of 10 words, those that stand in the document more than once (Data-Juicer's word
  repetition).
datatrove also takes "a b c" for a repeat of "ab c"; here words that are cut otherwise are others.
Shares are of the document's characters, or of its lines or paragraphs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from assay.corpus import characters as ch
from assay.corpus.texts import Spans, Texts

TOP, DUPLICATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)
Columns = dict[str, npt.NDArray[np.generic]]


def repetition(texts: Texts) -> Columns:
    """The columns of this group."""
    return {**_lines(texts), **_paragraphs(texts), **_ngrams(texts)}


def _share(part: npt.NDArray[np.generic], of: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return (part / np.maximum(of, 1)).astype(np.float32)


def _lines(texts: Texts) -> Columns:
    full = texts.lines.take(texts.lines.lengths > 0)
    again = texts.lines.take(texts.line_repeats)
    # A document that begins, or ends, with a newline has an empty line there; where it does both, the second repeats.
    first, last = texts.points[texts.offsets[:-1]] == 0x0A, texts.points[np.maximum(texts.offsets[1:] - 2, 0)] == 0x0A
    some = texts.chars > 0
    opens, closes = first & some, last & some
    number = texts.per_document(full.document) + opens + closes
    repeated = texts.per_document(again.document) + (opens & closes)
    return {
        "duplicate_lines": _share(repeated, number),
        "duplicate_line_chars": _share(texts.per_document(again.document, again.lengths), texts.chars),
    }


def _paragraphs(texts: Texts) -> Columns:
    lines = texts.lines
    whole = texts.strip(Spans(texts.offsets[:-1], texts.offsets[1:], np.arange(texts.n)))
    empty = lines.lengths == 0
    # A paragraph begins with a line after an empty one, and with the document, whose blank ends are stripped.
    opens = ~empty & np.concatenate([[True], empty[:-1] | (np.diff(lines.document) > 0)])
    begins = np.maximum(lines.begins[opens], whole.begins[lines.document[opens]])
    closes = ~empty & np.concatenate([empty[1:] | (np.diff(lines.document) > 0), [True]])
    ends = np.minimum(lines.ends[closes], whole.ends[lines.document[closes]])
    document = lines.document[opens]
    inside = begins < ends
    found = Spans(begins[inside], ends[inside], document[inside])
    again = found.take(texts.repeats(found))
    return {
        "duplicate_paragraphs": _share(texts.per_document(again.document), texts.per_document(found.document)),
        "duplicate_paragraph_chars": _share(texts.per_document(again.document, again.lengths), texts.chars),
    }


def _ngrams(texts: Texts) -> Columns:
    """Word n-grams, by sorting hashes; those of n words only where those of n - 1 repeat."""
    words, n_words = texts.words, np.diff(texts.words.by_document)
    begins, lengths, document = words.begins, words.ends - words.begins, words.document
    before = np.concatenate([[0], np.cumsum(lengths)])  # characters in the words before
    left = words.by_document[1:][document] - np.arange(len(begins))  # words from here to the document's end
    spelled = texts.rolling.stretches(begins, words.ends)
    at, key = np.arange(len(begins)), spelled ^ ch.mix(document.astype(np.uint64))
    columns: Columns = {}
    for n in range(2, max(DUPLICATED) + 1):
        fits = left[at] >= n
        at = at[fits]
        key = ch.scatter(key[fits]) + spelled[at + n - 1]
        order, starts, count = _grouped(key)
        several = count > 1
        if n in TOP:
            first = at[np.minimum.reduceat(order, starts)[several]] if len(starts) else at
            # The most frequent, and of equals the one that stands first; the document's first where none repeats.
            rank = (count[several] << 32) - first
            best = np.zeros(texts.n, dtype=np.int64)
            np.maximum.at(best, document[first], rank)
            top = rank == best[document[first]]
            chars = np.zeros(texts.n, dtype=np.int64)
            chars[document[first[top]]] = count[several][top] * (before[first + n] - before[first] + n - 1)[top]
            opening = words.by_document[:-1][(best == 0) & (n_words >= n)]
            chars[document[opening]] = before[opening + n] - before[opening] + n - 1
            columns[f"top_{n}gram"] = _share(chars, texts.chars)
        repeated = np.zeros(len(at), dtype=bool)
        repeated[order] = np.repeat(several, count)
        at, key = at[repeated], key[repeated]
        if n == max(DUPLICATED):
            number = np.maximum(n_words - n + 1, 0)
            columns[f"repeated_{n}grams"] = _share(texts.per_document(document[at]), number)
        if n in DUPLICATED:
            chars = _stepped(at, key, before[at + n] - before[at], n, document, texts.n)
            columns[f"duplicate_{n}grams"] = _share(chars, texts.chars)
    return columns


def _grouped(key: ch.U64) -> tuple[ch.I64, ch.I64, ch.I64]:
    """An order that brings equal keys together, where in it each group begins, and how many are in it."""
    order = np.argsort(key)
    ordered = key[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(new)
    return order, starts, np.diff(np.append(starts, len(order)))


def _stepped(at: ch.I64, key: ch.U64, size: ch.I64, n: int, document: ch.I64, documents: int) -> npt.NDArray[np.int64]:
    """Characters of n-grams read before, where each is stepped over whole: only n-grams that stand in the document
    twice can matter, so that the one loop that goes from word to word goes over those alone."""
    chars = np.zeros(documents, dtype=np.int64)
    seen: set[int] = set()
    beyond = total = 0
    current = -1
    for place, value, length, owner in zip(
        at.tolist(), key.tolist(), size.tolist(), document[at].tolist(), strict=True
    ):
        if owner != current:
            if total:
                chars[current] = total
            current, total, beyond = owner, 0, 0
            seen.clear()
        if place < beyond:
            continue
        if value in seen:
            total += length
            beyond = place + n
        else:
            seen.add(value)
    if total:
        chars[current] = total
    return chars
