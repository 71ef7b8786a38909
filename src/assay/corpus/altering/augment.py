"""Augmentation: further copies of every document, said in other words, or with words dropped, swapped and replaced.

    documents -> their texts in other words -> words (`text.cuts`) -> draws for each
              -> a similar word in its place; two neighbours swapped; dropped
              -> copies behind the document, those that differ from it

Which words are similar, and what a text is in other words, is said by tables that are handed in (`NEIGHBOURS`,
`REWRITTEN`): this room knows no models. The operations
are those of Wei and Zou (2019, EDA); what similar words do to the sense is for you to judge, since vectors put good
beside bad.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from assay.corpus import documents
from assay.corpus.altering import vocabulary
from assay.corpus.altering.counting import by_source, summed
from assay.corpus.altering.edits import Bools, Texts, compared, draws, hits, in_rows, put_from, seeds, together
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.cuts import Spans, spans
from assay.errors import InputError

NEIGHBOURS = pa.schema(
    [
        pa.field("word", pa.string(), nullable=False),
        pa.field("neighbour", pa.string(), nullable=False),
        pa.field("cosine", pa.float32(), nullable=False),
    ]
)
"""Words in lower case and those most similar to each."""
REWRITTEN = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)
"""What a document is in other words; of several copies, the number of each, from 0 on."""
_AS_IS, _CAPITAL, _CAPITALS = range(3)


@dataclass(frozen=True)
class Augmentation:
    """What is done to a copy: each word is dropped, swapped with the next one of its line, or replaced by a similar
    one, with these probabilities.

    Attributes:
        neighbours: a file of NEIGHBOURS; for `synonyms`.
        copies: of each document.
        way: what says a text in other words; "": nothing does, and a copy begins as its document.
        rewritten: files of REWRITTEN, where something does.
    """

    drop: float = 0.0
    swap: float = 0.0
    synonyms: float = 0.0
    copies: int = 1
    seed: int = 0
    neighbours: Path | None = None
    way: str = ""
    rewritten: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("drop", self.drop), ("swap", self.swap), ("synonyms", self.synonyms)):
            if not 0 <= value <= 1:
                remedy = "give a share from 0 to 1, such as 0.1"
                raise InputError(f"--{name} is {value}", where="assay corpus augment", remedy=remedy)
        if not 1 <= self.copies <= 1000:
            remedy = "give a whole number from 1 to 1000"
            raise InputError(f"--copies is {self.copies}", where="assay corpus augment", remedy=remedy)

    @property
    def nothing(self) -> bool:
        """Whether a copy would be like its document."""
        return not (self.way or self.words)

    @property
    def words(self) -> bool:
        """Whether words are altered."""
        return bool(self.drop or self.swap or self.synonyms)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """NEIGHBOURS as arrays: sorted hashes of words, where the neighbours of each begin, and their texts three times: as
    they are, with a capital, in capitals."""

    words: ch.U64
    starts: ch.I64
    snippets: tuple[ch.U32, ch.I64]
    n: int


@lru_cache(maxsize=1)
def opened(path: Path) -> Neighbours:
    """Neighbours in a file."""
    return neighbours_of(pq.read_table(path, schema=NEIGHBOURS))


def neighbours_of(table: pa.Table) -> Neighbours:
    """A table of NEIGHBOURS, as arrays."""
    rows = sorted(
        (vocabulary.hash_of(word), -cosine, other)
        for word, other, cosine in zip(*(table.column(name).to_pylist() for name in NEIGHBOURS.names), strict=True)
    )
    words, starts = np.unique(np.array([row[0] for row in rows], dtype=np.uint64), return_index=True)
    texts = [row[2] for row in rows]
    forms = [*texts, *(text[:1].upper() + text[1:] for text in texts), *(text.upper() for text in texts)]
    snippets = ch.points_of(pa.array(forms, pa.large_string()))
    return Neighbours(words, np.append(starts, len(rows)), snippets, len(rows))


def augmented(batch: pa.RecordBatch, how: Augmentation) -> tuple[pa.RecordBatch, dict[str, Any]]:
    """The documents of a batch, each with its altered copies behind it; and counts by source: `documents`, `bytes`,
    `copies`, `alike` (copies that would not have differed, and are left out)."""
    if how.nothing:
        none = np.zeros(len(batch), dtype=np.int64)
        amount = {"documents": none + 1, "bytes": batch.column("n_bytes").to_numpy()}
        return batch, by_source(batch.column("source"), **amount, copies=none, alike=none)
    parts, counts = [], []
    for part in ch.slices(batch):
        made = [part]
        rows = [np.arange(len(part))]
        alike = np.zeros(len(part), dtype=np.int64)
        before = Texts(part.column("text"))
        for copy, start in enumerate(_starts(part, before, how)):
            after = Texts(points=_edited(*start, _seeds(part, how, copy), how)) if how.words else start[0]
            changed, _, _ = compared(before, after)
            mask = pa.array(changed)
            variant = f"augment {how.drop!r} {how.swap!r} {how.synonyms!r} {how.seed} {copy}" + how.way
            made.append(documents.uncounted(documents.altered(part.filter(mask), after.column.filter(mask), variant)))
            rows.append(np.flatnonzero(changed))
            alike += ~changed
        copies, at = together(made[1:]), np.concatenate([rows[0][:0], *rows[1:]])
        parts.append(in_rows(part, rows[0], copies, at, documents.DOCUMENTS))
        counts.append(
            by_source(
                part.column("source"), documents=np.ones(len(part)), bytes=part.column("n_bytes").to_numpy(),
                copies=np.bincount(at, minlength=len(part)), alike=alike,
            )
        )  # fmt: skip
    return together(parts), summed(counts)


def _starts(part: pa.RecordBatch, before: Texts, how: Augmentation) -> Iterator[tuple[Texts, Spans]]:
    """What each copy begins as, and its words: the document's text, or what that is in other words."""
    if not how.way:
        yield from repeat((before, spans(*before.points)), how.copies)
        return
    ids = part.column("doc_id")
    table = pq.read_table(list(how.rewritten), filters=[("doc_id", "in", ids.to_pylist())])
    found, order = pl.DataFrame(pl.from_arrow(table)), pl.DataFrame({"doc_id": pl.from_arrow(ids)})
    for number in range(how.copies):
        own = order.join(found.filter(number=number), on="doc_id", maintain_order="left", validate="1:1")
        text = Texts(own["text"].to_arrow().cast(pa.large_string()))
        yield text, spans(*text.points)


