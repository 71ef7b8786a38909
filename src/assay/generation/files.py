"""Many prompts from files -> answers as JSON lines, whole or to be gone on with.

    prompts.txt      a prompt a line
    prompts.jsonl    a prompt a row: its text in a field, or `messages`, a conversation
    -                standard input, as either

    {"prompt": .., "answers": [{"text": .., "end": .., "tokens": .., "log_probability": ..}, ..]}

Answers go to a file beside the wanted one, some prompts at a time; it takes its name when all are there. Its first line
says what it is of (model, settings, prompts), so that a rerun of the same goes on behind what is there, and of another
begins anew.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay.errors import InputError
from assay.generation.opened import Asked, Writer
from assay.generation.settings import Settings
from assay.generation.text import ROWS, Answer, generate
from assay.store import canonical_json, disk_errors, fingerprint, whole_file

STDIN = "-"
FIELDS = ("messages", "prompt", "text")  # that are looked for, in this order
AT_ONCE = 256  # prompts between two writes


def prompts(name: str, field: str | None = None) -> list[Asked]:
    """The prompts of a file.

    Args:
        name: of the file, or `-`.
        field: of the rows of JSON lines; None: see FIELDS.

    Raises:
        InputError: it cannot be read, is no UTF-8, a row has no prompt, or there is none at all.
    """
    where = "standard input" if name == STDIN else name
    lines = _lines(name, where)
    as_rows = field is not None or name.endswith((".jsonl", ".json"))
    found = [
        _of_row(line, field, f"{where}:{n}") if as_rows else line.rstrip("\r\n")
        for n, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not found:
        raise InputError("holds no prompts", where=where, remedy="write one a line")
    return found


def _lines(name: str, where: str) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=where, remedy="name a file of prompts") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is no valid UTF-8", where=f"{where}:{line}", remedy="convert the file to UTF-8") from error
    return text.split("\n")


def _of_row(line: str, field: str | None, where: str) -> Asked:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"is no JSON ({error})", where=where, remedy="write a JSON object a line") from error
    if not isinstance(row, Mapping):
        raise InputError("is no JSON object", where=where, remedy="write a JSON object a line")
    name = field if field is not None else next((name for name in FIELDS if name in row), FIELDS[1])
    if name not in row:
        raise InputError(f"has no field {name!r}: there are {', '.join(row)}", where=where, remedy="name it: --field")
    value = row[name]
    if not isinstance(value, str | list):
        raise InputError(f"field {name!r} is neither a text nor messages", where=where, remedy="mend the row")
    return value


def answer_row(asked: Asked, answers: Sequence[Answer]) -> dict[str, Any]:
    """What is written of one prompt."""
    return {"prompt": asked, "answers": [told(answer) for answer in answers]}


def told(answer: Answer) -> dict[str, Any]:
    """An answer as JSON, without its ids."""
    body = {name: value for name, value in asdict(answer).items() if name not in ("ids", "log_probabilities")}
    return body if answer.turns_cut else {name: value for name, value in body.items() if name != "turns_cut"}


def stated(settings: Settings) -> dict[str, Any]:
    """Settings as JSON: those that are not as they are without being set."""
    usual = asdict(Settings())
    return {name: value for name, value in asdict(settings).items() if value != usual[name]}


def address(writer: Writer, asked: Sequence[Asked], settings: Settings, draft: Writer | None, raw: bool) -> str:
    """The fingerprint of what answers follow from."""
    models = [writer.fingerprint, *([] if draft is None else [draft.fingerprint])]
    return fingerprint({"models": models, "settings": stated(settings), "prompts": list(asked), "raw": raw})


def write(
    out: Path,
    writer: Writer,
    asked: Sequence[Asked],
    settings: Settings,
    *,
    draft: Writer | None = None,
    raw: bool = False,
    rows: int = ROWS,
    tell: Callable[[int, bool], None] = lambda n, found: None,
) -> tuple[int, int]:
    """Answer prompts into a file, in their order.

    Args:
        tell: is told how many prompts are done since it was last told, and whether an earlier run did them.

    Returns:
        (tokens that were written in this run, prompts that an earlier run had answered).

    Raises:
        InputError: as `generate`; or the file cannot be written.
    """
    writer.prompts(asked, settings, raw=raw)  # what is wrong with the last prompt is told before the first is answered
    unfinished = out.with_name(f".unfinished-{out.name}")
    head = canonical_json({"of": address(writer, asked, settings, draft, raw)}) + "\n"
    tokens = 0
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        done = _whole_lines(unfinished, head)
        if done:
            tell(done, True)
        with unfinished.open("a", encoding="utf-8") as file:
            for at in range(done, len(asked), AT_ONCE):
                some = asked[at : at + AT_ONCE]
                found = generate(writer, some, settings, draft=draft, raw=raw, rows=rows)
                for one, own in zip(some, found, strict=True):
                    file.write(canonical_json(answer_row(one, own)) + "\n")
                    tokens += sum(answer.tokens for answer in own)
                file.flush()
                os.fsync(file.fileno())
                tell(len(some), False)
        _finish(unfinished, head, out)
    return tokens, done


def _whole_lines(unfinished: Path, head: str) -> int:
    """How many prompts are answered there already; what is half written is cut off, and what is another's is left."""
    if not unfinished.is_file() or not unfinished.read_bytes().startswith(head.encode()):
        unfinished.write_text(head, encoding="utf-8")
        return 0
    data = unfinished.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        with unfinished.open("r+b") as file:
            file.truncate(end)
    return data.count(b"\n", 0, end) - 1


def _finish(unfinished: Path, head: str, out: Path) -> None:
    """The same without its first line, under its own name."""
    with whole_file(out) as path, path.open("wb") as file, unfinished.open("rb") as given:
        given.seek(len(head.encode()))
        while piece := given.read(1 << 20):
            file.write(piece)
    unfinished.unlink()
