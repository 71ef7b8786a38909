"""Tables kept in the cache folder: made once, made again where they are damaged, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.corpus.text.kept import Arrays, kept


class Maker:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Arrays:
        self.times += 1
        return {"numbers": np.arange(5), "names": np.array(["en", "中文"])}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(found: Arrays) -> bool:
    return found["numbers"].tolist() == [0, 1, 2, 3, 4] and found["names"].tolist() == ["en", "中文"]


def test_a_table_is_made_once_for_what_it_is_made_from(cache: Path) -> None:
    make = Maker()
    assert same(kept("table", [1, "a"], make)) and same(kept("table", [1, "a"], make))
    assert make.times == 1
    assert same(kept("table", [2, "a"], make)) and make.times == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"text", None])
def test_a_damaged_one_is_made_again(cache: Path, damage: bytes | None) -> None:
    make = Maker()
    kept("table", 1, make)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    assert same(kept("table", 1, make)) and make.times == 2
    assert same(kept("table", 1, make)) and make.times == 2


def test_a_folder_that_cannot_be_written_only_costs_time(cache: Path) -> None:
    cache.write_text("a file in its place")
    make = Maker()
    assert same(kept("table", 1, make)) and same(kept("table", 1, make)) and make.times == 2
