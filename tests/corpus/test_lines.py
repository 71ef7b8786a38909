"""Lines that recipes take out: C4's as datatrove does, scripts that a rule fits or does not, and what signals count."""

from __future__ import annotations

import pyarrow as pa
import pytest
from corpus_texts import batch_of, chinese, english
from hypothesis import given, settings
from hypothesis import strategies as st
from test_signals import LINES

from assay.corpus.altering import lines
from assay.corpus.altering.classical import Cleaning, cleaned
from assay.corpus.altering.edits import Texts
from assay.corpus.signals import scoring


def without(recipe: lines.Recipe, *texts: str) -> list[str]:
    made: list[str] = lines.without_lines(Texts(pa.array(texts, pa.string())), recipe).column.to_pylist()
    return made


DATATROVE = [
    (
        "Menu\nThis line is kept. It has two sentences.\n\n  no mark at its end\nIt has 3 words!\nToo short.\n"
        "It trails off into nothing...\nTwo lines\r\nend otherwise, too.",
        "This line is kept. It has two sentences.\nIt has 3 words!\nend otherwise, too.",
        "This line is kept. It has two sentences.\nno mark at its end\nIt has 3 words!\nIt trails off into nothing...\n"
        "end otherwise, too.",
    ),
    (
        "Enable JavaScript to see this.\nRead our privacy policy, please.\nWe use cookies on this site.\n"
        "Accept our Terms of Use now!\nWhat is left?",
        "What is left?",
        "What is left?",
    ),
    (
        "Cited before its end.[1]\n[edit] A heading goes with it.\nOne more [citation needed] is gone.\n"
        "\"He said so,\" she said 'twice'\nAnd so on…",
        "Cited before its end.\n A heading goes with it.\nOne more  is gone.\n\"He said so,\" she said 'twice'",
        "Cited before its end.\n A heading goes with it.\nOne more  is gone.\n\"He said so,\" she said 'twice'\n"
        "And so on…",
    ),
    (
        "x" * 20 + " is a word.\n" + "y" * 1001 + " is too long.\nA tab\tis a space.\u2028Another line begins here.",
        "x" * 20 + " is a word.\nA tab\tis a space.\nAnother line begins here.",
        "x" * 20 + " is a word.\nA tab\tis a space.\nAnother line begins here.",
    ),
    ("Nothing ends well here\nnor here either\n:-)", "", "Nothing ends well here\nnor here either"),
]
"""A text, and what C4QualityFilter of datatrove 0.10 made of it, with filter_no_terminal_punct and without; no document
dropped (min_num_sentences=-1, filter_lorem_ipsum=False, filter_curly_bracket=False)."""


def test_lines_of_c4_are_those_that_datatrove_keeps() -> None:
    texts, ended, any_end = zip(*DATATROVE, strict=True)
    assert without("c4", *texts) == list(ended)
    assert without("c4-fineweb", *texts) == list(any_end)


def test_lines_that_datatrove_drops_a_document_for_go_alone() -> None:
    text = "Lorem ipsum dolor sit amet.\nfunction f() { return 1 } is code.\nThis line stays here."
    assert without("c4", text) == ["This line stays here."]


@pytest.mark.parametrize("recipe", ["c4", "c4-fineweb"])
def test_chinese_lines_are_kept_by_their_own_marks_and_words(recipe: lines.Recipe) -> None:
    kept = [
        "今天天气很好，我们去公园散步。", "他说：“好的，我们一起走吧。”", "「這是我們的學校。」", "你明天来不来上课？",
        "（以上内容由本报记者整理。）", "这件事情以后再慢慢说……",
        "『這樣的事情誰也沒有想到！』", "彼は学校へ行きました。",
        "好" * 1500 + "。",
    ]  # fmt: skip
    gone = [
        "首页",
        "好。",
        "请先阅读本站的隐私政策再继续。",
        "本站使用Cookie来改善您的体验。",
        "请启用JavaScript后再浏览。",
    ]
    open_ended = ["版权归作者所有", "《红楼梦》与《西游记》", "第一章　总则规定", "点击阅读全文内容..."]
    left = kept if recipe == "c4" else [*kept, *open_ended]
    assert without(recipe, "\n".join([*gone, *kept, *open_ended])) == ["\n".join(left)]


