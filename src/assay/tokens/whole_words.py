"""Which tokens of a row go on with the word of the one before, Chinese words included: for hiding words whole.

    ids -> the text that they spell -> words (`tokens.words`) -> a token continues where its word began before it

No table over ids can say it: whether 明 begins a word depends on the sentence.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import numpy as np

from assay.tokens import words
from assay.tokens.tokenizer import Encoder


def _as_many(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no character, as one sign each, so that places stay."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "?" * (error.end - error.start), error.end


codecs.register_error("assay.as_many", _as_many)


@dataclass(frozen=True, eq=False)
class WholeWords:
    """(B, T) ids -> (B, T) whether each goes on with the word of the one before it."""

    encoder: Encoder

    def __call__(self, ids_BT: np.ndarray) -> np.ndarray:
        return np.stack([self._row(ids_T) for ids_T in ids_BT])

    def _row(self, ids_T: np.ndarray) -> np.ndarray:
        spelled = self.encoder.surface.spelled
        special = set(self.encoder.special.values())
        within = self.encoder.continues[ids_T]
        parts: list[bytes] = []
        begins = np.zeros(len(ids_T), dtype=np.int64)
        at, before = 0, b""
        for i, token in enumerate(ids_T.tolist()):
            own = b"\n" if token in special else spelled[token]
            # A tokenizer that leaves out spaces: between words that are no Chinese there was one.
            if not self.encoder.lossless and not within[i] and not (_unspaced(before) and _unspaced(own)):
                parts.append(b" ")
                at += 1
            parts.append(own)
            begins[i] = at
            at, before = at + len(own), own
        text = b"".join(parts).decode("utf-8", "assay.as_many")
        number = words.numbers(text, begins)
        continues = np.zeros(len(ids_T), dtype=bool)
        continues[1:] = number[1:] == number[:-1]
        return continues


def _unspaced(spelled: bytes) -> bool:
    """Whether it is of a script without spaces: its first byte is that of a character from U+2E80 on."""
    return bool(spelled) and spelled[0] >= 0xE2 and spelled >= b"\xe2\xba\x80"
