"""Each format read back by its own engine, and held against the model: `parity` of every target."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.errors import WorkError
from assay.export import gguf_file, hugging_face
from assay.export.parity import CACHED, NEW, TOLERANCE, Parity, compared, continued, ours, rows_of, scored
from assay.export.runners.answering import opened
from assay.export.source import Source, familiar
from assay.inference.generate import generate
from assay.inference.limits import Limits
from assay.models.heads import Headed
from assay.tasks.regression import Regression


def parity(source: Source, folder: Path, target: str, dtype: str, facts: dict[str, Any]) -> Parity:
    """How far apart the model and its export are.

    Raises:
        WorkError: they are further apart than the type of the weights explains.
    """
    check = {"hf": _transformers, "onnx": _onnx, "ctranslate2": _ctranslate, "gguf": _gguf}[target]
    found = check(source, folder, dtype, facts)
    found.check(folder.name)
    return found


def _sources(source: Source) -> list[list[int]] | None:
    return rows_of(source, 1)[::-1] if source.kind == "translator" else None


def _transformers(source: Source, folder: Path, dtype: str, _facts: dict[str, Any]) -> Parity:
    if importlib.util.find_spec("transformers") is None:
        return _tensors(source, folder, dtype)
    rows, sources = rows_of(source), _sources(source)
    mine = ours(source, rows, sources)
    if isinstance(source.task, Regression) and isinstance(source.model, Headed):
        mine = [one * source.task.deviation + source.task.mean for one in mine]
    theirs = hugging_face.logits(source, folder)(rows, sources)
    return compared(mine, theirs, dtype, "transformers")


def _tensors(source: Source, folder: Path, dtype: str) -> Parity:
    """Without transformers: the tensors of the file are those that were meant."""
    from safetensors.torch import load_file

    from assay.models.interop import WEIGHTS, written

    model: Any = source.model
    body = model.body if isinstance(model, Headed) else model
    found = load_file(folder / WEIGHTS)
    wanted = written(familiar(body), native=False)[1]
    pairs = [(wanted[name].float().numpy(), found[name].float().numpy()) for name in sorted(wanted)]
    return compared([a for a, _ in pairs], [b for _, b in pairs], dtype, "safetensors")


def _onnx(source: Source, folder: Path, dtype: str, facts: dict[str, Any]) -> Parity:
    engine, rows, sources = opened(folder, facts, 1), rows_of(source), _sources(source)
    mine = ours(source, rows, sources)
    if not source.writes:
        return compared(mine, engine.said(rows), dtype, "onnxruntime")
    found = compared(mine, engine.logits(rows, sources), dtype, "onnxruntime")

    def written(prompts: list[list[int]], new: int) -> list[list[int]]:
        from assay.export.runners.stepping import Stepping

        limits = Limits(new, stop=() if source.end is None else (source.end,))
        return [list(own[0].kept) for own in generate(Stepping(engine), prompts, limits=limits)]

    return _with_continuations(source, found, written)


def _ctranslate(source: Source, folder: Path, dtype: str, facts: dict[str, Any]) -> Parity:
    engine, rows, sources = opened(folder, facts, 1), rows_of(source), _sources(source)
    if sources is None:
        found = compared(ours(source, rows), engine.logits(rows), dtype, "ctranslate2")
    else:
        model: Any = source.model
        begun = [[model.config.start, *row] for row in rows]
        mine = scored(ours(source, begun, sources), [[*row, facts["end"]] for row in rows])
        found = compared(mine, engine.scores(sources, rows), dtype, "ctranslate2")
    if source.end is None:  # CTranslate2 always has an end
        return found
    return _with_continuations(
        source, found, lambda prompts, new: [one.ids for one in engine.written(prompts, new=new)]
    )


def _with_continuations(source: Source, found: Parity, written: Any) -> Parity:
    most = None if source.positions is None else source.positions - NEW
    if most is not None and most < 1:
        return found
    prompts = [row[: most or None] for row in rows_of(source, 2)]
    same, n = continued(source, prompts, written)
    return replace(found, greedy=same, prompts=n)


def _gguf(source: Source, folder: Path, dtype: str, _facts: dict[str, Any]) -> Parity:
    """Tensor by tensor; and, where llama.cpp is installed, what it says."""
    path = folder / gguf_file.MODEL
    apart = gguf_file.differences(source, path)
    worst = max(apart, key=lambda name: apart[name])
    bound = {"float32": 0.0, "float16": 2.0**-10, "bfloat16": 2.0**-7, "int8": 0.005}[dtype]
    if apart[worst] > bound:
        raise WorkError(
            f"{worst} is {apart[worst]:.2g} of its largest number off, and at most {bound:.2g} is", where=path
        )
    if importlib.util.find_spec("llama_cpp") is None:
        n = sum(int(values.size) for _, values in gguf_file.tensors(source.model))
        return Parity(apart[worst], apart[worst], bound, len(apart), n, "gguf")
    from assay.export.runners.llama import Llama

    rows, tolerance = rows_of(source), max(CACHED, TOLERANCE[dtype])
    engine = Llama(path, max(map(len, rows)))
    return compared(ours(source, rows), engine.logits(rows), dtype, "llama.cpp", tolerance)