def _seeds(part: pa.RecordBatch, how: Augmentation, copy: int) -> ch.U64:
    return seeds(part.column("content_hash"), how.seed * 1_000_003 + copy)


def _edited(texts: Texts, found: Spans, numbers: ch.U64, how: Augmentation) -> tuple[ch.U32, ch.I64]:
    """Texts with similar words, then words swapped, then words dropped."""
    points, offsets = texts.points
    begins, lengths = found.begins.copy(), found.ends - found.begins
    real = (found.kinds & w.WORD) > 0
    others = points[:0]
    if how.synonyms and how.neighbours is not None:
        known = opened(how.neighbours)
        others = known.snippets[0]
        _replace(points, found, hits(draws(numbers, found.offsets, 51), how.synonyms), numbers, known, begins, lengths)
    if how.swap:
        first = _swapped(points, found, real, hits(draws(numbers, found.offsets, 52), how.swap))
        for values in (begins, lengths):
            values[first], values[first + 1] = values[first + 1], values[first].copy()
    pieces, widths, ends = _with_gaps(found, offsets, begins, lengths)
    made, places = put_from(points, others, pieces, widths, ends)
    if not how.drop:
        return made, places
    at = np.append(0, np.cumsum(widths))[:-1][_odd(found)]
    keep = np.ones(len(real), dtype=bool)
    keep[hits(draws(numbers, found.offsets, 53), how.drop)] = False
    keep |= ~real
    left = ch.sums(keep & real, found.offsets)
    for document in np.flatnonzero((left == 0) & (ch.sums(real, found.offsets) > 0)):  # an only word stays
        here = slice(found.offsets[document], found.offsets[document + 1])
        keep[here.start + int(np.argmax(real[here]))] = True
    moved = Spans(at, at + lengths, found.kinds, found.offsets)
    return vocabulary.without(Texts(points=(made, places)), moved, keep).points


