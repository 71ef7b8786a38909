"""assay tells people what their data does to their language model.

The rooms of the house, in the order in which data walks through them, are described in docs/DESIGN.md.
Importing this package imports nothing heavy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "pipeline":  # by its name: rooms import the version from here, and here none is imported
        return import_module("assay.tasks.pipeline").pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
