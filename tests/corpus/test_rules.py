"""Rules and decisions: what they are asked of, what they drop, and how it is counted."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import batch_of, chinese, english
from test_kernels import REAL

from assay.corpus.cleaning import rules, select
from assay.corpus.cleaning.rules import PACKS, Expression, Rule
from assay.corpus.signals import language, quality, scoring
from assay.errors import InputError


def decided(tmp_path: Path, texts: list[str], asked: list[Rule | Expression]) -> tuple[list[list[str]], dict]:
    """Reasons of each document, and the summary."""
    batch = language.annotate(batch_of(texts))
    paths = [tmp_path / f"{name}.parquet" for name in ("documents", "signals", "duplicates")]
    pq.write_table(pa.Table.from_batches([batch]), paths[0])
    pq.write_table(pa.Table.from_batches([scoring.signals(batch)]), paths[1])
    marks = {"doc_id": batch.column("doc_id"), "is_exact_duplicate": [t in texts[:i] for i, t in enumerate(texts)]}
    pq.write_table(pa.table(marks).append_column("is_near_duplicate", [marks["is_exact_duplicate"]]), paths[2])
    summary = select.decide(*([path] for path in paths), asked, tmp_path)
    made = pq.read_table(tmp_path / "decisions.parquet")
    assert made.column("doc_id").to_pylist() == batch.column("doc_id").to_pylist()
    assert made.column("keep").to_pylist() == [not r for r in made.column("reasons").to_pylist()]
    return made.column("reasons").to_pylist(), summary


def test_every_reason_is_kept_and_counted_alone_and_only(tmp_path: Path) -> None:
    texts = ["# # # # #", "word " * 3, english(1), "# " + english(2)]
    asked = rules.chosen(["gopher-quality.words", "gopher-quality.hashes"], [])
    reasons, told = decided(tmp_path, texts, asked)
    words, hashes = "gopher-quality.words", "gopher-quality.hashes"
    assert reasons == [[words, hashes], [words], [], []]
    assert (told["documents"], told["kept"]) == (4, 2)
    assert told["kept_bytes"] == sum(len(text) for text in texts[2:])
    assert {name: (rule["asked"], rule["alone"], rule["only"]) for name, rule in told["rules"].items()} == {
        words: (4, 2, 1), hashes: (4, 1, 0)
    }  # fmt: skip
    assert told["sources"]["s"] == {
        "documents": 4, "bytes": sum(map(len, texts)), "kept": 2, "kept_bytes": told["kept_bytes"],
        "dropped": {words: 2, hashes: 1},
    }  # fmt: skip


def test_a_bound_is_met_by_what_is_on_it(tmp_path: Path) -> None:
    """0.2 of the characters repeat: with 32 bits that is more than 0.2 with 64."""
    text = "abcd\n" + "efgh\n" + "ijkl\n" + "abcd"
    (row,) = scoring.signals(batch_of([text])).to_pylist()
    assert row["duplicate_line_chars"] == pytest.approx(4 / 19)
    exact = Rule("exact", "duplicate_line_chars", None, 4 / 19)
    below = Rule("below", "duplicate_line_chars", None, 4 / 19 - 1e-6)
    assert decided(tmp_path, [text], [exact, below])[0] == [["below"]]


def test_rules_for_spaces_are_not_asked_of_chinese_and_its_own_are(tmp_path: Path) -> None:
    texts = [chinese(5, 400), english(5), "短。"]
    packs = ["gopher-quality", "gopher-repetition", "c4", "fineweb"]
    reasons, told = decided(tmp_path, texts, rules.chosen(packs, []))
    assert not any(name.split(".")[1] in ("mean_word_length", "words", "sentences") for name in reasons[0])
    assert told["rules"]["c4.sentences"]["asked"] == 1
    assert told["not_asked"] == 0  # lines and paragraphs are asked of any text
    reasons, told = decided(tmp_path, texts, rules.chosen(["zh"], []))
    assert reasons[1] == []
    assert {"zh.chars", "zh.stop_words"} <= set(reasons[2])
    assert told["not_asked"] == 1


def test_rules_of_language_ask_how_sure_it_is(tmp_path: Path) -> None:
    texts = [REAL["en"], "hotel radio karma bar internet taxi", REAL["zh"], "12 + 34 = 46"]
    names = [f"{pack}.language" for pack in ("fineweb", "data-juicer", "zh")]
    reasons, told = decided(tmp_path, texts, rules.chosen(names, []))
    assert reasons == [[], names[:2], [], []]
    assert [told["rules"][name]["asked"] for name in names] == [3, 3, 1]


def test_traditional_characters_are_no_reason(tmp_path: Path) -> None:
    line = "這個國家的歷史很長，人們說他們不會忘記過去的事情，也不會忘記未來的夢。"
    simple = "这个国家的历史很长，人们说他们不会忘记过去的事情，也不会忘记未来的梦。"
    texts = ["".join(f"第{i}章：{text}{chinese(i, 40)}\n" for i in range(12)) for text in (line, simple)]
    asked = [rule for rule in PACKS["zh"] if "gram" not in rule.signal]
    reasons, _ = decided(tmp_path, texts, list(asked))
    assert reasons[0] == reasons[1]


def test_expressions_ask_signals_and_duplicates(tmp_path: Path) -> None:
    texts = [english(1), english(1), "few words"]
    asked = rules.chosen([], ["n_words > 50 AND NOT is_exact_duplicate", "letters >= 0.5"])
    reasons, told = decided(tmp_path, texts, asked)
    assert reasons == [[], ["where-1"], ["where-1"]]
    assert told["rules"]["where-1"]["keeps"] == "n_words > 50 AND NOT is_exact_duplicate"


Bounds = dict[str, tuple[float | None, float | None]]
GOPHER: Bounds = {
    "n_words": (50, 100_000), "mean_word_length": (3, 10), "hashes": (None, 0.1), "ellipses": (None, 0.1),
    "bullet_lines": (None, 0.9), "ellipsis_lines": (None, 0.3), "alpha_words": (0.8, None), "stop_words": (2, None),
}  # fmt: skip
REPETITION: Bounds = {
    "duplicate_lines": (None, 0.30), "duplicate_paragraphs": (None, 0.30), "duplicate_line_chars": (None, 0.20),
    "duplicate_paragraph_chars": (None, 0.20), "top_2gram": (None, 0.20), "top_3gram": (None, 0.18),
    "top_4gram": (None, 0.16), "duplicate_5grams": (None, 0.15), "duplicate_6grams": (None, 0.14),
    "duplicate_7grams": (None, 0.13), "duplicate_8grams": (None, 0.12), "duplicate_9grams": (None, 0.11),
    "duplicate_10grams": (None, 0.10),
}  # fmt: skip
PUBLISHED: dict[str, Bounds] = {
    "gopher-quality": GOPHER,
    "gopher-repetition": REPETITION,
    "c4": {"c4_sentences": (5, None), "lorem_ipsum": (None, 0), "curly_brackets": (None, 0)},
    "c4-fineweb": {
        "c4_sentences_any_end": (5, None), "lorem_ipsum_any_end": (None, 0), "curly_brackets_any_end": (None, 0)
    },
    "fineweb": {
        "line_punctuation": (0.12, None), "short_lines": (None, 0.67), "repeated_line_chars": (None, 0.01),
        "newlines_per_word": (None, 0.3), "language_score": (0.65, None),
    },
    "dclm": {**GOPHER, **REPETITION, "language_score": (0.65, None), "flagged_words": (None, 0.05)},
    "data-juicer": {
        "special_characters": (None, 0.25), "top_10chars": (None, 0.5), "repeated_10grams": (None, 0.5),
        "alphanumerics": (0.25, None), "listed_words": (0.3, None), "language_score": (0.8, None),
    },
    "zh": {
        # FineWeb-2, configs/cmn_Hani.yml
        "language_score": (0.692, None), "duplicate_lines": (None, 0.287), "line_punctuation": (0.106, None),
        "newlines_per_word": (None, 0.178), "alpha_words": (0.735, None), "mean_word_length": (1, 5),
        "stop_words_zh": (2, None), "top_2gram": (None, 0.256), "top_3gram": (None, 0.201), "top_4gram": (None, 0.171),
        "duplicate_5grams": (None, 0.198), "duplicate_6grams": (None, 0.182), "duplicate_7grams": (None, 0.167),
        "duplicate_8grams": (None, 0.154), "duplicate_9grams": (None, 0.14), "duplicate_10grams": (None, 0.127),
        # ChineseWebText: more than 200 characters
        "n_chars": (201, None), "mean_line_length": (10, None), "unspaced": (0.3, None),
        "repeated_13chars": (None, 0.5),
        # FlagData
        "n_visible": (16, None),
    },
}  # fmt: skip
"""Bounds as the recipes were published, typed from them: {pack: {signal: (low, high)}}."""
ANY = {
    "hashes", "ellipses", "bullet_lines", "ellipsis_lines", "duplicate_lines", "duplicate_paragraphs",
    "duplicate_line_chars", "duplicate_paragraph_chars", "line_punctuation", "repeated_line_chars", "language_score",
    "special_characters", "top_10chars", "repeated_10grams", "alphanumerics",
}  # fmt: skip
"""Signals that no space between words, mark of ASCII or English word is needed for."""


@pytest.mark.parametrize("name", PACKS)
def test_thresholds_are_those_of_the_reference(name: str) -> None:
    """Every bound of every pack, and what text it is asked of; nothing is missing and nothing else is there."""
    assert {rule.signal: (rule.low, rule.high) for rule in PACKS[name]} == PUBLISHED[name]
    for rule in PACKS[name]:
        kind = "any" if rule.signal in ANY else "en" if rule.signal == "stop_words" else "spaced"
        assert rule.fits == ("zh" if name == "zh" else kind), rule.name


def test_rules_are_named_once_and_ask_signals_that_there_are() -> None:
    every = [rule for pack in PACKS.values() for rule in pack]
    assert PACKS.keys() == PUBLISHED.keys()
    assert len({rule.name for rule in every}) == len(every)
    assert all(rule.name.startswith(f"{name}.") for name, pack in PACKS.items() for rule in pack)
    assert all(rule.signal in scoring.NAMES for rule in every)
    assert all(rule.low is not None or rule.high is not None for rule in every)


def test_stop_words_are_the_published_ones() -> None:
    """Gopher's 8 (Rae et al. 2021, appendix A1.1), and the 22 of FineWeb-2 for Chinese, by code point."""
    published = (
        0x7684, 0x5E74, 0x5728, 0x6708, 0x662F, 0x548C, 0x65E5, 0x4E86, 0x65BC, 0xB7, 0x70BA, 0x6709, 0x88AB, 0x4EBA,
        0x4E2D, 0x4E3A, 0x4ED6, 0x8207, 0x5F8C, 0x4E5F, 0x800C, 0x7531,
    )  # fmt: skip
    assert quality.STOP_WORDS_ZH.split() == [chr(point) for point in published]
    assert set(quality.STOP_WORDS.split()) == {"the", "be", "to", "of", "and", "that", "have", "with"}
    simple, traditional, dot = "他的书，是为人而写。", "他於此與人為友，後也有書。", "阿·托尔斯泰在那儿"
    rows = scoring.signals(batch_of([simple, traditional, dot, "我们要去学校"])).to_pylist()
    assert [row["stop_words_zh"] for row in rows] == [6, 7, 2, 0]


