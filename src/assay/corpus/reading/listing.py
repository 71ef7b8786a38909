"""From what a person names to the files to read: folders walked in order, labels given, everything else said.

    URIs -> files and folders, each once -> for every file: read it (label, declared split) or skip it (reason)

Source labels, where no field names them:
- one folder: the first-level name below it (a subfolder, or a file's name up to its first dot); where more than
  LOOSE_FILES files with as many names lie loose in it, they are one source, named after the folder;
- one file: its name up to the first dot;
- several URIs: each is one source under its own name, but a folder that has subfolders keeps its first-level names.
  Files of one folder that differ in nothing but the suffix are told apart by it.
A part's number (`news-00000-of-00004.parquet`) is no part of the name, and a folder `data` that everything lies in
gives none: data sets of hubs are laid out so.

Split words (`train`, `valid`, `dev`, `test`...) are never labels. They declare the split, in a file's name, in the
name of any folder on the way to it, or in the name of the folder that was given; the nearest one counts:
`news.valid.jsonl`, `valid/news.jsonl` and `news/valid/a.jsonl` all belong to source `news`, and `train.jsonl` to the
folder that it is in.

Of pairs in two files of lines (`train.en`, `train.zh`), the file of the source side is listed and holds the other.

Links to folders are followed, each folder is read once. The folders of studies are never read: what a study wrote
would change the corpus that it is about.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from assay.corpus.reading import decode
from assay.corpus.reading.decode import shown
from assay.corpus.reading.records import SPLIT_WORDS
from assay.corpus.reading.running import PACKED, RUNNING
from assay.errors import InputError
from assay.present.words import Both, both

KINDS = (".txt", ".md", ".jsonl", ".json", ".csv", ".parquet", ".html", ".htm", ".warc", ".epub", ".pdf")
_TEXT = (".txt", ".md", ".jsonl", ".json", ".csv")  # kinds in which a NUL is no text; pages are known to hold some
UNPAIRED = (*RUNNING, ".warc")  # kinds that hold no pairs
LOOSE_FILES = 64
_NO_DATA = ("readme", "license", "licence", "copying", "notice", "changelog", "dataset_infos")
_STUDY = ("study.json", ".lock")  # what the folder of every study holds
_HEAD = 8192  # bytes that tell text from binary data
_PART = re.compile(r"-\d{4,6}-of-\d{4,6}(-[0-9a-f]{16})?$")  # which part of how many a file is
_DATA = "data"

Skipped = tuple[str, Both]
"""The origin of what is not read, and why."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read. `size` is in bytes on disk; `mark` tells whether it is still the file that was listed.

    `other` has the lines of the target side, where this one has those of the source side; `size` is of both."""

    path: Path
    origin: str
    label: str
    split: str | None
    kind: str
    size: int
    mark: tuple[int, int]
    other: SourceFile | None = None


@dataclass(frozen=True)
class Listing:
    files: tuple[SourceFile, ...]
    skipped: tuple[Skipped, ...]
    notices: tuple[Both, ...]


@dataclass(frozen=True)
class _How:
    """How a listing is made: whether an encoding was given, bad files are skipped, a folder is left out; where pairs
    are read, the suffixes of two files of lines."""

    encoded: bool
    skip: bool
    without: Path | None
    sides: tuple[str, ...] = ()

    def refused(self, path: str | Path, error: OSError) -> Both:
        """Why a path cannot be read, where such paths are skipped.

        Raises:
            InputError: they are not.
        """
        if not self.skip:
            raise decode.refused(path, error) from error
        why = error.strerror or str(error)
        return both("skipped.refused", why=why)

    def of_study(self, folder: Path) -> bool:
        """Whether a folder is the one to leave out, or another study's."""
        if self.without is not None and folder.resolve() == self.without:
            return True
        return all((folder / name).exists() for name in _STUDY)


