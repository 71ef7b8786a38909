"""An artifact is whole or it does not exist, whatever happens while it is made or afterwards."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import store as store_module
from assay.errors import InputError, WorkError
from assay.store import (
    MANIFEST,
    Artifact,
    Stage,
    Store,
    canonical_json,
    damage_of,
    fingerprint,
    write_atomic,
    write_json_atomic,
    write_manifest,
)

STAGE = Stage("letters", 1)


class Maker:
    """A stage that writes two files and counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> dict[str, int]:
        self.calls += 1
        (folder / "a.txt").write_text("alpha")
        (folder / "deep").mkdir()
        (folder / "deep" / "b.bin").write_bytes(bytes(range(200)))
        return {"files": 2}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def build(store: Store, make: Callable[[Path], dict[str, int] | None]) -> Artifact:
    return store.build(STAGE, {"input": "abc"}, {"k": 1}, make)


def test_done_work_is_found_and_never_redone(store: Store) -> None:
    make = Maker()
    first, second = build(store, make), build(store, make)
    assert make.calls == 1
    assert first.path == second.path
    assert first.fingerprint == second.fingerprint
    assert second.summary == {"files": 2}
    assert second.file("a.txt").read_text() == "alpha"
    assert [p.name for p in second.files(".bin")] == ["b.bin"]
    with pytest.raises(KeyError):
        second.file("c.txt")


@pytest.mark.parametrize(
    ("stage", "inputs", "config"),
    [
        (Stage("letters", 2), {"input": "abc"}, {"k": 1}),
        (Stage("numbers", 1), {"input": "abc"}, {"k": 1}),
        (STAGE, {"input": "abd"}, {"k": 1}),
        (STAGE, {"other": "abc"}, {"k": 1}),
        (STAGE, {"input": "abc"}, {"k": 2}),
        (STAGE, {"input": "abc"}, {"k": 1, "l": None}),
    ],
)
def test_version_inputs_and_config_change_the_address(
    store: Store, stage: Stage, inputs: dict[str, str], config: dict[str, int]
) -> None:
    make = Maker()
    built = build(store, make)
    assert store.find(stage, inputs, config) is None
    other = store.build(stage, inputs, config, make)
    assert make.calls == 2
    assert other.path != built.path
    assert other.fingerprint != built.fingerprint
    assert build(store, make).path == built.path
    assert make.calls == 2


def test_the_order_of_keys_does_not_change_the_address(store: Store) -> None:
    make = Maker()
    store.build(STAGE, {"x": "1", "y": "2"}, {"a": 1, "b": [1, 2]}, make)
    store.build(STAGE, {"y": "2", "x": "1"}, {"b": [1, 2], "a": 1}, make)
    assert make.calls == 1