def test_marks_of_other_scripts_end_lines() -> None:
    text = "Как у вас дела сегодня? Хорошо.\nМеню нашего сайта\nयह एक वाक्य है।\nهل أنت بخير اليوم؟"
    assert without("c4", text) == ["Как у вас дела сегодня? Хорошо.\nयह एक वाक्य है।\nهل أنت بخير اليوم؟"]


def test_text_in_a_script_that_no_rule_fits_is_left_alone() -> None:
    thai = "ภาษาไทยไม่มีเครื่องหมาย\n\n 12\nจบประโยค"
    assert without("c4", thai) == [thai]
    assert without("refinedweb", "ภาษาไทย\n\nจบ") == ["ภาษาไทย\n\nจบ"]
    mixed = "This line is kept. It is as long as the others together.\nภาษาไทยไม่มีเครื่องหมาย\nno mark at its end"
    assert without("c4", mixed) == ["This line is kept. It is as long as the others together.\nภาษาไทยไม่มีเครื่องหมาย"]


def test_lines_of_refinedweb_go_as_dclm_takes_them_out() -> None:
    text = (
        "BUY IT NOW\n3 likes\n1,200k Views *\n1984\nHome\nSign-in to read on\n\nYou have 3 items in cart, friend\n"
        "It rained all day. Read more...\nRead more...\nWe sign-in and read more... often\n4 reviews of it\n"
        "So many words that no line as long as this one is a call read more..."
    )
    assert without("refinedweb", text) == [
        "to read on\n\nYou have 3, friend\nIt rained all day.\nWe sign-in and read more... often\n4 reviews of it\n"
        "So many words that no line as long as this one is a call read more..."
    ]
    text = "首页\n第一章\n  缩进的行。\n2020\n3 likes\nSHOUT"
    assert without("refinedweb", text) == ["首页\n第一章\n  缩进的行。"]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=8))
def test_what_goes_is_what_signals_count(chosen: list[str]) -> None:
    """c4_lines is the share of lines that stay; flagged_words the share of words that RefinedWeb takes out."""
    text = "\n".join(chosen)
    (before,) = scoring.signals(batch_of([text])).to_pylist()
    ((c4,), (refined,)) = without("c4", text), without("refinedweb", text)
    assert len(c4.splitlines()) == round(before["c4_lines"] * len(chosen))
    (after,) = scoring.signals(batch_of([refined])).to_pylist()
    assert before["n_tokens"] - after["n_tokens"] == round(before["flagged_words"] * before["n_tokens"])


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from([*LINES, "首页", "我们今天去公园。", "", "  "]), max_size=5), max_size=4))
def test_lines_do_not_depend_on_the_batch(texts: list[list[str]]) -> None:
    joined = ["\n".join(text) for text in texts]
    for recipe in ("c4", "c4-fineweb", "refinedweb"):
        assert without(recipe, *joined) == [one for text in joined for one in without(recipe, text)]


def test_documents_without_a_line_left_are_dropped_and_counted() -> None:
    batch = batch_of(["no mark at its end", "This line is kept.\nMenu", f"{english(1)}.", chinese(2) + "。"])
    made, counts = cleaned(batch, Cleaning(lines="c4"))
    assert made.column("text").to_pylist()[0] == "This line is kept."
    assert made.column("parent_id").to_pylist() == [batch.column("doc_id")[1].as_py(), None, None]
    told = counts["s"]
    assert (told["documents"], told["changed"], told["emptied"]) == (4, 1, 1)
    assert told["steps"]["lines"][0] == 2