def _odd(found: Spans) -> ch.I64:
    """Where the words are among pieces as `_with_gaps` gives them: every second one, and one more a document."""
    document = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    return 2 * np.arange(len(found.begins)) + document + 1


def _with_gaps(found: Spans, offsets: ch.I64, begins: ch.I64, lengths: ch.I64) -> tuple[ch.I64, ch.I64, ch.I64]:
    """Pieces that make up the texts: of each document a gap, a word, a gap, ..., a gap; and the documents' offsets in
    them."""
    n, several = len(begins), len(offsets) - 1
    at = _odd(found)
    where, widths = (np.empty(2 * n + several, dtype=np.int64) for _ in range(2))
    where[at], widths[at] = begins, lengths
    gap = np.ones(2 * n + several, dtype=bool)
    gap[at] = False
    last = found.offsets[1:] + np.arange(several)  # of each document, among the gaps
    opens = np.empty(n + several, dtype=np.int64)
    closes = np.empty(n + several, dtype=np.int64)
    inner = np.ones(n + several, dtype=bool)
    inner[last] = False
    closes[inner], closes[last] = found.begins, offsets[1:]
    first = found.offsets[:-1] + np.arange(several)
    inner[:] = True
    inner[first] = False
    opens[inner], opens[first] = found.ends, offsets[:-1]
    where[gap], widths[gap] = opens, closes - opens
    return where, widths, 2 * found.offsets + np.arange(several + 1)


def _swapped(points: ch.U32, found: Spans, real: Bools, hit: ch.I64) -> ch.I64:
    """The words that are swapped with the next one: both are words, of one line, and no word moves twice."""
    alone = np.append(np.diff(hit) > 1, True)[: len(hit)]
    document = np.searchsorted(found.offsets, hit, side="right") - 1
    hit = hit[alone & (hit + 1 < found.offsets[document + 1])]
    lines = np.append(0, np.cumsum(points == 0x0A))
    same = lines[found.begins[hit + 1]] == lines[found.ends[hit]]
    return hit[same & real[hit] & real[hit + 1]]


def _replace(
    points: ch.U32, found: Spans, hit: ch.I64, numbers: ch.U64, known: Neighbours, begins: ch.I64, lengths: ch.I64
) -> None:
    """Put similar words in the places of those that are hit and known, in their case."""
    if not len(known.words):
        return
    spelt = vocabulary.hashes(points, found, vocabulary.listed_form())[hit]
    at = np.minimum(np.searchsorted(known.words, spelt), len(known.words) - 1)
    good = known.words[at] == spelt
    hit, at = hit[good], at[good]
    random = draws(numbers, found.offsets, 54)[hit]
    count = known.starts[at + 1] - known.starts[at]
    chosen = known.starts[at] + (random % count.astype(np.uint64)).astype(np.int64)
    upper = (w.kinds()[points] & (w.UPPER | w.LOWER)) == w.UPPER
    total = np.append(0, np.cumsum(upper))
    number = total[found.ends[hit]] - total[found.begins[hit]]
    first = upper[found.begins[hit]]
    whole = (number == lengths[hit]) & (lengths[hit] > 1)
    form = np.where(whole, _CAPITALS, np.where(first, _CAPITAL, _AS_IS))
    snippet = chosen + form * known.n
    begins[hit] = len(points) + known.snippets[1][snippet]
    lengths[hit] = np.diff(known.snippets[1])[snippet]
