"""Models by name, from directories that were named when the server was started; no request names a path.

    NAME=DIRECTORY, or DIRECTORY alone    a language model, an encoder-decoder, an encoder, a model of a task
    NAME=ADAPTER                          what was learned beside a base that is served, too (`models.interop.adapters`)

A directory that holds a pickle is refused, whatever else it holds. `ENGINES` says who may do a model's work, in order:
the first that knows a directory opens it: what `assay export` wrote is run by onnxruntime or CTranslate2, all else by
our own models. An engine gives a `Stepper` for what writes, and functions for what answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assay.curate.embed import Embedder
from assay.errors import InputError
from assay.export.runners.answering import Exported
from assay.export.runners.engine import RESULT
from assay.generation.marks import stated_in
from assay.generation.opened import TASK, Writer, model_folder
from assay.models import interop
from assay.models.encoder import EncoderConfig
from assay.models.heads import Headed
from assay.models.interop import adapters, native
from assay.serve.engine import Engine, Together, Writing
from assay.serve.metrics import Metrics
from assay.store import fingerprint
from assay.tasks.asking import ROWS
from assay.tasks.embedding import Embedding
from assay.tasks.feed import by_length, collated
from assay.tasks.opened import Opened
from assay.tasks.protocol import Item, Task
from assay.tasks.writing import WritingTask
from assay.tokens.tokenizer import Encoder

NAME = re.compile(r"[\w][\w.:-]{0,99}")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
Answers = Callable[[list[Any]], Sequence[Any] | np.ndarray]


@dataclass(frozen=True)
class Doing:
    """What is done with a directory's model.

    Attributes:
        writer: what writes; its `model` is one of ours, or a `Stepper`.
        task, answers: what answers a task's examples.
        vectors: of texts.
        encoder: counts tokens.
        digest: of the model's files' sizes and names, and its config: tells one model from another.
        engine: who does it.
    """

    digest: str
    encoder: Encoder
    writer: Writer | None = None
    task: Task | None = None
    answers: Answers | None = None
    vectors: Answers | None = None
    engine: str = "assay"


@dataclass(frozen=True)
class Model:
    """A model that is served.

    Attributes:
        base: the name of the model that this one is an adapter on.
        writing, answering, embedding: its lanes.
    """

    name: str
    doing: Doing
    writing: Writing | None = None
    answering: Together | None = None
    embedding: Together | None = None
    base: str | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def context(self) -> int | None:
        """Tokens that it sees at once; None: any number."""
        return self.doing.writer.positions if self.doing.writer is not None else None

    @property
    def lanes(self) -> list[Writing | Together]:
        return [lane for lane in (self.writing, self.answering, self.embedding) if lane is not None]


@dataclass(frozen=True)
class Room:
    """How much is done at once.

    Attributes:
        rows: that are written together; queue: answers that may wait, of each model.
    """

    rows: int = 64
    queue: int = 256


USUAL = Room()


def open_models(given: Sequence[str], engine: Engine, metrics: Metrics, room: Room, device: str) -> dict[str, Model]:
    """The models of a command line, by name.

    Raises:
        InputError: a directory holds no model, or a pickle; a name is given twice; an adapter is of another base.
    """
    folders = named(given)
    found: dict[str, Model] = {}
    bases = {name: folder for name, folder in folders.items() if not adapters.is_adapter(folder)}
    for name, folder in bases.items():
        found[name] = _laned(name, opened(folder, device), engine, metrics, room)
    for name in folders.keys() - bases.keys():
        base, doing = _adapted(folders[name], found, bases)
        found[name] = _laned(name, doing, engine, metrics, room, base)
    return {name: found[name] for name in folders}


def named(given: Sequence[str]) -> dict[str, Path]:
    """Directories by the names that they are served under.

    Raises:
        InputError: none is given, one is not there, a name is given twice or is none.
    """
    if not given:
        raise InputError("no model is given", where="assay serve", remedy="name a model directory")
    found: dict[str, Path] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not equals or Path(one).exists():
            name, path = "", one
        folder = Path(path)
        if not folder.is_dir():
            raise InputError("there is no such directory", where=path, remedy="name a model directory")
        folder = folder.resolve()
        name = name or (folder.parent.name if folder.name == "model" else folder.name)
        if not NAME.fullmatch(name):
            raise InputError(f"{name!r} is no name for a model", where=one, remedy="say NAME=DIRECTORY, of letters")
        if name in found:
            raise InputError(f"two models are called {name}", where=one, remedy="say NAME=DIRECTORY")
        found[name] = folder
    return found


def _laned(name: str, doing: Doing, engine: Engine, metrics: Metrics, room: Room, base: str | None = None) -> Model:
    writing = answering = embedding = None
    step = metrics.step_of(name)
    if doing.writer is not None:
        writing = Writing(engine, doing.writer.model, rows=room.rows, queue=room.queue, counted=step)
    if doing.answers is not None:
        answering = Together(engine, doing.answers, rows=ROWS, queue=room.queue, counted=step)
    if doing.vectors is not None:
        embedding = Together(engine, doing.vectors, rows=ROWS, queue=room.queue, counted=step)
    model = Model(name, doing, writing, answering, embedding, base)
    metrics.watch(name, model.lanes)
    return model


def opened(folder: Path, device: str) -> Doing:
    """The model of a directory, by the first engine that knows it.

    Raises:
        InputError: none does, or the directory holds a pickle.
    """
    check_plain(folder)
    for knows, open_ in ENGINES:
        if knows(folder):
            return open_(folder, device)
    raise InputError("holds no model", where=folder, remedy="give a model directory, or the folder of a training")


def check_plain(folder: Path) -> None:
    """That no file beside a model could run code when somebody opens it.

    Raises:
        InputError: there is one.
    """
    for place in (folder, folder / "model"):
        pickled = sorted(p.name for p in place.iterdir() if p.suffix in PICKLED) if place.is_dir() else []
        if pickled:
            raise InputError(
                f"holds a pickle ({pickled[0]}), which can run code; nothing is served beside one", where=place,
                remedy="assay convert DIRECTORY --out NEW, or take the file away",
            )  # fmt: skip


def _is_ours(folder: Path) -> bool:
    try:
        model_folder(folder)
    except InputError:
        return False
    return True


def _ours(folder: Path, device: str) -> Doing:
    """By this project's own models, on PyTorch."""
    folder = model_folder(folder)
    digest = digest_of(folder)
    if (folder / TASK).is_file():
        return _of_task(folder, device, digest)
    if (folder / interop.CONFIG).is_file() and _is_encoder(interop.read_config(folder)):
        embedder = Embedder.load(folder)
        return Doing(digest, embedder.encoder, vectors=lambda texts: embedder.vectors(texts, device=device))
    writer = Writer.load(folder, device)
    return Doing(digest, writer.encoder, writer)


