"""assay tells people what their data does to their language model.

The rooms of the house, in the order in which data walks through them, are described in docs/DESIGN.md.
Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