def test_stop_words_of_a_pack_are_not_those_of_the_long_lists() -> None:
    """listed_words is about the lists of stopwords-iso, which lack 於 and 為."""
    listed, other = scoring.signals(batch_of(["的 在", "於 為"])).column("listed_words").to_pylist()
    assert (listed, other) == (1.0, 0.0)


def test_wide_spaces_are_spaces_to_the_rules_of_chinese(tmp_path: Path) -> None:
    """FlagData turns U+3000 into a space before it counts: here it counts as one, whatever text it stands in."""
    texts = ["　　" * 8 + "十五个字的一段文字在这里写完了", "　　" + "十六个字的一段文字在这里都写完了"]
    assert decided(tmp_path, texts, rules.chosen(["zh.visible"], []))[0] == [["zh.visible"], []]


def test_fineweb_asks_c4s_rules_of_lines_without_a_mark(tmp_path: Path) -> None:
    texts = ["A line of words without its mark\n" * 5, "A line of words with its mark.\n" * 5, "Lorem ipsum dolor sit"]
    reasons, _ = decided(tmp_path, texts, rules.chosen(["c4", "c4-fineweb"], []))
    assert reasons == [["c4.sentences"], [], ["c4.sentences", "c4-fineweb.sentences", "c4-fineweb.lorem_ipsum"]]