def _of_task(folder: Path, device: str, digest: str) -> Doing:
    own = Opened.load(folder, device)
    if isinstance(own.task, WritingTask):
        writer = replace(Writer.load(folder), model=own.model)
        return Doing(digest, own.coder.encoder, writer, own.task, own.answers)
    if isinstance(own.task, Embedding):
        return Doing(digest, own.coder.encoder, task=own.task, vectors=lambda texts: _vectors(own, texts))
    return Doing(digest, own.coder.encoder, task=own.task, answers=own.answers)


@torch.inference_mode()
def _vectors(own: Opened, texts: Sequence[str]) -> np.ndarray:
    """(texts, D) of a model that was trained to make them."""
    model = own.model
    assert isinstance(model, Headed)
    items = [Item(i, row.ids, np.array([0]), row.kinds) for i, row in enumerate(own.coder.texts(texts))]
    device, kinds = next(model.parameters()).device, model.config.tells_types
    made = np.zeros((len(texts), model.config.body.width), dtype=np.float32)
    for numbers in by_length(items, ROWS):
        batch = collated([items[i] for i in numbers.tolist()], kinds=kinds).to(device)
        made[numbers] = model.eval()(batch).float().cpu().numpy()
    return made


def _is_encoder(stated: Mapping[str, Any]) -> bool:
    """Whether a config is of a model that reads both ways, and has no head."""
    family = interop.FAMILIES.get(str(stated.get("model_type")))
    kind = family.config if family is not None else native.FAMILIES.get(str(stated.get("family")))
    return kind is EncoderConfig


def digest_of(folder: Path) -> str:
    """Tells a model from another by its config, and its files' names, sizes and times, without reading them whole."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    stated = [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files]
    return fingerprint(stated)


def _adapted(folder: Path, models: Mapping[str, Model], folders: Mapping[str, Path]) -> tuple[str, Doing]:
    """(the name of its base, the base's model with an adapter): all that it does not change is the base's own memory.

    Raises:
        InputError: its base is not served.
    """
    check_plain(folder)
    adapter = adapters.read(folder)
    for name, own in folders.items():
        doing = models[name].doing
        if doing.writer is None or doing.engine != "assay":
            continue
        place = model_folder(own)
        if (place / interop.WEIGHTS).is_file() and adapter.is_of(place):
            writer = replace(doing.writer, model=adapter.on(doing.writer.model, folder))
            writer = writer.of_task(place, stated_in(folder / TASK))
            return name, Doing(digest_of(folder), doing.encoder, writer)
    raise InputError(
        f"is an adapter of another base ({adapter.base_name})", where=folder,
        remedy="serve the base beside it: NAME=BASE NAME=ADAPTER",
    )  # fmt: skip


def _is_exported(folder: Path) -> bool:
    stated = stated_in(folder / RESULT)
    return isinstance(stated.get("engine"), dict)


def _exported(folder: Path, device: str) -> Doing:
    """By the engine that a directory was exported for, on the CPU.

    Raises:
        InputError: it is not installed, or the model can be asked nothing here.
    """
    own, digest = Exported.load(folder), digest_of(folder)
    if isinstance(own.task, Embedding):
        return Doing(digest, own.encoder, task=own.task, vectors=own.vectors, engine=own.format)
    if own.task is not None:
        return Doing(digest, own.encoder, task=own.task, answers=own.answers, engine=own.format)
    facts = own.facts
    if own.format != "onnx" or facts["kind"] not in ("decoder", "recurrent"):
        what = f"a {facts['kind']} without a task, in the format {own.format}, is asked nothing here"
        raise InputError(what, where=folder, remedy="serve the model that it was exported from")
    stops = tuple(i for i in (facts["end"],) if i is not None)
    writer = Writer(own.writer, own.encoder, facts["begin"], None, stops, folder=folder).of_task(folder, {})
    return Doing(digest, own.encoder, writer, engine=own.format)


ENGINES: list[tuple[Callable[[Path], bool], Callable[[Path, str], Doing]]] = [
    (_is_exported, _exported), (_is_ours, _ours),
]  # fmt: skip
"""(whether an engine knows a directory, what it makes of it)."""
