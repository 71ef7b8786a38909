"""Cleaning of characters, whatever they say: normal form, markup, addresses, widths, case, digits, punctuation, spaces.

    Texts -> Texts, one function a step; none of them looks beyond a document, or knows a language

What is looked for by patterns is taken out by Rust's regular expressions (through Polars), which take time in
proportion to the text, whatever it is; all else are look-ups of code points, or loops over them that are compiled.
"""

from __future__ import annotations

import html
import sys
import unicodedata
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus.altering.edits import Texts, kept_points
from assay.corpus.text import characters as ch
from assay.corpus.text.compiled import compiled

Form = Literal["nfc", "nfkc"]
Case = Literal["lower"]
Width = Literal["alphanumeric", "all"]
Digits = Literal["zero", "drop"]
Punctuation = Literal["drop"]

_BLOCKS = """
    address article aside blockquote body br button canvas caption center col colgroup dd details dialog div dl dt
    fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe legend li
    link main map menu meta nav noscript object ol optgroup option p param picture pre search section select source
    summary svg table tbody td template textarea tfoot th thead title tr track ul video
    """
_INLINE = """
    a abbr acronym area audio b base bdi bdo big cite code data datalist del dfn em embed font i img input ins kbd label
    mark meter nobr output progress q rp rt ruby s samp script slot small span strike strong style sub sup time tt u var
    wbr
    """
_HIDDEN = r"(?is)<!--.*?-->|<!doctype[^<>]*>|<script\b[^<>]*>.*?</script\s*>|<style\b[^<>]*>.*?</style\s*>"
_URL = r"(?i)(?-u:\b)(?:https?://|ftp://|www\.)[a-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*[a-z0-9/_~#=&%\-]"
_PICTURE = r"!\[[^\]\n]*\]\([a-zA-Z]+://[^\s()]*\)"
_LINK = r"\[([^\]\n]*)\]\([a-zA-Z]+://[^\s()]*\)"
_EMAIL = r"(?i)(?-u:\b)(?:mailto:)?[a-z0-9][a-z0-9._%+\-]*@[a-z0-9\-]+(?:\.[a-z0-9\-]+)*\.[a-z]{2,}(?-u:\b)"
_ENTITY = r"&#?\w+;"
_NUMBERED = (*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x2000, 0x2070), 0x20AC, 0x2122)


def _series(texts: Texts) -> pl.Series:
    return pl.Series(pl.from_arrow(texts.column))


def _texts(series: pl.Series) -> Texts:
    return Texts(series.to_arrow().cast(pa.large_string()))


def normal_form(texts: Texts, form: Form) -> Texts:
    """A normal form of Unicode (UAX 15)."""
    return _texts(_series(texts).str.normalize("NFC" if form == "nfc" else "NFKC"))


def lower(texts: Texts) -> Texts:
    """Lower case, as Unicode has it (a final sigma is one)."""
    return _texts(_series(texts).str.to_lowercase())


def without_html(texts: Texts) -> Texts:
    """Comments, scripts, styles and the tags of HTML's elements are gone, entities are the characters that they stand
    for. Elements that begin on a line of their own leave a line end; `<stdio.h>` and `a < b` stay."""
    block, inline = ("|".join(names.split()) for names in (_BLOCKS, _INLINE))
    series = _series(texts).str.replace_all(_HIDDEN, "")
    series = series.str.replace_all(rf"(?i)[ \t]*</?(?:{block})(?:\s[^<>]*)?/?>[ \t]*", "\n")
    series = series.str.replace_all(rf"(?i)</?(?:{inline})(?:\s[^<>]*)?/?>", "")
    if series.str.contains(_ENTITY).any():
        series = series.str.replace_many(*_entities(), leftmost=True)
    return _texts(series)


