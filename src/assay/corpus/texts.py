"""A slice of documents, prepared once for every signal: code points, their kinds, lines, words and hashes.

Every document is followed by one newline that is not its own, so that what looks at neighbours never looks into
another document, and every line has an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from assay.corpus import characters as ch
from assay.corpus import words as words_

B1 = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spans:
    """Stretches of text: [begin, end) in the code points of a slice, and the document of each; in order."""

    begins: ch.I64
    ends: ch.I64
    document: ch.I64

    @property
    def lengths(self) -> ch.I64:
        return self.ends - self.begins

    def take(self, chosen: npt.NDArray[np.generic]) -> Spans:
        """Some of them, by index or mask."""
        return Spans(self.begins[chosen], self.ends[chosen], self.document[chosen])


class Texts:
    """A slice of a text column.

    Attributes:
        points: (P,) code points, each document with a newline after it.
        offsets: (n + 1,) where documents begin.
        n: number of documents.
    """

    def __init__(self, text: pa.Array) -> None:
        empty, newline = pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string())
        self.points, self.offsets = ch.points_of(
            pc.binary_join_element_wise(text.cast(pa.large_string()), empty, newline)
        )
        self.n = len(text)

    @cached_property
    def chars(self) -> ch.I64:
        """(n,) code points of each document."""
        return np.diff(self.offsets) - 1

    @cached_property
    def low(self) -> ch.U8:
        """(P,) the code points of ASCII, and 255 for all others: comparing bytes is four times as fast."""
        return np.where(self.points < 128, self.points, 255).astype(np.uint8)

    @cached_property
    def kinds(self) -> words_.U16:
        """(P,) the bits of `words.kinds`."""
        return words_.kinds()[self.points]

    @cached_property
    def space(self) -> B1:
        return (self.kinds & words_.SPACE) > 0

    @cached_property
    def words(self) -> words_.Words:
        return words_.split(self.points, self.low, self.offsets, self.kinds)

    @cached_property
    def rolling(self) -> ch.Rolling:
        return ch.Rolling(self.points)

    @cached_property
    def newlines(self) -> ch.I64:
        """Places of newlines; the one after each document is among them."""
        return np.flatnonzero(self.low == 0x0A)

    @cached_property
    def solid(self) -> ch.I64:
        """Places of what is not whitespace."""
        return np.flatnonzero(~self.space)

    @cached_property
    def lines(self) -> Spans:
        """What stands between newlines, empty lines too; a document without text has one empty line."""
        begins = np.concatenate([self.offsets[:1], self.newlines[:-1] + 1])
        return Spans(begins, self.newlines, self.document_of(begins))

    @cached_property
    def broken(self) -> Spans:
        """The lines of `str.splitlines`: every kind of line break ends one, and there is none after the last."""
        breaks = np.flatnonzero(self.kinds & words_.BREAK)
        document = self.document_of(breaks)
        added = breaks == self.offsets[1:][document] - 1
        return_ = self.points[breaks] == 0x0D
        pair = np.zeros(len(breaks), dtype=bool)  # the \r of \r\n
        pair[:-1] = return_[:-1] & ~added[1:] & (np.diff(breaks) == 1) & (self.points[breaks[1:]] == 0x0A)
        after_pair = np.concatenate([[False], pair[:-1]])
        kept = ~pair
        breaks, document, added, after_pair = breaks[kept], document[kept], added[kept], after_pair[kept]
        begins = np.concatenate([self.offsets[:1], breaks[:-1] + 1])
        lines = Spans(begins, breaks - after_pair, document)
        return lines.take(~added | (breaks > begins))

    @cached_property
    def stripped(self) -> Spans:
        """The lines without whitespace at either end; blank ones are empty."""
        return self.strip(self.lines)

    def strip(self, spans: Spans) -> Spans:
        """Stretches without the whitespace at their ends."""
        first, last = np.searchsorted(self.solid, spans.begins), np.searchsorted(self.solid, spans.ends) - 1
        some = last >= first
        begins, ends = spans.begins.copy(), spans.begins.copy()
        begins[some], ends[some] = self.solid[first[some]], self.solid[last[some]] + 1
        return Spans(begins, ends, spans.document)

    def document_of(self, places: ch.I64) -> ch.I64:
        return np.searchsorted(self.offsets, places, side="right") - 1

    def per_document(self, document: ch.I64, weights: npt.NDArray[np.generic] | None = None) -> npt.NDArray[np.int64]:
        """(n,) how many of these there are, or the sum of what they weigh."""
        return np.bincount(document, weights, minlength=self.n).astype(np.int64)

    @cached_property
    def line_repeats(self) -> B1:
        """`repeats` of the lines; empty ones do not."""
        again = np.zeros(len(self.lines.begins), dtype=bool)
        full = np.flatnonzero(self.lines.lengths)
        again[full] = self.repeats(self.lines.take(full))
        return again

    def repeats(self, spans: Spans) -> B1:
        """Whether the same text stands in an earlier one of these stretches, in the same document."""
        key = self.rolling.stretches(spans.begins, spans.ends) ^ ch.mix(spans.document.astype(np.uint64))
        _, first = np.unique(key, return_index=True)
        again = np.ones(len(key), dtype=bool)
        again[first] = False
        return again

    def find(self, pattern: str) -> ch.I64:
        """Where a pattern of lower-case ASCII begins, whatever the case of the text."""
        anchor = min(range(len(pattern)), key=lambda i: _COMMON.index(pattern[i]) if pattern[i] in _COMMON else -1)
        code = ord(pattern[anchor])
        at = np.flatnonzero((self.low == code) | (self.low == ord(pattern[anchor].upper()))) - anchor
        at = at[(at >= 0) & (at + len(pattern) <= len(self.low))]
        for i, char in enumerate(pattern):
            here = self.low[at + i]
            at = at[(here == ord(char)) | (here == ord(char.upper()))]
        return at


_COMMON = "zqxjkvbpygfwmucldrhsnioate "
"""Letters of English from rare to common: a search begins with the rarest of its pattern."""
