"""`assay corpus profile`, from the command line on: page, numbers and card of small corpora."""

from __future__ import annotations

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.corpora import advice, card, verbs
from assay.corpora.profiling import rounded
from assay.corpus.cleaning import personal
from assay.present.words import words
from command import Say, one_line, write_texts

SCRIPT = "<script>alert('boo')</script><img src=x onerror=alert(1)> & \"quoted\" "
PRIVATE = ["joe.bloggs@example.org", "415-555-2671", "13812345678", "11010519491231002X"]
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """The tags of a page, which must match, its ids, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), f"<{tag}> has an attribute twice"
        assert not any(name.startswith("on") for name in given)
        self.tags.append(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def checked(out: str = "profile") -> tuple[str, Page, dict[str, Any]]:
    """The page, sound and safe, and the numbers."""
    html = Path(out, "profile.html").read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert set(anchors) <= set(page.ids)
    assert {link for link in page.links if not link.startswith(("#", "data:"))} == {"profile.json"}
    assert page.tags.count("script") == 1
    for text in (html, Path(out, "profile.json").read_text(encoding="utf-8"), Path(out, "README.md").read_text()):
        assert not any(secret in text for secret in PRIVATE)
    assert "None" not in page.texts and "nan" not in page.texts
    return html, page, json.loads(Path(out, "profile.json").read_text(encoding="utf-8"))


def write_rows(path: str, texts: list[str]) -> str:
    lines = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    Path(path).write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sources: two of made-up English, Chinese, and one with copies, script, personal data and odd files."""
    folder = write_texts(tmp_path_factory.mktemp("corpus") / "texts", 40)
    draw = random.Random(2)
    letters = [json.loads(line)["text"] for line in (folder / "letters.jsonl").read_text().splitlines()]
    han = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈"
    chinese = ["".join(draw.choices(han, k=draw.randint(60, 500))) + "。" for _ in range(50)]
    write_rows(str(folder / "中文 <b>&amp;.jsonl"), [*chinese, chinese[0], chinese[0]])
    private = [f"{SCRIPT} {i}: {' '.join(PRIVATE)} 手机13812345678。" for i in range(3)]
    write_rows(str(folder / "web.jsonl"), [*letters[:10], *private, "short", "", *chinese[:3]])
    (folder / "notes.docx").write_bytes(b"PK\x03\x04")
    return folder


@pytest.fixture(scope="module")
def scored(mixed: Path) -> Path:
    out = mixed.with_name("scored")
    verbs.scan(verbs.Request([str(mixed)], out, quiet=True))
    return out


def test_a_profile_is_a_page_numbers_and_a_card(say: Say, scored: Path) -> None:
    code, out, _ = say("corpus", "profile", scored, "--out", "profile", "--json", "--license", "cc-by-4.0")
    assert code == 0
    html, page, numbers = checked()
    assert json.loads(out) == numbers
    assert (numbers["documents"], numbers["n_sources"], numbers["reading"]["empty"]) == (149, 4, 1)
    assert numbers["reading"]["files"][0][0].endswith("notes.docx")
    assert "notes.docx" in "".join(page.texts)
    sources = {source["name"]: g for g, source in enumerate(numbers["sources"])}
    web, letters, chinese = sources["web"], sources["letters"], sources["中文 <b>&amp;"]
    overlap = numbers["copies"]["overlap"]
    assert (overlap[web][letters], overlap[letters][web]) == (10, 10)
    assert (overlap[web][chinese], overlap[chinese][web], overlap[chinese][chinese]) == (3, 5, 3)
    assert numbers["private"]["affected"] == numbers["private"]["sources"][web]["affected"] == 3
    assert numbers["private"]["kinds"]["email"] == {"findings": 3, "documents": 3}
    told = {advice["see"] for advice in numbers["advice"]}
    assert {"private", "copies"} <= told
    assert "<EMAIL>" not in html and "&lt;EMAIL&gt;" in html  # what is shown of them is masked and escaped
    assert "&lt;script&gt;alert" in html
    front = Path("profile/README.md").read_text(encoding="utf-8").split("---")[1]
    assert yaml.safe_load(front)["license"] == "cc-by-4.0"
    assert yaml.safe_load(front)["size_categories"] == ["n<1K"]
    assert not {"und", "zxx", "other"} & set(yaml.safe_load(front)["language"])


def test_a_rerun_finds_what_is_done_and_speaks_the_other_language(say: Say, scored: Path) -> None:
    assert say("corpus", "profile", scored, "--out", "profile")[0] == 0
    before = {path: path.stat().st_mtime_ns for path in Path("profile/artifacts").rglob("*.*")}
    _, _, numbers = checked()
    code, out, _ = say("corpus", "profile", scored, "--out", "profile", "--lang", "zh", "--title", "某语料")
    assert code == 0
    assert "请先处理这些" in out
    assert {path: path.stat().st_mtime_ns for path in Path("profile/artifacts").rglob("*.*")} == before
    html, page, again = checked()
    assert '<html lang="zh-CN">' in html
    assert "某语料" in page.texts
    assert {k: v for k, v in again.items() if k not in ("title", "command")} == {
        k: v for k, v in numbers.items() if k not in ("title", "command")
    }
    assert "another profile" in one_line(say("corpus", "profile", scored, "--out", "profile", "--pack", "c4"))


