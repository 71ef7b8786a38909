"""Downstream tasks, one file a task: rows -> examples -> items of tokens -> what a model says -> answers -> scores.

Supervised data sets are read in `reading`; `baseline` is the linear floor that stands beside every result. What a
language model does as it is (`choice`, `exact`) has prompts instead of items.
"""

from assay.tasks import (
    choice,
    classification,
    embedding,
    exact,
    extraction,
    preference,
    regression,
    relations,
    tagging,
    writing,
)

__all__ = [
    "choice", "classification", "embedding", "exact", "extraction", "preference", "regression", "relations", "tagging",
    "writing",
]  # fmt: skip
