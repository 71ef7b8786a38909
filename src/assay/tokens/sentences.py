"""Words, as word vectors want them: text -> lists of words, in every epoch again.

    texts -> words(text) -> `write_sentences` -> one file, a sentence a line -> `Sentences`, read as often as wanted

A word is a run of letters in lower case; an apostrophe within it belongs to it (don't), digits and all else separate.
Runs of Han characters are cut by rjieba, whatever stands around them, so mixed text needs no language. Cutting takes
longer than reading, so a corpus is cut once, into a file; nothing holds it in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.errors import InputError
from assay.tokens.words import HAN

MOST_WORDS = 1000
"""Longer texts are several sentences, as in word2vec's own program; gensim drops what lies beyond its 10,000th word."""

_LETTER = rf"[^\W\d_{HAN}]"
_MARKS = "\u0300-\u036f\u0900-\u0903\u093a-\u094f\u0962\u0963"  # written on letters; `\w` holds no such marks
_WORDS = re.compile(rf"[{HAN}]+|{_LETTER}(?:['’]?(?:{_LETTER}|[{_MARKS}]))*")
_HAN_LETTER = re.compile(f"[{HAN}]")


def words(text: str) -> list[str]:
    """The words of a text, in order.

    >>> words("Don't 用GPT-2翻译 the U.S. 宪法!")
    ["don't", '用', 'gpt', '翻译', 'the', 'u', 's', '宪法']
    """
    import rjieba

    found: list[str] = []
    for run in _WORDS.findall(text.lower()):
        if _HAN_LETTER.match(run):
            found += rjieba.cut(run)
        else:
            found.append(run.replace("’", "'") if "’" in run else run)
    return found


def words_of_tokens(tokenizer_json: str) -> list[str]:
    """Of each token id the word that it spells, "" where it spells none: what an input layer of word vectors asks for.

    The space before a token and upper case are not told apart: a piece that ends a longer word stands for the word that
    it spells by itself.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    texts = tokenizer.decode_batch([[i] for i in range(tokenizer.get_vocab_size())])
    found = []
    for text in texts:
        spelt = words(text)
        found.append(spelt[0] if len(spelt) == 1 and spelt[0] == text.strip().lower() else "")
    return found


def write_sentences(path: Path, texts: Iterable[str]) -> Sentences:
    """Cut texts into words and write them to a file, which takes its name once it is whole.

    Raises:
        InputError: the texts hold no word.
    """
    part = path.with_name(f".{path.name}.part")
    count = lines = 0
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for text in texts:
            found = words(text)
            for start in range(0, len(found), MOST_WORDS):
                file.write(" ".join(found[start : start + MOST_WORDS]) + "\n")
                lines += 1
            count += len(found)
    if not count:
        part.unlink()
        raise InputError("the texts hold no word", remedy="give text that is written in letters")
    part.replace(path)
    return Sentences(path)


@dataclass(frozen=True)
class Sentences:
    """The sentences of a file that `write_sentences` wrote: lists of words, streamed, as often as one asks."""

    path: Path

    def __iter__(self) -> Iterator[list[str]]:
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.split()
