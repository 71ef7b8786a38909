"""`assay export`: from a model directory to a checked export, in a folder that is whole or not there.

refuse what cannot be -> write the format -> parity -> sizes, memory, latency -> scores -> card -> the folder's name
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import needs
from assay.export import card, checked, ctranslate, facts, gguf_file, hugging_face, judging, measuring, onnx_files
from assay.export.request import Request
from assay.export.runners.engine import RESULT
from assay.export.source import Source
from assay.models.interop.directory import CARD, TOKENIZER_CONFIG
from assay.present.progress import Progress
from assay.store import answered, fingerprint, staged, write_json_atomic
from assay.tasks.opened import TASK
from assay.tokens.tokenizer import TOKENIZER_JSON

STEPS = 4.0


def run(request: Request, *, quiet: bool = False) -> dict[str, Any]:
    """Export a model, or say what an earlier call has found.

    Returns:
        the answer of `--json`, which is the content of export.json; `found` says whether it was there already.

    Raises:
        InputError: bad input, or a model that the format has no part for.
        WorkError: the export does not say what the model says, or the disk is full. Nothing is kept.
    """
    request.check()
    with Progress(request.language, quiet=quiet) as progress:
        progress.stage("export_open")
        source = Source.load(request.model)
        request.refuse(source)
        identity = request.identity(source)
        if (earlier := answered(request.out, RESULT, identity)) is not None:
            return {**earlier, "out": str(request.out), "found": True}
        if request.data is not None and request.target == "gguf":
            needs("llama_cpp", "gguf", "scores of a GGUF file")
        held = None if request.data is None else judging.read(source, request.data, progress)
        with staged(request.out) as folder:
            answer = _exported(request, source, folder, identity, held, progress)
        return {**answer, "found": False}


def _exported(
    request: Request, source: Source, folder: Path, identity: str, held: judging.Held | None, progress: Progress
) -> dict[str, Any]:
    progress.stage("export_write", STEPS)
    engine = _written(request, source, folder, lambda done, of: progress.to("export_write", STEPS * done / of, STEPS))
    told: dict[str, Any] = {"engine": engine, "request": identity}
    if engine is not None:
        write_json_atomic(folder / RESULT, told)  # what opens the export reads it, the checks below among them
    progress.stage("export_parity")
    parity = checked.parity(source, folder, request.target, request.dtype, engine or {})
    sizes = measuring.sizes(folder)
    measured = scores = None
    if request.measure and measuring.runs(request.target):
        progress.stage("export_measure")
        measured = measuring.both(source, folder, request.target, engine or {}, request.threads)
    if request.data is not None and held is not None:
        level = request.data.level
        scores = judging.scores(source, folder, request.target, request.dtype, held, level, progress)
    own = measuring.weights(measuring.sizes(source.folder))
    body = {
        "target": request.target, "dtype": request.dtype, "model": str(request.model), "kind": source.kind,
        "task": None if source.task is None else source.task.name,
        "parameters": source.model.n_parameters()[1], "parity": parity.as_json(),
        "size": {"model": own, "export": measuring.weights(sizes), "files": sizes},
        "measured": measured, "scores": scores, "training": facts.of_training(source.folder),
        "licence": request.licence, "notes": notes(request, source, measured is None and request.measure),
    }  # fmt: skip
    made = {**told, **body, "assay_version": __version__}
    made["fingerprint"] = fingerprint({key: value for key, value in made.items() if key != "measured"})
    answer = {**made, "out": str(request.out)}
    write_json_atomic(folder / RESULT, made)
    (folder / CARD).write_text(card.written(answer, request.out.resolve().name), encoding="utf-8")
    return answer


def _written(request: Request, source: Source, folder: Path, told: Callable[[int, int], None]) -> dict[str, Any] | None:
    """Write the files of a format; what a runner has to know of them, where there is one."""
    if request.target == "hf":
        hugging_face.write(source, folder, request.dtype)
        return None
    if request.target == "gguf":
        gguf_file.write(source, folder / gguf_file.MODEL, request.dtype, request.out.name, request.licence)
        return None
    common: dict[str, Any] = {
        "format": request.target, "kind": source.kind, "vocabulary": source.model.config.vocabulary,
        "positions": source.positions, "begin": source.begin, "end": source.end,
        "start": getattr(source.model.config, "start", None), "padding": getattr(source.model.config, "padding", 0),
    }  # fmt: skip
    _tokenizer(source, folder)
    if request.target == "ctranslate2":
        ctranslate.write(source, folder, request.dtype)
        compute = "int8_float32" if request.dtype == "int8" else "float32"
        return {**common, "end": ctranslate.ending(source), "compute": compute}
    layout = onnx_files.write(source, folder, request.dtype, told)
    return {**common, "layout": asdict(layout)}


def _tokenizer(source: Source, folder: Path) -> None:
    """The tokenizer and the task, as the model directory has them."""
    for name in (TOKENIZER_JSON, TOKENIZER_CONFIG, TASK):
        if (source.folder / name).is_file():
            (folder / name).write_bytes((source.folder / name).read_bytes())


def notes(request: Request, source: Source, unmeasured: bool) -> list[str]:
    """What whoever uses the export should know: keys below `export.note`."""
    found = []
    target, head = request.target, getattr(source.model.config, "head", None)
    kind = getattr(head, "kind", None)
    if target == "hf" and kind == "tags":
        found.append("argmax")
    if target == "hf" and getattr(source.task, "grades", False):
        found.append("grades")
    if source.tokenizer is not None and source.tokenizer.surface.wants_bounds:
        found.append("bounds")
    if target in ("onnx", "ctranslate2") and request.dtype in ("float16", "bfloat16"):
        found.append("stored")
    if target == "ctranslate2" and source.end is None:
        found.append("ends")
    if request.dtype == "int8":
        found.append("lossy")
    if unmeasured and target == "gguf":
        found.append("unmeasured")
    return found
