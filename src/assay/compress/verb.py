"""`assay compress quantize` and `prune`: a model directory -> a smaller one, in a folder that is whole or not there.

calibration rows -> the change, block by block -> the directory -> size, memory, latency -> scores -> card
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay import __version__
from assay.compress import calibration, card, cutting, pruning, quantizing, writing
from assay.compress.pruning import Sparsity
from assay.compress.request import RESULT, Parts, Request, Way
from assay.errors import InputError
from assay.export import facts, judging, measuring
from assay.export.judging import Held
from assay.export.source import Source, weights_of
from assay.models import interop, quantized
from assay.models.build import Neural
from assay.models.protocol import Batch
from assay.models.quantized import Quantization
from assay.present.progress import Progress
from assay.store import answered, fingerprint, staged, write_json_atomic


def run(request: Request, *, quiet: bool = False) -> dict[str, Any]:
    """Compress a model, or say what an earlier call has found.

    Returns:
        the answer of `--json`, which is the content of compress.json; `found`: it was there already.

    Raises:
        InputError: bad input, or a model without the parts that this is about.
        WorkError: the disk is full. Nothing is kept.
    """
    with Progress(request.language, quiet=quiet) as progress:
        progress.stage("compress_open")
        source = Source.load(request.model)
        quantized.refuse(source.model, source.folder)
        identity = request.identity(source)
        if (found := answered(request.out, RESULT, identity)) is not None:
            return {**found, "out": str(request.out), "found": True}
        held = None if request.data is None else judging.read(source, request.data, progress)
        with staged(request.out) as folder:
            told = made(request, source, folder, progress)
            answer = finished(told | {"request": identity}, source, folder, request, progress, held)
        return {**answer, "out": str(request.out), "found": False}


def made(request: Request, source: Source, folder: Path, progress: Progress) -> dict[str, Any]:
    """Change the model and write it; what was done."""
    rows: Sequence[Batch] = []
    if request.calibration is not None:
        progress.stage("compress_calibrate")
        rows = calibration.batches(source, request.calibration, progress)
    elif _needs_text(request.way):
        raise InputError(
            "nothing is given to calibrate on", where="--calibrate",
            remedy="name some text, or examples, of the kind that the model is to read",
        )  # fmt: skip
    progress.stage("compress_change")
    before = sum(p.numel() for p in source.model.parameters())
    try:
        model, told = changed(source.model, request.way, rows)
    except InputError as error:
        raise InputError(error.what, where=error.where or source.folder, remedy=error.remedy) from error
    kept = not isinstance(request.way, Parts)  # as numbers, however they are written down
    progress.stage("compress_write")
    writing.write(source, model, folder)
    return {
        **told, "kind": source.kind, "task": None if source.task is None else source.task.name,
        "model": str(request.model), "source": weights_of(source.folder),
        "calibration": None if request.calibration is None else {
            "sources": list(request.calibration.sources), "rows": len(rows),
            "tokens": sum(batch.inputs_BT.numel() for batch in rows), "seed": request.calibration.seed,
        },
        "parameters": {"before": before, "after": before if kept else sum(p.numel() for p in model.parameters())},
    }  # fmt: skip


def _needs_text(way: Way) -> bool:
    match way:
        case Quantization():
            return quantizing.needs_text(way)
        case Sparsity():
            return way.method == "wanda"
    return True


def changed(model: Neural, way: Way, rows: Sequence[Batch]) -> tuple[Neural, dict[str, Any]]:
    """The model after a change (the first one is used up), and what there is to say of it."""
    how = asdict(way)
    match way:
        case Quantization():
            layers = quantizing.quantize(model, way, rows)
            errors = {layer.name: layer.error for layer in layers if layer.error is not None}
            return model, {"what": "quantize", "how": how, "layers": [one.name for one in layers], "errors": errors}
        case Sparsity():
            return model, {"what": "prune", "how": how, "zeros": pruning.prune(model, way, rows)}
    smaller = cutting.cut(model, rows, **how)
    return smaller, {"what": "cut", "how": how, "native": interop.family_of(smaller.config) is None}


def finished(
    told: dict[str, Any],
    source: Source,
    folder: Path,
    request: Request,
    progress: Progress,
    held: Held | None,
    scores: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure a written directory against its source, and write compress.json and the card.

    Args:
        held: what both are asked; None: nothing.
        scores: what is known of both already.
    """
    measured, unchanged = None, Source.load(source.folder)
    if request.measure:
        progress.stage("compress_measure")
        measured = measuring.both(unchanged, folder, "model", {}, request.threads)
    if request.data is not None and held is not None:
        scores = judging.scores(unchanged, folder, "model", "float32", held, request.data.level, progress)
    before, after = (measuring.weights(measuring.sizes(place)) for place in (source.folder, folder))
    body = {
        **told,
        "size": {"model": before, "export": after},
        "measured": measured, "scores": scores, "trained": facts.of_training(source.folder),
        "assay_version": __version__,
    }  # fmt: skip
    body["fingerprint"] = fingerprint({key: value for key, value in body.items() if key != "measured"})
    write_json_atomic(folder / RESULT, body)
    writing.write_card(folder, card.written(body, request.out.resolve().name))
    return body
