"""hf:// sources, from a stand-in hub and from the hub's own cache: the documents of a local copy, checked."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from far_away import COMMIT, Hub, copied, rows, served

from assay.corpus.reading.remote import cache, hub, opening
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError, WorkError

pytest.importorskip("huggingface_hub", reason="needs the extra hub")


def parquet(*texts: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), sink)
    return sink.getvalue()


FILES = {
    "data/train-00000-of-00002.parquet": parquet("first", "second"),
    "data/train-00001-of-00002.parquet": parquet("third"),
    "data/validation-00000-of-00001-0123456789abcdef.parquet": parquet("维护"),
    "data/test-00000-of-00001.parquet": parquet("held out"),
    "README.md": b"---\nlicense: mit\n---\n",
    ".gitattributes": b"*.parquet lfs",
}
CONFIGS = {
    "en/train-00000-of-00001.parquet": parquet("a fox"),
    "en/test-00000-of-00001.parquet": parquet("a dog"),
    "zh/train.jsonl": '{"text": "狐狸"}\n'.encode(),
}


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(opening, "_WAITS", (0.01, 0.01))
    return tmp_path / "hub"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with served(Hub) as own:
        own.files.update(FILES)
        monkeypatch.setenv("HF_ENDPOINT", own.address)
        yield own


def contents(server: Any) -> list[str]:
    return [path for _, path, _ in server.asked if "/resolve/" in path]


@pytest.mark.parametrize("uri", ["hf://datasets/owner/tales", "hf://owner/tales", "hf://datasets/owner/tales@v1.0"])
def test_a_data_set_is_read_as_a_local_copy_is(server: Any, tmp_path: Path, uri: str) -> None:
    copy = copied(tmp_path / "owner" / "tales", FILES)
    assert rows(uri) == rows(str(copy))
    far, near = (open_sources([one], ReadOptions()) for one in (uri, str(copy)))
    assert far.fingerprint() == near.fingerprint() and far.skipped == near.skipped
    assert {(row["text"], row["source"], row["split"]) for row in rows(uri)} == {
        ("first", "tales", "train"), ("second", "tales", "train"), ("third", "tales", "train"),
        ("维护", "tales", "eval"), ("held out", "tales", "test"),
    }  # fmt: skip
    assert far.notices == ()


def test_configurations_are_sources(server: Any, tmp_path: Path) -> None:
    server.files.clear()
    server.files.update(CONFIGS)
    found = {row["text"]: (row["source"], row["split"]) for row in rows("hf://datasets/owner/tales")}
    assert found == {"a fox": ("en", "train"), "a dog": ("en", "test"), "狐狸": ("zh", "train")}
    copy = copied(tmp_path / "owner" / "tales", CONFIGS)
    for path in ("en", "en/train-00000-of-00001.parquet", "zh/train.jsonl"):
        assert rows(f"hf://datasets/owner/tales/{path}") == rows(str(copy / path))
    assert len(rows("hf://datasets/owner/tales/**/train*")) == 2
    server.asked.clear()
    assert len(rows("hf://datasets/owner/tales/en/test*.parquet")) == 1 and len(contents(server)) == 0


def test_contents_are_fetched_once_and_follow_a_redirect_without_the_token(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.token = "hf_secret"
    first = rows("hf://datasets/owner/tales")
    assert len(contents(server)) == 4
    assert rows("hf://datasets/owner/tales") == first and len(contents(server)) == 4
    server.files["data/new.jsonl"] = b'{"text": "new"}\n'
    with served() as other:
        other.files["/blob"] = server.files["data/new.jsonl"]
        path = f"/datasets/owner/tales/resolve/{COMMIT}/data/new.jsonl"
        server.redirects[path] = f"{other.address}/blob".replace("127.0.0.1", "localhost")
        assert len(rows("hf://datasets/owner/tales")) == 6
        assert [headers.get("Authorization") for _, _, headers in other.asked] == [None]


def test_a_content_that_is_not_what_its_checksum_says_is_refused(server: Any, tmp_path: Path) -> None:
    for name, kind in (("data/test-00000-of-00001.parquet", "sha256"), ("data/a.jsonl", "git")):
        server.files["data/a.jsonl"] = b'{"text": "x"}'
        server.files[name] = b"x" * len(b"another content")
        server.wrong = {name}
        with pytest.raises(WorkError, match=f"checksum \\({kind}\\)") as caught:
            rows("hf://datasets/owner/tales")
        assert caught.value.exit_code == 1 and str(caught.value.where).endswith(name)
        server.files.update(FILES)
    assert not any(path.read_bytes() == b"another content" for path in (tmp_path / "cache").rglob("*.part"))


def hub_cache(folder: Path, files: dict[str, bytes]) -> None:
    """Files as `huggingface_hub` keeps them."""
    root = folder / "datasets--owner--tales"
    for name in ("refs", "blobs"):
        (root / name).mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    for name, data in files.items():
        blob = root / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        link = root / "snapshots" / COMMIT / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)


def test_what_other_programs_fetched_is_not_fetched_again(server: Any, own_caches: Path, tmp_path: Path) -> None:
    some = {name: data for name, data in FILES.items() if "train" in name}
    hub_cache(own_caches, some)
    assert rows("hf://datasets/owner/tales") == rows(str(copied(tmp_path / "owner" / "tales", FILES)))
    assert len(contents(server)) == 2


def test_without_a_network_the_hubs_cache_is_read_and_that_is_said(
    server: Any, own_caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_cache(own_caches, FILES)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sources = open_sources(["hf://datasets/owner/tales"], ReadOptions())
    assert [row for batch in sources.batches(ReadReport()) for row in batch.to_pylist()] == rows(
        str(copied(tmp_path / "owner" / "tales", FILES))
    )
    assert not server.asked
    (notice,) = sources.notices
    assert "only a part" in notice["en"] and "一部分" in notice["zh"]
    with pytest.raises(InputError, match="not in the hub's cache"):
        rows("hf://datasets/owner/others")


def test_a_part_of_the_hubs_cache_by_its_link_is_read_by_the_links_name(own_caches: Path) -> None:
    hub_cache(own_caches, FILES)
    link = own_caches / "datasets--owner--tales" / "snapshots" / COMMIT / "data" / "test-00000-of-00001.parquet"
    assert [row["text"] for row in rows(str(link))] == ["held out"]


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("hf://datasets/owner/nothing", "no such data set, or it is private"),
        ("hf://datasets/owner/tales@v9", "no revision v9"),
        ("hf://datasets/owner/tales/nowhere", "no such file or folder"),
        ("hf://datasets/owner/tales/*.csv", "nothing matches"),
        ("hf://models/owner/tales", "models of the hub"),
        ("hf://tales", "names no data set"),
        ("hf://datasets/ow ner/tales", "names no data set"),
        ("hf://datasets/owner/tales@", "names no data set"),
    ],
)
def test_what_is_not_there_is_one_line(server: Any, uri: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        rows(uri)
    assert caught.value.exit_code == 2 and caught.value.remedy and caught.value.where == uri
    assert "\n" not in caught.value.line()


def test_whoever_may_not_read_it_is_told_how_to(server: Any) -> None:
    server.gated = True
    with pytest.raises(InputError, match="on request alone") as caught:
        rows("hf://datasets/owner/tales")
    assert "HF_TOKEN" in caught.value.remedy
    server.gated, server.token = False, "hf_secret"
    with pytest.raises(InputError) as caught:
        rows("hf://datasets/owner/tales")
    assert "HF_TOKEN" in caught.value.remedy and caught.value.exit_code == 2


def test_a_token_on_disk_is_not_used(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    (tmp_path / "token").write_text("hf_of_this_machine")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    rows("hf://datasets/owner/tales")
    sent = {value for _, _, headers in server.asked for key, value in headers.items() if key.lower() == "authorization"}
    assert sent == set()


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, server: Any) -> None:
    before = rows("hf://datasets/owner/tales")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WorkError, match="cannot be reached at http://127") as caught:
        rows("hf://datasets/owner/others")
    assert caught.value.exit_code == 1 and "network" in caught.value.remedy
    assert rows("hf://datasets/owner/tales") == before


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"assay\[hub\]"):
        rows("hf://datasets/owner/tales")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("hf://datasets/o/n", ("o/n", "main", "")),
        ("hf://o/n/a/b.txt", ("o/n", "main", "a/b.txt")),
        ("hf://datasets/o/n@refs%2Fconvert%2Fparquet/d", ("o/n", "refs/convert/parquet", "d")),
        ("hf://datasets/squad", ("squad", "main", "")),
        ("hf://datasets/squad@v1/plain", ("squad", "v1", "plain")),
    ],
)
def test_the_parts_of_a_uri(uri: str, parts: tuple[str, str, str]) -> None:
    assert tuple(hub.named(uri)) == parts


def test_bad_rows_are_told_by_their_uri(server: Any) -> None:
    server.files["data/a.jsonl"] = json.dumps({"text": 7}).encode()
    with pytest.raises(InputError, match="not a string") as caught:
        rows("hf://datasets/owner/tales")
    assert caught.value.where == "hf://datasets/owner/tales/data/a.jsonl:1"
