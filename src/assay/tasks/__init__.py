"""Downstream tasks, one file a task: rows -> examples -> items of tokens -> what a model says -> answers -> scores."""

from assay.tasks import classification, embedding, extraction, regression, tagging

__all__ = ["classification", "embedding", "extraction", "regression", "tagging"]
