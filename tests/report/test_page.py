"""The page: sound, self-contained, in both languages, accessible, and safe whatever the text holds."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import factory
import pytest

from assay.errors import InputError
from assay.impact.results import StudyResults
from assay.present.words import words
from assay.report.page import render
from assay.report.study import write

VOID = {"meta", "link", "br", "img", "input", "hr"}
STUDIES = {
    "usual": factory.study,
    "one source": factory.one_source,
    "fourteen sources": factory.fourteen_sources,
    "bare": factory.bare,
    "all misses": factory.all_misses,
}
Make = Callable[[], StudyResults]
every_study = pytest.mark.parametrize("make", STUDIES.values(), ids=STUDIES.keys())


class Page(HTMLParser):
    """The page as a reader's program sees it; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def having(self, attribute: str) -> list[tuple[str, dict[str, str]]]:
        return [element for element in self.elements if attribute in element[1]]


@every_study
@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_is_sound_and_speaks_the_language_asked_for(make: Make, language: str) -> None:
    page = Page(render(make(), language))
    assert next(a for t, a in page.elements if t == "html")["lang"] == {"en": "en", "zh": "zh-CN"}[language]
    pressed = [a["data-tongue"] for _, a in page.having("aria-pressed") if a["aria-pressed"] == "true"]
    assert pressed == [language]


@every_study
def test_page_asks_the_network_for_nothing(make: Make) -> None:
    html = render(make())
    page = Page(html)
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "xlink:href", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith("#") or value == "data:,", (tag, name, value)
    assert not re.search(r"url\s*\(|@import|\bfetch\b|XMLHttpRequest|localStorage|document\.cookie", html)
    assert not any(tag in ("img", "iframe", "object", "embed", "base", "form") for tag, _ in page.elements)


@every_study
def test_ids_are_unique_and_every_reference_is_met(make: Make) -> None:
    page = Page(render(make()))
    ids = [attributes["id"] for _, attributes in page.having("id")]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "aria-describedby", "data-filters", "data-copy"):
        for _, attributes in page.having(name):
            assert set(attributes[name].split()) <= set(ids), attributes
    for _, attributes in page.having("href"):
        assert attributes["href"] == "data:," or attributes["href"][1:] in ids, attributes


@every_study
def test_headings_descend_one_step_at_a_time(make: Make) -> None:
    levels = [int(tag[1]) for tag, _ in Page(render(make())).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_study
def test_pictures_tables_and_landmarks_are_named(make: Make) -> None:
    html = render(make())
    page = Page(html)
    for tag, attributes in page.elements:
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            named = "aria-labelledby" in attributes or "strip" in attributes["class"]
            assert attributes["role"] == "img" and named, attributes
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    assert html.count("<caption") == html.count("<table")
    assert all("<title" in strip for strip in re.findall(r'<svg class="strip".*?</svg>', html))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(name) for name in ("main", "nav", "footer", "h1")] == [1, 1, 1, 1]
    assert ("a", {"class": "skip", "href": "#main"}) in page.elements


