"""Other people's libraries, without what they say of their own workings."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

LOGGERS = (None, "torch", "torch.onnx", "torch.export", "torch.utils._pytree", "onnxscript", "onnx_ir", "onnxruntime",
           "transformers", "torchao")  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, they say errors alone."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
