"""Models of one shape -> the model of their mean weights, in a model directory.

Of the last checkpoints of one run it is often better than the last alone (Izmailov et al. 2018), of several runs from
one model it can do as well as their ensemble at the cost of one (Wortsman et al. 2022). `assay eval` tells how good.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay import __version__
from assay.errors import InputError
from assay.models.interop.files import CONFIG, WEIGHTS, read_config, read_tensors, write_tensors
from assay.present.words import LANGUAGES, say
from assay.store import disk_errors, file_digest, staged
from assay.tokens.tokenizer import TOKENIZER_JSON
from assay.train.averages import mean_of

_BESIDE = (CONFIG, TOKENIZER_JSON, "tokenizer_config.json", "generation_config.json")
_OF_THE_MAKER = ("_name_or_path", "transformers_version")


def average(models: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the mean of the weights of model directories, such as a run's `checkpoints/step-*`.

    Returns:
        the answer of `--json`.

    Raises:
        InputError: there are fewer than two, they are not of one shape and one tokenizer, or `out` is not empty.
    """
    if len(set(models)) < 2:
        remedy = "name several, such as the checkpoints of a run: run/checkpoints/step-*"
        raise InputError("a mean is of two models or more", where="assay average", remedy=remedy)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("is not empty", where=out, remedy="name a new folder")
    _alike(models)
    try:
        mean = mean_of([read_tensors(folder) for folder in models])
    except ValueError as error:
        raise InputError(str(error), where="assay average", remedy="name models of one shape") from error
    with disk_errors(out):
        if out.exists():
            out.rmdir()
        with staged(out) as folder:
            for name in _BESIDE:
                if (models[-1] / name).exists():
                    shutil.copyfile(models[-1] / name, folder / name)
            (folder / "README.md").write_text(_card(models, out), encoding="utf-8")
            write_tensors(folder / WEIGHTS, mean)
    return {
        "models": [str(folder) for folder in models],
        "tensors": len(mean),
        "parameters": sum(tensor.numel() for tensor in mean.values()),
        "out": str(out),
        "assay_version": __version__,
        "fingerprint": file_digest(out / WEIGHTS),
    }


def _alike(models: Sequence[Path]) -> None:
    """See that all have the config and the tokenizer of the first."""
    configs = [
        {name: value for name, value in read_config(folder).items() if name not in _OF_THE_MAKER} for folder in models
    ]
    tokenizers = [
        file_digest(folder / TOKENIZER_JSON) if (folder / TOKENIZER_JSON).exists() else None for folder in models
    ]
    if "quantization" in configs[0]:
        what = "is quantized: whole numbers of several models have no mean"
        raise InputError(what, where=models[0], remedy="average the models that they were made from")
    for folder, config, tokenizer in zip(models, configs, tokenizers, strict=True):
        if config != configs[0]:
            name = next(n for n in {**config, **configs[0]} if config.get(n) != configs[0].get(n))
            what = f"is of another shape than {models[0]}: {name} is {config.get(name)}, not {configs[0].get(name)}"
            raise InputError(what, where=folder / CONFIG, remedy="name models of one shape")
        if tokenizer != tokenizers[0]:
            what = f"is another tokenizer than that of {models[0]}"
            raise InputError(what, where=folder / TOKENIZER_JSON, remedy="name models of one run, or of one start")


def _card(models: Sequence[Path], out: Path) -> str:
    names = ", ".join(f"`{folder.name}`" for folder in models)
    return f"# {out.name}\n\n" + "\n\n".join(say("card.mean", one, names=names) for one in LANGUAGES) + "\n"
