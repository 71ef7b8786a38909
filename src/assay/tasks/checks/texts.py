"""Texts: marks and entities of HTML, characters that are none, widths, scripts and forms of Chinese that are mixed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from assay.corpus.signals.language import script
from assay.corpus.signals.tongues import forms
from assay.corpus.text import characters as ch
from assay.tasks.checks.finding import Finding, Parts, Place, found, short, texts_of

_NAMES = "a|b|br|center|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|script|span|strong|sub|sup|table|td|th|tr|u|ul"
_HTML = re.compile(rf"</?(?:{_NAMES})(?:\s[^<>]*)?/?>|&(?:[a-z]{{2,8}}|#x?[0-9a-f]{{2,6}});|#\d{{2,4}};", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]")
_WIDE_LETTER, _LETTER = re.compile("[Ａ-Ｚａ-ｚ０-９]"), re.compile("[A-Za-z0-9]")
_HALF, _FULL = re.compile(r"[\u4e00-\u9fff][,.!?;:]"), re.compile("[\u4e00-\u9fff][，。！？；：]")
_GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"  # those that look like Latin ones
_LOOKALIKE = re.compile(rf"[A-Za-z][\u0400-\u04ff{_GREEK}]|[\u0400-\u04ff{_GREEK}][A-Za-z]")
PUNCTUATION = 0.05  # of the texts, from which on the rarer of two widths is told
ODD = 0.01  # of the texts, below which a script that nearly no text has is odd
FORMS, FORMS_LEAST = 0.01, 3  # share and number of texts in the rarer form of Chinese
_SIMPLIFIED, _TRADITIONAL, _KANA = 1, 2, 4  # bits of `tongues.forms`


def texts(parts: Parts, *, sentences: bool = False) -> list[Finding]:
    """All findings about texts.

    Args:
        sentences: rows are sentences of tokens, of which some are one mark alone.
    """
    rows = [(e.where, text) for own in parts.values() for e in own for text in texts_of(e)]
    if not rows:
        return []
    empty = [] if sentences else _empty(rows)
    return [*empty, *_marks(rows), *_widths(rows), *_scripts(rows)]


Rows = Sequence[tuple[str, str]]


def _empty(rows: Rows) -> Iterator[Finding]:
    """Texts without two letters or digits."""
    places = [Place(where, short(text)) for where, text in rows if sum(map(str.isalnum, text)) < 2]
    if places:
        yield found("empty", "look", places, len(rows))


def _marks(rows: Rows) -> Iterator[Finding]:
    html, controls, lookalikes = list[Place](), list[Place](), list[Place]()
    kinds, signs = Counter[str](), Counter[str]()
    for where, text in rows:
        if ("<" in text or ";" in text) and (marks := _HTML.findall(text)):
            kinds.update(marks)
            html.append(Place(where, short(text[max(0, _HTML.search(text).start() - 15) :])))  # type: ignore[union-attr]
        if hidden := _CONTROLS.findall(text):
            signs.update(f"U+{ord(c):04X} {unicodedata.name(c, '')}".strip() for c in hidden)
            controls.append(Place(where, short(repr(text[max(0, text.find(hidden[0]) - 15) :])[1:-1])))
        if not text.isascii() and (like := _LOOKALIKE.search(text)):
            lookalikes.append(Place(where, short(text[max(0, like.start() - 15) :])))
    if controls:
        yield found("controls", "look", controls, len(rows), which=[name for name, _ in signs.most_common(4)])
    if html:
        yield found("html", "look", html, len(rows), which=[name for name, _ in kinds.most_common(4)])
    if lookalikes:
        yield found("lookalikes", "look", lookalikes, len(rows))


def _widths(rows: Rows) -> Iterator[Finding]:
    wide = [Place(where, short(text)) for where, text in rows if not text.isascii() and _WIDE_LETTER.search(text)]
    narrow = sum(1 for _, text in rows if _LETTER.search(text))
    if wide and narrow:
        yield found("wide_letters", "look", wide, len(rows), narrow=narrow)
    half = [Place(where, short(text)) for where, text in rows if not text.isascii() and _HALF.search(text)]
    full = [Place(where, short(text)) for where, text in rows if not text.isascii() and _FULL.search(text)]
    rarer = min(half, full, key=len)
    if len(rarer) >= PUNCTUATION * len(rows):
        yield found("punctuation", "note", rarer, len(rows), half=len(half), full=len(full))


def _scripts(rows: Rows) -> Iterator[Finding]:
    points, offsets = ch.points_of(pa.array([text for _, text in rows], pa.large_string()))
    names = script(points, offsets).to_pylist()
    counts = Counter(name for name in names if name != "Zyyy")
    for name, n in counts.items():
        members = [i for i, own in enumerate(names) if own == name]
        if n < ODD * len(rows) and _presence(points, offsets, name) < ODD * len(rows):
            told = [Place(*_of(rows[i])) for i in members]
            yield found("scripts", "look", told, len(rows), script=name, usual=counts.most_common(1)[0][0])
    kinds = forms()[points]
    simple, old, kana = (ch.sums((kinds & bit) > 0, offsets) for bit in (_SIMPLIFIED, _TRADITIONAL, _KANA))
    by_form = [(simple > old) & (kana == 0), (old > simple) & (kana == 0)]
    n_of = [int(own.sum()) for own in by_form]
    rarer = by_form[int(np.argmin(n_of))]
    if min(n_of) >= max(FORMS_LEAST, FORMS * sum(n_of)):
        told = [Place(*_of(rows[i])) for i in np.flatnonzero(rarer).tolist()]
        yield found("chinese_forms", "look", told, sum(n_of), simplified=n_of[0], traditional=n_of[1])


def _presence(points: ch.U32, offsets: ch.I64, name: str) -> int:
    """Texts that have any letter of a script."""
    if name == "Jpan":
        return 0
    return int((ch.sums(ch.scripts()[points] == ch.SCRIPTS.index(name), offsets) > 0).sum())


def _of(row: tuple[str, str]) -> tuple[str, str]:
    return row[0], short(row[1])
