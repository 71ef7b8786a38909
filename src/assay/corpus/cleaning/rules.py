"""Rules: which documents to keep, asked of their signals. Scores are computed once; a threshold is a question.

    pack (named list of rules) or an expression -> one column a rule: kept, fails, or null (not asked)

A rule is a signal and bounds, with the kind of text that it was made for. Of text of another kind it is not asked:
rules for English that count words between spaces, or marks of ASCII, delete Chinese without having looked at it.
Thresholds and their sources: docs/corpus.md.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from assay.corpus.signals import scoring
from assay.errors import InputError

Fits = Literal["any", "spaced", "en", "zh"]
"""What text a rule is asked of: any; scripts with spaces between words; English; Chinese characters."""


@dataclass(frozen=True)
class Rule:
    """Keep a document whose signal is in [low, high].

    Attributes:
        name: pack.rule, unique.
        signal: one of `scoring.NAMES`.
        low, high: inclusive; None: no bound.
        fits: the text that it is asked of.
    """

    name: str
    signal: str
    low: float | None
    high: float | None
    fits: Fits = "any"

    def kept(self) -> pl.Expr:
        """True: keep; False: the rule fires; null: it is not asked of this document. Needs the columns of signals, and
        `language` and `script` of documents."""
        value, inside = pl.col(self.signal), pl.lit(True)
        # Signals have 32 bits: a bound of as many is met exactly by what is on it.
        if self.low is not None:
            inside &= value >= pl.lit(self.low).cast(pl.Float32)
        if self.high is not None:
            inside &= value <= pl.lit(self.high).cast(pl.Float32)
        return pl.when(asked(self.fits)).then(inside).alias(self.name)

    def bounds(self) -> str:
        """Such as `0.2 <= x` or `3 <= x <= 10`."""
        low = "" if self.low is None else f"{self.low:g} <= "
        return f"{low}{self.signal}" + ("" if self.high is None else f" <= {self.high:g}")


@dataclass(frozen=True)
class Expression:
    """Keep a document for which an SQL expression over its signals is true."""

    name: str
    text: str

    def kept(self) -> pl.Expr:
        return parsed(self.text).alias(self.name)

    def bounds(self) -> str:
        return self.text


def asked(fits: Fits) -> pl.Expr:
    """Which documents are text of this kind. Unspaced is what has a third of its letters in scripts without spaces."""
    unspaced = pl.col("unspaced") > pl.col("letters") / 3
    return {
        "any": pl.lit(True),
        "spaced": ~unspaced,
        "en": pl.col("language") == "en",
        "zh": unspaced & pl.col("script").is_in(["Hani"]),
    }[fits]


def _pack(name: str, table: str) -> tuple[Rule, ...]:
    """Rules from lines of: name, signal, low, high (- where there is none), fits."""
    rules = []
    for line in filter(str.strip, table.splitlines()):
        rule, signal, low, high, fits = line.split()
        assert signal in scoring.NAMES and fits in ("any", "spaced", "en", "zh"), line
        rules.append(Rule(f"{name}.{rule}", signal, _bound(low), _bound(high), fits))  # type: ignore[arg-type]
    return tuple(rules)


def _bound(text: str) -> float | None:
    return None if text == "-" else float(text)


_GOPHER = """
    words                     n_words                   50   100000 spaced
    mean_word_length          mean_word_length          3    10     spaced
    hashes                    hashes                    -    0.1    any
    ellipses                  ellipses                  -    0.1    any
    bullet_lines              bullet_lines              -    0.9    any
    ellipsis_lines            ellipsis_lines            -    0.3    any
    alpha_words               alpha_words               0.8  -      spaced
    stop_words                stop_words                2    -      en
