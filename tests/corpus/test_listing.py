"""Listing: what is read below a folder and what is not, and the label and split that names give."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay.corpus.reading.listing import Listing, listing
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"text": name}) + "\n")
    return root


def labels(made: Listing) -> dict[str, tuple[str, str | None]]:
    return {file.origin: (file.label, file.split) for file in made.files}


def told(made: Listing) -> dict[str, str]:
    assert all(set(reason) == {"en", "zh"} and all(reason.values()) for _, reason in made.skipped)
    return {origin: reason["en"] for origin, reason in made.skipped}


def test_the_folders_of_studies_are_never_read(tmp_path: Path) -> None:
    put(tmp_path / "texts", "a.jsonl", "mine/claims.json", "old/study.json", "old/.lock", "old/results.json")
    put(tmp_path / "texts", "notes/study.json")
    (tmp_path / "link").symlink_to(tmp_path / "texts" / "mine")
    made = listing([str(tmp_path / "texts")], without=tmp_path / "link")
    assert [file.origin for file in made.files] == ["a.jsonl", "notes/study.json"]
    assert told(made) == {"mine": "the folder of a study", "old": "the folder of a study"}
    for out in (tmp_path / "texts" / "old", tmp_path / "texts" / "mine"):
        with pytest.raises(InputError, match="folder of a study"):
            listing([str(out)], without=tmp_path / "link")


def test_results_below_the_sources_do_not_change_the_corpus(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl")
    before = open_sources([str(tmp_path)], ReadOptions(), without=tmp_path / "out").fingerprint()
    put(tmp_path, "out/results.json")
    assert open_sources([str(tmp_path)], ReadOptions(), without=tmp_path / "out").fingerprint() == before


@pytest.mark.parametrize(
    ("files", "roots", "expected"),
    [
        pytest.param(
            ["news/train/a.jsonl", "news/test/b.jsonl", "law/x/dev/y/c.jsonl", "test/d/e.valid.jsonl"],
            ["."],
            {
                "news/train/a.jsonl": ("news", "train"),
                "news/test/b.jsonl": ("news", "test"),
                "law/x/dev/y/c.jsonl": ("law", "eval"),
                "test/d/e.valid.jsonl": ("d", "eval"),
            },
            id="any folder on the way",
        ),
        pytest.param(
            ["news/train/a.jsonl", "news/test/b.jsonl", "law/train/a.jsonl", "news/test/test.jsonl"],
            ["news/test"],
            {"b.jsonl": ("b", "test"), "test.jsonl": ("news", "test")},
            id="the name of the root",
        ),
        pytest.param(
            ["news/train/a.jsonl", "news/test/b.jsonl", "law/train/a.jsonl", "news/test/test.jsonl"],
            ["news/train", "news/test", "law/train"],
            {
                "news/train/a.jsonl": ("news", "train"),
                "news/test/b.jsonl": ("news", "test"),
                "news/test/test.jsonl": ("news", "test"),
                "law/train/a.jsonl": ("law", "train"),
            },
            id="several roots, labelled by their parents",
        ),
    ],
)
def test_the_nearest_folder_declares_the_split(
    tmp_path: Path, files: list[str], roots: list[str], expected: dict[str, tuple[str, str]]
) -> None:
    put(tmp_path / "s", *files)
    assert labels(listing([str(tmp_path / "s" / root) for root in roots])) == expected


def test_named_files_of_one_stem_are_told_apart_by_their_suffix(tmp_path: Path) -> None:
    put(tmp_path / "n", "news.jsonl", "news.csv", "law.train.jsonl", "law.valid.jsonl")
    made = listing([str(tmp_path / "n" / name) for name in ("news.jsonl", "news.csv")])
    assert {file.label for file in made.files} == {"news.jsonl", "news.csv"}
    declared = listing([str(tmp_path / "n" / name) for name in ("law.train.jsonl", "law.valid.jsonl")])
    assert sorted(labels(declared).values()) == [("law", "eval"), ("law", "train")]


def test_roots_inside_each_other_are_read_once(tmp_path: Path) -> None:
    put(tmp_path / "news", "train/a.jsonl", "test/b.jsonl")
    made = listing([str(tmp_path / "news" / "train"), str(tmp_path / "news")])
    assert labels(made) == {"news/train/a.jsonl": ("news", "train"), "news/test/b.jsonl": ("news", "test")}


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "b.jsonl", "deep/c.jsonl")
    put(tmp_path / "texts", "a.jsonl", "z/d.jsonl")
    for name, target in (("far", tmp_path / "elsewhere"), ("loop", tmp_path / "texts"), ("also-z", "z")):
        (tmp_path / "texts" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "texts" / "nowhere.txt").symlink_to("nothing")
    (tmp_path / "texts" / "self.txt").symlink_to("self.txt")
    made = listing([str(tmp_path / "texts")])
    assert {file.origin for file in made.files} == {"a.jsonl", "z/d.jsonl", "far/b.jsonl", "far/deep/c.jsonl"}
    assert set(told(made)) == {"loop", "also-z", "far/deep/up", "nowhere.txt", "self.txt"}


def refusing(monkeypatch: pytest.MonkeyPatch, owner: Any, call: str, name: str) -> None:
    """Let one call of the operating system refuse what is called `name` (root may read everything)."""
    real: Callable[..., Any] = getattr(owner, call)

    def refuse(path: Any, *rest: Any, **more: Any) -> Any:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(owner, call, refuse)


@pytest.mark.parametrize(("owner", "call", "name"), [(os, "scandir", "shut"), (Path, "open", "b.txt")])
def test_what_may_not_be_read_is_an_error_or_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, call: str, name: str
) -> None:
    put(tmp_path, "a.txt", "shut/c.txt", "shut/b.txt")
    refusing(monkeypatch, owner, call, name)
    with pytest.raises(InputError, match="cannot be read \\(Permission denied\\)") as caught:
        listing([str(tmp_path)])
    assert str(caught.value.where).endswith(name) and caught.value.remedy
    made = listing([str(tmp_path)], skip=True)
    assert "a.txt" in labels(made)
    assert list(told(made).values()) == ["cannot be read (Permission denied)"]


@pytest.mark.parametrize("uri", ["~nobody-of-this-name/texts", "a.txt/b", "nothing"])
def test_a_path_that_is_not_there_is_an_input_error(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(tmp_path, "a.txt"))
    with pytest.raises(InputError, match="no such file or folder"):
        listing([uri], skip=True)


def test_a_name_too_long_for_the_system_is_an_input_error(tmp_path: Path) -> None:
    put(tmp_path, "a.txt")
    endless = str(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="cannot be read"):
        listing([endless])
    assert told(listing([str(tmp_path), endless], skip=True)) == {endless: "cannot be read (File name too long)"}


def test_a_file_that_cannot_be_read_after_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.txt", "b.txt")
    stopping, going_on = (open_sources([str(tmp_path)], ReadOptions(on_error=how)) for how in ("stop", "skip"))
    refusing(monkeypatch, Path, "open", "b.txt")
    for work in (stopping.fingerprint, lambda: list(stopping.batches(ReadReport()))):
        with pytest.raises(InputError, match="cannot be read") as caught:
            work()
        assert caught.value.where == str(tmp_path / "b.txt")
    report = ReadReport()
    assert going_on.fingerprint()
    assert sum(batch.num_rows for batch in going_on.batches(report)) == 1
    assert report.bad_files == 1


def test_names_that_are_not_utf_8_can_be_printed_and_opened(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(raw)).write_text("text")
    Path(os.fsdecode(raw[:-3] + b"bin")).write_text("text")
    Path(os.fsdecode(raw[:-3] + b"jsonl")).write_text("broken")
    sources = open_sources([str(tmp_path)], ReadOptions(on_error="skip"))
    report = ReadReport()
    (row,) = [row for batch in sources.batches(report) for row in batch.to_pylist()]
    assert (row["origin"], row["source"]) == ("caf\\xe9.txt", "caf\\xe9")
    assert [origin for origin, _ in sources.skipped] == ["caf\\xe9.bin"]
    for text in (*report.places, *(origin for origin, _ in sources.skipped)):
        text.encode()
    named = listing([os.fsdecode(raw), os.fsdecode(raw[:-3] + b"jsonl")])
    assert {file.label for file in named.files} == {"caf\\xe9.txt", "caf\\xe9.jsonl"}


def test_two_names_that_print_alike_stay_two(tmp_path: Path) -> None:
    for name in (b"caf\xe9.jsonl", b"caf\\xe9.jsonl"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text('{"text": "the same"}\n')
    (batch,) = open_sources([str(tmp_path)], ReadOptions()).batches(ReadReport())
    assert batch.column("origin").to_pylist() == ["caf\\xe9.jsonl", "caf\\xe9.jsonl (2)"]
    assert len(set(batch.column("doc_id").to_pylist())) == 2


def test_a_named_file_is_not_judged_by_its_name(tmp_path: Path) -> None:
    put(tmp_path, "notice.jsonl", "a.jsonl")
    assert told(listing([str(tmp_path)])) == {"notice.jsonl": "no data, by its name"}
    assert labels(listing([str(tmp_path / "notice.jsonl")])) == {"notice.jsonl": ("notice", None)}


def test_an_encoding_that_was_given_is_believed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("plain words", encoding="utf-16-le")
    with pytest.raises(InputError, match="binary"):
        listing([str(tmp_path)])
    sources = open_sources([str(tmp_path)], ReadOptions(encoding="utf-16-le"))
    (batch,) = sources.batches(ReadReport())
    assert batch.column("text").to_pylist() == ["plain words"]


def test_numbered_parts_are_one_source_and_declare_the_split(tmp_path: Path) -> None:
    put(tmp_path / "tales", "data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl.gz")
    put(tmp_path / "tales", "data/test-00000-of-00001-0123456789abcdef.jsonl")
    assert set(labels(listing([str(tmp_path / "tales")])).values()) == {("tales", "train"), ("tales", "test")}
    put(tmp_path / "mix", *(f"data/新闻-{i:05}-of-00003.jsonl" for i in range(3)), "data/law.jsonl")
    assert set(labels(listing([str(tmp_path / "mix")])).values()) == {("新闻", None), ("law", None)}
    both = listing([str(tmp_path / "mix"), str(tmp_path / "tales")])
    assert {file.label for file in both.files} == {"mix", "tales"}
    one = tmp_path / "mix" / "data" / "新闻-00000-of-00003.jsonl"
    assert labels(listing([str(one)])) == {one.name: ("新闻", None)}


def test_a_folder_called_data_is_a_source_beside_others(tmp_path: Path) -> None:
    put(tmp_path, "data/a.jsonl", "law/b.jsonl")
    assert {file.label for file in listing([str(tmp_path)]).files} == {"data", "law"}


def test_a_link_to_a_file_is_read_by_the_links_own_name(tmp_path: Path) -> None:
    put(tmp_path, "store/0123abcd")
    (tmp_path / "news.jsonl").symlink_to(tmp_path / "store" / "0123abcd")
    assert labels(listing([str(tmp_path / "news.jsonl")])) == {"news.jsonl": ("news", None)}


def test_many_small_files_cost_little_each(tmp_path: Path) -> None:
    """The bytes that a listed file and its digest hold, the peak included: of two numbers of files the difference."""

    def peak(n: int) -> int:
        folder = tmp_path / str(n)
        folder.mkdir()
        for i in range(n):
            (folder / f"{i}.txt").write_text(f"text {i}\n", encoding="utf-8")
        tracemalloc.start()
        sources = open_sources([str(folder)], ReadOptions())
        sources.fingerprint()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = 5_000, 9_000
    peak(10)  # what is imported on first use
    assert (peak(many) - peak(few)) / (many - few) < 1_500
