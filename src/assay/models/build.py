"""From a config to its model: the one place that knows all families."""

from __future__ import annotations

import torch

from assay.errors import InputError
from assay.models.convolution import Convolution, ConvolutionConfig
from assay.models.decoder import Decoder, DecoderConfig
from assay.models.distilled import Distilled, DistilledConfig, Taught
from assay.models.encoder import Encoder, EncoderConfig
from assay.models.heads import Body, BodyConfig, Headed, HeadedConfig
from assay.models.recurrent import Recurrent, RecurrentConfig
from assay.models.seq2seq import Seq2Seq, Seq2SeqConfig
from assay.models.stacked import StackedConfig, stacked

ModelConfig = (
    DecoderConfig | EncoderConfig | Seq2SeqConfig | RecurrentConfig | StackedConfig | HeadedConfig | DistilledConfig
)
Neural = Decoder | Encoder | Seq2Seq | Recurrent | Headed | Distilled
"""A model that the trainer trains: see `protocol.Model`."""


def build(config: ModelConfig, generator: torch.Generator | None, *, checkpointing: bool = False) -> Neural:
    """A model with fresh weights; `generator` None leaves them as they come: they are about to be loaded.

    Args:
        checkpointing: activations of each block are computed anew in the backward pass instead of kept.

    Raises:
        InputError: checkpointing of a recurrent model, which has no blocks.
    """
    match config:
        case DecoderConfig():
            return Decoder(config, generator, checkpointing=checkpointing)
        case EncoderConfig():
            return Encoder(config, generator, checkpointing=checkpointing)
        case Seq2SeqConfig():
            return Seq2Seq(config, generator, checkpointing=checkpointing)
        case RecurrentConfig():
            if checkpointing:
                raise InputError("a recurrent model has no blocks to compute anew", remedy="leave checkpointing out")
            return Recurrent(config, generator)
        case StackedConfig() | DistilledConfig() | HeadedConfig():
            return _of_several(config, generator, checkpointing=checkpointing)


def _of_several(
    config: StackedConfig | DistilledConfig | HeadedConfig, generator: torch.Generator | None, *, checkpointing: bool
) -> Neural:
    """What is made of other models."""
    match config:
        case StackedConfig():  # each member begins as it would alone
            own = [torch.Generator().manual_seed(seed) for seed in config.seeds]
            return stacked([Decoder(config.one, one, checkpointing=checkpointing) for one in own])
        case DistilledConfig():  # a student's beginning does not depend on its teacher
            both = [build(config.student, generator, checkpointing=checkpointing), build(config.teacher, None)]
            student, teacher = (model for model in both if isinstance(model, Taught))
            return Distilled(config, student, teacher)
        case HeadedConfig():  # the head after the body: a seed's body does not depend on its head
            return Headed(config, _body(config.body, generator, checkpointing=checkpointing), generator)


def _body(config: BodyConfig, generator: torch.Generator | None, *, checkpointing: bool) -> Body:
    if isinstance(config, ConvolutionConfig):
        return Convolution(config, generator)
    made = build(config, generator, checkpointing=checkpointing)
    assert isinstance(made, Decoder | Encoder | Recurrent)
    return made
