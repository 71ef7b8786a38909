"""A tokenizer.json of any kind -> an encoder: text -> token ids.

    byte-level BPE that gigatoken knows    gigatoken, the fastest; `check_equal` compares it with tokenizers
    everything else                        tokenizers, where need be behind the cutter of Chinese words (`tokens.words`)

`tokens.learn` makes such files; those of other people's models (GPT-2, BERT, T5, Llama) are read as they are. While
encoding, special tokens are not recognised inside a text: a document that spells one is encoded as those characters,
so no document can end another. Nothing is put before or behind a text, and nothing is cut off.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.errors import InputError, WorkError
from assay.tokens import marian, words
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.surface import Surface

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_JSON = "tokenizer.json"


class Encoder:
    """Text -> token ids.

    Args:
        tokenizer_json: the content of the file.
        where: the file, for errors.

    Attributes:
        content: of the file.
        vocabulary: number of token ids.
        token_bytes: (V,) int64, how many bytes of text each id stands for; 0 for special tokens and for the unknown
            one. Where `lossless`, the bytes of a text's ids add up to those of the text. Else they are those of the
            tokens' own letters: words and WordPiece leave out the spaces between words and what is unknown.
        lossless: `decode(encode(x)) == x` for every text.
        special: name -> id of the special tokens.
        unknown: the id that unknown words get; None where nothing is unknown.
    """

    def __init__(self, tokenizer_json: str, where: Path | None = None) -> None:
        try:
            content = json.loads(tokenizer_json)
            self.surface = Surface.of(content)
            self.token_bytes = self.surface.token_bytes
            self._plain_json = json.dumps({**content, "added_tokens": []}, ensure_ascii=False)
            self._fast = _gigatoken(self.surface, self._plain_json)
            self.content = tokenizer_json
            if self._fast is None:
                self._library  # noqa: B018 (read now, so that a bad file is told now)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            why = f"{type(error).__name__}: {error}"[:200]
            raise InputError(
                f"is no tokenizer that can be read ({why})", where=where, remedy="give a tokenizer.json of tokenizers"
            ) from error
        self.vocabulary = self.surface.vocabulary
        self.lossless, self.special, self.unknown = (
            self.surface.lossless, self.surface.special, self.surface.unknown
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """The encoder of a tokenizer.json, or of the one in a folder.

        Raises:
            InputError: there is none, or it cannot be read.
        """
        path = Path(path)
        file = path / TOKENIZER_JSON if path.is_dir() else path
        if not file.exists() and (path / marian.SOURCE).exists():
            raise InputError(
                f"has a translator's pair of tokenizers ({marian.SOURCE}, {marian.TARGET}) and no {TOKENIZER_JSON}",
                where=path, remedy="open it from a program, with assay.tokens.marian, or name another tokenizer",
            )  # fmt: skip
        try:
            return cls(file.read_text(encoding="utf-8"), file)
        except FileNotFoundError as error:
            raise InputError(
                "there is no such file", where=file, remedy=f"name a {TOKENIZER_JSON}, or a folder with one in it"
            ) from error
        except OSError as error:
            raise InputError(
                f"cannot be read ({error.strerror})", where=file, remedy=f"name a {TOKENIZER_JSON}"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError("is not text", where=file, remedy=f"name a {TOKENIZER_JSON}") from error

    def special_id(self, name: str) -> int:
        """The id of a special token.

        Raises:
            InputError: the tokenizer has none of this name.
        """
        if name not in self.special:
            there = ", ".join(self.special) or "none"
            raise InputError(
                f"the tokenizer has no special token {name} (it has: {there})",
                remedy=f"train it with --special '{name}'",
            )
        return self.special[name]

    @property
    def marks_documents(self) -> bool:
        """Id 0 is a special token that stands in no text, not even for what is unknown: it can stand before every
        document (`tokens.stream.END_OF_TEXT_ID`)."""
        return END_OF_TEXT_ID in self.special.values() and self.unknown != END_OF_TEXT_ID

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts.

        Returns:
            (ids, offsets): all ids in one uint32 array, and len(texts) + 1 offsets into it.
        """
        if not texts:
            return np.zeros(0, np.uint32), np.zeros(1, np.int64)
        if self._fast is not None:
            layout = self._fast.encode_batch(list(texts)).layout
            offsets = np.asarray(layout.offsets.data, dtype=np.int64)
            return np.asarray(layout.content.data)[offsets[0] : offsets[-1]], offsets - offsets[0]
        return _joined([e.ids for e in self._library.encode_batch_fast(self._cut(texts), add_special_tokens=False)])

    def decode(self, ids: np.ndarray) -> str:
        """The text that token ids spell; bytes that are no whole character at an end become U+FFFD. Of a tokenizer
        that is not lossless: words with spaces where English has them."""
        if self.lossless:  # also of special tokens behind the vocabulary, which gigatoken does not know
            return b"".join(self.surface.spelled[i] for i in np.asarray(ids).tolist()).decode("utf-8", "replace")
        if self._fast is not None:
            return bytes(self._fast.decode(np.asarray(ids).astype(np.uint32))).decode("utf-8", "replace")
        return str(self._reader.decode(np.asarray(ids).tolist(), skip_special_tokens=False))

    def places(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Encode texts, and say where each token stands in its own.

        Returns:
            (ids, offsets, begins, ends): the first two as `encode` gives them; int64 bytes of the UTF-8 text. Tokens
            that share a character of a tokenizer that is not lossless all have its place.
        """
        if self.lossless or not texts:
            ids, offsets = self.encode(texts)
            before = np.concatenate([[0], np.cumsum(self.token_bytes[ids])])
            at_text = np.repeat(before[offsets[:-1]], np.diff(offsets))
            return ids, offsets, before[:-1] - at_text, before[1:] - at_text
        cut = self._cut(texts)
        encodings = self._library.encode_batch(cut, add_special_tokens=False)
        places = [self._bytes_of(e.offsets, text, c) for e, text, c in zip(encodings, texts, cut, strict=True)]
        ids, offsets = _joined([e.ids for e in encodings])
        begins, ends = np.concatenate(places).astype(np.int64).reshape(-1, 2).T
        return ids, offsets, begins, ends

    def _bytes_of(self, offsets: Sequence[tuple[int, int]], text: str, cut: str) -> np.ndarray:
        """(n, 2) bytes of a text for places in characters of what was encoded for it."""
        at = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
        if self.surface.wants_bounds:
            at = at - words.bounds_before(cut)[at]
        return np.asarray(words.byte_places(text)[at])

    @cached_property
    def continues(self) -> np.ndarray:
        """(V,) whether a token goes on with the word of the one before it: for hiding whole words.

        WordPiece says it (##); a word never does. Else a token does that begins with a letter, or within a character:
        the tokens of these kinds carry the space before a word. Letters of scripts without spaces (Chinese, Japanese,
        Thai) begin a word of their own: where Chinese words begin, no table over ids can say, because it depends on
        the sentence. `word_starts` does.
        """
        return self.surface.continues

    def word_starts(self, texts: Sequence[str]) -> np.ndarray:
        """(tokens,) whether each token of `encode(texts)` begins a word as `tokens.words` cuts them, Chinese too.

        A token belongs to the word that it begins in; the spaces before a word are its own.
        """
        _, offsets, begins, _ = self.places(texts)
        starts = np.ones(len(begins), dtype=bool)
        for text, first, last in zip(texts, offsets[:-1], offsets[1:], strict=True):
            number = words.numbers(text, begins[first:last])
            starts[first + 1 : last] = np.diff(number) != 0
        return starts

    def check_equal(self, texts: Sequence[str]) -> None:
        """Compare gigatoken with `tokenizers`, the library that learned the merges, and what a lossless tokenizer
        spells with the text.

        Raises:
            WorkError: an id or a character differs (a defect of a library: nothing downstream could be trusted).
        """
        ids, offsets = self.encode(texts)
        if self._fast is not None:
            from tokenizers import Tokenizer

            reference = Tokenizer.from_str(self._plain_json)
            for i, encoding in enumerate(reference.encode_batch(list(texts), add_special_tokens=False)):
                if not np.array_equal(ids[offsets[i] : offsets[i + 1]], np.asarray(encoding.ids, dtype=np.uint32)):
                    raise _differ("gigatoken and tokenizers encode a document differently", texts[i])
        for i, text in enumerate(texts):
            if self.lossless and self.decode(ids[offsets[i] : offsets[i + 1]]) != text:
                raise _differ("a document's tokens do not spell it", text)

    @cached_property
    def _library(self) -> Tokenizer:
        """tokenizers' own, told to take every text as text and to leave it whole."""
        made = _opened(json.dumps(_hidden(self.surface), ensure_ascii=False))
        made.no_truncation()
        made.no_padding()
        made.encode_special_tokens = True
        return made

    @cached_property
    def _reader(self) -> Tokenizer:
        """The same with special tokens under their own names."""
        return _opened(self.content)

    def _cut(self, texts: Sequence[str]) -> list[str]:
        return [words.marked(text) for text in texts] if self.surface.wants_bounds else list(texts)


def _opened(tokenizer_json: str) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(tokenizer_json)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(str(error)) from error


def _hidden(surface: Surface) -> dict[str, Any]:
    """The JSON with special tokens under names that no text spells.

    Models of pieces and of words have them in their vocabulary, where a text's own `</s>` would find them. A name
    begins with U+FFFF, which Unicode keeps from ever being a character.
    """
    names = {name: f"\uffff{name}\uffff" for name, number in surface.special.items() if number != surface.unknown}
    content = dict(surface.content)
    model, added = dict(content["model"]), content.get("added_tokens") or []
    if surface.kind == "BPE":  # no merge ends in one
        return content
    if isinstance(model["vocab"], list):
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    else:
        model["vocab"] = {names.get(piece, piece): number for piece, number in model["vocab"].items()}
    added = [{**token, "content": names.get(token["content"], token["content"])} for token in added]
    return {**content, "model": model, "added_tokens": added}


def _gigatoken(surface: Surface, plain_json: str) -> Any:
    """gigatoken's tokenizer; None where it has none, or where texts may hold added tokens that are not special."""
    added = surface.content.get("added_tokens") or ()
    if surface.kind != "BPE" or not surface.byte_level or not all(token["special"] for token in added):
        return None
    import gigatoken

    try:
        return gigatoken.Tokenizer.from_json(plain_json)
    except RuntimeError:  # a pattern or a normalizer that it does not know
        return None


def _joined(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.concatenate([np.asarray(row, dtype=np.uint32) for row in rows])
    return ids, np.cumsum([0, *map(len, rows)], dtype=np.int64)


def _differ(what: str, text: str) -> WorkError:
    return WorkError(
        what,
        where=f"the text that begins {text[:60]!r}",
        remedy="report it with this text and the installed versions of both libraries",
    )
