"""What an open model can be asked, whatever it is: what it is, answers, attention, which tokens matter.

A language model is asked about a text as its prompt; a model of a task about the fields that its task reads; an
encoder-decoder about a source and what it has written of the target so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

import torch

from assay.errors import InputError
from assay.explore import attention as looking
from assay.explore import mattering
from assay.explore.mattering import Method, Units
from assay.explore.spelling import label, stretches
from assay.explore.writing import OTHERS, likely_next
from assay.generation.opened import Prompt, Writer
from assay.inference.steppers import stepper
from assay.models.heads import Headed
from assay.models.protocol import Batch
from assay.models.seq2seq import Seq2Seq
from assay.tasks.feed import collated
from assay.tasks.opened import Opened
from assay.tasks.pipeline import Pipeline

MOST_LOOKED = 256  # tokens whose attention is shown, or that are weighed
Fields = Mapping[str, Any]


def about(opened: Writer | Opened) -> dict[str, Any]:
    """What a model is, and what it can be asked."""
    model = opened.model
    kind = type(model.body if isinstance(model, Headed) else model).__name__.lower()
    inside, total = model.n_parameters() if hasattr(model, "n_parameters") else (None, None)
    shared = {"family": kind, "parameters": total, "inside": inside, "attention": looking.has_maps(model)}
    if isinstance(opened, Writer):
        return {
            **shared, "writes": True, "translator": opened.is_translator, "asks": opened.asks,
            "chat": opened.chat is not None, "positions": opened.positions, "vocabulary": opened.encoder.vocabulary,
            "matters": not kind.startswith("kneser"),
        }  # fmt: skip
    assert isinstance(model, Headed)
    return {
        **shared, "writes": False, "task": opened.task.name, "head": model.config.head.kind,
        "fields": _asked_fields(opened), "labels": list(getattr(opened.task, "labels", ())),
        "positions": opened.coder.most, "matters": model.config.head.kind in ("class", "labels", "value"),
    }  # fmt: skip


def _asked_fields(opened: Opened) -> list[str]:
    """The names of the fields that its task reads texts from."""
    task = opened.task
    there = {field.name for field in fields_of(task)}
    if opened.task.name == "extraction":
        return ["question", "context"]
    names = [str(getattr(task, name)) for name in ("text", "second") if name in there and getattr(task, name)]
    return names or ["text"]


def answer(opened: Opened, given: Fields) -> dict[str, Any]:
    """The answer to a text.

    Raises:
        InputError: a field is lacking or empty.
    """
    pipe = Pipeline(opened)
    (example,) = pipe.examples([given])
    (found,) = opened.answers([example])
    return {"answer": found, "given": dict(example.given)}


def attention(opened: Writer | Opened, text: str, given: Fields, target: str, layer: int) -> dict[str, Any]:
    """The weights of one layer, and how far each head of every layer looks.

    Returns:
        tokens of the queries and of the keys, `weights` (heads, queries, keys), and for each layer its side, its number
        and, by head, the entropy of its weights over what a query may see, from 0 (one token) to 1 (all alike).

    Raises:
        InputError: the model has no attention, or the text is empty or too long.
    """
    encoder, batch = _read(opened, text, given, target)
    layers = looking.maps(opened.model, batch)
    if layer >= len(layers):
        raise InputError(f"there are {len(layers)} layers", where="layer", remedy="choose one of them")
    chosen = layers[layer]
    own = batch.inputs_BT[0].tolist()
    source = own if batch.source_BS is None else batch.source_BS[0].tolist()
    queries, keys = (source if chosen.side == "source" else own), (own if chosen.side == "self" else source)
    return {
        "queries": [label(encoder, i) for i in queries], "keys": [label(encoder, i) for i in keys],
        "layer": layer, "side": chosen.side, "weights": chosen.weights_HTS.numpy(),
        "layers": [
            {"side": one.side, "number": one.number, "heads": _evenness(one.weights_HTS).tolist()} for one in layers
        ],
    }  # fmt: skip


def _evenness(weights_HTS: torch.Tensor) -> torch.Tensor:
    """(H,) mean over queries of the entropy of the weights, in shares of what it would be over all that is seen."""
    seen = (weights_HTS > 0).sum(-1).clamp_min(1).float()
    entropy = -(weights_HTS * weights_HTS.clamp_min(1e-12).log()).sum(-1)
    several = seen > 1
    share = torch.where(several, entropy / seen.clamp_min(2).log(), torch.zeros_like(entropy))
    return share.sum(-1) / several.sum(-1).clamp_min(1)


def matter(
    opened: Writer | Opened,
    text: str,
    given: Fields,
    target: str,
    method: Method,
    token: int | None,
    chosen: int | None,
) -> dict[str, Any]:
    """What each token (tokens that spell one character: together) adds to the next token's log-probability, or to that
    of a label.

    Args:
        token: None: the likeliest.
        chosen: the number of a label; None: the likeliest.

    Raises:
        InputError: the model cannot be asked this, or the text is empty or too long.
    """
    encoder, batch = _read(opened, text, given, target)
    special = set(encoder.special.values())
    weighed = batch.inputs_BT if batch.source_BS is None else batch.source_BS
    units = list(stretches(encoder, weighed[0].tolist()))
    places = [(one.first, one.end) for one in units]
    if isinstance(opened, Writer):
        question, answered, others = _of_next(opened, batch, special, token, places)
    else:
        question, answered, others = _of_label(opened, batch, special, chosen, places)
    found = mattering.shares(question, method)
    return {
        "tokens": [one.text for one in units],
        "fixed": [one.special for one in units],
        "shares": found.by_unit.tolist(),
        "whole": found.whole,
        "without": found.without,
        "gap": found.gap,
        "sum": float(found.by_unit.sum()),
        "answer": answered,
        "others": others,
    }


def _of_next(
    writer: Writer, batch: Batch, special: set[int], token: int | None, units: Units
) -> tuple[mattering.Question, dict[str, Any], list[dict[str, Any]]]:
    ids = batch.inputs_BT[0].tolist()
    model = writer.model
    if isinstance(model, Seq2Seq):
        assert batch.source_BS is not None
        source = batch.source_BS[0].tolist()
        rows = stepper(model).begin([source])
        for i in ids[1:]:
            rows.step(torch.tensor([i]))
        log_V = rows.logits()[0].log_softmax(-1)
        likely = log_V.topk(min(OTHERS, len(log_V)))
        others = [
            {"id": i, "label": label(writer.encoder, i), "p": float(p.exp())}
            for p, i in zip(likely.values, likely.indices.tolist(), strict=True)
        ]
        number = others[0]["id"] if token is None else _known(token, len(log_V))
        return mattering.translated(model, source, ids, special, number, units), _named(writer, number), others
    others = likely_next(writer, Prompt(tuple(ids)))
    number = others[0]["id"] if token is None else _known(token, stepper(model).vocabulary)
    return mattering.next_token(model, ids, special, number, units), _named(writer, number), others


def _known(token: int, vocabulary: int) -> int:
    if token >= vocabulary:
        raise InputError(f"token id {token}, and the model's are 0 to {vocabulary - 1}", where="token")
    return token


def _named(writer: Writer, token: int) -> dict[str, Any]:
    return {"id": token, "label": label(writer.encoder, token)}


def _of_label(
    opened: Opened, batch: Batch, special: set[int], chosen: int | None, units: Units
) -> tuple[mattering.Question, dict[str, Any], list[dict[str, Any]]]:
    model = opened.model
    assert isinstance(model, Headed)
    names = list(getattr(opened.task, "labels", ())) or ["score"]
    question = mattering.label_of(model, batch, special, 0)  # refuses what has many answers
    with torch.no_grad():
        found = model(batch)[0].float()
    kind = model.config.head.kind
    scores = found.softmax(-1) if kind == "class" else found.sigmoid() if kind == "labels" else found
    number = int(scores.argmax()) if chosen is None else chosen
    if number >= len(names):
        raise InputError(f"there are {len(names)} labels", where="label", remedy="choose one of them")
    others = [
        {"id": i, "label": str(name), "p": float(p)} for i, (name, p) in enumerate(zip(names, scores, strict=True))
    ]
    question = mattering.label_of(model, batch, special, number, units)
    return question, {"id": number, "label": str(names[number])}, others


def _read(opened: Writer | Opened, text: str, given: Fields, target: str) -> tuple[Any, Batch]:
    """The encoder, and a batch of one row: what a language model reads, or what a task makes of its fields."""
    if isinstance(opened, Opened):
        examples = Pipeline(opened).examples([given or text])
        item = next(iter(opened.task.items(examples, opened.coder)))  # type: ignore[attr-defined]
        batch = collated([item], kinds=isinstance(opened.model, Headed) and opened.model.config.tells_types)
        _bounded(batch.inputs_BT.shape[1])
        return opened.coder.encoder, batch
    encoder = opened.encoder
    (prompt,) = opened.prompts([text], opened.usual, raw=not opened.asks and not opened.is_translator)
    _bounded(len(prompt.ids))
    if not opened.is_translator:
        ids = torch.tensor([list(prompt.ids)])
        return encoder, Batch(ids, ids)
    start = [opened.model.config.start]
    written = [*start, *(opened.ids([target])[0] if target else ())]
    _bounded(len(written))
    ids = torch.tensor([[int(i) for i in written]])
    return encoder, Batch(ids, ids, source_BS=torch.tensor([list(prompt.ids)]))


def _bounded(n: int) -> None:
    if n > MOST_LOOKED:
        what = f"{n} tokens, and {MOST_LOOKED} at most are looked into"
        raise InputError(what, where="text", remedy="give a shorter text")
