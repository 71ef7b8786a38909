"""Text cut into words: English at spaces and punctuation, Chinese by a segmenter (rjieba).

    text -> `marked`: U+200B between the words of Chinese -> a pre-tokenizer that cuts at U+200B, spaces, punctuation

U+200B, the zero width space, is what Unicode has for the bounds of words in scripts that put no spaces there. A
tokenizer.json cannot hold a segmenter; one whose pre-tokenizer removes U+200B expects text that was marked like this.

A word is a run of letters, a number, or one punctuation mark; `'s`, `'t` and the like are words of their own; so is a
newline, which is what ended a sentence in the language models that read words; and `<unk>`, `<br>` stay whole.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

BOUND = "\u200b"
HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, for a class of a regular expression."""
_HAN = re.compile(f"[{HAN}]+")
_WORD = (
    r"\n|\p{Han}+|<\p{L}+>|['’](?i:s|m|d|t|re|ve|ll)(?![\p{L}\p{M}])|(?:(?!\p{Han})[\p{L}\p{M}])+"
    r"|\p{N}+(?:[.,]\p{N}+)*|[^\s\p{L}\p{M}\p{N}]"
)
_BETWEEN_SPACES = r"\n|\S+"


def marked(text: str) -> str:
    """The text with U+200B between the words of each run of Chinese characters, and nowhere else."""
    import rjieba

    plain = text.replace(BOUND, " ")
    return _HAN.sub(lambda run: BOUND.join(rjieba.cut(run[0])), plain)


def by_words() -> PreTokenizer:
    """A pre-tokenizer that cuts `marked` text into words and drops what is between them."""
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(BOUND, "removed"),
            pre_tokenizers.Split(Regex(_WORD), "removed", invert=True),
        ]
    )


def by_spaces() -> PreTokenizer:
    """A pre-tokenizer for text that is cut into words already, by spaces, as the Penn Treebank's is.

    `<|` is cut off, so that no word of a text is a special token.
    """
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("<|", "isolated"),
            pre_tokenizers.Split(Regex(_BETWEEN_SPACES), "removed", invert=True),
        ]
    )


@cache
def _cutter() -> PreTokenizer:
    return by_words()


def spans(text: str) -> list[tuple[int, int]]:
    """Begin and end, in characters, of every word and punctuation mark of a text; newlines are none."""
    return [(begin, end) for begin, end in _spans(text) if text[begin] != "\n"]


def _spans(text: str) -> list[tuple[int, int]]:
    with_bounds = marked(text)
    before = bounds_before(with_bounds).tolist()
    found = _cutter().pre_tokenize_str(with_bounds)
    return [(begin - before[begin], end - before[end]) for _, (begin, end) in found]


def bounds_before(with_bounds: str) -> np.ndarray:
    """(characters + 1,) how many marks stand before each place of a `marked` text."""
    points = np.frombuffer(with_bounds.encode("utf-32-le"), dtype=np.uint32)
    return np.concatenate([[0], np.cumsum(points == ord(BOUND))])


def byte_places(text: str) -> np.ndarray:
    """(characters + 1,) the byte of the UTF-8 text at which each character begins."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    return np.concatenate([[0], np.cumsum(utf8_widths(points))])


def utf8_widths(points: np.ndarray) -> np.ndarray:
    """The bytes that each code point takes."""
    return np.asarray(1 + np.searchsorted([0x80, 0x800, 0x10000], points, side="right"))


def numbers(text: str, places: np.ndarray) -> np.ndarray:
    """The number of the word, or newline, that each byte place of a text belongs to: the spaces before a word are its
    own."""
    ends = byte_places(text)[np.array([end for _, end in _spans(text)], dtype=np.int64)]
    return np.searchsorted(ends, places, side="right")
