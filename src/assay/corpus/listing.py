"""From what a person names to the files to read: folders walked in order, labels given, everything else said.

    URIs -> files and folders, each once -> for every file: read it (label, declared split) or skip it
    (reason)

Source labels, where no field names them:
- one folder: the first-level name below it (a subfolder, or a file's name up to its first dot); where more
than
  LOOSE_FILES files with as many names lie loose in it, they are one source, named after the folder;
- one file: its name up to the first dot;
- several URIs: each is one source under its own name, but a folder that has subfolders keeps its first-level
names. Split words (`train`, `valid`, `dev`, `test`...) are never labels: `news.valid.jsonl` and
`valid/news.jsonl` both belong to source `news` and declare the split; `train.jsonl` belongs to the folder
that it is in.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from assay.corpus import decode
from assay.corpus.formats import SPLIT_WORDS
from assay.errors import InputError

KINDS = (".txt", ".md", ".jsonl", ".json", ".csv", ".parquet")
LOOSE_FILES = 64
_NO_DATA = ("readme", "license", "licence", "copying", "notice", "changelog", "dataset_infos")


@dataclass(frozen=True)
class SourceFile:
    """A file to read. `size` is in bytes on disk; `mark` tells whether it is still the file that was
    listed."""

    path: Path
    origin: str
    label: str
    split: str | None
    kind: str
    size: int
    mark: tuple[int, int]


@dataclass(frozen=True)
class Listing:
    files: tuple[SourceFile, ...]
    skipped: tuple[tuple[str, str], ...]  # origin, reason
    notices: tuple[dict[str, str], ...]


def mark_of(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds.

    Raises:
        InputError: the file is gone.
    """
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise decode.vanished(path) from error
    return stat.st_size, stat.st_mtime_ns


def listing(uris: list[str]) -> Listing:
    """Everything to read below `uris`, sorted by origin.

    Raises:
        InputError: a path does not exist, or there is nothing to read.
    """
    roots = list(dict.fromkeys(_root(uri) for uri in uris))
    names = _names(roots)
    files: list[SourceFile] = []
    skipped: list[tuple[str, str]] = []
    notices: list[dict[str, str]] = []
    for root, name in zip(roots, names, strict=True):
        found, left = _below(root, prefix=f"{name}/" if len(roots) > 1 else "")
        files += _labelled(root, found, name, several=len(roots) > 1, notices=notices)
        skipped += left
    if not files:
        raise _nothing(roots, skipped)
    return Listing(tuple(sorted(files, key=lambda f: f.origin)), tuple(sorted(skipped)), tuple(notices))


def _root(uri: str) -> Path:
    if "://" in uri and not uri.startswith("file://"):
        raise InputError("this kind of source is not known", where=uri, remedy="name a file or a folder")
    path = Path(uri.removeprefix("file://")).expanduser()
    if path.exists():
        return path.resolve()
    parent = path.parent if path.parent.is_dir() else None
    near = difflib.get_close_matches(path.name, [p.name for p in parent.iterdir()] if parent else [], 1)
    if near and parent:
        raise InputError("there is no such file or folder", where=uri, remedy=f"did you mean {parent / near[0]}?")
    raise InputError("there is no such file or folder", where=uri, remedy="check the path")


def _names(roots: list[Path]) -> list[str]:
    """A name for each root: its own, with its parents' where two are equal."""
    depth = 1
    while True:
        names = ["/".join(_stem(root).parts[-depth:]) for root in roots]
        if len(set(names)) == len(names) or depth > 20:
            return names
        depth += 1


def _stem(root: Path) -> Path:
    return root if root.is_dir() else root.with_name(_label(root.name) or root.name)


def _label(name: str) -> str:
    return name.split(".", 1)[0]


