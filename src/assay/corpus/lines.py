"""Signals of lines: C4 (Raffel et al. 2020), FineWeb (Penedo et al. 2024) and RefinedWeb (Penedo et al. 2023).

C4 keeps the lines that end in a mark of punctuation, have three words and mention neither JavaScript nor policies, and
counts the sentences in these; whatever it says of a document is about these lines. Words of C4's lines are what stands
between spaces.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from assay.corpus import characters as ch
from assay.corpus import words as w
from assay.corpus.quality import Columns, dots_before, ratio
from assay.corpus.texts import B1, Spans, Texts

SHORT_LINE = 30
_LONGEST_WORD = 1000
_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_SHORT = 10  # words of a line that may be a call
_COUNTED = ("like", "share", "comment", "retweet", "repl", "view", "follower")
_CALLS = ("sign-in", "sign in", "read more", "read more...", "items in cart", "log in", "click here")
_ENDS = [ord(c) for c in ".?!\"'"]


def lines(texts: Texts) -> Columns:
    """The columns of this group."""
    return {**_fineweb(texts), **_c4(texts), **_refinedweb(texts)}


def _fineweb(texts: Texts) -> Columns:
    visible = texts.stripped.lengths > 0
    found = texts.lines.take(visible)
    number = texts.per_document(found.document)
    ended = (texts.kinds[found.ends - 1] & w.TERMINAL) > 0
    again = texts.lines.take(visible & texts.line_repeats)
    newlines = texts.per_document(texts.document_of(texts.newlines)) - 1
    return {
        "line_punctuation": ratio(texts.per_document(found.document[ended]), number),
        "short_lines": ratio(texts.per_document(found.document[found.lengths <= SHORT_LINE]), number),
        "repeated_line_chars": ratio(texts.per_document(again.document, again.lengths), texts.chars - newlines),
        "newlines_per_word": ratio(newlines, np.diff(texts.words.by_document)),
        "mean_line_length": ratio(texts.per_document(found.document, found.lengths), number),
    }


def _c4(texts: Texts) -> Columns:
    found = texts.strip(texts.broken)
    chunks = np.flatnonzero(~texts.space & np.concatenate([[True], texts.space[:-1]]))
    words = np.searchsorted(chunks, found.ends) - np.searchsorted(chunks, found.begins)
    last = texts.low[np.maximum(found.ends - 1, 0)]
    ends = (found.lengths > 0) & np.isin(last, _ENDS) & ~((last == 0x2E) & dots_before(texts, found))
    sentences = _sentences(texts, found)
    curly = _holding(found, np.flatnonzero(texts.low == ord("{")))
    cited = _cited(texts, found)
    if len(cited):
        ends[cited], sentences[cited], curly[cited] = _without_citations(texts, found.take(cited))
    kept = ends & (words >= 3) & ~_with_long_word(texts, found)
    lorem = kept & _holding(found, texts.find("lorem ipsum"))
    kept &= ~_holding(found, texts.find("javascript"))
    bracket = kept & curly
    for phrase in _POLICY if len(texts.find("cookie")) else _POLICY[:2]:
        kept &= ~_holding(found, texts.find(phrase))
    kept &= ~lorem & ~bracket
    return {
        "c4_sentences": texts.per_document(found.document[kept], sentences[kept]),
        "c4_lines": ratio(texts.per_document(found.document[kept]), texts.per_document(found.document)),
        "lorem_ipsum": texts.per_document(found.document[lorem]),
        "curly_brackets": texts.per_document(found.document[bracket]),
    }


def _refinedweb(texts: Texts) -> Columns:
    """Lines mostly in capitals, of digits alone, of one word, that count something ("3 likes") or call on the reader
    ("Read more..."): their share, and that of the words in them (RefinedWeb, table 9)."""
    found = texts.stripped.take(texts.stripped.lengths > 0)
    number = texts.per_document(found.document)
    capitals = _within(found, np.flatnonzero((texts.kinds & (w.UPPER | w.LOWER)) == w.UPPER))
    loud = capitals > found.lengths / 2
    digits = _within(found, np.flatnonzero((texts.kinds & w.DIGIT) > 0))
    first, beyond = (np.searchsorted(texts.words.begins, at) for at in (found.begins, found.ends))
    words = beyond - first
    flagged = loud | (digits == found.lengths) | (words <= 1)
    short = words <= _SHORT
    counter = short & (words == 2) & (digits > 0)
    flagged |= counter & _holding(found, np.sort(np.concatenate([texts.find(word) for word in _COUNTED])))
    for phrase in _CALLS:
        at = texts.find(phrase)
        flagged |= short & (np.isin(found.begins, at) | np.isin(found.ends, at + len(phrase)))
    every = np.diff(texts.words.by_document)
    return {
        "uppercase_lines": ratio(texts.per_document(found.document[loud]), number),
        "flagged_words": ratio(texts.per_document(found.document[flagged], words[flagged]), every),
    }


def _within(spans: Spans, places: ch.I64) -> ch.I64:
    """How many of these places each stretch holds."""
    return np.searchsorted(places, spans.ends) - np.searchsorted(places, spans.begins)


def _holding(spans: Spans, places: ch.I64) -> B1:
    """Which stretches hold one of these places."""
    return _within(spans, places) > 0


def _with_long_word(texts: Texts, spans: Spans) -> B1:
    edges = np.flatnonzero(texts.space)
    long = edges[np.diff(edges, prepend=-1) > _LONGEST_WORD + 1] - 1  # the last character of such a word
    return _holding(spans, long)


def _sentences(texts: Texts, spans: Spans) -> npt.NDArray[np.int64]:
    """Sentences of each stretch (stretches in order): one, and one more for every word after a mark that ends one,
    marks between them aside (spaCy's sentencizer)."""
    words = texts.words
    first, beyond = np.searchsorted(words.begins, spans.begins), np.searchsorted(words.begins, spans.ends)
    marks = (words.ends - words.begins == 1) & ((words.kinds & w.TERMINAL) > 0)
    others = np.flatnonzero(~marks & ((words.kinds & w.OTHER) > 0))
    of = np.maximum(np.searchsorted(first, others, side="right") - 1, 0)
    before = np.maximum(np.concatenate([[-1], others[:-1]]), first[of] - 1)
    count = np.concatenate([[0], np.cumsum(marks)])
    begins = (count[others] > count[before + 1]) & (others < beyond[of])
    return np.where(beyond > first, 1 + np.bincount(of[begins], minlength=len(first)), 0)


def _cited(texts: Texts, spans: Spans) -> ch.I64:
    """The stretches with a citation in square brackets."""
    at = np.flatnonzero(texts.low == ord("["))
    after = texts.points[at + 1]
    at = at[((after >= 0x30) & (after <= 0x39)) | np.isin(after, [ord(c) for c in "]ec"])]
    return np.flatnonzero(_holding(spans, at))


def _without_citations(texts: Texts, spans: Spans) -> tuple[B1, npt.NDArray[np.int64], B1]:
    """Whether each line, its citations taken out, ends in a mark, how many sentences it has, whether a `{`."""
    plain = [texts.points[a:b].tobytes().decode("utf-32-le") for a, b in zip(spans.begins, spans.ends, strict=True)]
    left = Texts(pa.array([_CITATION.sub("", line) for line in plain], pa.large_string()))
    every = Spans(left.offsets[:-1], left.offsets[1:] - 1, np.arange(left.n))
    last = left.low[np.maximum(every.ends - 1, 0)]
    ends = (every.lengths > 0) & np.isin(last, _ENDS) & ~((last == 0x2E) & dots_before(left, every))
    return ends, _sentences(left, every), _holding(every, np.flatnonzero(left.low == ord("{")))
