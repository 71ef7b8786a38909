"""Models made smaller."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from assay.errors import InputError
from assay.front.printing import printed
from assay.recipe.finetune import FinetuneRecipe
from assay.recipe.load import load
from assay.recipe.pretrain import PretrainRecipe

if TYPE_CHECKING:
    from assay.compress.pruning import Sparsity
    from assay.compress.request import Parts, Request, Way
    from assay.compress.training import Training

PRESETS = {"decoder": "standard", "recurrent": "lstm", "hidden": "bert", "translator": "transformer"}
"""Of a training on text that goes on with a model of a kind."""
HALF = 0.5


def compress_quantize(
    *, model: Path, out: Path, bits: int, inputs: str, method: str, group: int, shown: Mapping[str, Any],
    judged: Mapping[str, Any], language: str, as_json: bool,
) -> None:  # fmt: skip
    """`assay compress quantize`."""
    from assay.models.quantized import Group, Quantization

    if bits not in (4, 8):
        raise InputError(f"{bits} bits", where="--bits", remedy="give 8 or 4")
    if bits == 4 and group not in get_args(Group):
        raise InputError(f"groups of {group}", where="--group", remedy="give 32, 64 or 128")
    if bits == 4 and inputs != "dynamic":
        raise InputError("inputs of 4-bit weights stay as they are", where="--inputs", remedy="leave it out")
    if bits == 8 and method != "rtn":
        raise InputError(f"{method} is of 4 bits", where="--method", remedy="give --bits 4, or leave it out")
    how: Any = {"inputs": inputs} if bits == 8 else {"inputs": "float", "group": group, "balanced": method == "awq"}
    way = Quantization(bits, method=method, **how)  # type: ignore[arg-type]
    _said(_request(model, out, way, shown, judged, language), None, as_json)


def compress_prune(
    *, model: Path, out: Path, method: str | None, sparsity: str | None, within: str | None,
    parts: Mapping[str, int | None], shown: Mapping[str, Any], retrain: Sequence[str], overrides: Sequence[str],
    judged: Mapping[str, Any], language: str, as_json: bool,
) -> None:  # fmt: skip
    """`assay compress prune`."""
    way = _way(method, sparsity, within, parts)
    if overrides and not retrain:
        raise InputError("--set is of a training, and there is none", where="--set", remedy="give --retrain DATA, too")
    request = _request(model, out, way, shown, judged, language)
    training = None
    if retrain:
        from assay.compress.pruning import Sparsity

        zeros = {"train.sparse": True} if isinstance(way, Sparsity) else {}
        training = _training(model, retrain, {**zeros, "train.seed": shown["seed"]}, None, overrides)
    _said(request, training, as_json)


def _way(
    method: str | None, sparsity: str | None, within: str | None, parts: Mapping[str, int | None]
) -> Sparsity | Parts:
    """What is taken out."""
    from assay.compress.pruning import Sparsity
    from assay.compress.request import Parts

    cut = any(n is not None for n in parts.values())
    single = method is not None or sparsity is not None or within is not None
    if cut == single:
        what = "both single weights and whole parts are named" if cut else "nothing is named that is to go"
        remedy = "give --method (with --sparsity), or --layers, --heads, --width"
        raise InputError(what, where="assay compress prune", remedy=remedy)
    if cut:
        return Parts(**parts)
    share = None if sparsity == "2:4" else _share(sparsity)
    if share is None and within is not None:
        raise InputError("two of four are compared with each other alone", where="--within", remedy="leave it out")
    chosen: Any = method or "magnitude"
    where: Any = within or ("row" if chosen == "wanda" or share is None else "layer")
    return Sparsity(chosen, share, where)


def _share(typed: str | None) -> float:
    try:
        return HALF if typed is None else float(typed)
    except ValueError:
        raise InputError(f"{typed!r} is no share", where="--sparsity", remedy="give 0.5, say, or 2:4") from None


def compress_distill(
    *, teacher: Path, out: Path, data: Sequence[str], layers: str | None, student: Path | None,
    taught: Mapping[str, Any], training: Mapping[str, Any], recipe: Path | None, overrides: Sequence[str],
    measure: bool, threads: int, language: str, as_json: bool,
) -> None:  # fmt: skip
    """`assay compress distill`."""
    if (layers is None) == (student is None):
        what = "--layers and --student are both given" if layers else "nothing says what the student is"
        raise InputError(what, where="assay compress distill", remedy="give --layers N, or --student DIR")
    kept = None if layers is None else _numbers(layers)

    from assay.compress import training as room
    from assay.compress.request import Parts, Request
    from assay.export.judging import Data

    given = {f"distill.{name}": value for name, value in taught.items()} | {"distill.teacher": str(teacher)}
    given |= {"budget.epochs": training["epochs"], "train.seed": training["seed"]}
    tasks = _has_task(teacher)
    if tasks:
        given |= {"data.dev": training["dev"], "data.test": training["test"], "tune.rate": training["rate"]}
    else:
        own = {"--dev": training["dev"], "--rate": training["rate"], "--hidden": taught["hidden"],
               "--unlabelled": taught["unlabelled"], "--copies": taught["copies"]}  # fmt: skip
        for name, value in own.items():
            if value not in (None, ()):
                raise InputError(f"{name} is of a task, and the teacher has none", where=teacher, remedy="leave it out")
        given = {key: value for key, value in given.items() if key.split(".")[-1] not in ("hidden", "unlabelled",
                                                                                         "copies")}  # fmt: skip
    text = None if tasks or not training["test"] else Data(tuple(training["test"]))
    request = Request(teacher, Parts(), out, None, text, measure, threads, language)
    how = _training(teacher, data, given, recipe, overrides)
    _printed(room.distill(room.Student(request, how, kept, student), quiet=as_json), language, as_json)


def _numbers(typed: str) -> int | tuple[int, ...]:
    """`2` or `0,3,5`."""
    try:
        found = tuple(int(one) for one in typed.split(","))
    except ValueError:
        raise InputError(f"{typed!r} are no numbers of layers", where="--layers", remedy="give 2, or 0,3,5") from None
    return found if "," in typed else found[0]


def _has_task(model: Path) -> bool:
    return any((folder / "task.json").is_file() for folder in (model, model / "model"))


def _training(
    model: Path, data: Sequence[str], options: Mapping[str, Any], recipe: Path | None, overrides: Sequence[str]
) -> Training:
    """The training of what is made of a model: at its task, else on text."""
    from assay.compress.training import Training
    from assay.export.source import Source

    given = {key: value for key, value in options.items() if value not in (None, ())}
    command = ("assay", *sys.argv[1:])
    source = Source.load(model)
    if source.opened is not None:
        given |= {"data.train": list(data), "task": _options(source), "floor": False}
        given |= {"train.row_tokens": source.opened.coder.most}
        return Training(load(FinetuneRecipe, recipe, list(overrides), given)[0], command)
    given |= {"data.sources": list(data), "model.preset": PRESETS[source.kind]}
    if source.positions is not None:
        given |= {"train.row_tokens": min(source.positions, 256)}
    return Training(load(PretrainRecipe, recipe, list(overrides), given)[0], command)


def _options(source: Any) -> dict[str, Any]:
    """The options of a model's task, without what it has learned."""
    from assay.tasks.protocol import options, saved

    known = options(type(source.task))
    return {name: value for name, value in saved(source.task)["options"].items() if name in known}


def _request(
    model: Path, out: Path, way: Way, shown: Mapping[str, Any], judged: Mapping[str, Any], language: str
) -> Request:
    from assay.compress.calibration import Calibration
    from assay.compress.request import Request
    from assay.export.judging import Data

    texts = shown["calibrate"]
    calibration = Calibration(tuple(texts), shown["rows"], shown["seed"]) if texts else None
    data = Data(tuple(judged["data"])) if judged["data"] else None
    return Request(model, way, out, calibration, data, judged["measure"], judged["threads"], language)


def _said(request: Request, training: Training | None, as_json: bool) -> None:
    from assay.compress import training as room
    from assay.compress import verb

    quiet = as_json
    answer = verb.run(request, quiet=quiet) if training is None else room.retrain(request, training, quiet=quiet)
    _printed(answer, request.language, as_json)


def _printed(answer: Mapping[str, Any], language: str, as_json: bool) -> None:
    from assay.compress import told

    printed(*([json.dumps(answer, ensure_ascii=False)] if as_json else told.compressed(answer, language)))
