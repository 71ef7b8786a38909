"""`assay eval`: a model directory and text -> how well the model predicts the text.

    text -> documents -> tokens of the model's own tokenizer -> windows that overlap -> loss of every token, once

Perplexity is a token's and depends on the tokenizer; bits per byte is the text's, and comparable between models.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assay import __version__
from assay.corpus import documents
from assay.corpus.reading.source import ReadOptions
from assay.corpus.scan import noticed, read
from assay.errors import InputError
from assay.metrics.words import evaluate
from assay.models import vectors
from assay.models.decoder import Decoder
from assay.models.ngram import KneserNey
from assay.models.recurrent import Recurrent
from assay.present.progress import Progress
from assay.store import Store, fingerprint
from assay.tokens import evalset
from assay.tokens.evalset import EvalSet
from assay.tokens.tokenizer import Encoder
from assay.train.evaluate import Documents, Evaluation, ngram_nll
from assay.train.predict import MOST_TOKENS, Predictor, carries
from assay.train.world import device_of


@dataclass(frozen=True)
class Request:
    """What a person asked for.

    Attributes:
        model: a model directory.
        sources: URIs.
        window: tokens of a window; None: as many as the model has positions, at most MOST_TOKENS.
        stride: from one window to the next; None: half a window.
        device: of neural models; see `train.world.device_of`.
    """

    model: Path
    sources: list[str]
    options: ReadOptions = field(default_factory=ReadOptions)
    window: int | None = None
    stride: int | None = None
    device: str = "auto"
    level: float = 0.95


def perplexity(request: Request, progress: Progress) -> dict[str, Any]:
    """Loss, perplexity and bits per byte of a text under a model, each with its interval over documents.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: no model, no text, no such device, or a model that predicts no next tokens.
    """
    device = device_of(request.device, "--device")
    predictor = Predictor.load(request.model)
    model, encoder = predictor.model, predictor.encoder
    texts = read_texts(request, predictor, progress)
    progress.stage("evaluate")
    if isinstance(model, KneserNey):
        found, signature = _by_ngram(model, texts)
    else:
        found, signature = _by_network(request, device, model, texts)
    return _answer(request, encoder, found, signature)


def read_texts(request: Request, predictor: Predictor, progress: Progress) -> Texts:
    """The documents of a request as a model reads them."""
    with _read(request, progress) as rows:
        return Texts(predictor.encoder, [source for source, _ in rows], predictor.encoded([text for _, text in rows]))


@contextlib.contextmanager
def _read(request: Request, progress: Progress) -> Iterator[list[tuple[str, str]]]:
    """(source, text) of every document."""
    with tempfile.TemporaryDirectory() as folder:
        sources, made = read(request.sources, request.options, Store(Path(folder)), progress.to)
        progress.notice(noticed(sources, made))
        found: list[tuple[str, str]] = []
        for batch in documents.read(made.files(".parquet"), ["source", "text"]):
            found += zip(batch.column("source").to_pylist(), batch.column("text").to_pylist(), strict=True)
        yield found


@dataclass(frozen=True)
class Texts:
    """Documents as a model reads them: the source and the token ids of each."""

    encoder: Encoder
    sources: list[str]
    encoded: list[np.ndarray]

    def windows(self, window: int, stride: int) -> EvalSet:
        return evalset.whole(self.encoded, self.sources, self.encoder.token_bytes, window, stride)

    def whole(self) -> EvalSet:
        """Each document in one window."""
        longest = max(2, *map(len, self.encoded))
        return self.windows(longest, longest)


def _by_network(request: Request, device: str, model: Decoder | Recurrent, texts: Texts) -> tuple[Evaluation, str]:
    held_out, signature = windows(request, model, texts)
    return held_out.evaluate(model.to(device), device), signature


def windows(request: Request, model: Decoder | Recurrent, texts: Texts) -> tuple[Documents, str]:
    """What a model is asked of texts, and how that is told.

    Raises:
        InputError: windows that the model has no positions for, or that do not fit a model whose state is carried.
    """
    positions = getattr(model.config, "max_length", MOST_TOKENS)
    window = request.window or min(positions, MOST_TOKENS)
    if window > positions:
        raise InputError(
            f"{window} tokens, and the model has {positions} positions", where="--window", remedy="give fewer"
        )
    if carries(model):
        return _by_carried_state(request, texts, window), "state=carried"
    stride = request.stride or max(1, window // 2)
    if not 0 < stride <= window:
        raise InputError(f"{stride} is not between 1 and {window}", where="--stride", remedy="give such a one")
    return Documents(texts.windows(window, stride), texts.encoder.lossless), f"window={window} stride={stride}"


def _by_carried_state(request: Request, texts: Texts, window: int) -> Documents:
    """Every document whole: windows go on where the last one ended, and the losses do not depend on their length."""
    if request.stride is not None:
        raise InputError(
            "windows of a model whose state is carried do not overlap", where="--stride", remedy="leave it out"
        )
    if window < 1:
        raise InputError(f"{window} is less than 1", where="--window", remedy="leave it out")
    return Documents(texts.whole(), texts.encoder.lossless, window)


def _by_ngram(model: KneserNey, texts: Texts) -> tuple[Evaluation, str]:
    held_out = Documents(texts.whole(), texts.encoder.lossless)
    return held_out.with_nll(ngram_nll(model, held_out.data)), f"order={model.order}"


def _answer(request: Request, encoder: Encoder, found: Evaluation, signature: str) -> dict[str, Any]:
    if not found.sum("n_tokens"):
        raise InputError("no token to predict", where=", ".join(request.sources), remedy="give text")
    signed = f"{signature} tokenizer={fingerprint(encoder.content)[:12]}"
    by_source = found.by_source()
    body = {
        "task": "perplexity",
        "model": str(request.model),
        "n": int(found.units["unit"].n_unique()) if len(by_source) == 1 else sum(
            own.units["unit"].n_unique() for own in by_source.values()
        ),
        "metrics": metrics(found, signed, request.level),
        "sources": {name: {"n": own.units["unit"].n_unique(), "metrics": metrics(own, signed, request.level)}
                    for name, own in by_source.items()},
    }  # fmt: skip
    return {**body, "assay_version": __version__, "fingerprint": fingerprint(body)}


def words(folder: Path, files: list[Path], level: float = 0.95) -> dict[str, Any]:
    """Similarity and analogies of words under vectors.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: no vectors, or a file that holds neither pairs nor questions.
    """
    found = [asdict(result) for result in evaluate(vectors.load(folder), files, level)]
    body = {"task": "words", "model": str(folder), "n": sum(r["n"] for r in found if r["section"] is None),
            "results": found}  # fmt: skip
    return {**body, "assay_version": __version__, "fingerprint": fingerprint(body)}


def metrics(found: Evaluation, signature: str, level: float) -> dict[str, Any]:
    """Every measure with its interval over documents and what it depends on."""
    return {name: {**values, "signature": signature} for name, values in found.measures(level).items()}
