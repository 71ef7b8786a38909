"""Word vectors on disk.

    folder/vectors.safetensors   `vectors` (words, width), and of FastText `subwords` (buckets, width)
    folder/words.txt             a word a line, in the order of the rows
    folder/config.json           how they were learned; written last: without it a folder holds no vectors
    folder/vectors.txt           on demand: a word and its numbers a line, as word2vec writes them

`load` reads such a folder, or a text file of word2vec's kin, GloVe's among them, which has no first line of counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from assay.errors import InputError
from assay.models.vectors.config import VectorsConfig
from assay.models.vectors.values import Subwords, WordVectors

TENSORS, WORDS, CONFIG, TEXT = "vectors.safetensors", "words.txt", "config.json", "vectors.txt"
KIND = "word vectors"


def save(vectors: WordVectors, folder: Path, text: bool = False) -> None:
    """Write a folder. Each file takes its name once it is whole, and the config is the last.

    Args:
        text: write vectors.txt too, as word2vec does, for other programs.

    Raises:
        InputError: a word holds a line break, or with `text` a space.
    """
    for word in vectors.words:
        if "\n" in word or (text and " " in word):
            raise InputError(f"the word {word!r} cannot stand in a list of words", remedy="leave it out")
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {"vectors": np.ascontiguousarray(vectors.vectors, dtype=np.float32)}
    stated: dict[str, Any] = {"kind": KIND, "config": asdict(vectors.config) if vectors.config else None}
    if vectors.subwords is not None:
        tensors["subwords"] = np.ascontiguousarray(vectors.subwords.table, dtype=np.float32)
        stated["subwords"] = {"shortest": vectors.subwords.shortest, "longest": vectors.subwords.longest}
    listed = "".join(f"{word}\n" for word in vectors.words)
    _write(folder / TENSORS, lambda path: save_file(tensors, path))
    _write(folder / WORDS, lambda path: path.write_bytes(listed.encode()))
    if text:
        _write(folder / TEXT, lambda path: save_text(vectors, path))
    _write(folder / CONFIG, lambda path: path.write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8"))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}.part")
    write(part)
    part.replace(path)


def save_text(vectors: WordVectors, path: Path) -> None:
    """A text file as word2vec writes it: counts, then a word and its numbers a line. What is composed of pieces of
    words is not in it."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{len(vectors.words)} {vectors.width}\n")
        for word, vector in zip(vectors.words, vectors.vectors, strict=True):
            file.write(f"{word} {' '.join(f'{x:.8g}' for x in vector)}\n")


def load(path: Path) -> WordVectors:
    """The vectors of a folder that `save` wrote, or of a text file.

    Raises:
        InputError: it is neither, or it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path)
    try:
        return load_text(path)
    except FileNotFoundError:
        raise InputError("does not exist", where=path, remedy="name a folder or file of word vectors") from None
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text", where=path, remedy="give word vectors as a folder or as text") from error


def _load_folder(folder: Path) -> WordVectors:
    remedy = "give a whole folder of word vectors"
    try:
        stated = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        listed = (folder / WORDS).read_bytes().decode().split("\n")[:-1]
        tensors = load_file(folder / TENSORS)
    except FileNotFoundError as error:
        name = Path(error.filename).name if error.filename else TENSORS
        raise InputError(f"holds no word vectors: it has no {name}", where=folder, remedy=remedy) from None
    except ValueError as error:  # no JSON, no UTF-8
        raise InputError(f"is damaged ({error})", where=folder, remedy=remedy) from error
    except Exception as error:  # safetensors raises a type of its own
        if type(error).__name__ != "SafetensorError":
            raise
        raise InputError(f"cannot be read as safetensors ({error})", where=folder / TENSORS, remedy=remedy) from error
    if not isinstance(stated, dict) or stated.get("kind") != KIND:
        raise InputError("is not of word vectors", where=folder / CONFIG, remedy=remedy)
    table = tensors.get("vectors")
    if table is None or table.ndim != 2 or len(table) != len(listed):
        shape = "no vectors" if table is None else f"vectors of shape {table.shape}"
        raise InputError(f"{shape} for {len(listed)} words", where=folder / TENSORS, remedy=remedy)
    try:
        subwords = Subwords(tensors["subwords"], **stated["subwords"]) if "subwords" in stated else None
        config = VectorsConfig(**stated["config"]) if stated.get("config") else None
    except (KeyError, TypeError) as error:
        raise InputError(f"does not fit its vectors ({error})", where=folder / CONFIG, remedy=remedy) from error
    if subwords is not None and subwords.table.shape[1:] != table.shape[1:]:
        shapes = f"pieces of words of shape {subwords.table.shape} beside vectors of shape {table.shape}"
        raise InputError(shapes, where=folder / TENSORS, remedy=remedy)
    return WordVectors(listed, table, subwords, config)


def load_text(path: Path) -> WordVectors:
    """What `save_text` or word2vec wrote, or GloVe, which writes no counts.

    Raises:
        InputError: a line does not hold a word and as many finite numbers as the first one, or there are fewer or
            more lines than the first one says.
    """
    words: list[str] = []
    rows: list[np.ndarray] = []
    counts: tuple[int, int] | None = None
    remedy = "give a file of word vectors"
    with path.open(encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, 1):
            word, *rest = line.rstrip("\n").rstrip(" ").split(" ")
            if number == 1 and len(rest) == 1 and word.isdigit() and rest[0].isdigit():
                counts = int(word), int(rest[0])
                continue
            try:
                row = np.array(rest, dtype=np.float32)
            except ValueError:
                row = np.zeros(0, dtype=np.float32)
            width = counts[1] if counts else len(rows[0]) if rows else len(row)
            if not len(row) or len(row) != width or not np.isfinite(row).all():
                raise InputError("no word and its numbers", where=f"{path}:{number}", remedy=remedy)
            words.append(word)
            rows.append(row)
    if not words:
        raise InputError("holds no vectors", where=path, remedy=remedy)
    if counts and counts[0] != len(words):
        raise InputError(f"says {counts[0]} words and holds {len(words)}", where=path, remedy="fetch it again")
    return WordVectors(words, np.stack(rows))
