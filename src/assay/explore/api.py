"""What the page asks, as JSON over HTTP: typed, bounded, and by ids that the catalog gave out.

    GET  /api/words                           all words of the page, in both languages
    GET  /api/catalog                         what lies in the folders
    GET  /api/studies/ID                      claims, curves, laws, doses, mixtures
    GET  /api/studies/ID/page                 the study's own page, in a sandbox
    GET  /api/runs?ids=..                     curves, scores and recipes side by side
    GET  /api/mixtures/ID                     what sliders need; POST: the loss of a mixture
    GET  /api/calibration                     how often intervals held
    GET  /api/corpora/ID                      what there is to filter by
    POST /api/corpora/ID/documents            a page of documents; /spread: how a number is spread
    GET  /api/corpora/ID/documents/ROW        one document; /ROW/beside/OTHER: differences
    GET  /api/corpora/ID/documents/ROW/losses its tokens under a model
    GET  /api/models/ID                       what a model can be asked
    POST /api/models/ID/write | answer | attention | matter

Nothing is written, but for the index of a corpus in the cache.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from assay import __version__
from assay.errors import AssayError, InputError
from assay.explore import asking, calibration, index, mixtures, runs, studies, writing
from assay.explore.catalog import Catalog, Entry, read_json
from assay.explore.documents import MOST_PAGE, PAGE, Asked, Documents
from assay.explore.opened import Models
from assay.generation.settings import Settings
from assay.present.words import LANGUAGES, words
from assay.web.errors import said

MOST_TEXT = 20_000  # characters that a model is asked about
MOST_READ = 8_000  # characters of a document whose losses are told
MOST_NEW = 512  # tokens that are written at a time
_KEPT = 4  # corpora that stay open, and studies whose mixtures are fitted
_SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
_WORDS = ("explore.", "kind.", "verdict.", "language.")
_Row = Annotated[int, Field(ge=0, lt=2**53)]
_Text = Annotated[str, Field(max_length=MOST_TEXT)]
_Name = Annotated[str, Field(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Wanted(_Body):
    """Which documents."""

    text: Annotated[str, Field(max_length=500)] = ""
    sources: Annotated[list[_Name], Field(max_length=200)] = []
    languages: Annotated[list[_Name], Field(max_length=200)] = []
    splits: Annotated[list[_Name], Field(max_length=20)] = []
    reasons: Annotated[list[_Name], Field(max_length=200)] = []
    keep: bool | None = None
    near: bool | None = None
    bounds: Annotated[dict[_Name, tuple[float | None, float | None]], Field(max_length=20)] = {}
    order: _Name = ""
    falling: bool = False

    def asked(self) -> Asked:
        return Asked(
            self.text, tuple(self.sources), tuple(self.languages), tuple(self.splits), tuple(self.reasons), self.keep,
            self.near, dict(self.bounds), self.order, self.falling,
        )  # fmt: skip


class WantedPage(Wanted):
    """A page of them."""

    after: Annotated[list[float | int | None], Field(min_length=2, max_length=2)] | None = None
    size: Annotated[int, Field(ge=1, le=MOST_PAGE)] = PAGE


class WantedSpread(Wanted):
    """How a number is spread over them."""

    name: _Name


class WantedMixture(_Body):
    """Shares of sources, in proportion."""

    shares: Annotated[dict[_Name, float], Field(max_length=500)]


class WantedText(_Body):
    """A prompt and how to go on from it."""

    prompt: _Text = ""
    raw: bool = False
    max_new_tokens: Annotated[int, Field(ge=1, le=MOST_NEW)] = 64
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.8
    top_k: Annotated[int, Field(ge=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, lt=1)] | None = None
    repetition: Annotated[float, Field(ge=1, le=5)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


class WantedAnswer(_Body):
    """Fields of what a model of a task is asked."""

    fields: Annotated[dict[_Name, _Text | list[_Name]], Field(max_length=10)]


class WantedLook(_Body):
    """What a model is looked into with: a text, or fields; of an encoder-decoder its target, too."""

    text: _Text = ""
    fields: Annotated[dict[_Name, _Text | list[_Name]], Field(max_length=10)] = {}
    target: _Text = ""
    layer: Annotated[int, Field(ge=0, lt=1000)] = 0


class WantedReasons(WantedLook):
    """Which tokens an answer rests on."""

    method: Literal["occlusion", "gradients"] = "gradients"
    token: Annotated[int, Field(ge=0)] | None = None
    label: Annotated[int, Field(ge=0)] | None = None


class _Kept:
    """The last few of what takes long to make; one thing is made at a time."""

    def __init__(self, drop: Callable[[Any], None] = lambda one: None) -> None:
        self._made: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._drop = drop

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
                while len(self._made) > _KEPT:
                    self._drop(self._made.popitem(last=False)[1])
            self._made.move_to_end(key)
            return self._made[key]


class Explorer:
    """What the routes share.

    Args:
        roots: folders that are looked through.
        language: of the page's first view.
    """

    def __init__(self, roots: list[Path], language: str = "en") -> None:
        self.catalog, self.language = Catalog(roots), language
        self.models = Models()
        self._corpora = _Kept()
        self._fitted = _Kept()

    def documents(self, ident: str) -> Documents:
        """The documents of an entry; its index is made when they are first asked for."""
        entry = self.catalog.get(ident, "corpus", "study", "training")
        tables = index.tables_of(entry, self._decisions)
        made: Documents = self._corpora.get(tables.identity(), lambda: Documents(index.Index(tables)))
        return made

    def fitted(self, ident: str) -> mixtures.Fitted:
        """A study's mixture model."""
        entry = self.catalog.get(ident, "study")
        found: mixtures.Fitted = self._fitted.get((ident, entry.changed), lambda: mixtures.fitted(entry))
        return found

    def _decisions(self, documents: str) -> tuple[str, Path] | None:
        """The newest selection that decided on some documents."""
        for entry in sorted(self.catalog.of("corpus"), key=lambda one: -one.changed):
            for manifest in (entry.path / "artifacts" / "decisions").glob("*/manifest.json"):
                try:
                    if read_json(manifest)["inputs"]["documents"] == documents:
                        return entry.name, manifest.parent / "decisions.parquet"
                except (InputError, LookupError, TypeError):
                    continue
        return None