def mark_of(path: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds.

    Raises:
        Changed: the file is gone.
        OSError: the operating system does not tell.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise decode.vanished(path) from error
    return found.st_size, found.st_mtime_ns


def listing(
    uris: list[str],
    *,
    encoded: bool = False,
    skip: bool = False,
    without: Path | None = None,
    copies: Mapping[Path, str] | None = None,
    pair: tuple[str, str] | None = None,
) -> Listing:
    """Everything to read below `uris`, sorted by origin.

    Args:
        uris: files and folders.
        encoded: an encoding was given, so that NUL bytes do not tell binary data from text.
        skip: what cannot be opened is skipped and said, not an error.
        without: a folder that is not entered, such as the one that results go to.
        copies: folders that stand for others, and names for those: what lies in two such of one name is one file.
        pair: pairs are read: from rows with fields of these names, or two files of lines with these suffixes.

    Raises:
        InputError: a path does not exist or cannot be read, or there is nothing to read.
    """
    sides = tuple(f".{name.lower()}" for name in pair or ())
    how = _How(encoded, skip, without.resolve() if without else None, sides)
    skipped: list[Skipped] = []
    roots = _roots(uris, how, skipped)
    files: list[SourceFile] = []
    notices: list[Both] = []
    several = len(roots) > 1
    for root, name in zip(roots, _names(roots), strict=True):
        found, left = _below(root, _prefix(root, name) if several else "", how)
        files += _labelled(root, found, name, several=several, notices=notices)
        skipped += left
    if not files:
        raise _nothing(uris, skipped)
    unique = _distinct(_each_once(files, copies or {}))
    return Listing(tuple(unique), tuple(sorted(skipped, key=lambda item: item[0])), tuple(notices))


@contextlib.contextmanager
def too_little_told(uris: Sequence[str], skipped: Sequence[Skipped]) -> Iterator[None]:
    """Where there turns out to be too little text, say of what, and what was not read. An error that names its own
    place (the budget, say) is about something else, and stays as it is."""
    try:
        yield
    except InputError as error:
        if error.where:
            raise
        more = ""
        if skipped:
            origin, why = skipped[0]
            more = f"; files that were not read: {len(skipped)}, such as {origin} ({why['en']})"
        where = ", ".join(map(shown, uris))
        raise InputError(error.what + more, where=where, remedy=error.remedy) from error


def _roots(uris: list[str], how: _How, skipped: list[Skipped]) -> list[Path]:
    roots = []
    for uri in uris:
        try:
            root = _root(uri)
            of_study = root.is_dir() and how.of_study(root)
        except OSError as error:
            skipped.append((shown(uri), how.refused(uri, error)))
            continue
        if of_study:
            remedy = "name the folder that holds the texts, or choose another --out"
            raise InputError("this is the folder of a study, not of texts", where=shown(uri), remedy=remedy)
        if how.sides and not root.is_dir() and _kind(root) == how.sides[1]:  # its pairs are listed by the other side
            root = _beside(root, how.sides[0])
        roots.append(root)
    return list(dict.fromkeys(roots))


def _root(uri: str) -> Path:
    if "://" in uri and not uri.startswith("file://"):
        raise InputError(
            "this kind of source is not known",
            where=shown(uri),
            remedy="name a file, a folder, hf://, s3:// or https://",
        )
    if not uri.strip():
        raise InputError("a source is empty", where=repr(uri), remedy="name a file or a folder (is a variable unset?)")
    path = Path(uri.removeprefix("file://"))
    with contextlib.suppress(RuntimeError):  # ~name, and there is no such person: then it is a folder's name
        path = path.expanduser()
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(uri, path) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        remedy = "write what comes out of it into a file, and name that"
        raise InputError("is a pipe or a device, not a file", where=shown(uri), remedy=remedy)
    return path.resolve() if stat.S_ISDIR(mode) else path.parent.resolve() / path.name  # a link's name says its kind


def _missing(uri: str, path: Path) -> InputError:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, 1)
    remedy = f"did you mean {shown(path.parent / near[0])}?" if near else "check the path"
    return InputError("there is no such file or folder", where=shown(uri), remedy=remedy)


def _names(roots: list[Path]) -> list[str]:
    """A name for each root: its own, with its parents' where two are equal. Roots that differ only in the split
    that they declare (news/train and news/test, news.train.jsonl and news.valid.jsonl) share one."""
    stems = [_stem(root) for root in roots]
    several = Counter(stems)
    plain = {stem for stem in stems if not any(s == stem and _declares(r) for r, s in zip(roots, stems, strict=True))}
    stems = [r if several[s] > 1 and s in plain and r.is_file() else s for r, s in zip(roots, stems, strict=True)]
    for depth in range(1, max((len(stem.parts) for stem in stems), default=0) + 1):
        names = {stem: "/".join(stem.parts[-depth:]) for stem in stems}
        if len(set(names.values())) == len(names):
            return [shown(names[stem]) for stem in stems]
    return [shown(stem) for stem in stems]


def _stem(root: Path) -> Path:
    """A root's path without what names no source: a file's suffixes, and folders that declare a split."""
    stem = root if root.is_dir() else root.with_name(_PART.sub("", root.name.split(".", 1)[0]) or root.name)
    while stem.name.lower() in SPLIT_WORDS and stem.parent.name:
        stem = stem.parent
    return stem


def _declares(root: Path) -> bool:
    return (SPLIT_WORDS.get(root.name.lower()) if root.is_dir() else _split_of(root.name)) is not None


