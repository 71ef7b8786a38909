"""Calibration: text or examples of a task -> rows that a model is shown, one at a time, so that none is padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from assay.corpus import documents
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import noticed
from assay.corpus.scan import read as scanned
from assay.errors import InputError
from assay.export.source import Source
from assay.finetune.judging import Asked, read
from assay.models.heads import Headed
from assay.models.protocol import Batch, check_ids
from assay.present.progress import Progress
from assay.store import Store
from assay.tasks.coding import Coder
from assay.tasks.feed import collated
from assay.tasks.protocol import HeadTask
from assay.tasks.writing import WritingTask
from assay.train.predict import Predictor

ROWS, TOKENS = 128, 512


@dataclass(frozen=True)
class Calibration:
    """What a model is calibrated on.

    Attributes:
        sources: files of text, or of examples of the model's task (labels are used where they stand).
        rows: how many, at most; drawn by `seed`.
    """

    sources: Sequence[str]
    rows: int = ROWS
    seed: int = 0


def batches(source: Source, asked: Calibration, progress: Progress) -> list[Batch]:
    """Rows of one text each.

    Raises:
        InputError: the text is empty, or the model reads none.
    """
    task, coder = source.task, source.coder
    if task is None:
        made = _of_text(source, asked, progress)
    else:
        assert isinstance(task, HeadTask | WritingTask)
        assert coder is not None
        examples, _, _ = read(task, Asked(asked.sources, on_error="skip"), known=False)
        examples = [examples[i] for i in _drawn(len(examples), asked)]
        kinds = isinstance(source.model, Headed) and source.model.config.tells_types
        causal = isinstance(task, WritingTask)
        made = [collated([item], kinds=kinds, causal=causal) for item in task.items(examples, coder)]
    for batch in made:
        check_ids(source.model, int(batch.inputs_BT.min()), int(batch.inputs_BT.max()), "the calibration text")
    return made


def _drawn(n: int, asked: Calibration) -> list[int]:
    return sorted(np.random.default_rng(asked.seed).permutation(n)[: asked.rows].tolist())


def _of_text(source: Source, asked: Calibration, progress: Progress) -> list[Batch]:
    if source.kind == "translator":
        raise InputError(
            "an encoder-decoder without a task has no pairs to be calibrated on", where=source.folder,
            remedy="fine-tune it first, or take a method that needs no text: --method rtn, magnitude",
        )  # fmt: skip
    if source.tokenizer is None:
        raise InputError("has no tokenizer", where=source.folder, remedy="give a whole model directory")
    texts = [text for text in _texts(asked.sources, progress) if text.strip()]
    texts = [texts[i] for i in _drawn(len(texts), asked)]  # no more than are needed: each is a row at least
    length = min(source.positions or TOKENS, TOKENS)
    if source.kind == "hidden":
        coded = Coder.of(source.tokenizer, length, source.folder).texts(texts)
        rows = [one.ids for one in coded if len(one.ids) > 2]
    else:
        encoded = Predictor.of(source.folder, source.model).encoded(texts)
        rows = [row for ids in encoded for row in _windows(ids.astype(np.int64), length + 1) if len(row) > 1]
    if not rows:
        raise InputError(
            "holds no text to calibrate on", where=", ".join(asked.sources), remedy="give some documents of the kind "
            "that the model is to read",
        )  # fmt: skip
    chosen = [torch.from_numpy(rows[i])[None] for i in _drawn(len(rows), asked)]
    if source.kind == "hidden":
        return [Batch(row, torch.full_like(row, -1)) for row in chosen]
    return [Batch(row[:, :-1], row[:, 1:]) for row in chosen]


def _texts(sources: Sequence[str], progress: Progress) -> list[str]:
    with TemporaryDirectory() as folder:
        listed, made = scanned(list(sources), ReadOptions(), Store(Path(folder)), progress.to)
        progress.notice(noticed(listed, made))
        found: list[str] = []
        for batch in documents.read(made.files(".parquet"), ["text"]):
            found += batch.column("text").to_pylist()
        return found


def _windows(ids: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """A document in rows that share one token, so that each but the first is predicted once."""
    cuts = [*range(0, max(1, len(ids) - 1), length - 1), len(ids) - 1]
    for begin, end in pairwise(cuts):
        yield ids[begin : end + 1]
