"""From a config to its model: the one place that knows all families."""

from __future__ import annotations

import torch

from assay.models.decoder import Decoder, DecoderConfig
from assay.models.encoder import Encoder, EncoderConfig
from assay.models.recurrent import Recurrent, RecurrentConfig
from assay.models.seq2seq import Seq2Seq, Seq2SeqConfig

ModelConfig = DecoderConfig | EncoderConfig | Seq2SeqConfig | RecurrentConfig
Neural = Decoder | Encoder | Seq2Seq | Recurrent
"""A model that the trainer trains: see `protocol.Model`."""


def build(config: ModelConfig, generator: torch.Generator | None) -> Neural:
    """A model with fresh weights; `generator` None leaves them as they come: they are about to be loaded."""
    match config:
        case DecoderConfig():
            return Decoder(config, generator)
        case EncoderConfig():
            return Encoder(config, generator)
        case Seq2SeqConfig():
            return Seq2Seq(config, generator)
        case RecurrentConfig():
            return Recurrent(config, generator)
