"""A prompt and what a model goes on with, token by token: how likely each was, and what else was likely.

    events(writer, text, settings)  -> prompt, then tokens as they are chosen, then how it ended
    read(writer, text)              -> the tokens of a text, each with its loss after all before it

Probabilities are the model's own, before temperature and cuts: what sampling makes of them is the settings' affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from assay.errors import InputError
from assay.explore.spelling import label, stretches
from assay.generation.opened import Prompt, Writer
from assay.generation.settings import Settings
from assay.generation.text import Piece, stream
from assay.inference.steppers import stepper
from assay.models.ngram import KneserNey
from assay.train.predict import MOST_TOKENS, carries

OTHERS = 8  # likely tokens that are told beside the chosen one
ROWS = 32  # windows that are read together


def events(writer: Writer, text: str, settings: Settings, *, raw: bool = False) -> Iterator[dict[str, Any]]:
    """What happens while a model writes, as JSON values.

    Raises:
        InputError: the prompt is too long or not valid, or the settings cannot be met; before the first event.
    """
    (prompt,) = writer.prompts([text], settings, raw=raw)
    pieces = stream(writer, [prompt], settings, raw=raw)
    return _events(writer, prompt, pieces)


def _events(writer: Writer, prompt: Prompt, pieces: Iterator[Piece]) -> Iterator[dict[str, Any]]:
    yield {"event": "prompt", "tokens": [label(writer.encoder, i) for i in prompt.ids], "n": len(prompt.ids)}
    # A second reading, whose logits are looked at: the search keeps its own to itself.
    rows = stepper(writer.model).begin([prompt.ids])
    for piece in pieces:
        tokens = []
        for token in piece.tokens:
            tokens.append(_told(writer, rows.logits()[0], token.id))
            if piece.answer is None:
                rows.step(torch.tensor([token.id]))
        yield {"event": "tokens", "text": piece.text, "tokens": tokens}
        if (answer := piece.answer) is not None:
            yield {
                "event": "end", "end": answer.end, "text": answer.text, "tokens": answer.tokens,
                "log_probability": answer.log_probability, "turns_cut": answer.turns_cut,
            }  # fmt: skip


def _told(writer: Writer, logits_V: torch.Tensor, token: int) -> dict[str, Any]:
    log_V = logits_V.double().log_softmax(-1)
    likely, ids = log_V.topk(min(OTHERS, len(log_V)))
    special = set(writer.encoder.special.values())
    entropy = -(log_V.exp() * log_V).nan_to_num(0.0).sum()
    return {
        "id": token, "label": label(writer.encoder, token), "special": token in special,
        "p": float(log_V[token].exp()), "rank": int((log_V > log_V[token]).sum()) + 1, "entropy": float(entropy),
        "others": [
            {"id": i, "label": label(writer.encoder, i), "p": float(p.exp())}
            for p, i in zip(likely, ids.tolist(), strict=True)
        ],
    }  # fmt: skip


def likely_next(writer: Writer, prompt: Prompt, n: int = OTHERS) -> list[dict[str, Any]]:
    """The likeliest tokens after a prompt."""
    logits = stepper(writer.model).begin([prompt.ids]).logits()[0]
    others: list[dict[str, Any]] = _told(writer, logits, int(logits.argmax()))["others"][:n]
    return others


def read(writer: Writer, text: str) -> dict[str, Any]:
    """A text under a model: stretches of it, each with its loss in nats; a model with few positions reads it in windows
    that overlap by half, as `assay eval` does.

    Raises:
        InputError: the model reads nothing before it writes, or the text has no token to predict.
    """
    if writer.is_translator:
        what = "is an encoder-decoder, which predicts a target of a source and no running text"
        raise InputError(what, where=writer.name, remedy="choose a decoder, a recurrent or an n-gram model")
    ids = [int(i) for i in writer.ids([text])[0]]
    first = [] if writer.begin is None else [writer.begin]
    if len(first) + len(ids) < 2:
        raise InputError("has no token to predict", where="text", remedy="give more text")
    # Nothing predicts the first token of a model without a beginning.
    nats: list[float | None] = [*([] if first else [None]), *nats_of(writer, [*first, *ids])]
    listed = []
    for one in stretches(writer.encoder, ids):
        own = nats[one.first : one.end]
        known = [value for value in own if value is not None]
        listed.append({"text": one.text, "nats": sum(known) if known else None, "tokens": one.end - one.first})
    counted = [value for value in nats if value is not None]
    size = len(text.encode("utf-8"))
    return {
        "stretches": listed, "spells": writer.encoder.lossless, "nats": sum(counted), "tokens": len(counted),
        "bits_per_byte": sum(counted) / 0.6931471805599453 / size if size and writer.encoder.lossless else None,
    }  # fmt: skip


def nats_of(writer: Writer, ids: Sequence[int]) -> list[float]:
    """The loss of each token but the first, after all before it that the model can see."""
    if isinstance(writer.model, KneserNey):
        scores = writer.model.log_probabilities(np.array(ids, dtype=np.int64), np.zeros(1, dtype=np.int64))
        return [-float(score) for score in scores[1:]]
    steps = stepper(writer.model)
    window = len(ids) if carries(writer.model) else min(steps.reads or MOST_TOKENS, MOST_TOKENS)
    begins = [0, *range(max(1, window // 2), max(1, len(ids) - window), max(1, window // 2))]
    if begins[-1] + window < len(ids) - 1:
        begins.append(begins[-1] + max(1, window // 2))
    found: list[float] = []
    for first in range(0, len(begins), ROWS):
        own = begins[first : first + ROWS]
        rows = [list(ids[begin : begin + window + 1]) for begin in own]
        padded = torch.tensor([[*row[1:], *[-1] * (window + 1 - len(row))] for row in rows])
        scores_BT, _ = steps.begin([row[:1] for row in rows]).follow(padded)
        for begin, row, scores_T in zip(own, rows, (-scores_BT).tolist(), strict=True):
            found += scores_T[len(found) - begin : len(row) - 1]
    return found