def _prefix(root: Path, name: str) -> str:
    """What the origins below one of several roots begin with: the root's name, and what the name leaves out."""
    folder = root if root.is_dir() else root.parent
    stem = _stem(root)
    rest = folder.relative_to(stem).as_posix() if folder.is_relative_to(stem) else "."
    return f"{name}/" if rest == "." else f"{name}/{shown(rest)}/"


def _label(name: str) -> str:
    return shown(_PART.sub("", name.split(".", 1)[0]))


def _below(root: Path, prefix: str, how: _How) -> tuple[list[SourceFile], list[Skipped]]:
    """The readable files of one root, without labels, and the others with the reason."""
    if root.is_file():
        made = _examined(root, prefix + shown(root.name), how, named=True)
        return ([made], []) if isinstance(made, SourceFile) else ([], [(prefix + shown(root.name), made)])
    found: list[SourceFile] = []
    skipped: list[Skipped] = []
    for path, reason in _walk(root, how):
        origin = prefix + shown(path.relative_to(root).as_posix())
        made = reason or _examined(path, origin, how)
        if isinstance(made, SourceFile):
            found.append(made)
        else:
            skipped.append((origin, made))
    return found, skipped


def _walk(root: Path, how: _How) -> Iterator[tuple[Path, Both | None]]:
    """Everything below a folder that is no folder, and the folders that are not entered with the reason.

    Links wait until there are no other folders, so that what a link leads to keeps its own name where it has one.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = [root], deque[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        entries = _entries(folder, seen, how)
        if not isinstance(entries, list):
            yield folder, entries
            continue
        for entry in entries:
            path = folder / entry.name
            if not _is_folder(entry):
                yield path, None
            elif entry.is_symlink():
                links.append(path)
            else:
                folders.append(path)


def _entries(folder: Path, seen: set[tuple[int, int]], how: _How) -> list[os.DirEntry[str]] | Both:
    """What is in a folder, by name and without hidden things; or why it is not entered."""
    try:
        found = folder.stat()
        if (found.st_dev, found.st_ino) in seen:
            return both("skipped.again")
        seen.add((found.st_dev, found.st_ino))
        if how.of_study(folder):
            return both("skipped.study")
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        return how.refused(folder, error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where one may not look: said when it is examined
        return False


def _examined(path: Path, origin: str, how: _How, *, named: bool = False) -> SourceFile | Both:
    """A file to read, or why it is not one. A file that was `named` is not judged by its name.

    Raises:
        InputError: it was named and is no text, or it cannot be opened.
    """
    try:
        if _kind(path) in how.sides:
            return _lines(path, origin, how)
        reason = both("skipped.no_pairs") if how.sides and _kind(path) in UNPAIRED else _unreadable(path, how, named)
        if not reason:
            mark = mark_of(path)
            return SourceFile(path, origin, "", _split_of(path.name), _kind(path), mark[0], mark)
    except OSError as error:
        return how.refused(path, error)
    if named:
        remedy = f"give one of {', '.join(KINDS)}, plain, .gz or .zst"
        raise InputError(reason["en"], where=shown(path), remedy=remedy)
    return reason


def _lines(path: Path, origin: str, how: _How) -> SourceFile | Both:
    """The file of the lines of a source side, with that of their target side; or whose other side it is.

    Raises:
        InputError: it is alone.
        OSError: one of both cannot be opened.
    """
    source, target = how.sides
    if _kind(path) == target:
        return both("skipped.other_side", name=shown(_beside(path, source).name))
    files = [path, _beside(path, target)]
    for file in files:
        with file.open("rb"):
            pass
    first, second = (SourceFile(f, origin, "", _split_of(f.name), _kind(f), *_sized(f)) for f in files)
    return replace(first, size=first.size + second.size, other=second)


def _sized(path: Path) -> tuple[int, tuple[int, int]]:
    mark = mark_of(path)
    return mark[0], mark


def _beside(path: Path, suffix: str) -> Path:
    """The file of the other side: of the same name but for the suffix, plain or compressed.

    Raises:
        InputError: there is none.
    """
    stem = _plain(path).stem
    for other in sorted(path.parent.iterdir()):
        if _kind(other) == suffix and _plain(other).stem == stem and other.is_file():
            return other
    raise InputError(
        "has no file of the other side's lines beside it", where=shown(path),
        remedy=f"put {shown(stem)}{suffix} there, or name the sides of pairs by data.pair",
    )  # fmt: skip


def _plain(path: PurePath) -> PurePath:
    """The path without what says that the file is compressed."""
    return path.with_suffix("") if decode.compression_of(path) else path


def _kind(path: PurePath) -> str:
    return _plain(path).suffix.lower()


def has_kind(name: str) -> bool:
    """Whether a file of this name is of a kind that is read."""
    return bool(name) and _kind(PurePath(name)) in KINDS


def unread_by_name(path: PurePath, *, named: bool) -> Both | None:
    """Why a file is not read, as far as its name says. One that was `named` is not judged by its stem."""
    name = path.name.lower()
    if not named and any(name == word or name.startswith((f"{word}.", f"{word}-")) for word in _NO_DATA):
        return both("skipped.by_name")
    if _kind(path) not in KINDS:
        return both("skipped.kind", suffix=shown(path.suffix) or both("skipped.no_suffix"))
    return both("skipped.packed") if _kind(path) in PACKED and decode.compression_of(path) else None


def _unreadable(path: Path, how: _How, named: bool) -> Both | None:
    """Why a file is not read.

    Raises:
        OSError: it cannot be opened.
    """
    if reason := unread_by_name(path, named=named):
        return reason
    if not path.is_file():
        return both("skipped.no_file")
    with path.open("rb") as file:  # whatever its kind: what cannot be opened is told before any work is done
        head = file.read(_HEAD)
    if not head:
        return both("skipped.empty")
    plain = _kind(path) in _TEXT and not decode.compression_of(path)
    return both("skipped.binary") if plain and not how.encoded and decode.looks_binary(head) else None


def _split_of(name: str) -> str | None:
    first, *rest = name.lower().split(".")
    return next((SPLIT_WORDS[word] for word in (_PART.sub("", first), *rest) if word in SPLIT_WORDS), None)


def _labelled(
    root: Path, files: list[SourceFile], name: str, *, several: bool, notices: list[Both]
) -> list[SourceFile]:
    if root.is_file():
        return [replace(file, label=name) for file in files]
    paths = [file.path.relative_to(root) for file in files]
    if paths and all(path.parts[0] == _DATA and len(path.parts) > 1 for path in paths):
        paths = [path.relative_to(_DATA) for path in paths]
    flat = all(part.lower() in SPLIT_WORDS for path in paths for part in path.parts[:-1])
    labelled = [
        replace(
            file,
            label=name if several and flat else _first_level(path, name),
            split=file.split or _split_on_the_way(root, path),
        )
        for file, path in zip(files, paths, strict=True)
    ]
    loose = {file.label for file, path in zip(labelled, paths, strict=True) if len(path.parts) == 1}
    if len(loose) <= LOOSE_FILES:
        return labelled
    notices.append(both("notice.loose", n=len(loose), name=name))
    return [
        replace(file, label=name) if len(path.parts) == 1 else file for file, path in zip(labelled, paths, strict=True)
    ]


def _first_level(path: Path, root_name: str) -> str:
    """The first name of the path that is no split word: "train/news.jsonl" is news, "train.jsonl" the folder's."""
    for part in (*map(shown, path.parts[:-1]), _label(path.name)):
        if part.lower() not in SPLIT_WORDS:
            return part
    return root_name


