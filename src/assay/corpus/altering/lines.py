"""Lines that recipes take out of documents: C4's (Raffel et al. 2020) and RefinedWeb's (Penedo et al. 2023).

    texts -> lines -> what is kept of each -> texts

Definitions are datatrove's and DCLM's, see `signals.lines`, which counts the same lines. A rule is asked of the text
that it fits: C4's of Chinese and Japanese with their marks and their words, and of no other script without spaces;
RefinedWeb's, which count words between spaces, of no line in such a script.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from assay.corpus.altering.edits import Texts
from assay.corpus.signals import lines as counted
from assay.corpus.text import characters as ch
from assay.corpus.text import words as w
from assay.corpus.text.cuts import spans

Recipe = Literal["c4", "c4-fineweb", "refinedweb"]

_BREAKS = "\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"  # for str.splitlines, beside \n
_CITATION = r"\[\d*\]|\[edit\]|\[citation needed\]"
_POLICY_ZH = ("使用条款", "使用條款", "隐私政策", "隱私政策", "隱私權政策", "cookie政策", "使用cookie")
"""What C4's notices are called on Chinese pages."""
_CLOSING = "」』”’"
_BRACKETS = "）)】〕》〉"
_CHINESE = ("Hani", "Hira", "Kana", "Bopo")
_COUNTER = rf"(?i)^\W*\d[,.\d]*[kmb]?\s+(?:{'|'.join(word.decode() for word in counted.COUNTED)})\W*$"
_CALLS = (r"(?i)\s?items in cart", r"(?i)\s?read more(?:\.\.\.|…)\s*$", r"(?i)^\s*sign-in\s?")


def without_lines(texts: Texts, recipe: Recipe) -> Texts:
    """Texts without the lines that a recipe takes out, joined by single line ends."""
    series = pl.Series("line", pl.from_arrow(texts.column))
    rows = pl.DataFrame({"document": np.arange(len(series), dtype=np.uint32), "line": series})
    if recipe != "refinedweb":
        rows = rows.with_columns(pl.col("line").str.replace_all(_BREAKS, "\n"))
    rows = rows.with_columns(pl.col("line").str.split("\n")).explode("line", empty_as_null=False)
    rows = rows.with_columns(letters_of(rows["line"]))
    rows = _refinedweb(rows) if recipe == "refinedweb" else _c4(rows, ended=recipe == "c4")
    kept = rows.group_by("document").agg(pl.col("line").str.join("\n")).sort("document")
    made = np.full(len(series), "", dtype=object)
    made[kept["document"].to_numpy()] = kept["line"].str.strip_chars().to_numpy()
    column = pa.array(made, pa.large_string())
    if recipe == "refinedweb":
        return Texts(column)
    alone = letters_of(series).select(pl.col("other") > w.UNSPACED_SHARE * pl.col("letters")).to_series()
    return Texts(pa.compute.if_else(pa.array(alone.to_numpy()), series.to_arrow().cast(pa.large_string()), column))


def letters_of(lines: pl.Series) -> pl.DataFrame:
    """How many letters each line has: `letters`; `chinese`, of the scripts of Chinese and Japanese; `other`, of all
    other scripts without spaces."""
    points, offsets = ch.points_of(lines.to_arrow().cast(pa.large_string()))
    kinds, scripts = w.kinds()[points], ch.scripts()[points]
    chinese = np.isin(scripts, [ch.SCRIPTS.index(name) for name in _CHINESE])
    letter, unspaced = (kinds & w.ALPHA) > 0, (kinds & w.HAN) > 0
    masks = {"letters": letter, "chinese": unspaced & chinese, "other": unspaced & ~chinese}
    return pl.DataFrame({name: ch.sums(mask, offsets) for name, mask in masks.items()})


