"""What an export costs in scores: the same examples, or the same text, to the model and to its export.

examples of a task   -> answers of both -> every score of the task, and the difference on the same draws
text                 -> loss of every token under both -> perplexity, bits per byte, and the difference
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from assay import evaluation
from assay.errors import InputError
from assay.export.runners.answering import Exported
from assay.export.runners.engine import Rows, Writer, filled
from assay.export.source import Source
from assay.finetune import judging
from assay.finetune.answers import groups_of
from assay.metrics.likelihood import likelihood
from assay.metrics.paired import compare
from assay.metrics.scores import SHARE, Measure
from assay.models import interop
from assay.models.decoder import Decoder
from assay.models.protocol import PLAIN, Batch, Loss, Penalties
from assay.models.recurrent import Recurrent
from assay.present.progress import Progress
from assay.tasks.opened import Opened
from assay.tasks.protocol import Example
from assay.train.evaluate import Documents
from assay.train.predict import Predictor, carries

POINT, SHARE_OF_PERPLEXITY = 0.01, 0.01
"""What weights in fewer bits may cost: a point of a score, a hundredth of the perplexity."""
AT_ONCE, TOGETHER = 128, 16  # tokens of a row, and rows, that a recurrent model reads at a time


@dataclass(frozen=True)
class Data:
    """What scores are found on.

    Attributes:
        sources: files of examples, or of text.
        format, fields: as `finetune.judging.Asked` has them.
    """

    sources: tuple[str, ...]
    format: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    level: float = 0.95


@dataclass(frozen=True)
class Held:
    """What both are asked: examples of a task that say what is right, or text as the model reads it."""

    examples: Sequence[Example] = ()
    texts: evaluation.Texts | None = None
    request: evaluation.Request | None = None


def read(source: Source, data: Data, progress: Progress) -> Held:
    """What scores are found on: before an export is written, so that bad data is told at once.

    Raises:
        InputError: no examples, no text, or a model that neither is for.
    """
    if source.opened is not None:
        asked = judging.Asked(list(data.sources), data.format, fields=dict(data.fields), device="cpu")
        found, _, _ = judging.read(source.opened.task, asked)
        right = [one for one in found if one.wanted is not None]
        if not right:
            raise InputError("no example says what is right", where=", ".join(data.sources), remedy="give labels, too")
        return Held(examples=right)
    if source.kind not in ("decoder", "recurrent"):
        raise InputError(
            "this model has no scores: it was trained for no task, and predicts no next token", where="--data",
            remedy="leave --data out",
        )  # fmt: skip
    request = evaluation.Request(source.folder, list(data.sources), device="cpu", level=data.level)
    texts = evaluation.read_texts(request, Predictor.of(source.folder, source.model), progress)
    if max(map(len, texts.encoded), default=0) < 2:
        raise InputError("no token to predict", where=", ".join(data.sources), remedy="give text")
    return Held(texts=texts, request=request)


def scores(
    source: Source, folder: Path, target: str, dtype: str, held: Held, level: float, progress: Progress
) -> dict[str, Any]:
    """Scores of both, with the interval of their difference."""
    if source.opened is not None:
        return _of_task(source.opened, _answerer(source, folder, target, dtype), held.examples, level, progress)
    return _of_text(source, _predictor(source, folder, target, dtype), held, level, progress)


def _of_task(
    opened: Opened, theirs: Any, examples: Sequence[Example], level: float, progress: Progress
) -> dict[str, Any]:
    progress.stage("answer", 2 * len(examples))
    mine = opened.task.measure(examples, opened.answers(examples))
    progress.advance(len(examples))
    other = opened.task.measure(examples, theirs.answers(examples))
    progress.advance(len(examples))
    return between(other, mine, groups_of(examples), opened.task.best, list(opened.task.shown), level)


def _of_text(source: Source, theirs: Any, held: Held, level: float, progress: Progress) -> dict[str, Any]:
    assert held.texts is not None
    assert held.request is not None
    texts, model = held.texts, source.model
    assert isinstance(model, Decoder | Recurrent)
    progress.stage("evaluate", 2)
    documents, _ = evaluation.windows(held.request, model, texts)
    mine = documents.evaluate(model).units
    progress.advance(1)
    if carries(model) and isinstance(theirs, Losses):  # it reads each document whole, in pieces of its own
        documents = Documents(texts.whole(), texts.encoder.lossless)
    other = documents.evaluate(theirs).units
    progress.advance(1)
    first, second = (_likelihood(units, texts.encoder.lossless) for units in (other, mine))
    groups = [f"{a}:{b}" for a, b in zip(mine["source"], mine["unit"], strict=True)]
    return between(first, second, groups, "perplexity", ["perplexity", "bits_per_byte", "loss"], level)


def _likelihood(units: Any, spelled: bool) -> Measure:
    nll, tokens, n_bytes = (units[name].to_numpy() for name in ("nll", "n_tokens", "n_bytes"))
    return likelihood(nll, tokens, n_bytes if spelled else None)


def between(
    export: Measure, model: Measure, groups: Sequence[str] | None, best: str, shown: list[str], level: float
) -> dict[str, Any]:
    """Every score of both, and what the one that counts has lost."""
    found = compare(export, model, groups=groups, level=level)
    rows = {}
    for name, one in found.items():
        told = asdict(one)
        rows[name] = {"export": told.pop("a"), "model": told.pop("b"), **told}
        del rows[name]["name"]
    return {
        "n": len(set(groups)) if groups else model.n, "best": best, "shown": [name for name in shown if name in rows],
        "metrics": rows, **_lost(rows[best], best, model),
    }  # fmt: skip


def _lost(one: dict[str, Any], best: str, model: Measure) -> dict[str, Any]:
    """How much worse the export is by the score that counts, and whether that is no more than weights in fewer bits may
    cost."""
    if one["difference"] is None:
        return {"lost": None, "allowed": None, "within": None}
    if best == "perplexity":
        lost, allowed = one["difference"] / one["model"], SHARE_OF_PERPLEXITY
    else:
        kind = model.kinds.get(best, SHARE)
        sign = 1.0 if kind.better == "lower" else -1.0
        lost, allowed = sign * one["difference"], POINT * (kind.high if np.isfinite(kind.high) else 1.0)
    return {"lost": lost, "allowed": allowed, "within": bool(lost <= allowed)}


def _answerer(source: Source, folder: Path, target: str, dtype: str) -> Any:
    if target == "model":  # a directory of ours, such as a compressed one
        return Opened.load(folder)
    if target in ("onnx", "ctranslate2"):
        return Exported.load(folder)
    assert source.opened is not None
    if target == "hf":
        return Opened(source.opened.task, rounded(source.model, dtype), source.opened.coder)
    raise InputError(
        "scores of a task are not found from GGUF files here",
        where="--data",
        remedy="leave --data out, or export to onnx",
    )


def _predictor(source: Source, folder: Path, target: str, dtype: str) -> Any:
    if target == "model":
        return interop.load(folder)
    if target == "hf":
        return rounded(source.model, dtype)
    if target == "gguf":
        from assay.errors import needs
        from assay.export.gguf_file import MODEL
        from assay.export.runners.llama import Llama

        needs("llama_cpp", "gguf", "GGUF models")
        return Losses(source, Llama(folder / MODEL, min(512, source.positions or 512)).logits)
    return Losses(source, _logits(Exported.load(folder).engine))


def _logits(engine: Any) -> Callable[[list[list[int]]], list[np.ndarray]]:
    """Logits behind every token of rows; long rows of a recurrent model in pieces, each going on from the last."""
    if not (isinstance(engine, Writer) and engine.facts["kind"] == "recurrent"):
        found: Callable[[list[list[int]]], list[np.ndarray]] = engine.logits
        return found

    def by_pieces(rows: list[list[int]]) -> list[np.ndarray]:
        made: dict[int, np.ndarray] = {}
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        for begin in range(0, len(order), TOGETHER):
            some = order[begin : begin + TOGETHER]
            made |= dict(zip(some, _piece_by_piece(engine, [rows[i] for i in some]), strict=True))
        return [made[i] for i in range(len(rows))]

    return by_pieces


def _piece_by_piece(engine: Writer, rows: list[list[int]]) -> list[np.ndarray]:
    """Of rows that are written together, the longest first, so that those which go on are the first ones."""
    state = Rows(engine, engine.nothing(len(rows)), None)
    found: list[list[np.ndarray]] = [[] for _ in rows]
    for begin in range(0, len(rows[0]), AT_ONCE):
        pieces = [row[begin : begin + AT_ONCE] for row in rows if len(row) > begin]
        state.kept = {name: value[: len(pieces)] for name, value in state.kept.items()}
        ids_BT, mask_BT = filled(pieces)
        logits = engine.goes_on(state, {"input_ids": ids_BT, "attention_mask": mask_BT})
        for own, piece, one in zip(found, pieces, logits, strict=False):
            own.append(one[: len(piece)])
    return [np.concatenate(own) for own in found]


def rounded(model: Any, dtype: str) -> Any:
    """The model with the weights that a file of this type holds."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.copy_(parameter.to(getattr(torch, dtype)))
    return other


