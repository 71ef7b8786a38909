"""What lies in folders is found, by ids that tell no paths; what is damaged hides nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.explore.catalog import DEPTH, Catalog


def identity(folder: Path, name: str, content: str = "{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_works_of_every_kind_are_found(workspace: Path) -> None:
    found = Catalog([workspace])
    assert {kind: sorted(entry.name for entry in found.of(kind)) for kind in ("study", "corpus", "training")} == {
        "study": ["study"], "corpus": ["kept", "scored"], "training": ["gpt", "gpt-slow"],
    }  # fmt: skip
    assert sorted(entry.name for entry in found.of("finetuning")) == ["names", "sentiment"]
    does = {entry.name: entry.does for entry in found.of("model")}
    assert does == {"gpt": "", "gpt-slow": "", "names": "tagging", "sentiment": "classification"}
    assert all(entry.finished and entry.damaged is None for entry in found.entries.values())


def test_ids_stand_for_paths_and_tell_none(workspace: Path) -> None:
    one, other = Catalog([workspace]), Catalog([workspace])
    assert list(one.entries) == list(other.entries)
    assert str(workspace) not in json.dumps([entry.told() for entry in one.entries.values()])
    entry = one.of("study")[0]
    assert one.get(entry.id, "study").path == workspace / "study"
    for wrong in ("", "../study", str(workspace / "study"), entry.id + "0"):
        with pytest.raises(InputError):
            one.get(wrong)
    with pytest.raises(InputError, match="no model"):
        one.get(entry.id, "model")


def test_damage_is_told_and_hides_nothing(tmp_path: Path) -> None:
    identity(tmp_path / "a", "study.json", "{cut")
    identity(tmp_path / "b", "study.json", "[1]")
    identity(tmp_path / "研究", "study.json")
    identity(tmp_path / "m", "config.json")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"")
    (tmp_path / "m" / "task.json").write_text("[]", encoding="utf-8")
    found = {entry.name: entry for entry in Catalog([tmp_path]).entries.values()}
    assert {name: entry.damaged for name, entry in found.items()} == {
        "a": "study.json", "b": "study.json", "研究": None, "m": "task.json",
    }  # fmt: skip
    assert not found["研究"].finished


def test_nothing_is_looked_for_too_deep_nor_round_in_circles(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*map(str, range(DEPTH)))
    identity(deep, "study.json")
    identity(deep / "more", "study.json")
    identity(deep.parent, "training.json")
    identity(deep.parent / "artifacts", "study.json")
    identity(tmp_path / ".hidden", "study.json")
    (tmp_path / "0" / "round").symlink_to(tmp_path)
    assert [entry.path for entry in Catalog([tmp_path]).entries.values()] == [deep.parent, deep]


def test_a_linked_work_is_one_work(tmp_path: Path) -> None:
    identity(tmp_path / "there" / "work", "study.json")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "work").symlink_to(tmp_path / "there" / "work")
    assert len(Catalog([tmp_path / "here"]).entries) == 1
    assert len(Catalog([tmp_path / "here", tmp_path / "there"]).entries) == 1


def test_an_empty_folder_holds_nothing_and_a_file_is_refused(tmp_path: Path) -> None:
    assert Catalog([tmp_path]).entries == {}
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder"):
        Catalog([tmp_path / "file"])


def test_what_came_since_is_found_when_looked_again(tmp_path: Path) -> None:
    found = Catalog([tmp_path])
    assert found.entries == {}
    identity(tmp_path / "new", "corpus.json")
    assert found.entries == {}
    found.refresh()
    assert [entry.kind for entry in found.entries.values()] == ["corpus"]


def test_works_of_several_folders_are_told_apart(tmp_path: Path) -> None:
    for name in ("one/study", "two/study"):
        identity(tmp_path / name, "study.json")
    found = Catalog([tmp_path / "one" / "study", tmp_path / "two" / "study", tmp_path / "two" / "study"])
    assert [entry.name for entry in found.of("study")] == ["one/study", "two/study"]
    assert [entry.name for entry in Catalog([tmp_path / "one"]).of("study")] == ["study"]
    assert [entry.name for entry in Catalog([tmp_path / "one", tmp_path / "two"]).of("study")] == [
        "one/study", "two/study",
    ]  # fmt: skip
