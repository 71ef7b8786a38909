"""What the ids of a tokenizer.json spell, read off its parts, whoever made it.

byte-level       characters that each stand for a byte (GPT-2, Qwen)       `Ġthe`   -> b" the"
byte fallback    pieces of text, and <0x00> to <0xFF> for what has none     `<0xE4>` -> b"\\xe4"
metaspace        pieces of text, with ▁ for a space (SentencePiece)         `▁the`   -> b" the"
WordPiece        words and their ends (BERT)                                `##ing`  -> b"ing"
words            the words themselves
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from assay.tokens.words import BOUND

BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")
_METASPACE = "▁"


@dataclass(frozen=True)
class Surface:
    """What is known of a tokenizer from its JSON.

    Attributes:
        kind: BPE, Unigram, WordPiece or WordLevel.
        names: id -> token as the JSON writes it.
        special: name -> id of the special tokens.
        unknown: id that stands for what has no other, or None where nothing is unknown.
        lossless: every text is spelled exactly by its ids.
    """

    content: Mapping[str, Any] = field(repr=False)
    kind: str
    names: dict[int, str] = field(repr=False)
    special: dict[str, int]
    unknown: int | None
    lossless: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Surface:
        """Raises LookupError, TypeError, ValueError or AttributeError where the JSON is not that of a tokenizer."""
        model = content["model"]
        vocab = _vocab(model)
        added = content.get("added_tokens") or []
        names = {number: token for token, number in vocab.items()} | {t["id"]: t["content"] for t in added}
        special = {t["content"]: int(t["id"]) for t in added if t["special"]}
        lossless = _lossless(content, vocab)
        unknown = None if lossless else _unknown(model, {name: number for number, name in names.items()})
        return cls(content, _kind(model), names, special, unknown, lossless)

    @property
    def vocabulary(self) -> int:
        return max(self.names) + 1

    @cached_property
    def byte_level(self) -> bool:
        """Its tokens are written in the characters that stand for bytes."""
        return any(part["type"] == "ByteLevel" for part in (*self.parts("pre_tokenizer"), *self.parts("decoder")))

    @property
    def wants_bounds(self) -> bool:
        """Its pre-tokenizer removes U+200B: Chinese is to be cut into words first."""
        cut = {"String": BOUND}
        return any(p["type"] == "Split" and p["pattern"] == cut for p in self.parts("pre_tokenizer"))

    def parts(self, name: str) -> Iterator[Mapping[str, Any]]:
        return _parts(self.content.get(name))

    @cached_property
    def spelled(self) -> list[bytes]:
        """(V,) the bytes of text that each id stands for; those of a special or unknown token's name, too."""
        return [self._spell(self.names.get(number, "")) for number in range(self.vocabulary)]

    def _spell(self, token: str) -> bytes:
        model = self.content["model"]
        if token in self.special:
            return token.encode()
        if self.byte_level:
            letters = _letters()
            return bytes(letters[c] for c in token) if all(c in letters for c in token) else token.encode()
        if model.get("byte_fallback") and (piece := _BYTE_PIECE.fullmatch(token)):
            return bytes([int(piece[1], 16)])
        if self.kind in ("WordPiece", "BPE"):
            token = token.removeprefix(model.get("continuing_subword_prefix") or "")
            token = token.removesuffix(model.get("end_of_word_suffix") or "")
        if self._metaspace:
            token = token.replace(_METASPACE, " ")
        return token.encode()

    @cached_property
    def _metaspace(self) -> bool:
        parts = [*self.parts("decoder"), *self.parts("pre_tokenizer")]
        return any(
            p["type"] == "Metaspace" or (p["type"] == "Replace" and p["pattern"] == {"String": _METASPACE})
            for p in parts
        )

    @cached_property
    def token_bytes(self) -> np.ndarray:
        """(V,) int64 bytes of text that each id stands for, 0 for special and unknown tokens."""
        sizes = np.array([len(spelled) for spelled in self.spelled], dtype=np.int64)
        sizes[list(self.special.values())] = 0
        if self.unknown is not None:
            sizes[self.unknown] = 0
        return sizes

    @cached_property
    def continues(self) -> np.ndarray:
        """(V,) whether a token goes on with the word of the one before it; see `Encoder.continues`."""
        model = self.content["model"]
        if self.kind == "WordLevel":
            found = np.zeros(self.vocabulary, dtype=bool)
        elif self.kind == "WordPiece":
            prefix = model["continuing_subword_prefix"]
            found = np.array([self.names.get(i, "").startswith(prefix) for i in range(self.vocabulary)])
        else:
            found = np.array([_goes_on(spelled) for spelled in self.spelled])
        found[list(self.special.values())] = False
        return found


