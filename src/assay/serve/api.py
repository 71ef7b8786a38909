"""The routes: OpenAI's, and those of tasks; all behind `web.guard`.

/v1/models  /v1/completions  /v1/chat/completions  /v1/embeddings
/v1/classify  /v1/tag  /v1/answer  /v1/translate  /v1/summarize
/health  /metrics  /openapi.json
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from assay import __version__
from assay.errors import InputError
from assay.serve import fields
from assay.serve.engine import Engine
from assay.serve.metrics import Counted, Metrics
from assay.serve.registry import Model
from assay.serve.tasks import ANSWER, ROUTES, Route, abilities, question_answer, task_answers, vectors
from assay.serve.writing import USUAL, Limits, chunks, job, pieces, whole
from assay.web.errors import Refused, encoded, invalid, refusal
from assay.web.guard import BODY, Guard
from assay.web.keys import Keys

T = TypeVar("T")
LEFT = 499  # nginx' number: the client left, and nobody reads this
WORDS = {404: "there is no such route", 405: "the route has another method"}


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    models: Mapping[str, Model]
    engine: Engine
    metrics: Metrics
    limits: Limits = USUAL

    def model(self, name: str) -> Model:
        """A model by its name.

        Raises:
            Refused: there is none.
        """
        if name not in self.models:
            there = ", ".join(self.models)
            raise Refused(404, f"there is no model {name[:100]!r} -> there are: {there}", "model_not_found", "model")
        return self.models[name]


class Json(Response):
    """JSON in UTF-8, and no number that is none."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return encoded(content)


class Events(StreamingResponse):
    """Server-sent events; when the client leaves, so does what it asked for, at once."""

    media_type = "text/event-stream"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().__call__(scope, receive, send)


def application(service: Service, keys: Keys, *, body: int = BODY) -> Guard:
    """The service behind its guard."""
    return Guard(Counted(routes(service), service.metrics), keys, body=body)


def routes(service: Service) -> FastAPI:
    """The service itself, which trusts whoever asks."""

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        yield
        service.engine.stop()

    app = FastAPI(
        title="assay", version=__version__, lifespan=running, docs_url=None, redoc_url=None,
        default_response_class=Json, responses=_errors(),
    )  # fmt: skip
    _add_errors(app)
    _add_writing(app, service)
    _add_tasks(app, service)
    _add_rest(app, service)
    return app


def _add_writing(app: FastAPI, service: Service) -> None:
    async def answered(body: fields.Completion | fields.Chat, request: Request) -> Response:
        asked = job(service.model(body.model), body, service.limits)
        found = pieces(asked, service.metrics, service.limits.seconds)
        if not body.stream:
            return Json(await while_there(request, whole(asked, found)))
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        stream = chunks(asked, found, with_usage)
        first = await while_there(request, anext(stream))  # what is wrong is told before anything is sent
        return Events(_events(first, stream))

    @app.post("/v1/completions", summary="Go on with a text")
    async def completions(body: fields.Completion, request: Request) -> Response:
        return await answered(body, request)

    @app.post("/v1/chat/completions", summary="Answer in a conversation")
    async def chat(body: fields.Chat, request: Request) -> Response:
        return await answered(body, request)


async def _events(first: dict[str, Any], rest: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """A stream as it is sent; what goes wrong on the way is its last event but one."""
    async with aclosing(rest):  # type: ignore[type-var]
        try:
            yield b"data: " + encoded(first) + b"\n\n"
            async for chunk in rest:
                yield b"data: " + encoded(chunk) + b"\n\n"
        except Exception as error:
            yield b"data: " + refusal(error).body + b"\n\n"
        yield b"data: [DONE]\n\n"


def _add_tasks(app: FastAPI, service: Service) -> None:
    def add(route: Route) -> None:
        async def answer(body: fields.Task, request: Request) -> Response:
            model = service.model(body.model)
            work = task_answers(model, route, body, service.metrics, service.limits.seconds)
            return Json(await while_there(request, work))

        answer.__name__ = route.path
        app.post(f"/v1/{route.path}", summary=route.told)(answer)

    for route in ROUTES:
        add(route)

    @app.post("/v1/answer", summary=ANSWER.told)
    async def answer(body: fields.Answer, request: Request) -> Response:
        work = question_answer(service.model(body.model), body, service.metrics, service.limits.seconds)
        return Json(await while_there(request, work))

    @app.post("/v1/embeddings", summary="A vector of each text")
    async def embeddings(body: fields.Embeddings, request: Request) -> Response:
        work = vectors(service.model(body.model), body, service.metrics, service.limits.seconds)
        return Json(await while_there(request, work))


def _add_rest(app: FastAPI, service: Service) -> None:
    def told(model: Model) -> dict[str, Any]:
        return {
            "id": model.name, "object": "model", "created": model.created, "owned_by": "assay",
            "context": model.context, "routes": abilities(model), "engine": model.doing.engine,
            "task": model.doing.task.name if model.doing.task is not None else None, "base": model.base,
        }  # fmt: skip

    @app.get("/v1/models", summary="All models")
    async def models() -> Response:
        return Json({"object": "list", "data": [told(model) for model in service.models.values()]})

    @app.get("/v1/models/{name}", summary="One model")
    async def model(name: str) -> Response:
        return Json(told(service.model(name)))

    @app.get("/health", summary="Whether it can answer")
    async def health() -> Response:
        if not service.engine.alive:
            raise Refused(503, "the models have stopped", "stopped")
        return Json({"status": "ok", "models": [*service.models], "version": __version__})

    @app.get("/metrics", summary="For Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.text, media_type="text/plain; version=0.0.4")


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """What comes of work; it is stopped when the client leaves.

    Raises:
        Refused: the client left.
    """

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(left())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refused(LEFT, "the client left", "left")
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _add_errors(app: FastAPI) -> None:
    async def told(error: Refused) -> Response:
        return Response(error.body, error.status, error.headers, "application/json")

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> Response:
        return await told(invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> Response:
        words = WORDS.get(error.status_code, str(error.detail))
        return await told(Refused(error.status_code, words, None, None, error.headers))

    @app.exception_handler(Refused)
    @app.exception_handler(InputError)
    async def _(_: Request, error: Exception) -> Response:
        return await told(refusal(error))

    @app.exception_handler(Exception)
    async def _(_: Request, error: Exception) -> Response:  # told to the log by the guard, which gets it, too
        return await told(refusal(error))


def _errors() -> dict[int | str, dict[str, Any]]:
    """Of the OpenAPI document."""
    words = {
        400: "It cannot be meant", 401: "No valid key", 404: "No such model", 408: "It took too long",
        413: "Too large", 415: "No JSON", 429: "The queue is full",
    }  # fmt: skip
    form = {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}
    return {status: {"description": told, "content": {"application/json": {"schema": form}}}
            for status, told in words.items()}  # fmt: skip