def _split_on_the_way(root: Path, path: Path) -> str | None:
    """The split that the nearest folder named `train` or the like declares, the root among them."""
    words = (part.lower() for part in (*reversed(path.parts[:-1]), root.name))
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def _each_once(files: list[SourceFile], copies: Mapping[Path, str]) -> list[SourceFile]:
    """Each file once, though two of the roots lead to it: as the root that was named first has it."""
    folders: dict[Path, Path] = {}

    def of(folder: Path) -> Path:
        real = folder.resolve()
        base = next((base for base in copies if real.is_relative_to(base)), None)
        return real if base is None else Path(copies[base]) / real.relative_to(base)

    found: dict[Path, SourceFile] = {}
    for file in files:
        parent = file.path.parent
        if parent not in folders:
            folders[parent] = of(parent)
        found.setdefault(folders[parent] / file.path.name, file)
    return list(found.values())


def _distinct(files: list[SourceFile]) -> list[SourceFile]:
    """No two files with one origin: ids are made from it. A later one (by its real name) gets a number."""
    met: Counter[str] = Counter()
    made = []
    for file in sorted(files, key=lambda f: (f.origin, os.fsencode(f.path))):
        met[file.origin] += 1
        again = met[file.origin]
        made.append(file if again == 1 else replace(file, origin=f"{file.origin} ({again})"))
    return made


def _nothing(uris: list[str], skipped: list[Skipped]) -> InputError:
    where = ", ".join(map(shown, uris))
    remedy = f"give files of the kinds {' '.join(KINDS)}, plain, .gz or .zst"
    if not skipped:
        return InputError("the folder is empty", where=where, remedy=remedy)
    some = "; ".join(f"{origin}: {reason['en']}" for origin, reason in sorted(skipped, key=lambda s: s[0])[:3])
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return InputError(f"no file that can be read ({some}{more})", where=where, remedy=remedy)
