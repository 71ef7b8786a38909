"""Typed recipes: what a study is asked to do, from defaults, a YAML file and `--set`.

    defaults  <-  recipe.yaml  <-  --set key=value        unknown keys are refused with the nearest known name

Every field's description is its documentation; `explain` prints each value with where it came from.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assay.errors import InputError
from assay.store import fingerprint


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusRecipe(_Section):
    """How sources are read and held-out text is chosen."""

    source_field: str | None = Field(None, description="field of each row that names its source")
    text_field: str | None = Field(None, description="field that holds the text; found by name when not given")
    encoding: str | None = Field(None, description="encoding of the files; UTF-8 (or a byte order mark) when not given")
    on_error: Literal["stop", "skip"] = Field("stop", description="what a bad row or file does")
    eval_share: float = Field(0.05, gt=0, le=0.3, description="share of document clusters held out to fit laws on")
    test_share: float = Field(0.05, gt=0, le=0.3, description="share held out for registered predictions alone")


class TokensRecipe(_Section):
    """The tokenizer and the evaluation text."""

    vocabulary: int | None = Field(
        None, ge=300, le=65536, description="token ids; derived from the budget when not given"
    )
    sample_bytes: int = Field(6_000_000, ge=10_000, description="training text of the tokenizer, balanced over sources")
    eval_tokens: int | None = Field(None, ge=256, description="held-out tokens a source; derived when not given")


class TrainRecipe(_Section):
    """The proxies and how they are trained."""

    seeds: int | None = Field(
        None, ge=2, le=64, description="runs of each cell, paired by seed; derived when not given"
    )
    layers: int | None = Field(None, ge=1, le=48, description="decoder layers; derived when not given")
    width: int | None = Field(None, ge=16, le=4096, multiple_of=16, description="model width; derived when not given")
    row_tokens: int = Field(64, ge=16, le=1024, description="tokens of context, T")
    batch_rows: int = Field(16, ge=1, le=4096, description="rows a step, B")
    matrix_optimizer: Literal["muon", "adamw"] = Field(
        "muon", description="optimizer of the matrices inside the layers"
    )
    matrix_lr: float = Field(
        0.01, gt=0, description="peak learning rate of those matrices (AdamW wants about a third of Muon's)"
    )
    embedding_lr: float = Field(0.1, gt=0, description="peak learning rate of the embedding (AdamW)")
    head_lr: float = Field(0.02, gt=0, description="peak learning rate of the output matrix (AdamW)")
    decay_share: float = Field(0.25, gt=0, lt=1, description="share of a run that the learning rate decays over")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="type of the arithmetic; auto: the faster of both in the probe (float32 with --tokens)",
    )
    workers: int | None = Field(None, ge=1, description="processes of the fleet; one a core when not given")


class DesignRecipe(_Section):
    """The questions, and how finely they are asked."""

    axes: tuple[Literal["size", "quality", "distribution"], ...] = Field(
        ("size", "quality", "distribution"), min_length=1, description="which questions to ask"
    )
    defects: tuple[Literal["near_duplicates", "character_noise"], ...] = Field(
        ("near_duplicates", "character_noise"), min_length=1, description="damages whose dose-response is measured"
    )
    doses: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.25, 0.5), min_length=1, description="shares of the training text that are damaged"
    )
    noise_rate: float = Field(0.1, gt=0, lt=1, description="share of characters altered in a damaged document")
    copies: int = Field(8, ge=1, description="near-copies of each copied document at the highest dose")
    edit_rate: float = Field(0.03, ge=0, lt=1, description="share of words altered in a near-copy")
    upweight: float = Field(3.0, gt=1, description="factor on a source's odds in its up-weighted mixture")
    size_branches: int = Field(
        7, ge=5, le=12, description="sample sizes of the size law, which is fitted on the last and judged by the others"
    )
    level: float = Field(0.9, gt=0.5, lt=1, description="level of all intervals")
    false_discovery_rate: float = Field(
        0.05, gt=0, lt=0.5, description="expected share of false ones among supported claims"
    )


class StudyRecipe(_Section):
    """A study, whole."""

    corpus: CorpusRecipe = CorpusRecipe()
    tokens: TokensRecipe = TokensRecipe()
    train: TrainRecipe = TrainRecipe()
    design: DesignRecipe = DesignRecipe()
    seed: int = Field(0, ge=0, description="seed of the study: its mixtures, defects and runs")
    title: str | None = Field(None, description="title of the report")

    def identity(self) -> dict[str, Any]:
        """All that results depend on: not how the page is called, nor how many processes did the work."""
        return self.model_dump(mode="json", exclude={"title": True, "train": {"workers"}})

    def fingerprint(self) -> str:
        return fingerprint(self.identity())


def load(
    path: Path | None, overrides: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> tuple[StudyRecipe, dict[str, str]]:
    """The recipe of a study, and where each value that is not a default came from (`section.key` -> origin).

    Args:
        path: a YAML file, or None.
        overrides: `key=value` strings; the value is read as YAML.
        options: values of keys that have an option of their own: `corpus.source_field` is `--source-field`.

    Raises:
        InputError: unreadable YAML, an unknown key (with the nearest known one), or a value out of range.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        values = {}
        for key, value in _read_yaml(path).items():
            _put(values, key, value, str(path))
        for key, _ in _leaves(values):
            _check_known(key, f"{path}")
            origins[key] = str(path)
    for key, value in (options or {}).items():
        _put(values, key, value)
        origins[key] = "--" + key.rsplit(".", 1)[-1].replace("_", "-")
    for override in overrides:
        key, value = _parse_override(override)
        _put(values, key, value)
        origins[key] = "--set"
    try:
        return StudyRecipe.model_validate(values), origins
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        what = _PLAINLY.get(first["type"], first["msg"].lower())
        raise InputError(
            f"{key}: {what} (given: {first['input']!r})", where=origins.get(key, path or "--set"), remedy=_describe(key)
        ) from error