@lru_cache(maxsize=1)
def _entities() -> tuple[list[str], list[str]]:
    """HTML's entities that end in a semicolon, and what they stand for; of those with numbers the usual ones."""
    named = {f"&{name}": char for name, char in html.entities.html5.items() if name.endswith(";")}
    for point in _NUMBERED:
        named |= {f"&#{point};": chr(point), f"&#x{point:x};": chr(point), f"&#x{point:X};": chr(point)}
    return list(named), list(named.values())


def without_urls(texts: Texts) -> Texts:
    """Addresses that begin with http://, https://, ftp:// or www. are gone; Chinese text behind one stays. Of a link in
    Markdown its text stays, of a picture nothing."""
    series = _series(texts).str.replace_all(_PICTURE, "").str.replace_all(_LINK, "$1")
    return _texts(series.str.replace_all(_URL, ""))


def without_emails(texts: Texts) -> Texts:
    """E-mail addresses are gone."""
    return _texts(_series(texts).str.replace_all(_EMAIL, ""))


def _mapped(texts: Texts, table: ch.U32) -> Texts:
    points, offsets = texts.points
    return Texts(points=(table[points], offsets))


def _every(function: Any) -> Any:
    """A table over all code points, where a function says something else than the code point itself."""
    table = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    for point, made in function:
        table[point] = made
    return table


@lru_cache(maxsize=2)
def _halves(width: Width) -> ch.U32:
    wide = [(0x3000, 0x20), *((0xFEE0 + half, half) for half in range(0x21, 0x7F))]
    return np.asarray(_every((p, half) for p, half in wide if width == "all" or chr(half).isalnum()), dtype=np.uint32)


def half_width(texts: Texts, width: Width) -> Texts:
    """Full-width letters and digits as their ASCII ones, or all such forms: Chinese ，！？：；（） are among them."""
    return _mapped(texts, _halves(width))


@lru_cache(maxsize=1)
def _zeros() -> ch.U32:
    found = ((p, 0x30) for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)) == "Nd")
    return np.asarray(_every(found), dtype=np.uint32)


def digits(texts: Texts, how: Digits) -> Texts:
    """Decimal digits of any script as 0, or gone. Numbers in words (三, ten) and Ⅷ, ½ are no digits."""
    if how == "zero":
        return _mapped(texts, _zeros())
    points, offsets = texts.points
    return Texts(points=kept_points(points, offsets, _zeros()[points] != 0x30))


_MARK, _WORD, _APOSTROPHE = 1, 2, 4


@lru_cache(maxsize=1)
def _marks() -> ch.U8:
    """Punctuation, and letters and digits of scripts that put spaces between words."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    classes = ch.classes()
    table[(classes & (ch.LETTER | ch.DIGIT) > 0) & (classes & ch.UNSPACED == 0)] = _WORD
    for point in np.flatnonzero(classes & ch.PUNCTUATION).tolist():
        if unicodedata.category(chr(point))[0] == "P":
            table[point] = _MARK
    for symbol in "$+<=>^`|~":  # ASCII's, which Unicode calls symbols, and their full-width forms
        table[[ord(symbol), ord(symbol) + 0xFEE0]] = _MARK
    table[[ord("'"), ord("’")]] = _MARK | _APOSTROPHE
    return table


def without_punctuation(texts: Texts) -> Texts:
    """Punctuation of any script is gone, and the symbols of ASCII. Between two letters or digits of a script with
    spaces a space takes its place (3.14 is no 314), but for an apostrophe's."""
    points, offsets = texts.points
    made, places = np.empty(len(points), dtype=np.uint32), np.zeros(len(offsets), dtype=np.int64)
    n = _unmarked(points, offsets, _marks(), made, places)
    return Texts(points=(made[:n].copy(), places))