@pytest.mark.parametrize("failure", [RuntimeError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_in_make_leaves_nothing(store: Store, failure: BaseException) -> None:
    def make(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise failure

    with pytest.raises(type(failure)):
        build(store, make)
    assert [p for p in store.root.rglob("*") if p.is_file() or p.name.startswith(".")] == []
    assert store.find(STAGE, {"input": "abc"}, {"k": 1}) is None
    assert build(store, Maker()).summary == {"files": 2}


def test_what_a_killed_run_left_half_built_is_cleared_and_whole_artifacts_stay(store: Store) -> None:
    built = build(store, Maker())
    left_over = store.root / STAGE.name / ".staging-0123456789abcdef0123-4242"
    left_over.mkdir()
    (left_over / "half.txt").write_text("half")
    store.clear_staging()
    assert not left_over.exists()
    assert damage_of(built.path) is None


def _change_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a byte changed": lambda folder: _change_bytes(folder / "deep" / "b.bin"),
    "a file truncated": lambda folder: _truncate(folder / "a.txt"),
    "a file emptied": lambda folder: (folder / "a.txt").write_bytes(b""),
    "a file missing": lambda folder: (folder / "deep" / "b.bin").unlink(),
    "a folder missing": lambda folder: shutil.rmtree(folder / "deep"),
    "a folder in place of a file": lambda folder: _replace_by_folder(folder / "a.txt"),
    "a file in place of a folder": lambda folder: (shutil.rmtree(folder / "deep"), (folder / "deep").write_text(""))[0],
    "the manifest missing": lambda folder: (folder / MANIFEST).unlink(),
    "the manifest truncated": lambda folder: _truncate(folder / MANIFEST),
    "the manifest emptied": lambda folder: (folder / MANIFEST).write_text(""),
    "the manifest zeroed": lambda folder: (folder / MANIFEST).write_bytes(bytes(300)),
    "the manifest no text": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe\xfd"),
    "the manifest of another kind": lambda folder: (folder / MANIFEST).write_text("null"),
    "the manifest a list": lambda folder: (folder / MANIFEST).write_text("[]"),
    "the manifest without files": lambda folder: (folder / MANIFEST).write_text("{}"),
    "the manifest's files a list": lambda folder: (folder / MANIFEST).write_text('{"files": ["a.txt"]}'),
    "the manifest's entries no mappings": lambda folder: (folder / MANIFEST).write_text('{"files": {"a.txt": 5}}'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_said_once_and_mended(
    store: Store, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker()
    built = build(store, make)
    damage(built.path)
    assert damage_of(built.path) is not None
    with caplog.at_level(logging.WARNING):
        again = build(store, make)
    assert make.calls == 2
    assert len(caplog.records) == 1
    assert str(built.path) in caplog.text
    assert again.path == built.path
    assert damage_of(again.path) is None
    assert again.file("deep/b.bin").read_bytes() == bytes(range(200))


def test_an_artifact_without_its_identity_is_not_used(store: Store) -> None:
    """A manifest that fits its files and yet names nothing (another program's) is damage, too."""
    make = Maker()
    built = build(store, make)
    manifest = json.loads((built.path / MANIFEST).read_text())
    (built.path / MANIFEST).write_text(json.dumps({"files": manifest["files"]}))
    assert build(store, make).summary == {"files": 2}
    assert make.calls == 2


def test_every_file_and_folder_is_flushed_before_the_rename(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    flush, rename = store_module._fsync, os.rename

    def record_flush(path: Path) -> None:
        events.append(path.name)
        flush(path)

    def record_rename(a: Path, b: Path) -> None:
        events.append("RENAME")
        rename(a, b)

    monkeypatch.setattr(store_module, "_fsync", record_flush)
    monkeypatch.setattr(os, "rename", record_rename)
    build(store, Maker())
    before = events[: events.index("RENAME")]
    assert {"a.txt", "b.bin", "deep"} <= set(before)
    assert MANIFEST in before
    assert before.index(MANIFEST) > max(before.index("a.txt"), before.index("b.bin"))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_failed_work(store: Store, code: int) -> None:
    def make(folder: Path) -> None:
        (folder / "a.txt").write_text("alpha")
        raise OSError(code, os.strerror(code))

    with pytest.raises(WorkError, match="disk is full") as caught:
        build(store, make)
    assert caught.value.exit_code == 1
    assert caught.value.remedy
    assert "\n" not in caught.value.line()
    assert store.find(STAGE, {"input": "abc"}, {"k": 1}) is None


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_bad_input(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError) as caught:
        build(store, Maker())
    assert caught.value.exit_code == 2
    assert str(store.root) in caught.value.line()
    assert "--out" in caught.value.line()


def test_other_errors_of_the_operating_system_are_not_renamed(store: Store) -> None:
    def make(folder: Path) -> None:
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(OSError, match="input/output") as caught:
        build(store, make)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("step", ["write_bytes", "_fsync", "replace"])
def test_write_atomic_leaves_the_old_file_and_no_part_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "claims.json"
    write_atomic(path, "old")

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    def part(self: Path, data: bytes) -> None:
        with self.open("wb") as file:
            file.write(data[:2])
        full()

    with monkeypatch.context() as patch:
        if step == "write_bytes":
            patch.setattr(Path, "write_bytes", part)
        elif step == "_fsync":
            patch.setattr(store_module, "_fsync", full)
        else:
            patch.setattr(os, "replace", full)
        with pytest.raises(WorkError):
            write_atomic(path, "new content")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["claims.json"]


def test_write_json_atomic_refuses_what_json_has_not(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json_atomic(path, {"名": [1.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"名": [1.5, None]}
    with pytest.raises(ValueError):
        write_json_atomic(path, float("nan"))
    assert json.loads(path.read_text(encoding="utf-8")) == {"名": [1.5, None]}


texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json_says_the_value_and_its_fingerprint_survives_a_round_trip(value: object) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert fingerprint(json.loads(text)) == fingerprint(value)
    assert len(fingerprint(value)) == 32


def test_the_manifest_of_a_folder_names_every_file_below_it(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "z").write_bytes(b"123")
    write_manifest(tmp_path, {"stage": "s"})
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert set(manifest["files"]) == {"x/y/z"}
    assert manifest["files"]["x/y/z"]["bytes"] == 3
    assert damage_of(tmp_path) is None
