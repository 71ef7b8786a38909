"""assay tells people what their data does to their language model.

The rooms of the house, in the order in which data walks through them, are described in docs/DESIGN.md.
Importing this package imports nothing heavy.
"""

import importlib

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "pipeline":
        # By name: every room reads the version from here, and would seem to import what this names.
        found: object = importlib.import_module("assay.tasks.pipeline").pipeline
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
