"""Two files of lines that stand for one another (`train.en`, `train.zh`; Moses' form) -> the texts of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from assay.corpus.documents import BETWEEN
from assay.corpus.reading import decode, lines
from assay.corpus.reading.decode import Problem, shown
from assay.errors import InputError


def rows(raw: decode.Raw, other: Path, encoding: str | None, problem: Problem) -> Iterator[tuple[int, str]]:
    """Number from 0 and text of each pair, "" where a side is empty. Both files are read to their ends first: lines
    that are no longer side by side would make pairs of strangers.

    Raises:
        InputError: they do not hold as many lines, or bytes that are not of the encoding.
    """
    here, there = _count(raw.path, encoding), _count(other, encoding)
    if here != there:
        raise InputError(
            f"{here:,} lines, and {shown(other.name)} beside it has {there:,}", where=raw.where,
            remedy="give two files of which each line stands for the line at its place in the other",
        )  # fmt: skip
    with decode.Raw(other) as target:
        pairs = zip(_lines(raw, encoding), _lines(target, encoding), strict=True)
        for number, (left, right) in enumerate(pairs):
            text = text_of(left, right, f"{raw.where}:{number + 1}", problem)
            if text is not None:
                yield number, text


def text_of(source: str, target: str, where: str, problem: Problem) -> str | None:
    """A pair as one text: "" where a side is empty, None where it cannot be one."""
    if not source.strip() or not target.strip():
        return ""
    if BETWEEN in source or BETWEEN in target:
        problem(where, "holds the control character U+001E, which stands between the sides of pairs", lines.MEND)
        return None
    return f"{source}{BETWEEN}{target}"


def _lines(raw: decode.Raw, encoding: str | None) -> Iterator[str]:
    """Lines split on b"\\n" alone (other separators may stand inside a sentence), without their ends."""
    text, rest, offset, number = decode.Text(raw, encoding), b"", 0, 0
    for block in itertools.chain(text.blocks(), [b""]):
        *whole, rest = (rest + block).split(b"\n") if block else ([rest, b""] if rest else [b""])
        for line in whole:
            number += 1
            try:
                yield line.decode().removesuffix("\r")
            except UnicodeDecodeError as error:
                raise text.undecodable(offset + error.start, number, line) from error
            offset += len(line) + 1


def _count(path: Path, encoding: str | None) -> int:
    with decode.Raw(path) as raw:
        return sum(1 for _ in _lines(raw, encoding))
