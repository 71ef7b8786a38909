"""From a YAML file and `--set` to a typed recipe.

    defaults  <-  recipe.yaml  <-  --set key=value        unknown keys are refused with the nearest known name

Every field's description is its documentation; `explain` prints each value with where it came from. A recipe is a
`BaseModel`, its sections are models in it; a key is `section.name`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from assay.errors import InputError

Schema = type[BaseModel]
Recipe = TypeVar("Recipe", bound=BaseModel)


def load(
    schema: type[Recipe],
    path: Path | None,
    overrides: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    others: Mapping[str, Schema] | None = None,
) -> tuple[Recipe, dict[str, str]]:
    """A recipe, and where each value that is not a default came from (`section.key` -> origin).

    Args:
        schema: what recipe it is.
        path: a YAML file, or None.
        overrides: `key=value` strings; the value is read as YAML.
        options: values of keys that have an option of their own: `corpus.source_field` is `--source-field`. A whole
            section stands in place of the file's.
        others: what the recipes of other commands are, by the command: a key of theirs is told as such.

    Raises:
        InputError: unreadable YAML, an unknown key (with the nearest known one), or a value out of range.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        values = {}
        for key, value in _read_yaml(path, schema).items():
            _put(values, key, value, str(path))
        for key, _ in _leaves(values, {name for name, _ in _fields(schema)}):
            _check_kind(schema, key, path, others or {})
            _check_known(schema, key, f"{path}")
            origins[key] = str(path)
        origins |= {key: str(path) for key, _ in _leaves(values, ())}
    for key, value in (options or {}).items():
        if isinstance(value, dict):
            values.pop(key, None)
        _put(values, key, value)
        origins[key] = "--" + key.rsplit(".", 1)[-1].replace("_", "-")
    for override in overrides:
        key, value = _parse_override(schema, override)
        _put(values, key, value)
        origins[key] = "--set"
        origins |= {name: "--set" for name, _ in _leaves({key: value}, ())}
    try:
        return schema.model_validate(values), origins
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
        what = _PLAINLY.get(first["type"], first["msg"].lower().removeprefix("value error, "))
        raise InputError(
            f"{key}: {what} (given: {first['input']!r})",
            where=next((origins[name] for name in _upwards(key) if name in origins), path or "--set"),
            remedy=_describe(schema, key),
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


def explain(recipe: BaseModel, origins: dict[str, str]) -> list[tuple[str, Any, str]]:
    """Every value of the recipe: (key, value, where it came from and what it means)."""
    rows = []
    for key, field in _fields(type(recipe)):
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


def parse_size(text: str, what: str) -> float:
    """Bytes, such as `5e6`, `20M`, `20MB`."""
    return parse_quantity(re.sub(r"(?<=[kKmMgG])[bB]\s*$", "", text), what)


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


def _read_yaml(path: Path, schema: Schema) -> dict[str, Any]:
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
    return {name: {} if value is None and name in _sections(schema) else value for name, value in values.items()}


def _parse_override(schema: Schema, override: str) -> tuple[str, Any]:
    key, equals, raw = override.partition("=")
    key = key.strip()
    if not equals:
        raise InputError(f"{override!r} has no '='", where="--set", remedy="write key=value, e.g. train.seeds=5")
    _check_known(schema, key, "--set")
    try:
        return key, yaml.safe_load(raw)
    except yaml.YAMLError as error:
        remedy = f'put quotes around text that holds {{}}[],:#\'", e.g. {key}="..."'
        raise InputError(f"{raw!r} is not a YAML value", where=f"--set {key}", remedy=remedy) from error


def _check_kind(schema: Schema, key: str, path: Path, others: Mapping[str, Schema]) -> None:
    """Refuse a key that the recipe of another command has, and this one has not."""
    if key in dict(_fields(schema)):
        return
    for command, other in others.items():
        if key in dict(_fields(other)):
            raise InputError(
                f"{key!r} is a key of another kind of recipe", where=path, remedy=f"run {command} with this file"
            )


def _check_known(schema: Schema, key: str, where: str) -> None:
    known = [name for name, _ in _fields(schema)]
    mappings = [name for name, field in _fields(schema) if get_origin(_not_none(field.annotation)) is dict]
    if key in known or key.rpartition(".")[0] in mappings:
        return
    if key in _sections(schema):
        example = next(name for name in known if name.startswith(f"{key}."))
        raise InputError(f"{key} is a section, not a value", where=where, remedy=f"give its keys, such as {example}")
    raise InputError(f"unknown key {key!r}", where=where, remedy=f"the nearest known one is {_nearest(key, known)!r}")


def _not_none(annotation: Any) -> Any:
    """`X` of `X | None`."""
    given = [kind for kind in get_args(annotation) if kind is not type(None)]
    return given[0] if isinstance(annotation, UnionType) and len(given) == 1 else annotation


def _nearest(key: str, known: Sequence[str]) -> str:
    """The known key that is most like this one, whole or by its last part."""

    def alike(name: str) -> float:
        pairs = ((key, name), (key.rsplit(".", 1)[-1], name.rsplit(".", 1)[-1]))
        return max(difflib.SequenceMatcher(None, a, b).ratio() for a, b in pairs)

    return max(known, key=alike)


def _upwards(key: str) -> Iterator[str]:
    """The key, and the mappings and sections that it lies in: `data.weights.en`, `data.weights`, `data`."""
    while key:
        yield key
        key = key.rpartition(".")[0]


def _describe(schema: Schema, key: str) -> str:
    fields = dict(_fields(schema))
    key = next((name for name in _upwards(key) if name in fields), "")
    if not key:
        return "see --explain for all keys"
    default = fields[key].default
    usual = f"[{', '.join(map(str, default))}]" if isinstance(default, tuple) else default
    example = "" if default is None else f"; the default is {key}={usual}"
    return f"mend {key} ({fields[key].description}){example}"


def _sections(schema: Schema) -> set[str]:
    return {name.partition(".")[0] for name, _ in _fields(schema) if "." in name}


def _fields(model: Schema, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def _leaves(values: dict[str, Any], known: Collection[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys and values; the value of a known key can be a mapping itself."""
    for name, value in values.items():
        if isinstance(value, dict) and f"{prefix}{name}" not in known:
            yield from _leaves(value, known, f"{prefix}{name}.")
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
