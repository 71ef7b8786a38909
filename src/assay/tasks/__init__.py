"""Downstream tasks, one file a task: rows -> examples -> items of tokens -> what a model says -> answers -> scores.

Supervised data sets are read in `reading`; `baseline` is the linear floor that stands beside every result.
"""

from assay.tasks import classification, embedding, extraction, preference, regression, relations, tagging, writing

__all__ = ["classification", "embedding", "extraction", "preference", "regression", "relations", "tagging", "writing"]
