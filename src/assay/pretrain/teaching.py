"""A teacher beside a training on text: the model that is trained is the student of another (`models.distilled`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from assay.errors import InputError
from assay.generation.opened import model_folder
from assay.models import interop, quantized
from assay.models.distilled import DistilledConfig, Taught
from assay.models.recurrent import RecurrentConfig
from assay.recipe.pretrain import PretrainRecipe
from assay.tokens.tokenizer import Encoder
from assay.train.loop import TrainSpec

PLAIN = {"post_processor": None}
"""What is put around a text for others changes no id."""


def taught(
    recipe: PretrainRecipe, spec: TrainSpec, initial: Mapping[str, Tensor] | None, tokenizer: str, processes: int
) -> tuple[TrainSpec, dict[str, Tensor] | None]:
    """The arithmetic of a run and the weights that it begins with, with the teacher of its recipe, if it names one.

    Args:
        tokenizer: content of tokenizer.json.

    Raises:
        InputError: the teacher is of another kind, has another tokenizer, or cannot teach here.
    """
    d = recipe.distill
    if d.teacher is None:
        return spec, None if initial is None else dict(initial)
    folder = model_folder(Path(d.teacher))
    model: Any = interop.load(folder)
    quantized.refuse(model, folder)
    if processes > 1 or (isinstance(spec.model, RecurrentConfig) and spec.model.carried):
        what = "several processes share no teacher" if processes > 1 else "a state that goes on has no teacher"
        raise InputError(what, where="distill.teacher", remedy="train in one process, without train.carry_state")
    theirs = json.loads(Encoder.load(folder).content) | PLAIN
    if theirs != json.loads(tokenizer) | PLAIN:
        raise InputError("has another tokenizer than its student", where=folder, remedy=f"give tokenizer.path={folder}")
    if not isinstance(model, Taught) or type(model.config) is not type(spec.model):
        raise InputError(
            "is of another kind than its student", where=folder, remedy="give a student of the teacher's kind"
        )
    try:
        both = DistilledConfig(spec.model, model.config)
    except ValueError as error:
        raise InputError(str(error), where=folder, remedy="give a student with its teacher's vocabulary") from error
    weights = {f"student.{name}": tensor for name, tensor in (initial or {}).items()}
    weights |= {f"teacher.{name}": tensor.detach() for name, tensor in model.named_parameters()}
    penalties = replace(spec.penalties, taught=d.share, temperature=d.temperature)
    return replace(spec, model=both, penalties=penalties), weights