def test_the_same_numbers_from_a_scan_as_from_its_sources(say: Say, mixed: Path, scored: Path) -> None:
    say("corpus", "profile", scored, "--out", "one")
    say("corpus", "profile", mixed, "--out", "two")
    one, two = (json.loads(Path(out, "profile.json").read_text()) for out in ("one", "two"))
    for name in ("out", "command", "page", "numbers", "card"):
        assert one.pop(name) != two.pop(name)
    assert one == two


def test_one_document(say: Say) -> None:
    Path("a.txt").write_text("One small text.\n")
    code, out, _ = say("corpus", "profile", "a.txt", "--out", "profile")
    assert code == 0
    assert out.startswith("One document of")
    _, page, numbers = checked()
    assert numbers["topics"] is None
    assert numbers["vocabulary"]["pairs"] == [[None]]
    assert numbers["copies"]["clusters"] == 0
    assert "No two documents are near-duplicates." in page.texts


def test_chinese_only(say: Say, mixed: Path) -> None:
    code, out, _ = say("corpus", "profile", mixed / "中文 <b>&amp;.jsonl", "--out", "profile", "--lang", "zh")
    assert code == 0
    _, page, numbers = checked()
    assert numbers["margins"]["packs"] == ["zh"]
    assert numbers["packs"]["c4"]["all"]["asked"] == 0
    assert "不考察" in page.texts
    assert numbers["vocabulary"]["pairs"][0][0]["value"] > 0
    assert "“" not in re.sub("“[^”]*”", "", out)
    rules = {rule["rule"]: rule for rule in numbers["margins"]["rules"]}
    assert rules["zh.chars"]["kept"] and rules["zh.chars"]["dropped"]
    for one in rules["zh.chars"]["kept"]:
        assert one["value"] >= 201 and one["text"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["texts", "--pack", "gopher"], "there is no such pack"),
        (["texts", "--license", "a\nb"], "one line"),
        (["nowhere"], "no such file"),
        (["empty.jsonl"], "empty file"),
        (["blank.jsonl"], "hold no documents"),
    ],
)
def test_bad_input_leaves_nothing(say: Say, arguments: list[str], says: str) -> None:
    Path("texts").mkdir()
    write_rows("texts/a.jsonl", ["some text"])
    Path("empty.jsonl").touch()
    write_rows("blank.jsonl", ["", " "])
    assert says in one_line(say("corpus", "profile", *arguments, "--out", "new/out"))
    assert not Path("new").exists()


def test_every_word_of_the_page_is_in_both_languages(say: Say, scored: Path) -> None:
    """What is said in one language stands beside the other, as often, and Chinese is not English repeated."""
    say("corpus", "profile", scored, "--out", "profile")
    html, _, _ = checked()
    assert html.count('class="l-en"') == html.count('class="l-zh"') > 200
    english, chinese = (words(language) for language in ("en", "zh"))
    own = [key for key in english if key.startswith("portrait.")]
    assert len(own) > 150
    same = {key for key in own if english[key] == chinese[key]}
    assert same <= {
        "portrait.plain", "portrait.margins.value", *(f"portrait.column.q{q}" for q in ("05", "25", "75", "95")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("documents", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (123_456, "100K<n<1M"), (10**9, "1B<n<10B"), (10**13, "n>1T")],
)
def test_size_categories_are_those_of_hugging_face(documents: int, name: str) -> None:
    assert card.size_category(documents) == name


def test_numbers_have_six_digits() -> None:
    assert rounded({"a": [1.23456789, 7, None, "x", 1e-12 / 3], "b": True}) == {
        "a": [1.23457, 7, None, "x", 3.33333e-13], "b": True,
    }  # fmt: skip


def test_advice_is_silent_about_a_sound_corpus(say: Say) -> None:
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(3, 8))) for _ in range(500)]
    texts = [
        " ".join(["the", "of", "and", "that", *draw.choices(vocabulary, k=150)]).capitalize() + "." for _ in range(40)
    ]
    for name, part in (("a", texts[:20]), ("b", texts[20:])):
        write_rows(f"{name}.jsonl", part)
    code, _, _ = say("corpus", "profile", "a.jsonl", "b.jsonl", "--out", "profile")
    assert code == 0
    _, page, numbers = checked()
    told = {one["see"] for one in numbers["advice"]}
    assert not told & {"private", "copies", "lengths", "sizes", "skipped"}
    assert all(set(sentence) == {"en", "zh"} for sentence in numbers["summary"])
    assert not personal.find(" ".join(page.texts))
    assert advice.summary(numbers) == numbers["summary"]
