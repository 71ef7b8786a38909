"""Every family that writes, behind the interface of `protocol`.

    decoder            keys and values of the prompt, grown by each token
    encoder-decoder    the prompt is the source; its keys and values are kept once, however many targets it gets
    recurrent          a state
    n-gram             the last tokens

Prompts of several lengths end together: shorter ones have padding before them, which nobody sees, and positions count
from behind it. So a row says what it says alone, up to the rounding of a product of another size; every row's next
token is at one place, and a step is one call however many lengths there are. Groups of one length would need no mask,
but a hundred prompts have nearly as many lengths, and a step of one row costs almost as much as one of many.

The model is used in evaluation mode and without gradients, and is left in the mode that it was in.
"""

from __future__ import annotations

from typing import Any, cast

from assay.errors import InputError
from assay.inference.protocol import Stepper
from assay.inference.steppers.counting import NGrams
from assay.inference.steppers.decoders import Decoders
from assay.inference.steppers.recurrent import Recurrents
from assay.inference.steppers.translators import Translators
from assay.models.decoder import Decoder
from assay.models.encoder import Encoder
from assay.models.ngram import KneserNey
from assay.models.recurrent import Recurrent
from assay.models.seq2seq import Seq2Seq

__all__ = ["stepper"]


def stepper(model: Any) -> Stepper:
    """What writes with a model.

    Args:
        model: of a family above, or a `Stepper` of one's own.

    Raises:
        InputError: it is of a family that does not write.
    """
    if isinstance(model, Decoder):
        return Decoders(model)
    if isinstance(model, Seq2Seq):
        return Translators(model)
    if isinstance(model, Recurrent) and not model.config.both_ways:
        return Recurrents(model)
    if isinstance(model, KneserNey):
        return NGrams(model)
    if callable(getattr(model, "begin", None)):
        return cast("Stepper", model)
    sees = "sees what follows" if isinstance(model, Encoder | Recurrent) else f"is a {type(model).__name__}"
    raise InputError(
        f"the model {sees}, and cannot write",
        remedy="give a decoder, an encoder-decoder, a recurrent model that reads forwards, or an n-gram model",
    )
