"""A data set dealt: by what its files or rows declare, into folds, or into two by a hash of what the rows say.

Whoever draws by a hash of the content keeps equal texts on one side, whatever order the files are in: a text that is
trained on and tested on tells nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.corpus.reading import decode
from assay.corpus.reading.records import SPLIT_WORDS
from assay.errors import InputError
from assay.tasks.reading import source
from assay.tasks.reading.rows import OnError, Row, Rows, canonical, wanted

NAMES = ("train", "dev", "test")
_WORDS = {word: "dev" if name == "eval" else name for word, name in SPLIT_WORDS.items()}
_WORDS |= {"testa": "dev", "testb": "test", "development": "dev"}  # eng.testa and eng.testb are CoNLL-2003's
_PART = re.compile(r"-\d{4,6}-of-\d{4,6}(-[0-9a-f]{16})?$")
_INPUTS = ("context", "tokens", "messages", "source", "text")
_LABELS = ("label", "labels", "label_name", "score", "tags", "id", "idx", "guid", "split", "spans")


@dataclass(frozen=True)
class Splits:
    """What a data set declares.

    Attributes:
        parts: "train", "dev" (valid, validation), "test", those that there are.
        left_out: files, or values of the field, that are none of them.
    """

    parts: dict[str, Rows]
    left_out: tuple[str, ...] = ()


def splits(
    uris: str | Path | Sequence[str | Path],
    *,
    field: str = "split",
    format: str | None = None,
    on_error: OnError = "stop",
    column: str | int | None = None,
    encoding: str | None = None,
) -> Splits:
    """Train, dev and test of a data set: by the names of its files or folders, else by a field of its rows.

    Args:
        uris: a folder, a data set of a folder with several (`cls/sst2` for `cls/sst2.train.jsonl` and its like), files,
            hf://. See `source.rows`, also for the other arguments.
        field: of rows, says the split where no name of a file does.

    Raises:
        InputError: nothing declares a split, or a folder has several data sets.
    """
    found = _found(uris)
    names = [_split_of(file.within) for file in found]
    how: dict[str, Any] = {"format": format, "on_error": on_error, "column": column, "encoding": encoding}
    if not any(names):
        return _by_field(source.read(found, **how), field)
    stems = sorted({_stem(file.within) for file, name in zip(found, names, strict=True) if name})
    if len(stems) > 1 and isinstance(uris, str | Path):
        what = f"holds several data sets: {', '.join(stems)}"
        raise InputError(what, where=str(uris), remedy=f"name one of them: {Path(uris) / stems[0]}")
    parts = {}
    for name in NAMES:
        own = [file for file, said in zip(found, names, strict=True) if said == name]
        if own:
            parts[name] = source.read(own, **how)
    others = [decode.shown(file.path) for file, said in zip(found, names, strict=True) if said is None]
    return Splits(parts, tuple(others))


def _found(uris: str | Path | Sequence[str | Path]) -> list[source.File]:
    """Files; those of one data set where its name and no file was given."""
    if isinstance(uris, str | Path) and "://" not in str(uris):
        path = Path(uris).expanduser()
        if not path.exists() and path.parent.is_dir():
            own = [file for file in source.files(path.parent) if _stem(file.within) == path.name]
            if own:
                return own
    return source.files(uris)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"([._-])", name) if word]


def _bare(within: PurePath) -> str:
    """A file's name without its suffixes and the number of its part."""
    name = within.name
    suffix = within.suffix.lower()
    if decode.compression_of(within):
        name = within.stem
        suffix = PurePath(name).suffix.lower()
    bare = name[: -len(suffix)] if suffix and suffix[1:] not in _WORDS else name
    return _PART.sub("", bare)


def _split_of(within: PurePath) -> str | None:
    """What the file's name, or the nearest folder's, declares."""
    for word in [*reversed(_words(_bare(within).lower())), *reversed([part.lower() for part in within.parts[:-1]])]:
        if word in _WORDS:
            return _WORDS[word]
    return None


def _stem(within: PurePath) -> str:
    """What a file's name says besides its split: the data set that it is of."""
    folders = [part for part in within.parts[:-1] if part.lower() not in (*_WORDS, "data")]
    kept = [word for word in _words(_bare(within)) if word.lower() not in _WORDS]
    return "/".join(filter(None, [*folders, re.sub(r"([._-])[._-]+", r"\1", "".join(kept)).strip("._-")]))


def _by_field(rows: Rows, field: str) -> Splits:
    parts = defaultdict[str, list[Row]](list)
    for row in rows:
        said = row.fields.get(field)
        parts[str(said) if said is not None else ""].append(row)
    known = {said: _WORDS.get(said.strip().lower()) for said in parts}
    if not any(known.values()):
        where = rows[0].where
        remedy = "name files x.train.jsonl, x.dev.jsonl, x.test.jsonl, or cut the rows"
        raise InputError(f"no file's name and no field {field!r} declares a split", where=where, remedy=remedy)
    named = {
        name: rows.of(row for said, own in parts.items() if known[said] == name for row in own)
        for name in NAMES
        if name in known.values()
    }
    return Splits(named, tuple(said for said, name in known.items() if name is None))