class Losses(nn.Module):
    """An engine as what `train.evaluate` asks of a model: the loss of each position."""

    def __init__(self, source: Source, logits: Callable[[list[list[int]]], list[np.ndarray]]) -> None:
        super().__init__()
        self.logits = logits
        self.config = SimpleNamespace(vocabulary=source.model.config.vocabulary, carried=False)

    def loss(self, batch: Batch, penalties: Penalties = PLAIN) -> Loss:
        places = [(i, begin, end) for i, row in enumerate(_documents(batch)) for begin, end in row]
        rows = [batch.inputs_BT[i, begin:end].tolist() for i, begin, end in places]
        losses = torch.zeros(batch.targets_BT.shape)
        for (i, begin, end), logits in zip(places, self.logits(rows) if rows else [], strict=True):
            targets = batch.targets_BT[i, begin:end].clamp_min(0)
            found = torch.from_numpy(np.asarray(logits, np.float32))
            losses[i, begin:end] = nn.functional.cross_entropy(found, targets, reduction="none")
        losses = losses * (batch.targets_BT >= 0)
        return Loss(losses.sum(), losses)


def _documents(batch: Batch) -> list[list[tuple[int, int]]]:
    """Where each document of each row begins and ends."""
    assert batch.segments_BT is not None
    made = []
    for row in batch.segments_BT.numpy():
        cuts = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        made.append([(a, b) for a, b in pairwise(cuts) if row[a] >= 0])
    return made