def routes(explorer: Explorer) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/api")
    _works(router, explorer)
    _documents(router, explorer)
    _models(router, explorer)
    return router


def _told(value: Any) -> JSONResponse:
    """A value as JSON: what is no number there is null."""
    return JSONResponse(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _works(router: APIRouter, explorer: Explorer) -> None:
    catalog = explorer.catalog

    @router.get("/words")
    def all_words() -> JSONResponse:
        chosen = {
            one: {key: text for key, text in words(one).items() if key.startswith(_WORDS)} for one in LANGUAGES
        }  # fmt: skip
        return _told({"language": explorer.language, "words": chosen})

    @router.get("/catalog")
    def listed(fresh: bool = False) -> JSONResponse:
        if fresh:
            catalog.refresh()
        entries = [
            {**entry.told(), **({"summary": studies.summary(entry)} if entry.kind in ("study", "labels") else {})}
            for entry in catalog.entries.values()
        ]
        return _told({"entries": entries, "roots": catalog.titles, "version": __version__})

    @router.get("/studies/{ident}")
    def study(ident: str) -> JSONResponse:
        return _told(studies.study(catalog.get(ident, "study", "labels")))

    @router.get("/studies/{ident}/page")
    def page(ident: str) -> HTMLResponse:
        entry = catalog.get(ident, "study", "labels")
        path = next((entry.path / name for name in studies.PAGES if (entry.path / name).is_file()), None)
        if path is None:
            raise InputError("has no page", where=entry.name, remedy="let the study run to its end")
        # Somebody else may have written it: in a sandbox, it is of no origin, and cannot ask as this page does.
        return HTMLResponse(path.read_bytes(), headers={"content-security-policy": _SANDBOX})

    @router.get("/runs")
    def several(ids: Annotated[list[str], Query(max_length=runs.MOST_RUNS)]) -> JSONResponse:
        return _told(runs.compared([catalog.get(one, "training", "finetuning") for one in ids]))

    @router.get("/mixtures/{ident}")
    def mixture(ident: str) -> JSONResponse:
        return _told(explorer.fitted(ident).told())

    @router.post("/mixtures/{ident}")
    def mixed(ident: str, wanted: WantedMixture) -> JSONResponse:
        return _told(explorer.fitted(ident).predicted(wanted.shares))

    @router.get("/calibration")
    def held() -> JSONResponse:
        return _told(calibration.calibrated(catalog.of("study")))


def _documents(router: APIRouter, explorer: Explorer) -> None:
    @router.get("/corpora/{ident}")
    def corpus(ident: str) -> JSONResponse:
        documents = explorer.documents(ident)
        return _told({"facets": documents.index.facets, "numbers": documents.numeric})

    @router.post("/corpora/{ident}/documents")
    def page(ident: str, wanted: WantedPage) -> JSONResponse:
        found = explorer.documents(ident).page(wanted.asked(), _key(wanted.after), wanted.size)
        return _told(vars(found))

    @router.post("/corpora/{ident}/spread")
    def spread(ident: str, wanted: WantedSpread) -> JSONResponse:
        return _told(explorer.documents(ident).range_of(wanted.name, wanted.asked()))

    @router.get("/corpora/{ident}/documents/{row}")
    def document(ident: str, row: _Row) -> JSONResponse:
        return _told(explorer.documents(ident).document(row))

    @router.get("/corpora/{ident}/documents/{row}/beside/{other}")
    def beside(ident: str, row: _Row, other: _Row) -> JSONResponse:
        return _told(explorer.documents(ident).differences(row, other))

    @router.get("/corpora/{ident}/documents/{row}/losses")
    def losses(ident: str, row: _Row, model: str) -> JSONResponse:
        entry = explorer.catalog.get(model, "model")
        text = explorer.documents(ident).text(row)
        with explorer.models.writer(entry) as writer:
            return _told({**writing.read(writer, text[:MOST_READ]), "cut": max(0, len(text) - MOST_READ)})


def _key(after: list[float | int | None] | None) -> list[Any] | None:
    """A page's key as JSON brings it: the number of a row is whole."""
    if after is None or after[1] is None:
        return None if after is None else [after[0], "none"]
    return [after[0], int(after[1])]


def _models(router: APIRouter, explorer: Explorer) -> None:
    models = explorer.models

    def entry(ident: str) -> Entry:
        return explorer.catalog.get(ident, "model")

    @router.get("/models/{ident}")
    def about(ident: str) -> JSONResponse:
        with models.any(entry(ident)) as opened:
            return _told(asking.about(opened))

    @router.post("/models/{ident}/write")
    def write(ident: str, wanted: WantedText) -> StreamingResponse:
        """One JSON value a line, as tokens come; what goes wrong on the way is the last line."""
        settings = Settings().but(**wanted.model_dump(exclude={"prompt", "raw"}))
        own = entry(ident)
        with models.writer(own) as writer:  # what is wrong with the prompt is told before anything is streamed
            writer.prompts([wanted.prompt], settings, raw=wanted.raw)

        def lines() -> Iterator[str]:
            events: Iterator[dict[str, Any]] | None = None
            while True:
                try:
                    with models.writer(own) as writer:  # others are asked between two tokens
                        events = events or writing.events(writer, wanted.prompt, settings, raw=wanted.raw)
                        event = next(events, None)
                except AssayError as error:
                    event = {"event": "error", "message": said(error)}
                if event is not None:
                    yield json.dumps(_plain(event), ensure_ascii=False) + "\n"
                if event is None or event["event"] in ("end", "error"):
                    return

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @router.post("/models/{ident}/answer")
    def answer(ident: str, wanted: WantedAnswer) -> JSONResponse:
        with models.task(entry(ident)) as opened:
            return _told(asking.answer(opened, wanted.fields))

    @router.post("/models/{ident}/attention")
    def attention(ident: str, wanted: WantedLook) -> JSONResponse:
        with models.any(entry(ident)) as opened:
            found = asking.attention(opened, wanted.text, wanted.fields, wanted.target, wanted.layer)
        weights = np.clip(np.rint(found.pop("weights") * 255), 0, 255).astype(np.uint8)
        encoded = base64.b64encode(weights.tobytes()).decode("ascii")
        return _told({**found, "shape": list(weights.shape), "weights": encoded})

    @router.post("/models/{ident}/matter")
    def matter(ident: str, wanted: WantedReasons) -> JSONResponse:
        with models.any(entry(ident)) as opened:
            return _told(
                asking.matter(
                    opened, wanted.text, wanted.fields, wanted.target, wanted.method, wanted.token, wanted.label
                )
            )
