"""Perplexity of every document under a model of clean text: how unlike that text it is (CCNet, Wenzek et al. 2020).

    documents -> tokens of the model's own tokenizer -> nats of each document -> bits a byte, perplexity of a token

An n-gram model (`assay train recipes/train/ngram.yaml`) counts; any other model of ours that predicts next tokens will
do, and takes the time of a forward pass over the corpus. Bits a byte are the text's, and comparable between tokenizers;
perplexity is a token's. Work is cut into row groups of a few MB, and goes on after any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assay.corpus import documents
from assay.store import whole_file
from assay.train.evaluate import perplexity_of
from assay.train.predict import Predictor

SCORES = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("value", pa.float32()),
        pa.field("perplexity", pa.float32()),
    ]
)
"""value: bits a byte; null where nothing is predicted, or the model's tokens do not spell the text."""
_TEXTS_BYTES = 1 << 18  # a batch: what a model sees between two looks at the clock
_MOST = 3e38  # of a float32


@lru_cache(maxsize=1)
def opened(folder: Path, fingerprint: str) -> Predictor:
    """The model of a folder, whose files have this fingerprint, so that another one is not taken for it."""
    del fingerprint
    return Predictor.load(folder)


def score_group(
    part: Path,
    target: Path,
    threads: int,
    *,
    folder: Path,
    fingerprint: str,
    device: str,
    tell: Callable[[float], None],
) -> dict[str, Any]:
    """Write doc_id, bits a byte and perplexity of the documents of one row group.

    Args:
        tell: gets the bytes of text that are done of it.
    """
    del threads
    model = opened(folder, fingerprint)
    batch = documents.read_group(part, target, ["doc_id", "text"])
    nats, tokens, octets = (np.zeros(batch.num_rows) for _ in range(3))
    at, done = 0, 0.0
    for texts in batched(batch.column("text").to_pylist(), _TEXTS_BYTES):
        found, here = model.losses(texts, device), slice(at, at + len(texts))
        nats[here], tokens[here], octets[here] = found.nats, found.tokens, found.octets
        at += len(texts)
        done += sum(map(len, texts))
        tell(done)
    nothing = np.full(len(nats), np.nan)
    bits = np.divide(nats / math.log(2), octets, out=nothing.copy(), where=octets > 0)
    loss = np.divide(nats, tokens, out=nothing, where=tokens > 0)
    perplexity = np.array([np.nan if np.isnan(x) else min(perplexity_of(x), _MOST) for x in loss])
    columns = [pa.array(values.astype(np.float32), from_pandas=True) for values in (bits, perplexity)]
    made = pa.record_batch([batch.column("doc_id"), *columns], schema=SCORES)
    with whole_file(target) as path, documents.opened(path, SCORES) as writer:
        writer.write_batch(made)
    return {"documents": batch.num_rows}


def batched(texts: list[str], size: int) -> list[list[str]]:
    """Texts in runs of about so many characters, at least one each."""
    runs: list[list[str]] = [[]]
    held = 0
    for text in texts:
        if held and held + len(text) > size:
            runs.append([])
            held = 0
        runs[-1].append(text)
        held += len(text)
    return runs if runs[0] else []
