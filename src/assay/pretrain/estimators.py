"""A recipe of what has `fit`: an n-gram model, or word vectors.

ngram       corpus -> tokenizer -> training stream -> counts -> OUT/model/ngram.safetensors, tokenizer.json
vectors     corpus -> words of the training text -> vectors  -> OUT/model/vectors.safetensors, ...
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from assay import __version__
from assay.corpus.scan import Corpus
from assay.errors import InputError
from assay.models import vectors
from assay.models.ngram import KneserNey
from assay.models.vectors import VectorsConfig, WordVectors
from assay.pretrain import card, shape
from assay.pretrain.neural import MOST_EVAL_TOKENS, Text, read_text, tokenizer, told
from assay.pretrain.request import MODEL, RESULT, Request, Work, opened
from assay.store import fingerprint, staged, write_json_atomic
from assay.tokens import prepare
from assay.tokens.evalset import EvalSet
from assay.tokens.sentences import write_sentences
from assay.tokens.tokenizer import TOKENIZER_JSON
from assay.train.energy import Meter
from assay.train.evaluate import Documents, ngram_nll
from assay.train.predict import NGRAM
from assay.train.world import device_of


def run(request: Request, *, quiet: bool = False) -> dict[str, Any]:
    """Fit what the recipe names; returns the answer of `--json`.

    Raises:
        InputError: bad input; earlier results are intact.
        Stopped: Ctrl-C; a rerun begins with what was read.
    """
    shape.objective_kind(request.recipe)  # says what reads pairs, and what has a state
    device_of(request.recipe.train.device, "train.device")  # all is counted on the CPU; what is not there is refused
    with opened(request, quiet=quiet) as work:
        if found := work.finished():
            return found
        corpus = work.scan()
        fit = _ngram if request.recipe.model.preset == "ngram" else _vectors
        with tempfile.TemporaryDirectory(dir=work.space.root) as folder:
            answer = fit(work, corpus, Path(folder))
        write_json_atomic(work.space.path(RESULT), answer)
        return answer


def _ngram(work: Work, corpus: Corpus, _: Path) -> dict[str, Any]:
    tokens = tokenizer(work, corpus)
    text = read_text(work, corpus, tokens)
    work.space.settle(corpus=corpus.fingerprint, tokenizer=tokens.artifact.fingerprint)
    work.progress.stage("pretrain")
    meter = Meter()
    shards = [np.asarray(text.streams["train"].shards[source]) for source in text.weights]
    cuts = np.cumsum([0, *map(len, shards)])[1:-1]
    model = KneserNey(tokens.encoder.vocabulary, work.recipe.ngram.order).fit(np.concatenate(shards), cuts)
    spent = meter.spent()
    made = {split: _evaluated(work, model, text, split) for split in text.artifacts}
    evaluations = {split: found for split, found in made.items() if found is not None}
    if "eval" not in evaluations:
        raise InputError("no held-out text to evaluate on", where="data.sources", remedy="give more documents")
    final = _fresh(work)
    with staged(final) as folder:
        model.save(folder / NGRAM)
        (folder / TOKENIZER_JSON).write_text(tokens.encoder.content, encoding="utf-8")
        (folder / "README.md").write_text(card.unfinished(work.request.title), encoding="utf-8")
    n_tokens = text.train_tokens
    body = {
        "tokens": n_tokens,
        "order": model.order,
        "ngrams": model.n_parameters(),
        "loss": evaluations["eval"]["loss"]["value"],
        "bits_per_byte": evaluations["eval"].get("bits_per_byte", {}).get("value"),
        "evaluations": evaluations,
        "tokens_per_second": n_tokens / spent.seconds if spent.seconds else None,
        "seconds": spent.seconds,
        "joules": spent.joules,
        "checkpoint": str(final),
    }
    return _signed(work, body)


def _evaluated(work: Work, model: KneserNey, text: Text, split: str) -> dict[str, Any] | None:
    if not any(len(shard) > 1 for shard in text.streams[split].shards.values()):
        return None
    recipe = work.recipe
    budget = recipe.keep.eval_tokens or MOST_EVAL_TOKENS
    made = prepare.evaluation_set(
        text.artifacts[split], text.tokens.encoder, work.space.store, recipe.train.row_tokens, budget
    )
    data = EvalSet.open(made)
    return told(Documents(data, text.tokens.encoder.lossless).with_nll(ngram_nll(model, data)))


def _vectors(work: Work, corpus: Corpus, scratch: Path) -> dict[str, Any]:
    v, sources = work.recipe.vectors, work.chosen(corpus)
    family = cast(Literal["word2vec", "fasttext", "glove"], work.recipe.model.preset)
    config = VectorsConfig(
        family, v.algorithm, work.recipe.model.width, v.window, v.min_count, v.epochs, v.learning_rate,
        work.recipe.train.seed, negative=v.negative, subsample=v.subsample, shortest=v.shortest,
        longest=v.longest, buckets=v.buckets, most=v.most, power=v.power, batch=v.batch, workers=v.workers,
    )  # fmt: skip
    work.space.settle(corpus=corpus.fingerprint)
    work.progress.stage("words")
    sentences = write_sentences(scratch / "sentences.txt", _texts(corpus, sources))
    work.progress.stage("pretrain", config.epochs)
    done = 0

    def tell(epochs: int, _: int) -> None:
        nonlocal done
        work.progress.advance(epochs - done)
        done = epochs

    meter = Meter()
    made: WordVectors = vectors.fit(config, sentences, tell)
    spent = meter.spent()
    final = _fresh(work)
    with staged(final) as folder:
        vectors.save(made, folder, text=True)
    body = {
        "words": len(made.words), "width": made.width, "seconds": spent.seconds, "joules": spent.joules,
        "checkpoint": str(final),
    }  # fmt: skip
    return _signed(work, body)


def _texts(corpus: Corpus, sources: list[str]) -> Iterator[str]:
    for batch in corpus.read("train", ["text"], sources=sources):
        yield from batch.column("text").to_pylist()


def _fresh(work: Work) -> Path:
    """The model's folder, which is not there: an earlier try was killed between this folder and the answer."""
    final = work.space.path(MODEL)
    if final.exists():
        shutil.rmtree(final)
    return final


def _signed(work: Work, body: dict[str, Any]) -> dict[str, Any]:
    identity = fingerprint(work.request.identity())
    return {"run_id": identity[:20], **body, "assay_version": __version__, "fingerprint": identity}
