"""Extractive questions: SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, 2018), DRCD, both forms of CMRC 2018, and the
flattened form of hubs -> one row a question:

    {"id", "context", "question", "answers": {"text": [...], "answer_start": [...]}, "is_impossible", "title"}

Places count code points from 0. An answer that does not stand where the file says is looked for: at the nearest place
where it stands it is mended, and counted; where it stands nowhere the answer is bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assay.errors import InputError
from assay.tasks.reading.rows import MEND, Met, Row, kind, mapping, text, wanted


def looks_like(value: Mapping[str, Any]) -> bool:
    """Whether a JSON value holds questions about a text."""
    if "context_text" in value and "qas" in value:
        return True
    articles = value.get("data")
    if isinstance(articles, list) and articles and isinstance(articles[0], Mapping):
        return "paragraphs" in articles[0]
    return "paragraphs" in value or {"context", "question", "answers"} <= set(value)


def rows(value: Any, where: str, met: Met) -> Iterator[Row]:
    """The questions of one JSON value: a file's, an article's, a paragraph's, or one question."""
    whole = mapping(value, where)
    if "data" in whole:
        for number, article in enumerate(_list(whole, "data", where), 1):
            yield from rows(article, f"{where}, article {number}", met)
        return
    if "paragraphs" in whole:
        title = str(whole.get("title") or "")
        for number, paragraph in enumerate(_list(whole, "paragraphs", where), 1):
            yield from _paragraph(mapping(paragraph, where), title, f"{where}, paragraph {number}", met)
        return
    if "qas" in whole:
        yield from _paragraph(whole, str(whole.get("title") or ""), where, met)
        return
    yield from _asked(whole, text(whole, "context", where), str(whole.get("title") or ""), where, met)


def _list(fields: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = wanted(fields, name, where)
    if not isinstance(value, list):
        raise InputError(f"field {name!r} is no list: it is {kind(value)}", where=where, remedy=MEND)
    return value


def _paragraph(fields: Mapping[str, Any], title: str, where: str, met: Met) -> Iterator[Row]:
    context = text(fields, "context_text" if "context_text" in fields else "context", where)
    for number, asked in enumerate(_list(fields, "qas", where), 1):
        yield from _asked(asked, context, title, f"{where}, question {number}", met)


def _asked(value: Any, context: str, title: str, where: str, met: Met) -> Iterator[Row]:
    """The row of one question; none where it is bad and bad ones are skipped."""
    try:
        fields = mapping(value, where)
        name = "query_text" if "query_text" in fields else "question"
        question = text(fields, name, where)
        own = fields.get("id", fields.get("query_id"))
        told, impossible = _told(wanted(fields, "answers", where), where), bool(fields.get("is_impossible"))
        if impossible:  # what stands there is then plausible, and wrong
            told = []
        found, lost = list[tuple[str, int]](), list[InputError]()
        for answer in told:
            try:
                found.append(_placed(*answer, context, where, met))
            except InputError as error:
                lost.append(error)
        if lost and (met.stop or not found):
            raise lost[0]
        for one in lost:  # others answer the question
            met.mend(f"an answer is left out: {one.what}", where)
    except InputError as error:
        met.bad(error)
        return
    answers = {"text": [one for one, _ in found], "answer_start": [start for _, start in found]}
    yield Row(
        {
            "id": str(own) if own is not None else where,
            "context": context,
            "question": question,
            "answers": answers,
            "is_impossible": not found,
            "title": title,
        },
        where,
    )


def _told(value: Any, where: str) -> list[tuple[str, int | None]]:
    """The answers and where they are said to stand, in whatever form."""
    if isinstance(value, Mapping):  # columns, as hubs have it
        texts = _list(value, "text", where)
        starts = _list(value, "answer_start", where)
        if len(texts) != len(starts):
            what = f"{len(texts)} answers have {len(starts)} places: each has one"
            raise InputError(what, where=where, remedy=MEND)
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(value, list):
        pairs = []
        for one in value:
            if isinstance(one, Mapping):
                pairs.append((wanted(one, "text", where), one.get("answer_start", one.get("start"))))
            else:
                pairs.append((one, None))
    else:
        raise InputError(f"answers are no list: they are {kind(value)}", where=where, remedy=MEND)
    for one, start in pairs:
        if not isinstance(one, str) or not one:
            raise InputError(
                f"an answer is no text: it is {kind(one) if one != '' else 'empty'}", where=where, remedy=MEND
            )
        if start is not None and (isinstance(start, bool) or not isinstance(start, int)):
            raise InputError(f"an answer's place is no whole number: it is {kind(start)}", where=where, remedy=MEND)
    return pairs


def _placed(answer: str, start: int | None, context: str, where: str, met: Met) -> tuple[str, int]:
    """An answer where it stands.

    Raises:
        InputError: it stands nowhere.
    """
    if start is not None and start >= 0 and context.startswith(answer, start):
        return answer, start
    near = start if start is not None and start >= 0 else 0
    found = nearest(context, answer, near)
    if found is None:
        told = start is not None and start >= 0
        stands = f"at {start} stands {context[near : near + len(answer)][:40]!r}" if told else "none is told"
        what = f"an answer is not at its place: {stands}, and {answer[:40]!r} is nowhere in the context"
        remedy = "mend the answer: it must be a stretch of the context, letter for letter"
        raise InputError(what, where=where, remedy=remedy)
    if start is not None:
        met.mend(f"an answer is not at its place: at {start}, found at {found}", where)
    else:
        met.mend("an answer's place was not told: the first one where it stands is taken", where)
    return answer, found


def nearest(context: str, part: str, near: int) -> int | None:
    """Where a part of a text stands, the nearest to a place (of two as near, the first); None: nowhere."""
    before = context.rfind(part, 0, near + len(part))
    after = context.find(part, near)
    found = [place for place in (before, after) if place >= 0]
    return min(found, key=lambda place: (abs(place - near), place)) if found else None
