"""Texts as metrics count them: every Chinese character (or kana) is one, words of other scripts and numbers are whole.

One rule for all texts, so that what is Chinese and English within one sentence is counted as each of both is alone.
Punctuation does not count, nor do case and width (NFKC). On ASCII it is the rule of the ROUGE of rouge-score.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

HAN = "㐀-䶿一-鿿豈-﫿\U00020000-\U000323af々〇"
KANA = "ぁ-ゖァ-ヺー"
_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")
_PIECES = re.compile(rf"[{HAN}{KANA}]|(?:(?![{HAN}{KANA}])[^\W_])+")


def has_han(text: str) -> bool:
    """Whether a Chinese character stands in it."""
    return _HAN.search(text) is not None


def has_kana(text: str) -> bool:
    """Whether a Japanese syllable stands in it."""
    return _KANA.search(text) is not None


def pieces(text: str) -> list[str]:
    """`"用GPT-4写诗" -> ["用", "gpt", "4", "写", "诗"]`."""
    return _PIECES.findall(unicodedata.normalize("NFKC", text).lower())


def n_grams(units: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n, in order; none where there are fewer."""
    return [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]
