"""Ids -> text as it comes: whole characters, no stop strings, and in the end what the ids spell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import tokenizer
from assay.generation.decoding import Held, Spoken, stopping
from assay.tokens.tokenizer import Encoder
from labelled import encoder

KINDS = ("bpe", "unigram", "wordpiece", "character", "word")


def byte_level() -> Encoder:
    return Encoder(tokenizer())


def whole(of: Encoder, ids: list[int]) -> str:
    return of.decode(np.array(ids, dtype=np.int64)) if ids else ""


@given(st.lists(st.integers(1, 259), max_size=60))
def test_any_ids_of_bytes_are_spelled_piece_by_piece(ids: list[int]) -> None:
    """Also those that are no UTF-8; at the end alone half of a character is left out."""
    of = byte_level()
    spoken, pieces = Spoken(of), []
    for token in ids:
        pieces.append(spoken.push(token))
        pieces[-1].encode()  # no half of anything
    text = "".join(pieces) + spoken.rest()
    expected = whole(of, [i for i in ids if i not in of.special.values()])
    assert expected.startswith(text)
    assert set(expected[len(text) :]) <= {"\ufffd"}


def test_a_character_comes_when_it_is_whole() -> None:
    of = byte_level()
    ids = [next(i for i, spelled in enumerate(of.surface.spelled) if spelled == bytes([b])) for b in "🐝".encode()]
    spoken = Spoken(of)
    assert [spoken.push(i) for i in ids] == ["", "", "", "🐝"]
    half = Spoken(of)
    assert [half.push(i) for i in ids[:3]] == ["", "", ""]
    assert half.rest() == ""


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_every_kind_of_tokenizer_are_the_text(kind: str) -> None:
    of = encoder(kind)
    ids = of.encode(["the film was great 精彩 Ann lives in Oslo so very dull " * 6])[0].tolist()
    for at in (0, 5, 11):
        before, new = ids[:at], ids[at:]
        spoken = Spoken(of, before)
        pieces = [spoken.push(i) for i in new]
        silent = set(of.special.values())
        assert whole(of, [i for i in before if i not in silent]) + "".join(pieces) + spoken.rest() == whole(
            of, [i for i in ids if i not in silent]
        )
        assert sum(bool(piece) for piece in pieces) > len(new) / 2  # it comes as it goes


def test_special_tokens_say_nothing() -> None:
    of = byte_level()
    (special,) = of.special.values()
    spoken = Spoken(of)
    ids = of.encode(["ab"])[0].tolist()
    assert "".join(map(spoken.push, [special, *ids, special])) == "ab"


STOPS = st.lists(st.text("ab。", min_size=1, max_size=4), min_size=1, max_size=3)


@given(st.lists(st.text("abc。", max_size=3), max_size=12), STOPS)
def test_what_is_handed_out_never_runs_into_a_stop_string(pieces: list[str], stops: list[str]) -> None:
    """Against the text as a whole: all before the first stop string is said, once that is complete, and no more."""
    held, said, text = Held(stops), "", ""
    for n, piece in enumerate(pieces):
        text += piece
        there = [(text.find(stop), -len(stop), stop) for stop in stops if stop in text]
        if there:
            last, by = held.end(piece, stopped=True)
            at, _, stop = min(there)
            assert (said + last, by) == (text[:at], stop)
            return
        if n == len(pieces) - 1:
            last, by = held.end(piece, stopped=False)
            assert (said + last, by) == (text, None)
            return
        said += held.push(piece)
        assert text.startswith(said)
        assert all(not said.endswith(stop[:k]) or text != said for stop in stops for k in range(1, len(stop)))


@given(st.text("ab\n。😀", max_size=12), STOPS)
def test_the_search_is_told_with_the_token_that_completes_a_stop_string(text: str, stops: list[str]) -> None:
    of = byte_level()
    when = stopping(of, stops)
    assert when is not None
    ids = of.encode([text])[0].tolist()
    told = [when(ids[: n + 1]) for n in range(len(ids))]
    first = next((n for n in range(len(ids)) if any(stop in whole(of, ids[: n + 1]) for stop in stops)), None)
    assert told.index(True) == first if first is not None else not any(told)


def test_without_stop_strings_nobody_looks() -> None:
    assert stopping(byte_level(), ()) is None
