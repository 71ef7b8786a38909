"""Scores of a model as columns that rules can ask: NAME=DIR -> what is computed of each document -> columns.

    a classifier's directory            NAME: chance of being of the good kind
    that of a model of next tokens      NAME: bits a byte (where its tokens spell the text), NAME_perplexity
    both                                NAME_rank: place among the documents of the same language, 0 to 1

A rank is for bounds such as the best tenth, or CCNet's head, middle and tail: thirds of each language by perplexity.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from assay.corpus.cleaning import rules
from assay.corpus.signals import scoring
from assay.curate.classifier import CONFIG, MODEL_TYPE, Classifier
from assay.errors import InputError
from assay.store import file_digest, fingerprint
from assay.tokens.tokenizer import TOKENIZER_JSON
from assay.train.predict import NGRAM, Predictor

Kind = Literal["classifier", "predictor"]
MODEL = "model"  # the folder of a model within that of its training
FILES = (CONFIG, NGRAM, TOKENIZER_JSON, "model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class Score:
    """One `--score NAME=DIR`.

    Attributes:
        name: of the column.
        folder: of the model.
        kind: what it is.
        fingerprint: of the model's files.
        spells: whether bits a byte mean something.
        languages: that a classifier was made from.
    """

    name: str
    folder: Path
    kind: Kind
    fingerprint: str
    spells: bool = True
    languages: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """What rules may ask about."""
        if self.kind == "classifier":
            return self.name, f"{self.name}_rank"
        return (*((self.name,) if self.spells else ()), f"{self.name}_perplexity", f"{self.name}_rank")


def read(given: Sequence[str]) -> list[Score]:
    """The scores that are asked for, each NAME=DIR.

    Raises:
        InputError: it is no such pair, the name is taken, or there is no model that scores documents.
    """
    made: list[Score] = []
    for text in given:
        name, equals, folder = text.partition("=")
        where = f"--score {text}"
        if not equals or not folder:
            raise InputError("is no NAME=DIR", where=where, remedy="write it as quality=classifier/model")
        if not name.isidentifier():
            raise InputError(f"{name!r} cannot name a column", where=where, remedy="use letters, digits and _")
        score = _opened(name, Path(folder))
        taken = {*scoring.NAMES, *rules.COLUMNS, "doc_id", *(column for one in made for column in one.columns)}
        if double := taken & set(score.columns):
            raise InputError(f"there is a column {min(double)} already", where=where, remedy="choose another name")
        made.append(score)
    return made


def digest(folder: Path, names: Sequence[str] = FILES) -> str:
    """The fingerprint of a model's files."""
    shards = sorted(path.name for path in folder.glob("model-*.safetensors"))
    found = [folder / name for name in (*names, *shards) if (folder / name).is_file()]
    return fingerprint({path.relative_to(folder).as_posix(): file_digest(path) for path in found})


def model_folder(folder: Path) -> Path:
    """A model's directory, or the one in the folder of a training.

    Raises:
        InputError: there is none.
    """
    for place in (folder, folder / MODEL):
        if (place / CONFIG).is_file() or (place / NGRAM).is_file():
            return place
    what = "there is no such folder" if not folder.is_dir() else "is no model directory"
    raise InputError(what, where=folder, remedy="name one with a config.json, or an n-gram model's")


def _opened(name: str, given: Path) -> Score:
    folder = model_folder(given)
    if _type_of(folder) == MODEL_TYPE:
        return Score(name, folder, "classifier", digest(folder), languages=Classifier.load(folder).languages)
    spells = Predictor.load(folder).encoder.lossless
    return Score(name, folder, "predictor", digest(folder), spells)


def _type_of(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, LookupError, TypeError):
        return None  # whoever opens it says what is wrong


def columns(score: Score, found: pl.DataFrame, language: pl.Series) -> pl.DataFrame:
    """The columns of a score, in the order of the documents.

    Args:
        found: what was computed (`classifier.SCORES`, `perplexity.SCORES`).
        language: of each document.
    """
    measure = "value" if score.spells else "perplexity"
    ranked = pl.col(measure)
    rank = ((ranked.rank("average") - 0.5) / ranked.count()).over("language").cast(pl.Float32)
    named = {score.name: pl.col("value"), f"{score.name}_rank": rank}
    if score.kind == "predictor":
        named[f"{score.name}_perplexity"] = pl.col("perplexity")
    frame = found.with_columns(language=language.fill_null("und"))
    return frame.select(**{name: named[name] for name in score.columns})


def check_asked(scores: Sequence[Score], asked: Sequence[rules.Rule | rules.Expression]) -> None:
    """See that every score is asked for something.

    Raises:
        InputError: one is not.
    """
    names = {name for rule in asked if isinstance(rule, rules.Expression) for name in rule.kept().meta.root_names()}
    for score in scores:
        if not names & set(score.columns):
            first = score.columns[0]
            bound = f'--where "{first} {"> 0.5" if score.kind == "classifier" else "< 2"}"'
            raise InputError("no --where asks about it", where=f"--score {score.name}=...", remedy=f"give {bound}")
