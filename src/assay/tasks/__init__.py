"""Downstream tasks, one file a task: rows -> examples -> items of tokens -> what a model says -> answers -> scores."""

from assay.tasks import classification as classification
from assay.tasks import regression as regression
from assay.tasks import tagging as tagging
