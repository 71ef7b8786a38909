"""Marian's own tokenizer (opus-mt): two SentencePiece models, one a language, over one vocabulary.

    source text --source.spm--> pieces --vocab.json--> ids, </s>
    target text --target.spm--> pieces --vocab.json--> ids, </s>        ids --vocab.json, target.spm--> target text

An `Encoder` turns every text into ids in one way; here a text is of one of two languages, so this stands beside it.
`train.objectives.pairs` makes batches of what both sides give.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from assay.errors import InputError

SOURCE, TARGET, VOCABULARY = "source.spm", "target.spm", "vocab.json"
CONFIG = "tokenizer_config.json"  # which there need not be
ROLES = {"eos": "</s>", "pad": "<pad>", "unk": "<unk>"}
SPACE = "▁"  # how SentencePiece writes one


class MarianTokenizer:
    """The tokenizer of a translation model.

    Ids and texts are those of transformers' MarianTokenizer where sacremoses is not installed: punctuation is left as
    it is written. As everywhere here, a text that spells a special token has the ids of those characters.

    Args:
        files: name -> content of source.spm, target.spm, vocab.json and, where it is there, tokenizer_config.json.
        where: their folder, for errors.

    Attributes:
        files: as given, for `interop.directory.write_directory`.
        vocabulary: number of token ids, one more than the largest.
        special: role ("eos", "pad", "unk") -> token, as `interop.directory.Special` takes them.
        end, pad, unknown: their ids.

    Raises:
        InputError: a file is missing or damaged, the languages have separate vocabularies, or sentencepiece is not
            installed.
    """

    def __init__(self, files: Mapping[str, bytes], where: Path | None = None) -> None:
        self.files, self.where = dict(files), where
        for name in (SOURCE, TARGET, VOCABULARY):
            if name not in files:
                raise self._wrong("is not there", name)
        stated = self._json(CONFIG) if CONFIG in files else {}
        if stated.get("separate_vocabs"):
            raise self._wrong(
                "says that each language has its own vocabulary", CONFIG, remedy="give a model that shares one"
            )  # fmt: skip
        self._ids: dict[str, int] = self._json(VOCABULARY)
        if not all(type(i) is int and i >= 0 for i in self._ids.values()):
            raise self._wrong("is no table of pieces and ids", VOCABULARY)
        self.special = {role: _name(stated.get(f"{role}_token"), usual) for role, usual in ROLES.items()}
        for token in self.special.values():
            if token not in self._ids:
                raise self._wrong(f"has no {token}", VOCABULARY)
        self.end, self.pad, self.unknown = (self._ids[self.special[role]] for role in ROLES)
        self._plain = {piece: i for piece, i in self._ids.items() if piece not in self.special.values()}
        self.vocabulary = max(self._ids.values()) + 1
        self._source, self._target = self._model(SOURCE), self._model(TARGET)

    @classmethod
    def load(cls, folder: Path) -> MarianTokenizer:
        """The tokenizer of a model directory.

        Raises:
            InputError: see the class; or a file cannot be read.
        """
        folder = Path(folder)
        try:
            there = [folder / name for name in (SOURCE, TARGET, VOCABULARY, CONFIG)]
            return cls({path.name: path.read_bytes() for path in there if path.exists()}, folder)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", where=folder, remedy="name a directory") from error

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts to translate, each with its end. A text that begins with `>>xxx<<` asks a model of several
        target languages for one of them."""
        return [self._encoded(self._source, text) for text in texts]

    def encode_target(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of translations, each with its end."""
        return [self._encoded(self._target, text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a translation; ends, padding and what is unknown are left out.

        Raises:
            InputError: an id is none of the vocabulary.
        """
        left_out = {self.end, self.pad, self.unknown}
        try:
            pieces = [self._pieces[i] for i in map(int, ids) if i not in left_out]
        except KeyError as error:
            raise InputError(
                f"id {error} is none of a vocabulary of {self.vocabulary}", where=self.where,
                remedy="give the ids of this tokenizer's model",
            ) from error  # fmt: skip
        return str(self._target.decode_pieces(pieces)).replace(SPACE, " ").strip()

    def _encoded(self, model: Any, text: str) -> list[int]:
        language, closed, rest = text.partition("<<")
        code = [language + closed] if closed and language.startswith(">>") else []
        pieces = code + model.encode(rest if code else text, out_type=str)
        return [*(self._plain.get(piece, self.unknown) for piece in pieces), self.end]

    @cached_property
    def _pieces(self) -> dict[int, str]:
        return {i: piece for piece, i in self._ids.items()}

    def _model(self, name: str) -> Any:
        try:
            from sentencepiece import SentencePieceProcessor
        except ImportError:
            raise InputError(
                "sentencepiece is not installed, and Marian's tokenizer is made of it", where=self.where,
                remedy="pip install 'assay[marian]'",
            ) from None  # fmt: skip
        model = SentencePieceProcessor()
        try:
            model.LoadFromSerializedProto(self.files[name])
        except RuntimeError as error:
            raise self._wrong("is no SentencePiece model", name) from error
        return model

    def _json(self, name: str) -> dict[str, Any]:
        try:
            stated = json.loads(self.files[name].decode("utf-8"))
        except ValueError as error:
            raise self._wrong(f"cannot be read as JSON ({error})", name) from error
        if not isinstance(stated, dict):
            raise self._wrong("is no JSON object", name)
        return stated

    def _wrong(self, what: str, name: str, remedy: str = "give a whole model directory") -> InputError:
        return InputError(what, where=self.where / name if self.where else name, remedy=remedy)


def _name(stated: Any, usual: str) -> str:
    """A special token, as a tokenizer_config.json states it: its text, or an object that holds it."""
    found = stated.get("content") if isinstance(stated, dict) else stated
    return found if isinstance(found, str) else usual
