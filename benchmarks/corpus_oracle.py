"""datatrove's verdict on every document, rule by rule: the oracle of corpus_agreement.py, run in datatrove's own
environment (`pip install "datatrove[processing,multilingual]==0.10.0"`).

    python benchmarks/corpus_oracle.py LANGUAGE < documents.jsonl > verdicts.jsonl

Every rule is a filter of datatrove with that rule alone switched on, so that no rule hides behind one that fails first.
A line in is {"id", "text"}; a line out is {"id", "fails": [rule, ...], "words": datatrove's own words}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)  # fmt: skip
from datatrove.utils.text import split_into_words

GOPHER = {
    "words": ("min_doc_words", "max_doc_words"),
    "mean_word_length": ("min_avg_word_length", "max_avg_word_length"),
    "symbols": ("max_symbol_word_ratio",),
    "bullet_lines": ("max_bullet_lines_ratio",),
    "ellipsis_lines": ("max_ellipsis_lines_ratio",),
    "alpha_words": ("max_non_alpha_words_ratio",),
    "stop_words": ("min_stop_words",),
}
REPETITION = {
    "duplicate_lines": {"dup_line_frac": 0.3},
    "duplicate_paragraphs": {"dup_para_frac": 0.3},
    "duplicate_line_chars": {"dup_line_char_frac": 0.2},
    "duplicate_paragraph_chars": {"dup_para_char_frac": 0.2},
    **{f"top_{n}gram": {"top_n_grams": ((n, bound),)} for n, bound in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{
        f"duplicate_{n}grams": {"dup_n_grams": ((n, bound),)}
        for n, bound in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    },
}
_NO_REPETITION: dict[str, Any] = {
    "dup_line_frac": None, "dup_para_frac": None, "dup_line_char_frac": None, "dup_para_char_frac": None,
    "top_n_grams": (), "dup_n_grams": (),
}  # fmt: skip
_OFF = {"line_punct_thr": -1.0, "short_line_thr": 2.0, "char_duplicates_ratio": 2.0, "new_line_ratio": 1e9}
FINEWEB = {
    "line_punctuation": "line_punct_thr",
    "short_lines": "short_line_thr",
    "duplicate_line_chars": "char_duplicates_ratio",
    "newlines": "new_line_ratio",
}
# FineWeb-2's configs/cmn_Hani.yml, one rule of the pack zh each.
ZH_STOP_WORDS = "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由"
ZH_REPETITION = {
    "duplicate_lines": {"dup_line_frac": 0.287},
    **{f"top_{n}gram": {"top_n_grams": ((n, bound),)} for n, bound in ((2, 0.256), (3, 0.201), (4, 0.171))},
    **{
        f"duplicate_{n}grams": {"dup_n_grams": ((n, bound),)}
        for n, bound in ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127))
    },
}
ZH_GOPHER = {
    "alpha_words": {"max_non_alpha_words_ratio": 0.735},
    "mean_word_length": {"min_avg_word_length": 1, "max_avg_word_length": 5},
    "stop_words": {"min_stop_words": 2, "stop_words": ZH_STOP_WORDS.split()},
}
ZH_FINEWEB = {"line_punctuation": {"line_punct_thr": 0.106}, "newlines_per_word": {"new_line_ratio": 0.178}}


def filters(language: str) -> dict[str, Any]:
    """One filter a rule."""
    every = [name for names in GOPHER.values() for name in names]
    made: dict[str, Any] = {}
    for rule, on in GOPHER.items():
        made[f"gopher-quality.{rule}"] = GopherQualityFilter(
            **{name: None for name in every if name not in on}, language=language
        )
    for rule, bounds in REPETITION.items():
        made[f"gopher-repetition.{rule}"] = GopherRepetitionFilter(**{**_NO_REPETITION, **bounds}, language=language)
    made["c4"] = C4QualityFilter(language=language)
    made["c4-fineweb"] = C4QualityFilter(language=language, filter_no_terminal_punct=False)
    for rule, on_ in FINEWEB.items():
        off = {name: value for name, value in _OFF.items() if name != on_}
        made[f"fineweb.{rule}"] = FineWebQualityFilter(**off, language=language)
    if language == "cmn_Hani":
        for rule, bounds in ZH_REPETITION.items():
            made[f"zh.{rule}"] = GopherRepetitionFilter(**{**_NO_REPETITION, **bounds}, language=language)
        for rule, given in ZH_GOPHER.items():
            made[f"zh.{rule}"] = GopherQualityFilter(**{**dict.fromkeys(every), **given}, language=language)
        for rule, given in ZH_FINEWEB.items():
            made[f"zh.{rule}"] = FineWebQualityFilter(**{**_OFF, **given}, language=language)
    return made


def main() -> None:
    language = sys.argv[1]
    rules = filters(language)
    for line in sys.stdin:
        row = json.loads(line)
        fails = []
        for name, rule in rules.items():
            verdict = rule.filter(Document(text=row["text"], id=row["id"]))  # C4 rewrites the text of what it keeps
            if verdict is not True:
                fails.append(f"{name}.{verdict[1]}" if name.startswith("c4") else name)
        words = split_into_words(row["text"], language)
        print(json.dumps({"id": row["id"], "fails": fails, "words": words}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