def content(row: Row, by: Sequence[str] | None = None) -> bytes:
    """What tells whether two rows say the same, white space aside.

    Args:
        by: the fields; None: the first that is there of context, tokens, messages, source and text (so all questions
            about a text stay together), else all that are no label, number or place.
    """
    fields = row.fields
    if by is not None:
        held = [wanted(fields, name, row.where) for name in by]
    else:
        name = next((name for name in _INPUTS if name in fields), None)
        held = [fields[name]] if name else [value for key, value in sorted(fields.items()) if key not in _LABELS]
    return canonical([" ".join(value.split()) if isinstance(value, str) else value for value in held])


def cut(
    rows: Rows, share: float, seed: int = 0, *, by: Sequence[str] | None = None, group: str | None = None
) -> tuple[Rows, Rows]:
    """The rows in two: (the rest, about `share` of the different texts). Equal texts never straddle the cut, and where
    a row goes does not depend on the order of the rows.

    Args:
        share: in (0, 1).
        by: see `content`.
        group: a field; rows of one value of it stay together.

    Raises:
        InputError: the share is none, or there are too few different texts.
    """
    if not 0 < share < 1:
        raise InputError(f"a share of {share}", remedy="use one between 0 and 1, such as 0.1")
    keys = _keys(rows, seed, by, group)
    distinct = np.unique(keys)
    if len(distinct) < 2:
        raise InputError("fewer than two different texts: they cannot be cut", remedy="give more rows")
    # By rank, not by a threshold, so that a small set has its share, too: its keys are as good as random.
    taken = min(len(distinct) - 1, max(1, round(share * len(distinct))))
    chosen = keys < distinct[taken]
    return tuple(rows.of(row for row, one in zip(rows, chosen, strict=True) if one == side) for side in (False, True))  # type: ignore[return-value]


def folds(
    rows: Rows, k: int, seed: int = 0, *, label: str | None = None, group: str | None = None,
    by: Sequence[str] | None = None,
) -> list[tuple[Rows, Rows]]:  # fmt: skip
    """`k` times (the other folds, the fold): every row is in one fold.

    Rows of equal texts, or of one group, are in one fold; labels are spread as evenly as that allows: group by group,
    the largest first, into the fold that has the least of its labels.

    Args:
        label: the field of a label, or of a list of labels.
        group, by: see `cut`.

    Raises:
        InputError: fewer groups than folds, or no such field.
    """
    keys = _keys(rows, seed, by, group)
    groups, of_row, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    if k < 2 or len(groups) < k:
        what = f"{len(groups)} different texts or groups make no {k} folds"
        raise InputError(what, remedy="use fewer folds, at least 2")
    labels = [_labels(row, label) for row in rows]
    numbers: dict[Hashable, int] = {}
    for _, said in sorted({repr(x): x for own in labels for x in own}.items()):
        numbers[said] = len(numbers)
    counts = np.zeros((len(groups), max(1, len(numbers))))
    for place, own in zip(of_row, labels, strict=True):
        for one in own:
            counts[place, numbers[one]] += 1
    weights = 1.0 / np.maximum(counts.sum(axis=0), 1)
    held, filled = np.zeros((k, counts.shape[1])), np.zeros(k)
    fold = np.zeros(len(groups), dtype=np.int64)
    for one in np.lexsort((groups, -sizes)):
        cost = (held * (counts[one] * weights)).sum(axis=1)
        fold[one] = np.lexsort((np.arange(k), filled, np.round(cost, 12)))[0]
        held[fold[one]] += counts[one]
        filled[fold[one]] += sizes[one]
    place = fold[of_row]
    return [
        (
            rows.of(r for r, f in zip(rows, place, strict=True) if f != i),
            rows.of(r for r, f in zip(rows, place, strict=True) if f == i),
        )
        for i in range(k)
    ]


def _keys(rows: Rows, seed: int, by: Sequence[str] | None, group: str | None) -> npt.NDArray[np.uint64]:
    """(rows,) equal where rows must stay together, else as good as random."""
    texts = _hashed(rows, seed, by)
    if group is None:
        return texts
    # Equal texts join the groups that they are in: rows and groups are nodes, what holds together is one key.
    numbers = [np.unique(keys, return_inverse=True)[1] for keys in (texts, _hashed(rows, seed, [group]))]
    n = int(numbers[0].max(initial=-1)) + 1
    size = n + int(numbers[1].max(initial=-1)) + 1
    links = coo_array((np.ones(len(rows), dtype=np.int8), (numbers[0], n + numbers[1])), shape=(size, size))
    part = connected_components(links, directed=False)[1][numbers[0]]
    least = np.full(int(part.max(initial=-1)) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, part, texts)
    return np.asarray(least[part])


def _hashed(rows: Rows, seed: int, by: Sequence[str] | None) -> npt.NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(content(row, by), seed=seed) for row in rows], dtype=np.uint64)


def _labels(row: Row, label: str | None) -> list[Hashable]:
    if label is None:
        return []
    value = wanted(row.fields, label, row.where)
    found = value if isinstance(value, list | tuple) else [value]
    return [one if isinstance(one, Hashable) else repr(one) for one in found]