@pytest.mark.parametrize(
    ("packs", "where", "says"),
    [
        ([], [], "no rule is given"),
        (["gophers"], [], "no such pack or rule"),
        (["c4.sentence"], [], "did you mean c4.sentences"),
        ([], ["n_word > 5"], "did you mean n_words"),
        ([], ["n_words >"], "cannot be read"),
        ([], ["1 = 1"], "asks about no signal"),
    ],
)
def test_what_cannot_be_asked(packs: list[str], where: list[str], says: str) -> None:
    with pytest.raises(InputError) as error:
        rules.chosen(packs, where)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_conditions_are_readable() -> None:
    assert PACKS["gopher-quality"][0].bounds() == "50 <= n_words <= 100000"
    assert pl.DataFrame({"n_words": [1]}).select(Expression("where", "n_words = 1").kept()).item() is True


@pytest.mark.parametrize("page", ["corpus.md", "corpus.zh-CN.md"])
def test_the_docs_name_every_rule_with_its_bounds_and_every_signal(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    for name, pack in PACKS.items():
        rows = text.split(f"**{name}**")[1].split("**")[0]
        listed = [line.split("|")[1:3] for line in rows.splitlines() if line.startswith("| `")]
        assert [(a.strip(" `"), b.strip(" `")) for a, b in listed[: len(pack)]] == [
            (rule.name.split(".", 1)[1], rule.bounds()) for rule in pack
        ]
    signals_ = text.split("| --- | --- |\n")[-1]
    ranges = {f"top_{n}gram" for n in (3,)} | {f"duplicate_{n}grams" for n in range(6, 10)}
    chars = {"duplicate_line_chars", "duplicate_paragraph_chars"}
    assert {name for name in scoring.NAMES if f"`{name}`" not in signals_} <= ranges | chars
