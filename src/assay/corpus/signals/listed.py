"""Words of lists that a person gives (insults, say): how many stand in each document, as a signal for rules.

    a file, one word or phrase a line -> all places where one stands, in one pass (Aho and Corasick 1975)
                                      -> those that begin and end where words do

"hell" does not stand in "hello": a place counts where its ends are ends of words, as `words.pieces` cuts them: at
spaces and marks in English, by jieba's dictionary in Chinese, where a word of the list that spans several of jieba's
counts, too, and one inside of a longer word does not. ASCII letters count in either case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus import documents
from assay.corpus.reading import decode
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.errors import InputError
from assay.store import whole_file


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


def counts(text: pa.Array, words: Sequence[str]) -> ch.I64:
    """How many places in each text are one of the words; places may overlap."""
    column, options = pl.col("text"), {"ascii_case_insensitive": True, "overlapping": True}
    frame = pl.DataFrame({"text": pl.Series(text)})
    found = frame.select(
        at=column.str.find_many(list(words), **options), what=column.str.extract_many(list(words), **options)
    )
    made = np.zeros(len(frame), dtype=np.int64)
    for i in np.flatnonzero(found["at"].list.len().to_numpy() > 0).tolist():
        value = frame["text"][i]
        lengths = np.fromiter(map(len, (char.encode() for char in value)), dtype=np.int64, count=len(value))
        edges = set(np.append(0, np.cumsum(lengths))[np.append(0, np.cumsum(w.pieces(value)))].tolist())
        places = zip(found["at"][i].to_list(), found["what"][i].to_list(), strict=True)
        made[i] = sum(at in edges and at + len(what.encode()) in edges for at, what in places)
    return made


def count_part(part: Path, target: Path, threads: int, *, words: Sequence[str], name: str) -> dict[str, Any]:
    """Write doc_id and the counts of one part of the documents."""
    del threads
    schema = pa.schema([pa.field("doc_id", pa.string(), nullable=False), pa.field(name, pa.int32())])
    rows = 0
    with whole_file(target) as path, documents.opened(path, schema) as writer:
        for batch in documents.read([part], ["doc_id", "text"]):
            made = pa.array(counts(batch.column("text"), words), pa.int32())
            writer.write_batch(pa.record_batch([batch.column("doc_id"), made], schema=schema))
            rows += batch.num_rows
    return {"documents": rows}