@compiled
def _unmarked(points: Any, offsets: Any, table: Any, made: Any, places: Any) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            if not table[points[i]] & _MARK:
                made[n] = points[i]
                n += 1
                i += 1
                continue
            first = i
            parts = False
            while i < end and table[points[i]] & _MARK:
                parts |= not table[points[i]] & _APOSTROPHE
                i += 1
            if parts and first > offsets[d] and i < end and table[points[first - 1]] & table[points[i]] & _WORD:
                made[n] = 0x20
                n += 1
        places[d + 1] = n
    return n


_SPACE, _LINE, _INVISIBLE, _JOINER, _JOINS, _PLAIN = 1, 2, 4, 8, 16, 32


@lru_cache(maxsize=1)
def _white() -> ch.U8:
    """Spaces, line ends, what is not seen, and what a joiner means something behind."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    for point in np.flatnonzero(ch.classes() & ch.SPACE).tolist():
        table[point] = _SPACE
    table[[0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029]] = _LINE
    table[[0x09, 0x20]] |= _PLAIN
    table[[0xAD, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]] = _INVISIBLE
    table[0x200C:0x200E] = _JOINER
    table[0x0600:0x1000] |= _JOINS  # Arabic to Tibetan
    table[[*range(0x2600, 0x27C0), 0xFE0F, *range(0x1F000, 0x20000)]] |= _JOINS  # emoji
    return table


def visible(texts: Texts) -> Texts:
    """Characters without width are gone: zero-width spaces, soft hyphens, byte-order marks, marks of direction. Joiners
    stay where they mean something: in Arabic, Persian and Indic scripts, and between emoji. U+3000 at the beginning of
    a line is gone, too: it says that a paragraph begins."""
    points, offsets = texts.points
    kinds = _white()[points]
    keep = (kinds & _INVISIBLE) == 0
    joiners = np.flatnonzero(kinds & _JOINER)
    inside = joiners > offsets[np.searchsorted(offsets, joiners, side="right") - 1]
    keep[joiners] = inside & ((kinds[np.maximum(joiners - 1, 0)] & _JOINS) > 0)
    wide = np.flatnonzero(points == 0x3000)
    if len(wide):
        other = np.maximum.accumulate(np.where(points == 0x3000, -1, np.arange(len(points))))[wide]
        begin = offsets[np.searchsorted(offsets, wide, side="right") - 1]
        keep[wide] = (other >= begin) & ((kinds[np.maximum(other, 0)] & _LINE) == 0)
    return Texts(points=kept_points(points, offsets, keep)) if not keep.all() else texts


def spaces(texts: Texts) -> Texts:
    """One kind of space and of line end: runs of spaces become one (tabs and U+3000 among them), spaces at line ends
    and blank lines at either end of a document are gone, and no more than one blank line follows a line. Tabs and plain
    spaces at the beginning of a line stay, since they mean something in code and lists."""
    points, offsets = texts.points
    made, places = np.empty(len(points), dtype=np.uint32), np.zeros(len(offsets), dtype=np.int64)
    n = _spaced(points, offsets, _white(), made, places)
    return Texts(points=(made[:n].copy(), places))


@compiled
def _spaced(points: Any, offsets: Any, table: Any, made: Any, places: Any) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        begin, end = offsets[d], offsets[d + 1]
        lines, blank, gap, first = 0, True, False, begin  # first: where this line begins
        i = begin
        while i < end:
            kind = table[points[i]]
            if kind & _LINE:
                if points[i] == 0x0D and i + 1 < end and points[i + 1] == 0x0A:
                    i += 1
                lines, blank, gap, first = lines + 1, True, False, i + 1
            elif kind & _SPACE:
                gap = True
            else:
                if blank:
                    if n > places[d]:
                        for _ in range(min(lines, 2)):
                            made[n] = 0x0A
                            n += 1
                    for j in range(first, i):
                        if table[points[j]] & _PLAIN:
                            made[n] = points[j]
                            n += 1
                elif gap:
                    made[n] = 0x20
                    n += 1
                made[n] = points[i]
                n += 1
                lines, blank, gap = 0, False, False
            i += 1
        places[d + 1] = n
    return n
