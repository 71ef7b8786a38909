"""The floor's models by what they are of: loaded from a folder, whichever was saved there."""

from __future__ import annotations

from pathlib import Path

from assay.errors import InputError
from assay.tasks.baseline import answers, copying, stored, tagger, texts

Model = texts.LinearTexts | tagger.Tagger | answers.SlidingWindow | copying.Lead
_KINDS = {
    texts.KIND: texts.LinearTexts,
    tagger.KIND: tagger.Tagger,
    answers.KIND: answers.SlidingWindow,
    copying.KIND: copying.Lead,
}


def load(folder: Path) -> Model:
    """The model that `save` wrote: its predictions are the same.

    Raises:
        InputError: there is none, or it is damaged.
    """
    kind, config, held = stored.load(folder)
    if kind not in _KINDS:
        raise InputError(f"a model of kind {kind!r}", where=folder, remedy="load it with the assay that saved it")
    try:
        made: Model = _KINDS[kind].of(config, held)  # type: ignore[attr-defined]
    except KeyError as error:
        raise InputError(f"the model lacks {error}", where=folder, remedy="fit it again") from error
    return made
