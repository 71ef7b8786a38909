"""Sources: what to read, how, and a stream of documents out of it.

    open_sources(URIs, options) -> listing (files, labels, what was skipped and why)
        .fingerprint()    -> one digest of all bytes and options: the address of everything built from them
        .batches(report)  -> Arrow batches of the documents contract, a few MB each; memory does not grow

A file that changed or vanished between the listing and the reading is an error: the fingerprint would lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa

from assay.corpus import documents
from assay.corpus.reading import builtin, decode, formats, html, parallel, parquet, records
from assay.corpus.reading.listing import Skipped, SourceFile, listing, mark_of
from assay.corpus.reading.remote import opening as remote
from assay.errors import AssayError, InputError
from assay.present.words import Both, both
from assay.recipe.sections import CorpusRecipe
from assay.store import file_digest, fingerprint

_PLACES = 20
_AT_ONCE = 4096  # files whose digests are asked for at a time
Told = TypeVar("Told", bound=AssayError)


@dataclass(frozen=True)
class ReadOptions:
    """How files become documents."""

    source_field: str | None = None
    """Field whose value is the source label; None: labels come from file and folder names."""
    text_field: str | None = None
    """Field that holds the text, or several to be joined (question+choices); None: the first usual name that is there
    (text, content, body, ...)."""
    split_field: str | None = "split"
    """Field that may declare a split (train, valid, validation, dev, eval, test); None: ignored."""
    encoding: str | None = None
    """Encoding of text, CSV, JSON and HTML files; None, or "auto": of each file what a byte-order mark says, of a page
    what it says itself, else UTF-8, else what its bytes look like."""
    on_error: Literal["stop", "skip"] = "stop"
    """What a bad row or file does: end the reading with an error, or be skipped and counted."""
    piece_chars: int = 20_000
    """Longer texts, whatever file they are in, are cut into pieces of at most so many characters."""
    pair: tuple[str, str] | None = None
    """Documents are pairs of texts, what is read and what is to be written: the two fields that hold them, or the
    suffixes of two files of lines."""
    html: html.Extractor = "resiliparse"
    """What finds the main text of web pages: resiliparse with rules of ours, trafilatura, or both (extra `html`)."""

    @classmethod
    def of(cls, recipe: CorpusRecipe) -> ReadOptions:
        """What a recipe says of it."""
        return cls(
            source_field=recipe.source_field,
            text_field=recipe.text_field,
            encoding=recipe.encoding,
            on_error=recipe.on_error,
            html=recipe.html,
        )

    def __post_init__(self) -> None:
        if self.on_error not in ("stop", "skip"):
            raise InputError(f"on_error is {self.on_error!r}", remedy="use stop or skip")
        if self.piece_chars < 100:
            raise InputError(f"piece_chars is {self.piece_chars}", remedy="use at least 100 characters")
        if self.html not in html.EXTRACTORS:
            raise InputError(f"html is {self.html!r}", remedy=f"use one of {', '.join(html.EXTRACTORS)}")
        if self.encoding == "auto":
            object.__setattr__(self, "encoding", None)
        if self.pair is not None and (self.pair[0] == self.pair[1] or not all(self.pair)):
            raise InputError("the two sides have one name, or none", where="data.pair", remedy="name both of them")
        if self.pair is not None and self.text_field is not None:
            raise InputError("pairs have no text field", where="data.text_field", remedy="leave it out")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, UnicodeError) as error:
                raise InputError(
                    f"no encoding is called {self.encoding!r}",
                    where="--encoding",
                    remedy="use one such as gb18030, big5 or latin-1",
                ) from error


@dataclass
class ReadReport:
    """What was met on the way; filled while the batches are read.

    `bad_rows` and `bad_files` were skipped; `places` tells of the first few of them where and what was wrong.
    `detected`: the encodings of files that are not UTF-8 and say nothing of it, of the first few `[origin, encoding]`;
    `n_detected`: of how many.
    """

    documents: int = 0
    bytes: int = 0
    empty: int = 0
    bad_rows: int = 0
    bad_files: int = 0
    places: list[str] = field(default_factory=list)
    n_detected: int = 0
    detected: list[list[str]] = field(default_factory=list)

    def encoded(self, origin: str, encoding: str) -> None:
        self.n_detected += 1
        if len(self.detected) < _PLACES:
            self.detected.append([origin, encoding])

    def bad(self, error: InputError) -> None:
        if len(self.places) < _PLACES:
            place = f"{error.where}: " if error.where else ""
            self.places.append(" ".join(decode.printable(place + error.what).split()))


def met(read: Mapping[str, Any]) -> list[Both]:
    """What is to be told of a reading, by the fields of its report: rows and files that were skipped as broken, and
    encodings that were detected."""
    bad = read["bad_rows"] + read["bad_files"]
    return [*([both("notice.broken", n=bad, first=read["places"][0])] if bad else []), *encodings(read)]


def encodings(read: Mapping[str, Any]) -> list[Both]:
    """Which files are in encodings that were detected."""
    n, named = read["n_detected"], read["detected"]
    if not n:
        return []
    files, more = ", ".join(f"{origin} ({encoding})" for origin, encoding in named), n - len(named)
    return [both("notice.detected_more" if more else "notice.detected", files=files, n=n, more=more)]


@dataclass(frozen=True)
class Sources:
    """An opened list of files. Cheap: nothing but their beginnings was read."""

    files: tuple[SourceFile, ...]
    options: ReadOptions
    skipped: tuple[Skipped, ...]
    notices: tuple[Both, ...]
    builtins: Mapping[str, builtin.Choice] = field(default_factory=dict, compare=False)
    """What each built-in corpus, and each source far away, turned out to be, by its URI."""
    bases: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Folders of the cache, and what is shown instead of them."""
    known: Mapping[Path, str] = field(default_factory=dict, compare=False, repr=False)
    """Digests of files that were checked when they were opened."""
    digests: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n_bytes(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    def fingerprint(self) -> str:
        """32 hex digits of the sorted (origin, label, split, size, digest of the raw bytes) and the options.

        Raises:
            InputError: a file changed or vanished since the listing.
        """
        if not self.digests:
            with ThreadPoolExecutor(4) as pool:  # hashing releases the interpreter's lock
                for start in range(0, len(self.files), _AT_ONCE):  # there may be a million
                    some = self.files[start : start + _AT_ONCE]
                    self.digests.update(zip((file.origin for file in some), pool.map(self._digest, some), strict=True))
        rows = sorted([f.origin, f.label, f.split, f.size, self.digests[f.origin]] for f in self.files)
        options = {**asdict(self.options), **formats.readers({f.kind for f in self.files}, self.options.html)}
        return fingerprint({"files": rows, "options": options})

    def _digest(self, file: SourceFile) -> str:
        try:
            _unchanged(file)
            digest = self.known.get(file.path) or file_digest(file.path)
            if file.other is not None:
                digest = fingerprint([digest, file_digest(file.other.path)])
            _unchanged(file)
        except OSError as error:
            if self.options.on_error != "skip":
                raise decode.refused(file.path, error) from error
            return "unreadable"  # the reading will skip and count it
        return digest

    def batches(self, report: ReadReport, progress: Callable[[int], None] | None = None) -> Iterator[pa.RecordBatch]:
        """Documents in the order of the files, in batches of about 4 MB. `progress` gets the bytes read on
        disk.

        Raises:
            InputError: bad input, with file, place and remedy (unless the options say skip).
        """
        ours = any(file.kind == ".parquet" and parquet.may_be_ours(file.path) for file in self.files)
        pending = _Pending(set() if ours else None)
        done = 0
        for file in self.files:
            for row, position in self._rows(file, report):
                if not row.text or row.text.isspace():
                    report.empty += 1
                    continue
                pending.add(
                    row.text, row.source or file.label, file.origin, row.ordinal, row.split or file.split, row.own
                )
                if pending.chars >= documents.BATCH_BYTES or len(pending.texts) >= 8192:
                    yield pending.take(report)
                    if progress:
                        progress(done + position)
            done += file.size
        if pending.texts:
            yield pending.take(report)
        if progress:
            progress(done)

    def where(self, file: SourceFile) -> str:
        """The place of a file as people know it."""
        return _named(decode.shown(file.path), self.bases)

    def _rows(self, file: SourceFile, report: ReadReport) -> Iterator[tuple[formats.Row, int]]:
        options = self.options
        skip = options.on_error == "skip"

        def problem(where: str, what: str, remedy: str) -> None:
            error = _shown(InputError(what, where=where, remedy=remedy), self.bases)
            if not skip:
                raise error
            report.bad_rows += 1
            report.bad(error)

        try:
            yield from self._read(file, report, problem)
        except decode.Changed:
            raise
        except (InputError, OSError) as error:
            told = error if isinstance(error, InputError) else decode.refused(file.path, error)
            _shown(told, self.bases)
            if not skip:
                raise told from error
            report.bad_files += 1
            report.bad(told)

    def _read(self, file: SourceFile, report: ReadReport, problem: decode.Problem) -> Iterator[tuple[formats.Row, int]]:
        options = self.options
        fields = records.Fields(options.text_field, options.source_field, options.split_field, options.pair)
        how = formats.Reading(fields, options.encoding, options.html, options.piece_chars)
        _unchanged(file)
        try:
            with decode.Raw(file.path) as raw:
                try:
                    for row in _rows_of(file, raw, how, problem):
                        yield row, raw.position
                finally:
                    if raw.detected:
                        report.encoded(file.origin, raw.detected)
        except InputError:
            _unchanged(file)  # what looks like damage may be a file that is being written
            raise
        _unchanged(file)


def _rows_of(file: SourceFile, raw: decode.Raw, how: formats.Reading, problem: decode.Problem) -> Iterator[formats.Row]:
    if file.other is None:
        return formats.rows(raw, file.kind, how, problem)
    pairs = parallel.rows(raw, file.other.path, how.encoding, problem)
    return (formats.Row(number, text, None, None) for number, text in pairs)


class _Pending:
    """Rows on their way into a batch. `seen`: where some documents bring their ids, the beginnings of all."""

    def __init__(self, seen: set[int] | None) -> None:
        self.seen = seen
        self.clear()

    def clear(self) -> None:
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.origins: list[str] = []
        self.ordinals: list[int] = []
        self.splits: list[str | None] = []
        self.own: list[documents.Own | None] = []
        self.chars = 0

    def add(
        self, text: str, source: str, origin: str, ordinal: int, split: str | None, own: documents.Own | None
    ) -> None:
        self.texts.append(text)
        self.sources.append(source)
        self.origins.append(origin)
        self.ordinals.append(ordinal)
        self.splits.append(split)
        self.own.append(own)
        self.chars += len(text)

    def take(self, report: ReadReport) -> pa.RecordBatch:
        rows = self.texts, self.sources, self.origins, self.ordinals, self.splits
        made = documents.batch(*rows, self.own, self.seen)
        report.documents += made.num_rows
        report.bytes += sum(made.column("n_bytes").to_pylist())
        self.clear()
        return made


def open_sources(
    uris: list[str],
    options: ReadOptions,
    progress: Callable[[str, float, float], None] | None = None,
    *,
    without: Path | None = None,
    builtins: Mapping[str, builtin.Choice] | None = None,
) -> Sources:
    """List what is below `uris`: files, folders, `builtin:starter`, `builtin:python`, or what is far away (hf://, s3://,
    https://), which is fetched first.

    `progress` gets ("fetch", bytes done, bytes in all) while a built-in corpus is fetched, and ("remote", ...) while
    anything else is. The folder `without` is not entered, nor is any that holds a study. `builtins` are the
    `Sources.builtins` of work that goes on.

    Raises:
        InputError: a path does not exist or cannot be read, or nothing can be read there.
        WorkError: the network failed.
    """
    if not uris:
        raise InputError("no source is given", remedy="name a file or folder, or builtin:starter")
    notices: list[Both] = []
    choices: dict[str, builtin.Choice] = {}
    paths: list[str] = []
    bases: list[tuple[str, str]] = []
    known: dict[Path, str] = {}
    copies: dict[Path, str] = {}
    for uri in uris:
        before = (builtins or {}).get(uri)
        if uri.startswith("builtin:"):
            made = builtin.materialise(uri, progress, before=before)
            choices[uri] = made.choice()
            notices += made.notices
            paths.append(str(made.folder))
        elif remote.is_remote(uri):
            far = remote.materialise(uri, progress, before=before)
            choices[uri] = far.choice()
            notices += far.notices
            paths.append(str(far.path))
            bases.append(far.shown)
            known |= far.digests
            copies[far.base] = far.version
        else:
            paths.append(uri)
    skip = options.on_error == "skip"
    try:
        found = listing(
            paths, encoded=options.encoding is not None, skip=skip, without=without, copies=copies, pair=options.pair
        )
    except InputError as error:
        raise _shown(error, bases) from error
    formats.needs({file.kind for file in found.files}, options.html)
    notices += found.notices
    return Sources(found.files, options, found.skipped, tuple(notices), choices, tuple(bases), known)


def identity_of(uri: str) -> str:
    """What names a source wherever the command is given: a path becomes a whole one."""
    return uri if uri.startswith("builtin:") or remote.is_remote(uri) else str(Path(uri).resolve())


def title_of(uri: str) -> str:
    """A source's name for people."""
    return remote.title(uri) if remote.is_remote(uri) else Path(uri).name or uri


def _named(text: str, bases: Sequence[tuple[str, str]]) -> str:
    for folder, name in bases:
        text = text.replace(folder, name)
    return text


def _shown(error: Told, bases: Sequence[tuple[str, str]]) -> Told:
    """An error about a file of the cache, told of the one that it was fetched from."""
    error.what, error.remedy = _named(error.what, bases), _named(error.remedy, bases)
    error.where = _named(error.where, bases) if error.where else None
    error.args = (error.line(),)
    return error


def _unchanged(file: SourceFile) -> None:
    if file.other is not None:
        _unchanged(file.other)
    if mark_of(file.path) != file.mark:
        raise decode.Changed(
            "the file changed while it was being read",
            where=decode.shown(file.path),
            remedy="wait until nothing writes to it and run again",
        )
