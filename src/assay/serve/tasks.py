"""What models of tasks are asked: texts -> answers, as `assay predict` gives them; texts -> vectors."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.errors import InputError
from assay.generation.opened import Writer
from assay.serve.engine import Together
from assay.serve.fields import Answer, Embeddings, Task
from assay.serve.metrics import Metrics
from assay.serve.registry import Model
from assay.tasks.pipeline import as_fields
from assay.tasks.protocol import Example
from assay.web.errors import Refused


@dataclass(frozen=True)
class Route:
    """One route of tasks.

    Attributes:
        tasks: whose models answer it.
        kind: the word for one answer.
    """

    path: str
    tasks: tuple[str, ...]
    kind: str
    told: str


ROUTES = (
    Route("classify", ("classification", "multilabel", "relation", "regression"), "classification",
          "A label of each text, how likely each is; labels, of several; a number"),
    Route("tag", ("tagging",), "tagging", "A tag of each word, and the spans that they make"),
    Route("translate", ("translation",), "translation", "Each text in the other language"),
    Route("summarize", ("summarization",), "summary", "A summary of each text"),
)  # fmt: skip
ANSWER = Route("answer", ("extraction",), "answer", "Where in a context the answer to a question stands")


def serving(model: Model, route: Route) -> Together:
    """The lane of a model that answers a route.

    Raises:
        Refused: it does another task.
    """
    task = model.doing.task
    if task is None or task.name not in route.tasks or model.answering is None:
        does = "no task" if task is None else f"the task {task.name}"
        what = f"the model {model.name} does {does}, and /v1/{route.path} wants {' or '.join(route.tasks)}"
        raise Refused(400, what, "wrong_model", "model")
    return model.answering


async def task_answers(model: Model, route: Route, body: Task, metrics: Metrics, seconds: float) -> dict[str, Any]:
    """The answer to each text."""
    lane = serving(model, route)
    found = await _asked(model, lane, _examples(model, body.several, "input"), metrics, seconds)
    data = [{"object": route.kind, "index": i, **answer} for i, answer in enumerate(found)]
    return {"object": "list", "model": model.name, "data": data}


async def question_answer(model: Model, body: Answer, metrics: Metrics, seconds: float) -> dict[str, Any]:
    """The answer to a question."""
    lane, task = serving(model, ANSWER), model.doing.task
    names = [getattr(task, name) for name in ("question", "context")]
    given = dict(zip(names, (body.question, body.context), strict=True))
    (found,) = await _asked(model, lane, _examples(model, [given], "question"), metrics, seconds)
    return {"object": ANSWER.kind, "model": model.name, **found}


def _examples(model: Model, given: Sequence[str | dict[str, Any]], param: str) -> list[Example]:
    task = model.doing.task
    assert task is not None
    found = []
    for i, one in enumerate(given):
        try:
            found.append(task.read(as_fields(task, one), f"{param} {i}"))
        except InputError as error:
            raise Refused(400, error.line(), "invalid_value", param) from error
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            what = f"{param} {i}: is not what the task {task.name} reads ({type(error).__name__})"
            raise Refused(400, what, "invalid_value", param) from error
    return found


async def vectors(model: Model, body: Embeddings, metrics: Metrics, seconds: float) -> dict[str, Any]:
    """A vector of each text."""
    if model.embedding is None:
        raise Refused(400, f"the model {model.name} makes no vectors of texts", "wrong_model", "model")
    texts = [body.input] if isinstance(body.input, str) else list(body.input)
    offsets = model.doing.encoder.encode(texts)[1]
    tokens = int(offsets[-1])
    metrics.tokens.labels(model.name, "prompt").inc(tokens)
    found = await _asked(model, model.embedding, texts, metrics, seconds)
    width = len(found[0])
    if body.dimensions not in (None, width):
        raise Refused(400, f"the model's vectors have {width} numbers", "invalid_value", "dimensions")
    made = _base64 if body.encoding_format == "base64" else _numbers
    data = [{"object": "embedding", "index": i, "embedding": made(vector)} for i, vector in enumerate(found)]
    return {"object": "list", "model": model.name, "data": data,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}  # fmt: skip


def _numbers(vector: np.ndarray) -> list[float]:
    return [float(x) for x in vector]


def _base64(vector: np.ndarray) -> str:
    """Little-endian float32, as OpenAI's client reads it."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")


async def _asked(model: Model, lane: Together, things: list[Any], metrics: Metrics, seconds: float) -> list[Any]:
    found: dict[int, Any] = {}
    with lane.asking(things) as mail:
        try:
            async with asyncio.timeout(seconds):
                while len(found) < len(things):
                    number, answer = await mail.next()
                    found[number] = answer
        except TimeoutError:
            metrics.left.labels(model.name, "timeout").inc()
            what = f"the answer took more than {seconds:g} s -> ask for less, or try again later"
            raise Refused(408, what, "timeout", headers={"x-should-retry": "false"}) from None
        except asyncio.CancelledError:
            metrics.left.labels(model.name, "client").inc()
            raise
    return [found[i] for i in range(len(things))]


def abilities(model: Model) -> list[str]:
    """The routes that a model answers."""
    found = []
    if model.writing is not None:
        writer = model.doing.writer
        found += ["completions", *(["chat/completions"] if isinstance(writer, Writer) and writer.chat else [])]
    if model.embedding is not None:
        found.append("embeddings")
    task = model.doing.task
    found += [route.path for route in (*ROUTES, ANSWER) if task is not None and task.name in route.tasks]
    return found
