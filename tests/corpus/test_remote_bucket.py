"""s3:// sources, from a stand-in store (moto): the documents of a local copy, and one line for what goes wrong."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from far_away import copied, rows

from assay.corpus.reading.remote import bucket, cache, opening
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError, WorkError

boto3 = pytest.importorskip("boto3", reason="the stand-in for S3 needs moto[s3], flask and flask-cors")
moto = pytest.importorskip("moto.server", reason="the stand-in for S3 needs moto[s3], flask and flask-cors")

FILES = {
    "news/a.jsonl.gz": gzip.compress(b'{"text": "first"}\n{"text": "second"}\n', mtime=0),
    "news/test.jsonl": b'{"text": "held out"}\n',
    "law/deep/b c.txt": "第一条：本法自公布之日起施行。\n".encode(),
    "诗/唐+100%.txt": "床前明月光，疑是地上霜。\n".encode(),
    "README.md": b"no data",
    "picture.png": b"\x89PNG",
    "empty.txt": b"",
    ".hidden/c.txt": b"not to be seen",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a store that has the bucket `texts` and nothing else."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WAITS", (0.01, 0.01, 0.01))
    monkeypatch.setattr(opening, "_WAITS", (0.01, 0.01))
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for found in client.list_buckets()["Buckets"]:
        for one in client.list_objects_v2(Bucket=found["Name"]).get("Contents", []):
            client.delete_object(Bucket=found["Name"], Key=one["Key"])
        client.delete_bucket(Bucket=found["Name"])
    client.create_bucket(Bucket="texts")
    return client


def put(client: Any, files: dict[str, bytes], prefix: str = "my/corpus/") -> None:
    for name, data in files.items():
        client.put_object(Bucket="texts", Key=prefix + name, Body=data)


def test_a_prefix_is_read_as_a_local_copy_is(store: Any, tmp_path: Path) -> None:
    put(store, FILES)
    copy = copied(tmp_path / "texts" / "my" / "corpus", FILES)
    assert rows("s3://texts/my/corpus/") == rows(str(copy)) and len(rows(str(copy))) == 5
    far, near = (open_sources([uri], ReadOptions()) for uri in ("s3://texts/my/corpus", str(copy)))
    assert far.fingerprint() == near.fingerprint()
    assert far.skipped == near.skipped and len(far.skipped) == 3
    assert {(row["source"], row["split"]) for row in rows("s3://texts/my/corpus")} == {
        ("news", None), ("news", "test"), ("law", None), ("诗", None),
    }  # fmt: skip


def test_several_prefixes_and_a_key_are_read_as_local_copies_are(store: Any, tmp_path: Path) -> None:
    put(store, FILES, "one/part/")
    put(store, {"a.txt": b"some text", "b.txt": b"more of it"}, "two/part/")
    copied(tmp_path / "texts" / "one" / "part", FILES)
    copied(tmp_path / "texts" / "two" / "part", {"a.txt": b"some text", "b.txt": b"more of it"})
    names = ("one/part", "two/part", "one/part/law/deep/b c.txt")
    assert rows(*(f"s3://texts/{name}" for name in names)) == rows(*(str(tmp_path / "texts" / n) for n in names))


def test_a_whole_bucket_and_a_pattern(store: Any) -> None:
    put(store, FILES, "")
    assert len(rows("s3://texts")) == len(rows("s3://texts/")) == 5
    assert {row["text"] for row in rows("s3://texts/news/*.jsonl")} == {"held out"}
    assert {row["source"] for row in rows("s3://texts/**/*.txt")} == {"law", "诗"}
    with pytest.raises(InputError, match=r"nothing matches \*\.csv"):
        rows("s3://texts/news/*.csv")


def test_objects_are_fetched_once_and_anew_when_they_change(store: Any, tmp_path: Path) -> None:
    put(store, FILES)
    before = open_sources(["s3://texts/my/corpus"], ReadOptions()).fingerprint()
    files = tmp_path / "cache" / "remote" / "files"
    times = {path: path.stat().st_mtime_ns for path in files.iterdir()}
    assert open_sources(["s3://texts/my/corpus"], ReadOptions()).fingerprint() == before
    put(store, {"news/test.jsonl": b'{"text": "HELD OUT"}\n'})
    assert open_sources(["s3://texts/my/corpus"], ReadOptions()).fingerprint() != before
    assert {path: path.stat().st_mtime_ns for path in files.iterdir() if path in times} == times
    assert len(list(files.iterdir())) == len(times) + 1
    assert "HELD OUT" in {row["text"] for row in rows("s3://texts/my/corpus")}


def test_what_is_of_no_kind_is_not_fetched(store: Any, tmp_path: Path) -> None:
    put(store, {**FILES, "video.mp4": b"\0" * 1_000_000})
    rows("s3://texts/my/corpus")
    sizes = [path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert max(sizes) < 10_000


def test_a_large_object_is_gone_on_with_where_it_was_cut_off(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b'{"text": "line %d"}\n' % i for i in range(100_000))
    put(store, {"big.jsonl": data})
    monkeypatch.setattr(bucket, "BLOCK", 1 << 18)
    begun: list[int] = []
    real = bucket.Bucket.begin

    def weak(self: Any, one: Any, offset: int) -> Any:
        begun.append(offset)
        start, blocks = real(self, one, offset)

        def cut() -> Iterator[bytes]:
            yield next(blocks)
            if len(begun) < 3:
                raise opening.Unreached("cut")
            yield from blocks

        return start, cut()

    monkeypatch.setattr(bucket.Bucket, "begin", weak)
    made = open_sources(["s3://texts/my/corpus"], ReadOptions())
    assert made.files[0].path.read_bytes() == data
    assert begun == [0, 1 << 18, 2 << 18]


def test_an_object_that_changes_while_it_is_fetched_is_not_mixed(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, {"a.txt": b"old " * 100})
    real = bucket.Bucket._unchanged
    monkeypatch.setattr(
        bucket.Bucket, "_unchanged", lambda self, one: (put(store, {"a.txt": b"new " * 100}), real(self, one))
    )
    with pytest.raises(InputError, match="changed while it was fetched"):
        rows("s3://texts/my/corpus")


REFUSED = {
    "s3://nowhere/a": ("no such bucket", "AWS_ENDPOINT_URL"),
    "s3://texts/nothing": ("nothing of this name", "spelling"),
    "s3://texts/nothing.jsonl": ("nothing of this name", "spelling"),
    "s3://": ("names no bucket", "s3://BUCKET"),
    "s3://a b/c": ("names no bucket", "s3://BUCKET"),
}


@pytest.mark.parametrize("uri", REFUSED)
def test_what_is_not_there_is_one_line(store: Any, uri: str) -> None:
    what, remedy = REFUSED[uri]
    with pytest.raises(InputError) as caught:
        rows(uri)
    error = caught.value
    assert error.exit_code == 2 and what in error.what and remedy in error.remedy
    assert error.where == uri and "\n" not in error.line()


def test_whoever_has_no_credentials_reads_what_is_public(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, {"a.txt": b"for all"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match="does not let it be read") as caught:
        rows("s3://texts/my/corpus/a.txt")
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy and caught.value.exit_code == 2
    store.put_object_acl(Bucket="texts", Key="my/corpus/a.txt", ACL="public-read")
    assert [row["text"] for row in rows("s3://texts/my/corpus/a.txt")] == ["for all"]


def test_a_store_that_does_not_answer_is_an_error_of_the_network(
    store: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, FILES)
    before = rows("s3://texts/my/corpus")
    monkeypatch.setattr(bucket, "_TRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(WorkError, match="cannot be reached") as caught:
        rows("s3://texts/my")
    assert caught.value.exit_code == 1 and "run again" in caught.value.remedy and caught.value.where == "s3://texts/my"
    sources = open_sources(["s3://texts/my/corpus"], ReadOptions())  # this one was fetched before
    assert [row for batch in sources.batches(ReadReport()) for row in batch.to_pylist()] == before
    assert "fetched before" in sources.notices[0]["en"]


@pytest.mark.parametrize("name", ["../up.txt", "a//b.txt", "./c.txt"])
def test_keys_that_are_no_names_of_files_stay_outside(store: Any, tmp_path: Path, name: str) -> None:
    put(store, {name: b"some text", "good.txt": b"good"})
    with pytest.raises(InputError, match="cannot be a file's"):
        rows("s3://texts/my/corpus")
    assert not list(tmp_path.rglob("up.txt"))


def test_a_key_that_is_also_a_folder(store: Any) -> None:
    put(store, {"a.txt": b"some text", "a.txt/b.txt": b"more", "c.txt": b"others"})
    with pytest.raises(InputError, match="object and of a folder"):
        rows("s3://texts/my/corpus")
    assert [row["text"] for row in rows("s3://texts/my/corpus/c.txt")] == ["others"]


def test_bad_rows_are_told_by_their_uri(store: Any) -> None:
    put(store, {"a.jsonl": json.dumps({"text": 7}).encode()})
    with pytest.raises(InputError, match="not a string") as caught:
        rows("s3://texts/my/corpus")
    assert caught.value.where == "s3://texts/my/corpus/a.jsonl:1"
