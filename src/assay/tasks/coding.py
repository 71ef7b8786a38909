"""Texts, and words of sentences, as rows of token ids with the tokens that stand around them.

    [begin] text [end]                       one text
    [begin] text [end] second text [end]     two, told apart by token types where the model has them

`begin` and `end` are BERT's [CLS] and [SEP], RoBERTa's <s> and </s>, or what begins every document of a model that was
trained here and what ends it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from assay.errors import InputError
from assay.generation.marks import around
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder

WIDE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Chinese, Japanese and Korean letters and punctuation, beside which no space stands."""


@dataclass(frozen=True)
class Coded:
    """A row.

    Attributes:
        ids, kinds: (n,) tokens, and their types: 1 for the second text.
        own: (n,) whether a token is of a text, and not around it.
        cut: how many tokens were left out at ends.
    """

    ids: np.ndarray
    kinds: np.ndarray
    own: np.ndarray
    cut: int = 0


@dataclass(frozen=True)
class CodedWords:
    """A row of whole words.

    Attributes:
        firsts: (W,) place of the first token of each word.
        begin: number of its first word in the sentence.
    """

    ids: np.ndarray
    firsts: np.ndarray
    begin: int


@dataclass(frozen=True)
class Window:
    """A question and a stretch of a context.

    Attributes:
        begin: place of the stretch's first token.
        begins, ends: (m,) of each of its tokens, in characters of the context.
    """

    coded: Coded
    begin: int
    begins: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Coder:
    """See the module.

    Attributes:
        begin, end: ids that stand around texts.
        most: tokens of a row.
        start: what an encoder-decoder's target begins with; None: the model is none.
    """

    encoder: Encoder
    begin: int
    end: int
    most: int
    start: int | None = None

    @classmethod
    def of(cls, encoder: Encoder, most: int, folder: Path | None = None, start: int | None = None) -> Coder:
        """The coder of a tokenizer.

        Args:
            folder: of the model that it is of, whose files say what its special tokens are for.
        """
        begin, end = around(encoder, folder)
        first = END_OF_TEXT_ID if begin is None else begin
        made = cls(encoder, first, first if end is None else end, most, start)
        if most < 8:
            raise InputError(f"rows of {most} tokens hold no text", where="train.row_tokens", remedy="give 8 or more")
        return made

    def ids(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Of each text, without anything around it."""
        flat, offsets = self.encoder.encode(list(texts))
        flat = flat.astype(np.int64)
        return [flat[a:b] for a, b in pairwise(offsets.tolist())]

    def unknown_share(self, ids: Sequence[np.ndarray]) -> float:
        """Of the tokens, those that stand for what the tokenizer does not know."""
        if self.encoder.unknown is None or not ids:
            return 0.0
        return float(np.mean(np.concatenate(ids) == self.encoder.unknown))

    def texts(self, firsts: Sequence[str], seconds: Sequence[str] | None = None) -> list[Coded]:
        """A row for each text, or pair of texts; too long ones are cut at the end, of two the longer one."""
        one = self.ids(firsts)
        if seconds is None:
            return [self.row(ids[: self.most - 2], cut=max(0, len(ids) - self.most + 2)) for ids in one]
        return [self._pair(a, b) for a, b in zip(one, self.ids(seconds), strict=True)]

    def _pair(self, a: np.ndarray, b: np.ndarray) -> Coded:
        """Of two that are too long together the longer one is cut; both to halves where both are longer than that."""
        room = self.most - 3
        kept_b = min(len(b), max(room - len(a), room // 2))
        kept_a = min(len(a), room - kept_b)
        return self.row(a[:kept_a], b[:kept_b], cut=len(a) + len(b) - kept_a - kept_b)

    def row(self, a: np.ndarray, b: np.ndarray | None = None, cut: int = 0) -> Coded:
        """A text, or two, with what stands around them."""
        begin, end = np.array([self.begin]), np.array([self.end])
        ids = np.concatenate([begin, a, end] if b is None else [begin, a, end, b, end]).astype(np.int64)
        own = np.ones(len(ids), dtype=bool)
        own[[0, len(a) + 1, -1]] = False
        kinds = (np.arange(len(ids)) > len(a) + 1).astype(np.int64)
        return Coded(ids, kinds, own, cut)

    def words(self, sentences: Sequence[Sequence[str]]) -> list[list[CodedWords]]:
        """Rows for each sentence, whole words each; a sentence that is too long for one has several, evenly cut."""
        pieces = [self._spelled(words) for words in sentences]
        unique = list(dict.fromkeys(piece for sentence in pieces for piece in sentence))
        known = dict(zip(unique, self.ids(unique), strict=True))
        nothing = np.array([self.encoder.unknown if self.encoder.unknown is not None else self.end])
        made = []
        for sentence in pieces:
            coded = [known[piece][: self.most - 2] for piece in sentence]
            made.append(self._rows([ids if len(ids) else nothing for ids in coded]))
        return made

    def _rows(self, words: list[np.ndarray]) -> list[CodedWords]:
        room, sizes = self.most - 2, [len(word) for word in words]
        rows, begin = [], 0
        goal = sum(sizes) / max(1, -(-sum(sizes) // room))
        while begin < len(words):
            end, taken = begin, 0
            while end < len(words) and taken + sizes[end] <= room and (taken < goal or end == begin):
                taken, end = taken + sizes[end], end + 1
            firsts = 1 + np.cumsum([0, *sizes[begin : end - 1]])
            rows.append(CodedWords(self.row(np.concatenate(words[begin:end])).ids, firsts, begin))
            begin = end
        return rows

    def _spelled(self, words: Sequence[str]) -> list[str]:
        """Words with the space before them, where English has one and the tokenizer's tokens carry it."""
        if not self._carries_spaces:
            return list(words)
        before = ["", *words]
        return [(" " if a and spaced(a, b) else "") + b for a, b in zip(before, words, strict=False)]

    @cached_property
    def _carries_spaces(self) -> bool:
        (bare, spaced_) = self.ids(["a", " a"])
        return not np.array_equal(bare, spaced_)

    def windows(self, question: str, context: str, stride: int) -> list[Window]:
        """Stretches of a context, each with the question before it, that begin `stride` tokens apart.

        Raises:
            InputError: the question leaves no room.
        """
        asked = self.ids([question])[0][: self.most // 2]
        flat, _, first, last = self.encoder.places([context])
        flat = flat.astype(np.int64)
        room = self.most - 3 - len(asked)
        at = _characters(context)
        begins, ends = at[first], at[np.maximum(last, first)]
        made, begin = [], 0
        while True:
            end = min(len(flat), begin + room)
            made.append(Window(self.row(asked, flat[begin:end]), len(asked) + 2, begins[begin:end], ends[begin:end]))
            if end >= len(flat):
                return made
            begin += min(stride, room)


def spaced(a: str, b: str) -> bool:
    """Whether a space stands between two words."""
    return not (WIDE.search(a[-1:]) or WIDE.search(b[:1]))


def joined(words: Sequence[str]) -> str:
    """A sentence of its words."""
    return "".join((" " if a and spaced(a, b) else "") + b for a, b in zip(["", *words], words, strict=False))


def _characters(text: str) -> np.ndarray:
    """(bytes + 1,) the number of the character that each byte of the UTF-8 text is of."""
    sizes = [len(c.encode("utf-8", "surrogatepass")) for c in text]
    return np.append(np.repeat(np.arange(len(text)), sizes), len(text))
