"""Words of lists that a person gives (insults, say): how many stand in each document, as a signal for rules.

    a file, one word or phrase a line -> all places where one stands, in one pass (Aho and Corasick 1975)
                                      -> those that begin and end where words do

"hell" does not stand in "hello": a place counts where its ends are ends of words, as `words.pieces` cuts them: at
spaces and marks in English, by jieba's dictionary in Chinese, where a word of the list that spans several of jieba's
counts, too, and one inside of a longer word does not. ASCII letters count in either case.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.reading import decode
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.errors import InputError
from assay.store import whole_file

PLACES = 10  # of words, that are told
_MOST = 20  # words of which it is told in how many documents they stand


@dataclass(frozen=True)
class WordList:
    """The words of a file; `name` is the signal's: words_ and the file's name."""

    name: str
    words: tuple[str, ...]


def read(paths: Sequence[Path]) -> list[WordList]:
    """Lists of words: UTF-8, one word or phrase a line; blank lines and those that begin with # are passed over.

    Raises:
        InputError: a file cannot be read, holds no words, or two have one name.
    """
    found: list[WordList] = []
    for path in paths:
        where = decode.shown(path)
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except FileNotFoundError as error:
            raise InputError("there is no such file", where=where, remedy="check the path of --words") from error
        except OSError as error:
            raise decode.refused(path, error) from error
        except UnicodeDecodeError as error:
            what = f"byte {error.start} is not UTF-8"
            raise InputError(what, where=where, remedy="save the list as UTF-8, one word a line") from error
        words = tuple(sorted({line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")}))
        if not words:
            raise InputError("holds no words", where=where, remedy="write one word or phrase a line")
        found.append(WordList("words_" + re.sub(r"\W+", "_", path.name.split(".", 1)[0]), words))
        if len({one.name for one in found}) < len(found):
            raise InputError("another list has this name", where=where, remedy="rename one of the files")
    return found


class Place(NamedTuple):
    """Where a word of a list stands: the row of its document, characters of its text, the word as the list has it."""

    row: int
    begin: int
    end: int
    word: str


def places(text: pa.Array, words: Sequence[str]) -> list[Place]:
    """The places that are one of the words, in the order of rows; they may overlap."""
    column, options = pl.col("text"), {"ascii_case_insensitive": True, "overlapping": True}
    frame = pl.DataFrame({"text": pl.Series(text)})
    listed = {_folded(word): word for word in words}
    wanted = list(listed.values())
    found = frame.select(at=column.str.find_many(wanted, **options), what=column.str.extract_many(wanted, **options))
    made: list[Place] = []
    for row in np.flatnonzero(found["at"].list.len().to_numpy() > 0).tolist():
        value = frame["text"][row]
        lengths = np.fromiter(map(len, (char.encode() for char in value)), dtype=np.int64, count=len(value))
        octets = np.append(0, np.cumsum(lengths))
        edges = set(np.append(0, np.cumsum(w.pieces(value))).tolist())
        for at, what in zip(found["at"][row].to_list(), found["what"][row].to_list(), strict=True):
            begin = int(np.searchsorted(octets, at))
            end = begin + len(what)
            if begin in edges and end in edges:
                made.append(Place(row, begin, end, listed[_folded(what)]))
    return made


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _folded(word: str) -> str:
    return word.translate(_LOWER)


def counts(text: pa.Array, words: Sequence[str]) -> ch.I64:
    """How many places in each text are one of the words."""
    rows = [place.row for place in places(text, words)]
    return np.bincount(np.array(rows, dtype=np.int64), minlength=len(text))


def count_part(part: Path, target: Path, threads: int, *, words: Sequence[str], name: str) -> dict[str, Any]:
    """Write doc_id and the counts of one part of the documents.

    Returns:
        how many documents hold a word (`found`) and at how many `places`; `of` each word that stands somewhere, how
        many documents hold it; `first`: a few places.
    """
    del threads
    schema = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field(name, pa.int32())])
    told: dict[str, Any] = {"documents": 0, "found": 0, "places": 0, "of": {}, "first": []}
    with whole_file(target) as path, documents.opened(path, schema) as writer:
        for batch in documents.read([part], ["doc_id", "text"]):
            found, ids = places(batch.column("text"), words), batch.column("doc_id")
            made = np.bincount(np.array([one.row for one in found], dtype=np.int64), minlength=batch.num_rows)
            writer.write_batch(pa.record_batch([ids, pa.array(made, pa.int32())], schema=schema))
            first = [{"word": one.word, "doc_id": ids[one.row].as_py(), "begin": one.begin, "end": one.end}
                     for one in found[: PLACES - len(told["first"])]]  # fmt: skip
            of = Counter(word for _, word in {(one.row, one.word) for one in found})
            counted = {"documents": batch.num_rows, "found": int((made > 0).sum()), "places": len(found)}
            told = _added(told, {**counted, "of": of, "first": first})
    return told


def together(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `count_part` returns, of all parts: of the words that most documents hold."""
    told: dict[str, Any] = {"documents": 0, "found": 0, "places": 0, "of": {}, "first": []}
    for part in parts:
        told = _added(told, part)
    most = sorted(told["of"].items(), key=lambda item: (-item[1], item[0]))[:_MOST]
    return {**told, "of": dict(most), "words": len(told["of"])}


def _added(told: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: told[name] + more[name] for name in ("documents", "found", "places")},
        "of": dict(Counter(told["of"]) + Counter(more["of"])),
        "first": [*told["first"], *more["first"]][:PLACES],
    }