def _kind(model: Mapping[str, Any]) -> str:
    """Files of older versions of the library do not say it."""
    if "type" in model:
        return str(model["type"])
    if isinstance(model["vocab"], list):
        return "Unigram"
    if "merges" in model:
        return "BPE"
    return "WordPiece" if "continuing_subword_prefix" in model else "WordLevel"


def _vocab(model: Mapping[str, Any]) -> dict[str, int]:
    vocab = model["vocab"]
    if isinstance(vocab, list):
        return {token: number for number, (token, _) in enumerate(vocab)}
    return dict(vocab)


def _parts(node: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The parts of a normalizer, pre-tokenizer or decoder, sequences taken apart."""
    if not node:
        return
    if node["type"] != "Sequence":
        yield node
        return
    for key in ("normalizers", "pretokenizers", "decoders"):
        for inner in node.get(key, ()):
            yield from _parts(inner)


def _unknown(model: Mapping[str, Any], ids: Mapping[str, int]) -> int | None:
    if model.get("byte_fallback") and all(f"<0x{byte:02X}>" in ids for byte in range(256)):
        return None
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return ids.get(model.get("unk_token") or "")


def _lossless(content: Mapping[str, Any], vocab: Mapping[str, int]) -> bool:
    """No part drops or changes a character, and every byte has a token."""
    model = content["model"]
    cuts = list(_parts(content.get("pre_tokenizer")))
    ends = {part["type"] for part in _parts(content.get("decoder"))}
    if content.get("normalizer") or any(cut.get("behavior") == "Removed" for cut in cuts):
        return False
    if any(t["lstrip"] or t["rstrip"] for t in content.get("added_tokens") or () if not t["special"]):
        return False
    types = {cut["type"] for cut in cuts}
    if _kind(model) == "BPE" and "ByteLevel" in types:
        plain = not any(cut.get("add_prefix_space") for cut in cuts)
        return plain and types <= {"ByteLevel", "Split", "Digits"} and all(letter in vocab for letter in _letters())
    if not model.get("byte_fallback") or types - {"Split"} or not ends <= {"ByteFallback", "Fuse"}:
        return False
    # A text that spells <0x41> must not be read as the byte: BPE without merges cannot, Unigram where < stands alone.
    alone = any(cut["pattern"] == {"String": "<"} and cut["behavior"] == "Isolated" for cut in cuts)
    safe = alone if _kind(model) == "Unigram" else not model.get("merges")
    return safe and all(piece in vocab for piece in BYTE_PIECES)


@cache
def _letters() -> dict[str, int]:
    """The characters of byte-level tokenizers and the bytes they stand for (Radford et al. 2019): a printable byte of
    Latin-1 is itself, the others are the characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _goes_on(spelled: bytes) -> bool:
    """Whether a token of bytes goes on with the word before: it begins within a character, or with a letter of a
    script that puts spaces between words."""
    from assay.corpus.text import characters as ch

    if not spelled:
        return False
    lead = spelled[0]
    if lead & 0xC0 == 0x80:
        return True
    width = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    try:
        first = spelled[:width].decode()
    except UnicodeDecodeError:  # part of a character; kana and Chinese characters begin with the bytes E3 to E9 and F0
        return not (0xE3 <= lead <= 0xE9 or lead >= 0xF0)
    bits = int(ch.classes()[ord(first)])
    return bool(bits & (ch.LETTER | ch.MARK)) and not bits & ch.UNSPACED
