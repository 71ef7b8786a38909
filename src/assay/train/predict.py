"""A model directory that predicts next tokens, with its tokenizer: texts -> what each is worth in nats.

    texts -> tokens of the model's own tokenizer, behind what begins a document -> loss of every token, once
                                                                               -> sums of each document

What `assay eval` says of a text and what curation says of each document come from here, and are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import InputError
from assay.models import interop
from assay.models.decoder import Decoder
from assay.models.ngram import KneserNey
from assay.models.recurrent import Recurrent
from assay.tokens import evalset
from assay.tokens.stream import END_OF_TEXT_ID
from assay.tokens.tokenizer import Encoder
from assay.train.evaluate import Documents

NGRAM = "ngram.safetensors"
MOST_TOKENS = 512  # of a window, where the model has no bound


@dataclass(frozen=True)
class Losses:
    """What texts are worth under a model.

    Attributes:
        nats: (texts,) summed over the tokens that are predicted.
        tokens: (texts,) how many these are.
        octets: (texts,) how many bytes they spell; 0 where the tokens do not spell the text.
    """

    nats: np.ndarray
    tokens: np.ndarray
    octets: np.ndarray


@dataclass(frozen=True)
class Predictor:
    """A model that predicts next tokens.

    Attributes:
        begin: the id that stands before a document; None where the model knows none, and then a document's first token
            is not predicted.
    """

    model: KneserNey | Decoder | Recurrent
    encoder: Encoder
    begin: int | None

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """The model of a directory.

        Raises:
            InputError: there is none, it predicts no next tokens, or its tokenizer is another's.
        """
        return cls.of(folder, KneserNey.load(folder / NGRAM) if (folder / NGRAM).exists() else interop.load(folder))

    @classmethod
    def of(cls, folder: Path, model: Any) -> Predictor:
        """A model that was read from a directory.

        Raises:
            InputError: as `load`.
        """
        forwards = isinstance(model, Decoder | Recurrent) and not getattr(model.config, "both_ways", False)
        if not isinstance(model, KneserNey) and not forwards:
            remedy = "give a decoder, an LSTM that reads forwards, or an n-gram model"
            raise InputError("predicts no next token: it has no perplexity", where=folder, remedy=remedy)
        encoder = Encoder.load(folder)
        there = model.vocabulary if isinstance(model, KneserNey) else model.config.vocabulary
        if there < encoder.vocabulary:
            raise InputError(
                f"the tokenizer has {encoder.vocabulary} ids, and the model {there}", where=folder,
                remedy="give a whole model directory",
            )  # fmt: skip
        return cls(model, encoder, _begin(folder, encoder))

    def encoded(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text behind `begin`."""
        ids, offsets = self.encoder.encode(texts)
        before = np.array([] if self.begin is None else [self.begin], dtype=ids.dtype)
        return [np.concatenate([before, ids[a:b]]) for a, b in pairwise(offsets)]

    def losses(self, texts: Sequence[str], device: str = "cpu") -> Losses:
        """What each text is worth. A neural model sees it in the windows of `assay eval`."""
        if isinstance(self.model, KneserNey):
            return self._counted(self.model, texts)
        window = min(getattr(self.model.config, "max_length", MOST_TOKENS), MOST_TOKENS)
        encoded = self.encoded(texts)
        longest = max((len(ids) for ids in encoded), default=0)
        if longest < 2:
            return Losses(*np.zeros((3, len(texts))))
        row, stride = (longest, longest) if carries(self.model) else (window, max(1, window // 2))
        data = evalset.whole(encoded, [""] * len(texts), self.encoder.token_bytes, row, stride)
        units = Documents(data, self.encoder.lossless).evaluate(self.model.to(device), device).units
        unit = units["unit"].to_numpy()
        return Losses(*(np.bincount(unit, units[name], len(texts)) for name in ("nll", "n_tokens", "n_bytes")))

    def _counted(self, model: KneserNey, texts: Sequence[str]) -> Losses:
        ids, offsets = self.encoder.encode(texts)
        ids, lengths = ids.astype(np.int64), np.diff(offsets)
        owner = np.repeat(np.arange(len(texts)), lengths)
        cuts = offsets[:-1][lengths > 0]
        if self.begin is not None:
            ids, owner = np.insert(ids, cuts, self.begin), np.insert(owner, cuts, owner[cuts])
            cuts = cuts + np.arange(len(cuts))
        nats = -model.log_probabilities(ids, cuts)
        predicted = np.ones(len(ids), dtype=bool)
        predicted[cuts] = False
        spelled = self.encoder.token_bytes[ids] * self.encoder.lossless
        return Losses(*(np.bincount(owner, values * predicted, len(texts)) for values in (nats, predicted, spelled)))


def carries(model: Decoder | Recurrent) -> bool:
    """Whether its state goes on from window to window, so that it sees each document whole."""
    return isinstance(model, Recurrent) and model.config.carried


def _begin(folder: Path, encoder: Encoder) -> int | None:
    stated = {} if (folder / NGRAM).exists() else interop.read_config(folder)
    for name in ("bos_token_id", "eos_token_id"):
        if isinstance(stated.get(name), int):
            return int(stated[name])
    return END_OF_TEXT_ID if encoder.marks_documents else None