@lru_cache(maxsize=1)
def _marks() -> tuple[str, str]:
    """Patterns of how a line ends that C4 keeps: where words are spaced, in Chinese and Japanese."""
    ending = re.escape("".join(chr(point) for point in np.flatnonzero(w.kinds() & w.TERMINAL)))
    closing, brackets = re.escape(_CLOSING), re.escape(_BRACKETS)
    return rf"[{ending}\"']$", rf"[{ending}…\"'{closing}][{brackets}{closing}\"']*$"


def _c4(rows: pl.DataFrame, *, ended: bool) -> pl.DataFrame:
    """The lines that C4 keeps, without citations; `ended`: only those that end in a mark."""
    line, share = pl.col("line"), w.UNSPACED_SHARE * pl.col("letters")
    rows = rows.with_columns(line.str.strip_chars(), strange=pl.col("other") > share)
    rows = rows.filter(line != "")
    rows = rows.with_columns(chinese=~pl.col("strange") & (pl.col("chinese") > share))
    rows = rows.with_columns(enough=_has_words(rows["line"], rows["chinese"]))
    rows = rows.filter(pl.col("strange") | pl.col("enough"))
    bare = line.str.replace_all(_CITATION, "")
    notices = "|".join([*(phrase.decode() for phrase in (*counted.POLICY, counted.SCRIPT, counted.LOREM)), *_POLICY_ZH])
    fine = ~bare.str.contains(rf"(?i)\{{|{notices}")
    if ended:
        spaced, chinese = (bare.str.contains(pattern) for pattern in _marks())
        fine &= pl.when("chinese").then(chinese).otherwise(spaced) & ~bare.str.ends_with("...")
    return rows.filter(pl.col("strange") | fine).with_columns(pl.when("strange").then(line).otherwise(bare))


def _has_words(lines: pl.Series, chinese: pl.Series) -> pl.Series:
    """Whether a line has as many words as C4 asks for, none too long: what stands between spaces; of Chinese and
    Japanese the words of jieba's dictionary."""
    pieces = lines.str.count_matches(r"\S+").to_numpy()
    found = pieces >= counted.FEWEST_WORDS
    long = np.flatnonzero(lines.str.len_chars().to_numpy() > counted.LONGEST_WORD)
    for i in long[found[long]].tolist():
        found[i] = max(map(len, lines[i].split())) <= counted.LONGEST_WORD
    at = np.flatnonzero(chinese.to_numpy())
    points, offsets = ch.points_of(lines.gather(at).to_arrow().cast(pa.large_string()))
    cut = spans(points, offsets)
    size = np.where(cut.kinds & w.WORD, cut.ends - cut.begins, 0)
    number = np.add.reduceat(np.append(size > 0, False).astype(np.int64), cut.offsets[:-1]) if len(at) else size
    longest = np.maximum.reduceat(np.append(size, 0), cut.offsets[:-1]) if len(at) else size
    found[at] = (number >= counted.FEWEST_WORDS) & (longest <= counted.LONGEST_WORD)
    return pl.Series(found)


def _refinedweb(rows: pl.DataFrame) -> pl.DataFrame:
    """The lines that RefinedWeb keeps, without calls on the reader; blank ones among them."""
    line = pl.col("line")
    bare = line.str.strip_chars()
    fits = pl.col("chinese") + pl.col("other") <= w.UNSPACED_SHARE * pl.col("letters")
    pieces = line.str.count_matches(r"\S+")
    gone = (
        (2 * bare.str.count_matches(r"\p{Uppercase}") > bare.str.len_chars())
        | bare.str.contains(r"^[0-9]+$")
        | line.str.contains(_COUNTER)
        | (pieces == 1)
    )
    rows = rows.filter(~(fits & gone & (bare != "")))
    called: Any = line
    for call in _CALLS:
        called = called.str.replace_all(call, "")
    rows = rows.with_columns(called=pl.when(fits & (pieces <= counted.SHORT)).then(called).otherwise(line))
    emptied = (bare != "") & (pl.col("called").str.strip_chars() == "")
    return rows.filter(~emptied).with_columns(line=pl.col("called"))