@every_study
def test_every_claim_is_said_in_both_languages(make: Make) -> None:
    results = make()
    html = render(results)
    for claim in results.claims:
        for text in (claim.question, claim.statement):
            assert str(escape(text.en)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in html
            assert text.zh in html


@every_study
def test_no_number_is_lost_to_nan_and_no_word_to_a_place(make: Make) -> None:
    text = " ".join(Page(render(make())).texts)
    assert not re.search(r"\b(nan|inf|None|undefined)\b", text)
    assert not re.search(r"\{\w*\}", text)


def test_infinite_values_leave_a_sound_page() -> None:
    base = factory.study()
    law = base.law.model_copy(
        update={"prediction": (math.nan, math.nan, math.inf), "more_data": [(2.0, math.inf, math.nan, 1.0)]}
    )
    assert not re.search(r"\b(nan|inf)\b", " ".join(Page(render(base.model_copy(update={"law": law}))).texts))


def test_hostile_text_stays_text() -> None:
    html = render(factory.fourteen_sources())
    page = Page(html)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "&lt;script&gt;alert(" in html
    assert "\x00" not in html and "\u202e" not in html


def test_lone_surrogates_do_not_keep_the_page_from_being_written(tmp_path: Path) -> None:
    results = factory.study(title="caf\udce9")
    assert write(results, tmp_path).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_long_documents_are_clipped_and_marked_with_their_language() -> None:
    html = render(factory.study())
    quotes = re.findall(r'<blockquote lang="([^"]*)" dir="auto"[^>]*>(.*?)</blockquote>', html, re.DOTALL)
    assert {lang for lang, _ in quotes} == {"en", "zh-CN"}
    assert max(len(text) for _, text in quotes) < 1500


def test_hits_and_misses_are_shown_alike() -> None:
    badges = re.findall(r'<span class="badge (\w+)">', render(factory.study()))
    assert badges.count("hit") == badges.count("miss") == 2  # in the answer, and among all claims
    assert "hit" not in re.findall(r'<span class="badge (\w+)">', render(factory.all_misses()))


def test_supported_claims_are_counted_as_their_badges_are() -> None:
    html = render(factory.study())
    table = html[html.index('<table class="claims') :]
    supported, effects = table.count('data-verdict="supported"'), table.count('<tr role="row" id=') - 2
    assert f'<b><span class="l-en" lang="en">{supported} of {effects}</span>' in html
    assert table.count('class="badge strong"') == supported


def test_nothing_supported_is_said_first() -> None:
    sentence = words("en")["answer.none"]
    assert sentence in render(factory.all_misses()) and sentence in render(factory.bare())
    assert sentence not in render(factory.study())


def _beside(change: float) -> StudyResults:
    """The usual study with so large a difference of the neural model from the n-gram model."""
    base = factory.study()
    first, *rest = base.baseline.rows
    effect = first.difference.model_copy(update={"estimate": change, "interval": (change - 0.05, change + 0.05)})
    rows = [first.model_copy(update={"difference": effect}), *rest]
    return base.model_copy(update={"baseline": base.baseline.model_copy(update={"rows": rows})})


def test_the_baseline_is_shown_in_both_languages() -> None:
    html = render(factory.study())
    for language in ("en", "zh"):
        for key in ("curves.key_ngram", "baseline.title"):
            assert words(language)[key].format(order=5) in html
    for row in factory.study().baseline.rows:
        assert f">{row.bpb:.2f}<small>" in html
    for change, en, zh in (
        (-0.4, "0.40 bpb [0.35, 0.45] below a 5-gram", "低 0.40 bpb [0.35, 0.45]"),
        (0.4, "0.40 bpb [0.35, 0.45] above a 5-gram", "高 0.40 bpb [0.35, 0.45]"),
        (0.01, "cannot be told from a 5-gram", "无法区分"),
    ):
        html = render(_beside(change))
        assert en in html
        assert zh in html


def test_what_a_study_lacks_is_left_out_or_said() -> None:
    html = render(factory.bare())
    assert words("en")["law.none"] in html and words("en")["mixtures.none"] in html
    assert 'id="doses"' not in html and 'href="#doses"' not in html
    assert words("en")["doses.beyond"] in render(factory.study())


def test_unsure_cells_are_told_apart_without_colour() -> None:
    results = factory.study()
    html = render(results)
    sure = [e.supported for row in results.mixtures.rows for e in row.effects.values()]
    assert html.count('<td class="n unsure"') == sure.count(False) > 0
    assert html.count('<td class="n sure"') == sure.count(True) > 0
    assert not re.search(r'class="n unsure" style=', html)


@pytest.mark.parametrize(("make", "limit"), [(factory.study, 0.4e6), (factory.fourteen_sources, 0.8e6)])
def test_page_is_light(make: Make, limit: float) -> None:
    assert len(render(make()).encode()) < limit


def test_write_replaces_the_page_in_one_step(tmp_path: Path) -> None:
    path = write(factory.bare(), tmp_path / "new", "zh")
    assert path == tmp_path / "new" / "report.html"
    assert path.read_text(encoding="utf-8") == render(factory.bare(), "zh")
    write(factory.study(), tmp_path / "new")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_unwritable_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="--out"):
        write(factory.bare(), tmp_path / "file" / "below")


def test_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="no language"):
        render(factory.bare(), "fr")
