"""JSON Lines and JSON: bytes -> values, each with what to add to the file's name to say where it is."""

from __future__ import annotations

import codecs
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from assay.corpus.reading import decode, lines
from assay.corpus.reading.decode import Problem
from assay.errors import InputError


def of_lines(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    offset, text = 0, decode.Text(raw, encoding)
    for number, line in enumerate(lines.split(text.blocks()), 1):
        start, offset = offset, offset + (line if isinstance(line, int) else len(line)) + 1
        if isinstance(line, int):
            problem(f"{raw.where}:{number}", lines.too_long(line), "write one record on each line")
            continue
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            decode.told(problem, text.undecodable(start + error.start, number, line))
            continue
        except (ValueError, RecursionError) as error:
            column = f":{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            problem(f"{raw.where}:{number}{column}", f"broken JSON: {_why(error)}", lines.MEND)
            continue
        yield f":{number}", record


def values(raw: decode.Raw, encoding: str | None, problem: Problem) -> Iterator[tuple[str, Any]]:
    """Values of a JSON file one by one: of its arrays, or those that stand side by side. One that holds bytes which are
    not in the encoding is lost; after one that is broken nothing is certain: the file ends there."""
    decoder, source = json.JSONDecoder(), decode.Text(raw, encoding)
    blocks, bytes_of = source.blocks(), codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text, position, line, ended, wanted, read = "", 0, 1, False, 1, 0
    array, number = False, 0

    def undecodable(at: int) -> InputError:
        rest = text[at:].encode("utf-8", "surrogateescape")
        begin = read - len(bytes_of.getstate()[0]) - len(rest)
        return source.undecodable(begin, line + text.count("\n", position, at), rest[: decode.BLOCK])

    while True:
        while not ended and len(text) - position < wanted:
            block = next(blocks, None)
            ended, read = block is None, read + len(block or b"")
            text, position = text[position:] + bytes_of.decode(block or b"", ended), 0
        skipped = re.compile(r"[\s,]*" if array else r"\s*").match(text, position)
        assert skipped is not None
        line += text.count("\n", position, skipped.end())
        position = skipped.end()
        if position == len(text):
            if not ended:
                wanted = 1
                continue
            if array:
                raise _broken(raw, line, "the array does not end")
            return
        if text[position] == ("]" if array else "["):
            array, position = not array, position + 1
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            if decode.ESCAPED.match(text, error.pos):
                raise undecodable(error.pos) from error
            if ended or len(text) - position > lines.LARGEST:
                raise _broken(raw, line + text.count("\n", position, error.pos), error.msg) from error
            wanted = 2 * (len(text) - position) + 1
            continue
        except (ValueError, RecursionError) as error:
            raise _broken(raw, line, _why(error)) from error
        bad = decode.ESCAPED.search(text, position, end)
        if bad:
            decode.told(problem, undecodable(bad.start()))
        line += text.count("\n", position, end)
        position, wanted, number = end, 1, number + 1
        if not bad:
            yield f": value {number}", value


def _why(error: ValueError | RecursionError) -> str:
    """What Python's JSON reader could not do."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg.removesuffix(" starting at").removesuffix(" at")
    if isinstance(error, RecursionError):
        return "values are nested too deeply to be read"
    return f"a number has more than {sys.get_int_max_str_digits():,} digits"


def _broken(raw: decode.Raw, line: int, why: str) -> InputError:
    return InputError(f"broken JSON: {why}", where=f"{raw.where}:{line}", remedy="mend the file or copy it again")
