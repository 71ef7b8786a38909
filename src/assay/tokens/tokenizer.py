"""Byte-level BPE: trained by `tokenizers`, applied by gigatoken, checked equal.

Byte-level BPE (Radford et al. 2019) can spell any text, so nothing is ever unknown. The pre-tokenizer pattern is
Qwen2's, which splits digits one by one and treats every script's letters alike.

One special token, `<|endoftext|>` (id 0), stands before every document. While encoding, it is not recognised inside
a text: a document that spells it is encoded as those characters, so no document can end another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from assay.errors import WorkError
from assay.tokens.stream import END_OF_TEXT_ID

END_OF_TEXT = "<|endoftext|>"
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> str:
    """Learn merges from `texts` and return the content of `tokenizer.json`.

    Args:
        texts: a balanced sample; order matters only where pairs are equally frequent.
        vocabulary: number of token ids, the 256 bytes and the special token included. The result can be smaller
            where the texts hold too few different words.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


class Encoder:
    """Text -> token ids, by gigatoken.

    Attributes:
        vocabulary: number of token ids.
        token_bytes: (V,) int64, how many bytes of text each id stands for (0 for the special token).
    """

    def __init__(self, tokenizer_json: str) -> None:
        import gigatoken

        self._plain_json = _without_special_tokens(tokenizer_json)
        self._tokenizer = gigatoken.Tokenizer.from_json(self._plain_json)
        vocab = gigatoken.Tokenizer.from_json(tokenizer_json).vocab
        self.vocabulary = max(vocab) + 1
        self.token_bytes = np.zeros(self.vocabulary, dtype=np.int64)
        for token, spelled in vocab.items():
            self.token_bytes[token] = len(spelled)
        self.token_bytes[END_OF_TEXT_ID] = 0

    @classmethod
    def load(cls, path: Path) -> Encoder:
        return cls(path.read_text(encoding="utf-8"))

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode texts.

        Returns:
            (ids, offsets): all ids in one uint32 array, and len(texts) + 1 offsets into it.
        """
        if not texts:
            return np.zeros(0, np.uint32), np.zeros(1, np.int64)
        layout = self._tokenizer.encode_batch(list(texts)).layout
        offsets = np.asarray(layout.offsets.data, dtype=np.int64)
        return np.asarray(layout.content.data)[offsets[0] : offsets[-1]], offsets - offsets[0]

    def decode(self, ids: np.ndarray) -> str:
        """The text that token ids spell; bytes that are no whole character at an end become U+FFFD."""
        return bytes(self._tokenizer.decode(ids.astype(np.uint32))).decode("utf-8", "replace")

    def check_equal(self, texts: Sequence[str]) -> None:
        """Compare with `tokenizers`, the library that learned the merges.

        Raises:
            WorkError: an id differs (a defect of a library: nothing downstream could be trusted).
        """
        from tokenizers import Tokenizer

        reference = Tokenizer.from_str(self._plain_json)
        ids, offsets = self.encode(texts)
        for i, encoding in enumerate(reference.encode_batch(list(texts))):
            if not np.array_equal(ids[offsets[i] : offsets[i + 1]], np.asarray(encoding.ids, dtype=np.uint32)):
                raise WorkError(
                    "gigatoken and tokenizers encode a document differently",
                    where=f"the text that begins {texts[i][:60]!r}",
                    remedy="report it with this text and the installed versions of both libraries",
                )


def _without_special_tokens(tokenizer_json: str) -> str:
    content = json.loads(tokenizer_json)
    content["added_tokens"] = []
    return json.dumps(content, ensure_ascii=False)