"""
_GOPHER_REPETITION = """
    duplicate_lines           duplicate_lines           -    0.30   any
    duplicate_paragraphs      duplicate_paragraphs      -    0.30   any
    duplicate_line_chars      duplicate_line_chars      -    0.20   any
    duplicate_paragraph_chars duplicate_paragraph_chars -    0.20   any
    top_2gram                 top_2gram                 -    0.20   spaced
    top_3gram                 top_3gram                 -    0.18   spaced
    top_4gram                 top_4gram                 -    0.16   spaced
    duplicate_5grams          duplicate_5grams          -    0.15   spaced
    duplicate_6grams          duplicate_6grams          -    0.14   spaced
    duplicate_7grams          duplicate_7grams          -    0.13   spaced
    duplicate_8grams          duplicate_8grams          -    0.12   spaced
    duplicate_9grams          duplicate_9grams          -    0.11   spaced
    duplicate_10grams         duplicate_10grams         -    0.10   spaced
"""
PACKS: dict[str, tuple[Rule, ...]] = {
    name: _pack(name, table)
    for name, table in {
        # Rae et al. 2021, table A1, as datatrove's GopherQualityFilter has it.
        "gopher-quality": _GOPHER,
        # Rae et al. 2021, table A1, as datatrove's GopherRepetitionFilter has it.
        "gopher-repetition": _GOPHER_REPETITION,
        # Raffel et al. 2020, as datatrove's C4QualityFilter has it: what it says of documents.
        "c4": """
            sentences                 c4_sentences              5    -      spaced
            lorem_ipsum               lorem_ipsum               -    0      spaced
            curly_brackets            curly_brackets            -    0      spaced
        """,
        # C4 as FineWeb uses it (datatrove's filter_no_terminal_punct=False): of lines whatever they end in.
        "c4-fineweb": """
            sentences                 c4_sentences_any_end      5    -      spaced
            lorem_ipsum               lorem_ipsum_any_end       -    0      spaced
            curly_brackets            curly_brackets_any_end    -    0      spaced
        """,
        # Penedo et al. 2024, as datatrove's FineWebQualityFilter has it.
        "fineweb": """
            line_punctuation          line_punctuation          0.12 -      any
            short_lines               short_lines               -    0.67   spaced
            repeated_line_chars       repeated_line_chars       -    0.01   any
            newlines_per_word         newlines_per_word         -    0.3    spaced
            language                  language_score            0.65 -      any
        """,
        # Penedo et al. 2023, as DCLM has it (Li et al. 2024, dclm_baseline_refinedweb.yaml): Gopher's, and two more.
        "dclm": _GOPHER + _GOPHER_REPETITION + """
            language                  language_score            0.65 -      any
            flagged_words             flagged_words             -    0.05   spaced
        """,
        # Data-Juicer's defaults.
        "data-juicer": """
            special_characters        special_characters        -    0.25   any
            character_repetition      top_10chars               -    0.5    any
            word_repetition           repeated_10grams          -    0.5    any
            alphanumerics             alphanumerics             0.25 -      any
            listed_words              listed_words              0.3  -      spaced
            language                  language_score            0.8  -      any
        """,
        # FineWeb-2's cmn_Hani, ChineseWebText, FlagData; no rule of short lines, and none of traditional characters.
        "zh": """
            chars                     n_chars                   201  -      zh
            visible                   n_visible                 16   -      zh
            mean_line_length          mean_line_length          10   -      zh
            han                       unspaced                  0.3  -      zh
            repeated_13chars          repeated_13chars          -    0.5    zh
            duplicate_lines           duplicate_lines           -    0.287  zh
            line_punctuation          line_punctuation          0.106 -     zh
            newlines_per_word         newlines_per_word         -    0.178  zh
            alpha_words               alpha_words               0.735 -     zh
            mean_word_length          mean_word_length          1    5      zh
            stop_words                stop_words_zh             2    -      zh
            top_2gram                 top_2gram                 -    0.256  zh
            top_3gram                 top_3gram                 -    0.201  zh
            top_4gram                 top_4gram                 -    0.171  zh
            duplicate_5grams          duplicate_5grams          -    0.198  zh
            duplicate_6grams          duplicate_6grams          -    0.182  zh
            duplicate_7grams          duplicate_7grams          -    0.167  zh
            duplicate_8grams          duplicate_8grams          -    0.154  zh
            duplicate_9grams          duplicate_9grams          -    0.14   zh
            duplicate_10grams         duplicate_10grams         -    0.127  zh
            language                  language_score            0.692 -     zh
        """,
    }.items()
}  # fmt: skip
COLUMNS = ("source", "language", "script", "n_bytes", "is_exact_duplicate", "is_near_duplicate")
"""What an expression may ask about besides signals."""


def chosen(
    packs: Sequence[str], expressions: Sequence[str], lists: Sequence[str] = (), scores: Sequence[str] = ()
) -> list[Rule | Expression]:
    """The rules of some packs (or single ones, as pack.rule) and of some expressions, in order.

    Args:
        lists: signals that count words of lists (`listed`). A document that holds one is not kept, unless an expression
            asks about the list.
        scores: further columns that expressions may ask about (`curate.scores`).

    Raises:
        InputError: there is no such pack, rule or signal, or an expression cannot be read; or nothing is asked.
    """
    rules: list[Rule | Expression] = []
    for name in packs:
        rules += _named(name)
    asked: set[str] = set()
    for i, text in enumerate(expressions):
        asked |= set(parsed(text, (*lists, *scores)).meta.root_names())
        rules.append(Expression("where" if len(expressions) == 1 else f"where-{i + 1}", text))
    rules += [Rule(name.replace("_", ".", 1), name, None, 0) for name in lists if name not in asked]
    if not rules:
        remedy = f"give --pack ({', '.join(PACKS)}) or --where with an expression"
        raise InputError("no rule is given", where="assay corpus select", remedy=remedy)
    return list(dict.fromkeys(rules))


def _named(name: str) -> tuple[Rule, ...]:
    if name in PACKS:
        return PACKS[name]
    single = {rule.name: rule for pack in PACKS.values() for rule in pack}
    if name in single:
        return (single[name],)
    near = difflib.get_close_matches(name, [*PACKS, *single], 1)
    remedy = f"did you mean {near[0]}?" if near else f"packs are {', '.join(PACKS)}; a rule is named pack.rule"
    raise InputError("there is no such pack or rule", where=f"--pack {name}", remedy=remedy)


_CONDITION = "n_words > 50 AND letters >= 0.6"
_EXAMPLES = {"--by": "alpha_words - flagged_words"}


def parsed(text: str, lists: Sequence[str] | None = None, option: str = "--where") -> pl.Expr:
    """An SQL expression over signals and COLUMNS, such as `n_words > 50 AND letters >= 0.6`, as a Polars expression.

    Args:
        lists: signals of lists of words, and scores of models, that there are besides; None: whatever it asks about is
            there, since it was looked at before.
        option: what the expression was given with.

    Raises:
        InputError: it cannot be read, or asks about what there is not.
    """
    where = f"{option} {text}"
    try:
        made = pl.sql_expr(text)
        asks = made.meta.root_names()
    except Exception as error:  # Polars has several kinds, all with their text
        what = f"cannot be read as an expression ({' '.join(str(error).split())[:120]})"
        remedy = f"write it as SQL: {_EXAMPLES.get(option, _CONDITION)}"
        raise InputError(what, where=where, remedy=remedy) from error
    known = asks if lists is None else [*scoring.NAMES, *COLUMNS, *lists]
    for name in asks:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]}?" if near else "signals are listed in docs/corpus.md"
            raise InputError(f"there is no signal {name}", where=where, remedy=remedy)
    if not asks:
        remedy = f"ask about a signal, such as {_EXAMPLES.get(option, _CONDITION)}"
        raise InputError("asks about no signal", where=where, remedy=remedy)
    return made