def _below(root: Path, prefix: str) -> tuple[list[SourceFile], list[tuple[str, str]]]:
    """The readable files of one root, without labels, and the others with the reason."""
    if root.is_file():
        reason = _unreadable(root)
        if reason:
            raise InputError(reason, where=root, remedy=f"give one of {', '.join(KINDS)}, plain, .gz or .zst")
        return [_file(root, prefix + root.name if not prefix else prefix.rstrip("/") + f"/{root.name}")], []
    found, skipped = [], []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith("."):
                continue
            origin = prefix + path.relative_to(root).as_posix()
            reason = _unreadable(path)
            if reason:
                skipped.append((origin, reason))
            else:
                found.append(_file(path, origin))
    return found, skipped


def _file(path: Path, origin: str) -> SourceFile:
    mark = mark_of(path)
    return SourceFile(path, origin, "", _split_of(path.name), _kind(path), mark[0], mark)


def _kind(path: Path) -> str:
    return (path.with_suffix("") if decode.compression_of(path) else path).suffix.lower()


def _unreadable(path: Path) -> str:
    """Why a file is not read; "" if it is."""
    name = path.name.lower()
    if any(name == word or name.startswith((f"{word}.", f"{word}-")) for word in _NO_DATA):
        return "no data, by its name"
    if _kind(path) not in KINDS:
        return f"not a kind that is read ({path.suffix or 'no suffix'})"
    if not path.is_file():
        return "not a file"
    if path.stat().st_size == 0:
        return "empty file"
    if _kind(path) != ".parquet" and not decode.compression_of(path) and decode.looks_binary(path):
        return "binary data under a text file's name"
    return ""


def _split_of(name: str) -> str | None:
    return next((SPLIT_WORDS[word] for word in name.lower().split(".") if word in SPLIT_WORDS), None)


def _labelled(
    root: Path, files: list[SourceFile], name: str, *, several: bool, notices: list[dict[str, str]]
) -> list[SourceFile]:
    if root.is_file():
        return [replace(file, label=_own_label(file, name)) for file in files]
    paths = [file.path.relative_to(root) for file in files]
    flat = all(len(path.parts) == 1 or path.parts[0].lower() in SPLIT_WORDS for path in paths)
    if several and flat:
        return [_declared(file, path, name) for file, path in zip(files, paths, strict=True)]
    labelled = [_declared(file, path, _first_level(path, root.name)) for file, path in zip(files, paths, strict=True)]
    loose = {file.label for file, path in zip(labelled, paths, strict=True) if len(path.parts) == 1}
    if len(loose) <= LOOSE_FILES:
        return labelled
    notices.append(
        {
            "en": f"{len(loose)} files lie loose in {root.name}: they are taken as one source. "
            "Put them into subfolders to tell sources apart.",
            "zh": f"{root.name} 中直接放着 {len(loose)} 个文件，按一个来源处理。要区分来源，请放进子文件夹。",
        }
    )
    return [
        replace(file, label=root.name) if len(path.parts) == 1 else file
        for file, path in zip(labelled, paths, strict=True)
    ]


def _own_label(file: SourceFile, name: str) -> str:
    return file.path.parent.name if name.lower() in SPLIT_WORDS else name


def _first_level(path: Path, root_name: str) -> str:
    """The first name of the path that is no split word: "train/news.jsonl" is news, "train.jsonl" the
    folder's."""
    for part in (*path.parts[:-1], _label(path.name)):
        if part.lower() not in SPLIT_WORDS:
            return part
    return root_name


def _declared(file: SourceFile, path: Path, label: str) -> SourceFile:
    """With the label, and the split that a first-level folder named `train` or the like declares."""
    split = file.split
    if split is None and len(path.parts) > 1:
        split = SPLIT_WORDS.get(path.parts[0].lower())
    return replace(file, label=label, split=split)


def _nothing(roots: list[Path], skipped: list[tuple[str, str]]) -> InputError:
    where = ", ".join(map(str, roots))
    remedy = f"give files of the kinds {' '.join(KINDS)}, plain, .gz or .zst"
    if not skipped:
        return InputError("the folder is empty", where=where, remedy=remedy)
    some = "; ".join(f"{origin}: {reason}" for origin, reason in skipped[:3])
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return InputError(f"no file that can be read ({some}{more})", where=where, remedy=remedy)
