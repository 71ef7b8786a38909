"""Personal data: what is planted is found, what only looks like it is not, in time that grows with the text."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from personal_texts import POSITIVE, planted

from assay.corpus.cleaning.personal import KINDS, PLACEHOLDERS, find


def found(text: str, *kinds: str) -> list[str]:
    return [text[one.begin : one.end] for one in find(text, kinds or KINDS)]


def test_precision_and_recall_on_planted_texts() -> None:
    """Each of 2,000 English and Chinese texts holds one that is, and one near miss that is not."""
    right, claimed, there = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(2000):
        text, places = planted(seed)
        got, want = {tuple(one) for one in find(text)}, set(places)
        for counter, spans in ((right, got & want), (claimed, got), (there, want)):
            counter.update(kind for kind, _, _ in spans)
    assert set(there) == set(POSITIVE) == set(KINDS) == set(PLACEHOLDERS)
    for kind in KINDS:
        assert there[kind] > 200
        assert right[kind] / there[kind] > 0.99, kind  # recall
        assert right[kind] / claimed[kind] > 0.99, kind  # precision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("写信到zhang_3@163.com。", ["zhang_3@163.com"]),
        ("a@b.com.", ["a@b.com"]),
        ("ＺＨ２１９＠ＳＯＨＵ．ＣＯＭ", ["ＺＨ２１９＠ＳＯＨＵ．ＣＯＭ"]),
        ("icon@2x.png git@github.com:a/b me@here", []),
        ("身份证11010519491231002X，", ["11010519491231002X"]),
        ("110105194912310021 110105194902310020 990105194912310024", []),  # check digit, day, province
        ("Visa 4111 1111 1111 1111, 4111-1111-1111-1112", []),  # of one digit: an example
        ("card 4012 8888 8888 1881", ["4012 8888 8888 1881"]),
        ("1234 4012 8888 8888 1881 0000", []),  # a row of numbers
        ("ISBN 978-7-111-40701-0, 9787111407010", []),
        ("手机：13812345678；订单号13812345678", ["13812345678"]),
        ("phone number 13812345678", ["13812345678"]),
        ("pi is 3.13812345678, id 2_13812345678", []),
        ("+44 20 7946 0958, +1 415 555 2671, +86 138-1234-5678", None),
        ("(+86) 13912345678", ["(+86) 13912345678"]),
        ("加V：abc123，電話010－62345678", ["abc123", "010－62345678"]),
        ("+1 115 555 2671 +999 12345678 +10000000", []),
        ("010-62345678 (0755)86123456 （021）62345678转12", ["010-62345678", "(0755)86123456", "（021）62345678转12"]),
        ("2024-01-02 12:34:56, pp. 1234-1256", []),
        ("at 114.114.114.114:53 and 10.0.0.1, 192.168.1.1, 169.254.3.4, 256.1.1.1", ["114.114.114.114"]),
        ("version 31.2.33.4, v41.2.3.4, see 4.2.1.3; the IP is 4.2.1.3", ["4.2.1.3"]),
        ("2001:4860:4860::8888 2001:db8::1 fe80::1 12:34:56 dead::beef", ["2001:4860:4860::8888"]),
        ("sk-fading-circle-container-wrapper AKIA12 eyJhbGciOi", []),
        ("加我微信 abc_1234，QQ：12345678，QQ 300万人，WeChat Payments", ["abc_1234", "12345678"]),
    ],
)  # fmt: skip
def test_by_example(text: str, expected: list[str] | None) -> None:
    assert found(text) == (text.split(", ") if expected is None else expected)


def test_kinds_are_searched_for_alone_and_do_not_overlap() -> None:
    text = "mail 12345678@qq.com QQ：12345678 key sk-abcDEF1234567890abcdefGHIJ"
    assert found(text, "social") == ["12345678"]
    assert [one.kind for one in find(text)] == ["email", "social", "secret"]


WORST = {
    "digits": "1", "at": "a@", "numbers": "13812345678 ", "groups": "1234 ", "dots": "1.", "hex": "2001:",
    "words": "a", "domains": "a@a.", "plus": "+86 1", "tokens": "eyJaaaaaaaa.", "begin": "-----BEGIN PRIVATE KEY-----",
    "accounts": "微信    ", "spaces": " ", "open": "sk-", "local": "a" * 64 + "@" + "b." * 126,
}  # fmt: skip


@pytest.mark.parametrize("name", WORST)
def test_the_worst_texts_take_a_bounded_time(name: str) -> None:
    text = (WORST[name] * (1_000_000 // len(WORST[name]) + 1))[:1_000_000]
    began = time.process_time()
    find(text)
    assert time.process_time() - began < 10  # a second or two; a pattern that is not linear takes hours


@settings(max_examples=200)
@given(st.lists(st.text(alphabet="0123456789@.a-+ :：微信QQ号sk_()\n", max_size=60), max_size=4))
def test_texts_are_searched_together_as_alone(texts: list[str]) -> None:
    from assay.corpus.cleaning.privacy import search

    alone = [(at, *one) for at, text in enumerate(texts) for one in find(text)]
    assert list(search(texts, KINDS)) == alone
