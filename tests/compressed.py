"""Small models with weights that are all at work, in directories, and text for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from assay.models.build import build
from assay.models.decoder import proxy, standard
from assay.models.encoder import bert
from assay.models.heads import HeadConfig, HeadedConfig
from assay.models.interop.directory import Special, write_directory
from assay.models.protocol import Batch
from assay.models.seq2seq import t5, transformer
from assay.tokens.learn import train_tokenizer
from assay.tokens.tokenizer import Encoder
from labelled import reviews

WORDS = 60
CONFIGS: dict[str, Any] = {
    "proxy": proxy(WORDS, 2, 48, 4),
    "standard": standard(WORDS, 3, 64, 4, 2, max_length=64),
    "bert": bert(WORDS, 2, 32, 4, max_length=64),
    "transformer": transformer(WORDS, 2, 32, 4, max_length=64),
    "t5": t5(WORDS, 2, 32, 4, max_length=64),
    "headed": HeadedConfig(
        bert(WORDS, 2, 32, 4, max_length=64, head=False), HeadConfig("class", 3, dense=True, dropout=0.0)
    ),
}


def awake(config: Any, seed: int = 0) -> Any:
    """A model of a config; proxies begin with matrices of zeros."""
    generator = torch.Generator().manual_seed(seed)
    model = build(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def batch(name: str, rows: int = 3, length: int = 12, seed: int = 1) -> Batch:
    """Rows of one text each, with targets."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, WORDS, (rows, length + 1), generator=generator)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    if name in ("transformer", "t5"):
        source = torch.randint(0, WORDS, (rows, 7), generator=generator)
        return Batch(inputs, targets, source_BS=source)
    if name == "headed":
        return Batch(inputs, torch.randint(0, 3, (rows, 1), generator=generator))
    return Batch(inputs, targets)


@torch.no_grad()
def said(model: Any, name: str, given: Batch) -> torch.Tensor:
    """What a model answers."""
    if name == "headed":
        return model(given)  # type: ignore[no-any-return]
    if given.source_BS is not None:
        return model(given.source_BS, given.inputs_BT)  # type: ignore[no-any-return]
    return model(given.inputs_BT)  # type: ignore[no-any-return]


TEXTS = [row["text"] for row in reviews(120)] + ["一部精彩的电影", "无聊的故事，讨厌"]


def language_model(folder: Path, **more: Any) -> Path:
    """The directory of a decoder with a tokenizer of its own."""
    encoder = Encoder(train_tokenizer(TEXTS, 420))
    config = standard(encoder.vocabulary, 3, 32, 4, 2, max_length=64, **more)
    special = Special(bos=next(iter(encoder.special)), eos=next(iter(encoder.special)))
    write_directory(folder, awake(config), encoder.content, card="# small", special=special)
    return folder


def texts(path: Path, lines: Sequence[str] = TEXTS) -> Path:
    """A file of running text, a document a line."""
    import json

    path.write_text("".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path
