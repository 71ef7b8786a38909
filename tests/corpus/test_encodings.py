"""Encodings that are detected by file; UTF-8 that is damaged stays UTF-8."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from corpus_texts import english

from assay.corpus.reading import decode
from assay.corpus.reading.source import ReadOptions, ReadReport, met, open_sources
from assay.errors import InputError

TEXTS = {
    "gb18030": "人民日报社论：今天天气很好，我们一起去公园散步。改革开放的成果惠及全国人民。",
    "big5hkscs": "人民日報社論：今天天氣很好，我們一起去公園散步。改革開放的成果惠及全國人民。",
    "cp932": "今日はとても良い天気です。私たちは一緒に公園を散歩しました。文章を読むことは楽しい。",
    "euc_jp": "今日はとても良い天気です。私たちは一緒に公園を散歩しました。文章を読むことは楽しい。",
    "cp949": "오늘은 날씨가 매우 좋습니다. 우리는 함께 공원을 산책했습니다. 문장을 읽는 것은 즐겁습니다.",
    "cp1252": "L’été dernier, nous sommes allés à la plage où la mer était très agréable. "
    "Déjà à l’époque, les élèves étaient en congé : l’année s’achève tôt.",
    "cp1251": "Сегодня очень хорошая погода. Мы вместе гуляли в парке и читали книги на русском языке.",
}
FORMS = {"txt": "{}\n", "jsonl": '{{"text": "{}"}}\n', "csv": 'text\n"{}"\n', "json": '[{{"text": "{}"}}]'}


def read(uri: Path, **options: Any) -> tuple[list[str], ReadReport]:
    report = ReadReport()
    sources = open_sources([str(uri)], ReadOptions(**options))
    return [text for batch in sources.batches(report) for text in batch.column("text").to_pylist()], report


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("written", ["gbk", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1252", "cp1251"])
def test_an_encoding_is_detected(tmp_path: Path, kind: str, written: str) -> None:
    name = decode._WIDER.get(written.replace("_", "-"), written)
    text = TEXTS[decode.codecs.lookup(name).name]
    (tmp_path / f"a.{kind}").write_bytes(FORMS[kind].format(text).encode(written))
    texts, report = read(tmp_path)
    assert [one.rstrip("\n") for one in texts] == [text]
    assert report.detected == [[f"a.{kind}", decode.codecs.lookup(name).name]]
    with pytest.raises(InputError, match="is not utf-8"):
        read(tmp_path, encoding="utf-8")


def test_a_folder_of_mixed_encodings_is_read_at_once(tmp_path: Path) -> None:
    files = {"gbk": "gb18030", "big5": "big5hkscs", "utf-16": "gb18030", "shift_jis": "cp932", "utf-8": "gb18030"}
    for written, which in files.items():
        (tmp_path / f"{written}.txt").write_text(TEXTS[which], encoding=written)
    texts, report = read(tmp_path, encoding="auto")
    assert sorted(texts) == sorted(TEXTS[which] for which in files.values())
    assert dict(report.detected) == {"gbk.txt": "gb18030", "big5.txt": "big5hkscs", "shift_jis.txt": "cp932"}
    (notice,) = met(vars(report))
    for language in ("en", "zh"):
        assert "big5.txt (big5hkscs), gbk.txt (gb18030), shift_jis.txt (cp932)" in notice[language]  # type: ignore[literal-required]
    assert ReadOptions(encoding="auto") == ReadOptions()


def test_more_files_than_are_named_are_counted(tmp_path: Path) -> None:
    for i in range(25):
        (tmp_path / f"{i:02d}.txt").write_text(TEXTS["gb18030"], encoding="gbk")
    report = read(tmp_path)[1]
    (notice,) = met(vars(report))
    assert "19.txt" in notice["en"] and "20.txt" not in notice["en"] and "5 more" in notice["en"]
    assert "5" in notice["zh"]


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv"])
@pytest.mark.parametrize("language", ["english", "french", "chinese", "emoji"])
def test_utf_8_with_a_damaged_byte_is_told_as_a_bad_row(tmp_path: Path, kind: str, language: str) -> None:
    """Whichever byte of whichever character it is, and whatever it becomes."""
    line = {"english": english(1, 9), "french": TEXTS["cp1252"], "chinese": TEXTS["gb18030"], "emoji": "👍🏽 well"}
    form = {"jsonl": '{{"text": "{}"}}', "csv": '"{}"'}.get(kind, "{}")
    rows = [form.format(f"{i} {line[language]}").encode() for i in range(6)]
    draw = random.Random(kind + language)
    for _ in range(20):
        bad = bytearray(rows[3])
        bad[draw.randrange(9 if kind == "jsonl" else 1, len(bad) - 2) + 1] = draw.choice(
            [0x80, 0xB5, 0xC3, 0xE9, 0xF0, 0xFF]
        )
        if (damaged := bytes(bad)) == rows[3]:
            continue
        try:
            damaged.decode()
            continue
        except UnicodeDecodeError:
            pass
        data = [*rows[:3], damaged, *rows[4:]]
        (tmp_path / f"a.{kind}").write_bytes(b"text\n" * (kind == "csv") + b"\n".join(data) + b"\n")
        with pytest.raises(InputError, match="is not utf-8") as caught:
            read(tmp_path)
        assert caught.value.where == f"{tmp_path}/a.{kind}:{4 + (kind == 'csv')}"
        texts, report = read(tmp_path, on_error="skip")
        assert (report.bad_rows, report.bad_files, report.detected) == (1, 0, [])
        assert len([one for text in texts for one in text.splitlines()]) == 5


def test_rows_of_another_encoding_in_a_file_of_utf_8_are_told(tmp_path: Path) -> None:
    """Read all together in either encoding, half of the rows would become others."""
    rows = [f"{i} {TEXTS['gb18030']}".encode("gbk" if i % 2 else "utf-8") for i in range(10)]
    (tmp_path / "a.txt").write_bytes(b"\n".join(rows))
    texts, report = read(tmp_path, on_error="skip")
    assert "".join(texts).count(TEXTS["gb18030"]) == report.bad_rows == 5


def test_foreign_text_after_a_megabyte_of_ascii_is_detected(tmp_path: Path) -> None:
    plain = "plain words and more of them\n" * (decode.BLOCK // 29)
    for more in range(0, 40, 7):
        text = plain + "x" * more + TEXTS["gb18030"] * 40 + "\n"
        (tmp_path / "a.txt").write_text(text, encoding="gbk")
        texts, report = read(tmp_path)
        assert "".join(texts) == text and report.detected == [["a.txt", "gb18030"]]


def test_random_bytes_are_no_encoding() -> None:
    draw = random.Random(2)
    for _ in range(20):
        assert decode.detected(b"words " + draw.randbytes(400)) is None
