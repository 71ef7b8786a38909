"""A model writes: on a terminal, into a file, in a conversation."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay import __version__
from assay.errors import InputError
from assay.front.printing import printed
from assay.store import disk_errors, fingerprint

if TYPE_CHECKING:
    from assay.generation.opened import Asked, Writer
    from assay.generation.settings import Settings
    from assay.generation.text import Answer

TALK = {"temperature": 0.7, "top_p": 0.95, "max_new_tokens": 512}  # of a conversation, where nothing else is said


def generate(
    *,
    model: Path,
    prompts: list[str],
    file: str | None,
    field: str | None,
    out: Path | None,
    raw: bool,
    draft: Path | None,
    given: Mapping[str, Any],
    rows: int,
    device: str,
    language: str,
    as_json: bool,
) -> None:
    """`assay generate`. `given` are settings, as typed."""
    from assay.generation import files

    settings = _read(given)
    asked = _asked(prompts, file, field)
    writer, small = _opened(model, draft, device)
    how = writer.usual.but(**settings)
    began, again = time.monotonic(), {"draft": small, "raw": raw, "rows": rows}
    body: dict[str, Any] = {"model": str(model), "n": len(asked), "settings": files.stated(how)}
    if out is not None:
        tokens, body["found"] = _into(out, writer, asked, how, again, language, quiet=as_json)
        body["out"] = str(out)
    else:
        found = _shown(writer, asked, how, again, quiet=as_json)
        tokens = sum(answer.tokens for own in found for answer in own)
        body["answers"] = [files.answer_row(one, own) for one, own in zip(asked, found, strict=True)]
    seconds = time.monotonic() - began
    body |= {"tokens": tokens, "assay_version": __version__}
    of = files.address(writer, asked, how, small, raw)
    body["fingerprint"] = fingerprint({"of": of, "answers": body.get("answers")})
    if as_json:
        speed = {"seconds": round(seconds, 3), "tokens_per_second": round(tokens / max(seconds, 1e-9), 1)}
        printed(json.dumps(body | speed, ensure_ascii=False))
        return
    if out is not None:
        printed(str(out))
    _rate(tokens, seconds, language)


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as typed -> as they are meant: files read, `\\n` a new line. Checked before a model is opened."""
    from assay.generation.settings import Settings

    found = dict(given)
    if "stop" in found:
        found["stop"] = [text.replace("\\n", "\n").replace("\\t", "\t") for text in found["stop"]]
    for name in ("json_schema", "grammar"):
        if name in found and (path := _file(found[name])) is not None:
            try:
                found[name] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(
                    "cannot be read as text", where=path, remedy="name a file, or give its text"
                ) from error
    Settings().but(**{"max_new_tokens": max(128, found.get("min_new_tokens", 0))} | found)
    return found


def _file(text: str) -> Path | None:
    """The file that a text names; None: it is the thing itself."""
    if text.lstrip().startswith("{") or ":" in text or "\n" in text:
        return None
    return Path(text)


def _asked(prompts: list[str], file: str | None, field: str | None) -> list[Asked]:
    """What was typed, then what the file holds."""
    from assay.generation import files

    if file is None and files.STDIN in prompts:
        prompts, file = [prompt for prompt in prompts if prompt != files.STDIN], files.STDIN
    if not prompts and file is None:
        raise InputError("no prompt is given", where="assay generate", remedy="type one, or name a --file")
    return [*prompts, *(files.prompts(file, field) if file is not None else [])]


def _opened(model: Path, draft: Path | None, device: str) -> tuple[Writer, Writer | None]:
    from assay.generation.opened import Writer
    from assay.train.world import device_of

    place = device_of(device, "--device")
    return Writer.load(model, place), None if draft is None else Writer.load(draft, place)


def _into(
    out: Path, writer: Writer, asked: Sequence[Asked], how: Settings, again: Mapping[str, Any], language: str, *,
    quiet: bool,
) -> tuple[int, int]:  # fmt: skip
    from assay.generation import files
    from assay.present.progress import Progress

    with Progress(language, quiet=quiet) as progress:
        progress.stage("write", len(asked))
        tell = lambda n, found: progress.advance(n, found=found)  # noqa: E731
        return files.write(out, writer, asked, how, **again, tell=tell)


def _shown(
    writer: Writer, asked: Sequence[Asked], how: Settings, again: Mapping[str, Any], *, quiet: bool
) -> list[list[Answer]]:
    """Answers, printed as they come where there is one, and one after the other where there are more."""
    from assay.generation.text import generate as answers
    from assay.generation.text import stream

    if quiet or len(asked) > 1 or how.n > 1:
        found = answers(writer, asked, how, **again)
        for one, own in zip(asked, found, strict=True):
            if not quiet and len(asked) > 1:
                printed(f"> {one if isinstance(one, str) else one[-1]['content']}")
            if not quiet:
                printed(*(answer.text + "\n" * (len(asked) > 1) for answer in own))
        return found
    last = None
    for piece in stream(writer, asked, how, **again):
        with disk_errors(Path("standard output")):
            print(piece.text, end="", flush=True)
        last = piece.answer
    printed()
    assert last is not None
    return [[last]]


def _rate(tokens: int, seconds: float, language: str) -> None:
    from assay.present.numbers import duration, fixed
    from assay.present.words import say

    text = say("chat.speed", language, n=tokens, time=duration(seconds, language),
               rate=fixed(tokens / max(seconds, 1e-9), 0))  # fmt: skip
    print(text, file=sys.stderr, flush=True)


def chat(
    *,
    model: Path,
    system: str | None,
    start: Path | None,
    draft: Path | None,
    given: Mapping[str, Any],
    device: str,
    language: str,
    as_json: bool,
) -> None:
    """`assay chat`."""
    from assay.generation.session import Session, saved
    from assay.generation.terminal import Terminal

    settings = _read(given)
    messages = [] if start is None else saved(start)
    if settings.get("n", 1) != 1:
        raise InputError(f"{settings['n']} answers", where="assay chat", remedy="a conversation goes on with one")
    writer, small = _opened(model, draft, device)
    drawn = "beams" not in settings and "alpha" not in settings
    usual = {name: value for name, value in TALK.items() if drawn or name == "max_new_tokens"}
    how = writer.usual.but(beams=1).but(**usual | settings)
    session = Session(writer, how, small, messages)
    if system is not None:
        session.messages = [{"role": "system", "content": system}, *(m for m in messages if m["role"] != "system")]
    Terminal(session, language, quiet=as_json).run()
    if as_json:
        body = {**session.body(), "tokens": session.tokens, "assay_version": __version__}
        printed(json.dumps(body | {"fingerprint": fingerprint(body)}, ensure_ascii=False))