_PLAINLY = {
    "tuple_type": "should be a list, as in [a, b]",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "string_type": "should be text",
    "too_short": "should hold one entry at least",
}


def explain(recipe: StudyRecipe, origins: dict[str, str]) -> list[tuple[str, Any, str]]:
    """Every value of the recipe: (key, value, where it came from and what it means)."""
    rows = []
    for key, field in _fields(StudyRecipe):
        value: Any = recipe
        for part in key.split("."):
            value = getattr(value, part)
        rows.append((key, value, f"{origins.get(key, 'default')}: {field.description or ''}"))
    return rows


_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"


def parse_quantity(text: str, what: str) -> float:
    """A count such as `5e6`, `2M`, `800k`."""
    match = re.fullmatch(rf"\s*({_NUMBER}(?:e[0-9]+)?)\s*([kKmMgGbB]?)\s*", text)
    units = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
    value = float(match[1]) * units[match[2].lower()] if match else 0.0
    if not 0 < value < math.inf:
        raise InputError(f"{text!r} is not a number of {what}", where=f"--{what}", remedy="write it like 5e6 or 2M")
    return value


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `1.5h`, `600`."""
    match = re.fullmatch(rf"\s*({_NUMBER})\s*(s|m|min|h)?\s*", text)
    units = {"s": 1, "m": 60, "min": 60, "h": 3600, None: 1}
    value = float(match[1]) * units[match[2]] if match else 0.0
    if not 0 < value < math.inf:
        raise InputError(f"{text!r} is not a time", where="--budget", remedy="write it like 90s, 10m or 1h")
    return value


class _Twice(yaml.MarkedYAMLError):
    """A key stands twice: YAML would keep the last and say nothing."""


class _Recipe(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise _Twice(problem=f"{key.value!r} stands here a second time", problem_mark=key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Recipe)  # a safe loader
    except FileNotFoundError:
        raise InputError("no such recipe", where=path, remedy="give the path of a YAML file") from None
    except OSError as error:
        what = f"cannot be read ({(error.strerror or str(error)).lower()})"
        raise InputError(what, where=path, remedy="give the path of a YAML file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8", where=path, remedy="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        what = str(getattr(error, "problem", "")) if isinstance(error, _Twice) else "is not YAML"
        raise InputError(what, where=where, remedy="mend it at this place") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError("a recipe is a mapping of sections", where=path, remedy="begin with a line such as `train:`")
    # A section whose keys are all commented out reads as nothing.
    return {name: {} if value is None and name in _sections() else value for name, value in values.items()}


def _parse_override(override: str) -> tuple[str, Any]:
    key, equals, raw = override.partition("=")
    key = key.strip()
    if not equals:
        raise InputError(f"{override!r} has no '='", where="--set", remedy="write key=value, e.g. train.seeds=5")
    _check_known(key, "--set")
    try:
        return key, yaml.safe_load(raw)
    except yaml.YAMLError as error:
        remedy = f'put quotes around text that holds {{}}[],:#\'", e.g. {key}="..."'
        raise InputError(f"{raw!r} is not a YAML value", where=f"--set {key}", remedy=remedy) from error


def _check_known(key: str, where: str) -> None:
    known = [name for name, _ in _fields(StudyRecipe)]
    if key in known:
        return
    if key in _sections():
        example = next(name for name in known if name.startswith(f"{key}."))
        raise InputError(f"{key} is a section, not a value", where=where, remedy=f"give its keys, such as {example}")
    raise InputError(f"unknown key {key!r}", where=where, remedy=f"the nearest known one is {_nearest(key, known)!r}")


def _nearest(key: str, known: Sequence[str]) -> str:
    """The known key that is most like this one, whole or by its last part."""

    def alike(name: str) -> float:
        pairs = ((key, name), (key.rsplit(".", 1)[-1], name.rsplit(".", 1)[-1]))
        return max(difflib.SequenceMatcher(None, a, b).ratio() for a, b in pairs)

    return max(known, key=alike)


def _describe(key: str) -> str:
    fields = dict(_fields(StudyRecipe))
    if key not in fields:
        return "see `assay study --explain`"
    default = fields[key].default
    usual = f"[{', '.join(map(str, default))}]" if isinstance(default, tuple) else default
    example = "" if default is None else f"; the default is {key}={usual}"
    return f"mend {key} ({fields[key].description}){example}"


def _sections() -> set[str]:
    return {name.partition(".")[0] for name, _ in _fields(StudyRecipe) if "." in name}


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _put(values: dict[str, Any], key: str, value: Any, where: str = "--set") -> None:
    """Put a value below the sections that its key names; a section goes into what is there."""
    *sections, last = str(key).split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"{section} is a section, not a value", where=where, remedy=f"give {key} alone")
    if isinstance(value, dict) and isinstance(values.get(last), dict):
        values[last] |= value
    else:
        values[last] = value
