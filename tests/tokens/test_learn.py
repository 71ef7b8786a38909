"""Tokenizers of every kind: what they learn, what they give back, and that no text can spell a special token."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rjieba
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from assay.errors import InputError
from assay.tokens.learn import END_OF_TEXT, KINDS, Kind, Learning, configuration, train_tokenizer
from assay.tokens.tokenizer import Encoder

TRAINING = [
    "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; 1984 was 40 years ago.\n" * 5,
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？\n" * 5,
    "def f(x):\n    return x ** 2  # 平方 <b>\n\n\n" * 5,
]
TEXTS = [
    "The dog wasn't lazy; it's 12:30.  Two  spaces,\ttabs and trailing blanks.   \n\n  Next.",
    "有朋自远方来，不亦乐乎？二〇二六年十一月，共１２３４项。",
    "GPT-4 的损失是 1.25 bits，比 GPT-2 低了 30%。\r\nDon't 混用ABC中文。",
    "👩‍👩‍👧‍👦 🇨🇳 e\u0301 é ﷽ \u200b\ufeff ▁ a▁b",
    "",
    "\x00\x01\x7f\x85\u2028\u2029\u00a0",
    "𠮷野家 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \U0010ffff",
    "<0x41><0xE4> ##ing [UNK] [CLS] [MASK] <unk>",
    f"{END_OF_TEXT} a<|mask|>b <|pad|> <|unk|> <|extra_0|>",
]
SPECIAL = ("<|mask|>", "<|pad|>", "<|extra_0|>")
LOSSLESS = ("bpe", "unigram", "character")


@pytest.fixture(scope="module")
def encoders() -> dict[Kind, Encoder]:
    return {kind: Encoder(train_tokenizer(TRAINING, 420, kind, special=SPECIAL)) for kind in KINDS}


def ids_of(encoder: Encoder, text: str) -> list[int]:
    return encoder.encode([text])[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_reserved_tokens_come_first_and_no_text_spells_them(encoders: dict[Kind, Encoder], kind: Kind) -> None:
    encoder = encoders[kind]
    assert [encoder.special_id(name) for name in SPECIAL] == [1, 2, 3]
    assert encoder.marks_documents
    assert encoder.token_bytes[list(encoder.special.values())].sum() == 0
    never = set(encoder.special.values()) - {encoder.unknown}
    for text in TEXTS:
        assert never.isdisjoint(ids_of(encoder, text)), text
    with pytest.raises(InputError, match=r"no special token <\|sep\|>"):
        encoder.special_id("<|sep|>")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_tokenizer(kind: Kind) -> None:
    one, other = (train_tokenizer(TRAINING, 400, kind) for _ in range(2))
    assert one == other
    assert Encoder(one).vocabulary <= 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["a", "\n\n", "𠮷" * 50, ""])
def test_texts_with_nothing_to_learn(kind: Kind, text: str) -> None:
    encoder = Encoder(train_tokenizer([text], 300, kind))
    encoder.check_equal([text, "other 字"])
    assert encoder.encode([text])[1].tolist()[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_encoding_equals_tokenizers(encoders: dict[Kind, Encoder], kind: Kind) -> None:
    """As the library's users encode, Chinese words marked by U+200B where the tokenizer cuts there."""
    encoder = encoders[kind]
    reference = Tokenizer.from_str(encoder.content)
    reference.encode_special_tokens = True
    for text in TEXTS:
        given_ = text.replace("\u200b", " ")
        given_ = re.sub(
            "[\u3007\u4e00-\u9fff\U00020000-\U0003ffff]+", lambda m: "\u200b".join(rjieba.cut(m[0])), given_
        )
        wanted = reference.encode(given_ if kind == "word" else text, add_special_tokens=False)
        assert ids_of(encoder, text) == wanted.ids
    encoder.check_equal(TEXTS)
    many, offsets = encoder.encode(TEXTS)
    assert [many[a:b].tolist() for a, b in pairwise(offsets)] == [ids_of(encoder, text) for text in TEXTS]
    assert encoder.encode([])[1].tolist() == [0]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.text(st.sampled_from("the dog's 不亦乐乎，12 \t\r\n<0xE4>|mask▁é👍\u200b"), max_size=60)
)
def test_any_text_comes_back_from_the_lossless_kinds(encoders: dict[Kind, Encoder], text: str) -> None:
    for kind, encoder in encoders.items():
        assert encoder.lossless == (kind in LOSSLESS)
        ids, _, begins, ends = encoder.places([text])
        data = text.encode()
        if encoder.lossless:
            assert encoder.unknown is None
            assert encoder.decode(ids) == text
            assert encoder.token_bytes[ids].sum() == len(data)
            assert b"".join(data[a:b] for a, b in zip(begins, ends, strict=True)) == data
        else:  # what is unknown may be any text; the rest is where it says, case and accents aside
            assert (begins <= ends).all()
            assert (ends <= len(data)).all()
            kept = ids != encoder.unknown
            spelled = [encoder.surface.spelled[i] for i in ids[kept]]
            assert [data[a:b] for a, b in zip(begins[kept], ends[kept], strict=True)] == spelled


def test_unigram_takes_the_most_likely_pieces(encoders: dict[Kind, Encoder]) -> None:
    """Against all ways to cut a word, as the definition has it (Kudo 2018)."""
    encoder = encoders["unigram"]
    scores = {p: s for p, s in json.loads(encoder.content)["model"]["vocab"][len(encoder.special) + 256 :]}

    def best(word: str) -> float:
        ways = [scores.get(word[:i], -math.inf) + best(word[i:]) for i in range(1, len(word) + 1)]
        return max(ways) if word else 0.0

    for word in ["dog", " dog", " jumps", "不亦乐乎", " mind", "return"]:
        pieces = [encoder.surface.spelled[i].decode() for i in ids_of(encoder, word)]
        assert sum(scores[piece] for piece in pieces) == pytest.approx(best(word))


def test_unigram_spells_what_it_has_no_piece_for_in_bytes(encoders: dict[Kind, Encoder]) -> None:
    encoder = encoders["unigram"]
    names = [encoder.surface.names[i] for i in ids_of(encoder, "鼠")]
    assert names == ["<0xE9>", "<0xBC>", "<0xA0>"]


@pytest.mark.parametrize("lower", [False, True])
def test_wordpiece_equals_the_original_of_bert(tmp_path: Path, lower: bool) -> None:
    """transformers' port of BERT's own Python, on the same vocabulary; its fast one where both differ, which is in
    what they take for control characters (joiners, private use)."""
    from transformers import BertTokenizer
    from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

    encoder = Encoder(train_tokenizer([*TRAINING, "Café Ünïted naïve 漢字"] * 3, 500, "wordpiece", lower=lower))
    names = [encoder.surface.names[i] for i in range(encoder.vocabulary)]
    (tmp_path / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    bert = BertTokenizerLegacy(str(tmp_path / "vocab.txt"), do_lower_case=lower)
    fast = BertTokenizer(vocab={name: i for i, name in enumerate(names)}, do_lower_case=lower)
    for text in [*TEXTS[:7], "CAFÉ café, naïve Ünïted?  漢字 foxes"]:
        assert ids_of(encoder, text) == fast(text, add_special_tokens=False)["input_ids"]
        if all(unicodedata.category(c)[0] != "C" or c in "\t\r\n" for c in text):
            assert ids_of(encoder, text) == bert.convert_tokens_to_ids(bert.tokenize(text)), text
    assert ("café" in names or "##é" in names) != lower


def plain_words(text: str) -> list[str]:
    """Words as the docstring of `tokens.words` defines them, without its patterns."""
    found: list[str] = []
    for run in re.findall(
        r"[\u4e00-\u9fff]+|[a-zA-Z]+|[0-9]+|'s\b|'t\b|<b>|\n|[^\s\w]", re.sub("(?<=[a-z])'t", " 't", text)
    ):
        found += rjieba.cut(run) if "\u4e00" <= run[0] <= "\u9fff" else [run]
    return found


@pytest.mark.parametrize("lower", [False, True])
def test_word_counts_equal_a_counter(lower: bool) -> None:
    content = train_tokenizer(TRAINING, 400, "word", min_count=6, lower=lower)
    counts = Counter(w.lower() if lower else w for text in TRAINING for w in plain_words(text))
    vocab = json.loads(content)["model"]["vocab"]
    kept = sorted((w for w, n in counts.items() if n >= 6), key=lambda w: (-counts[w], w))
    assert sorted(vocab, key=vocab.__getitem__) == [END_OF_TEXT, "<|pad|>", "<|unk|>", *kept]
    encoder = Encoder(content)
    ids = ids_of(encoder, TRAINING[0] + TRAINING[1])
    words = [w.lower() if lower else w for w in plain_words(TRAINING[0] + TRAINING[1])]
    assert ids == [vocab.get(w, encoder.unknown) for w in words]


def test_words_between_spaces_are_the_penn_treebanks() -> None:
    lines = [" mr. <unk> is n't N years old \n", " the $ N million u.s. company 's <|pad|> \n"]
    encoder = Encoder(train_tokenizer(lines, 60, "word", spaces=True))
    words = " ".join(lines).replace("<|pad|>", "<| pad|>").replace("\n", "\\n").split()
    spelled = [encoder.surface.names[i].replace("\n", "\\n") for i in encoder.encode(lines)[0].tolist()]
    assert spelled == words
    assert encoder.decode(encoder.encode([lines[0]])[0]).strip() == lines[0].strip()


def test_the_words_of_the_penn_treebank(shared: Callable[[str], Path]) -> None:
    """Its validation part has 73,760 words, the ends of its 3,370 sentences among them (Mikolov et al. 2010), each of
    which is here a newline."""
    data = (shared("lm-en-small") / "ptb.valid.txt.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(data).decode()
    encoder = Encoder(train_tokenizer([text], 10_000, "word", spaces=True))
    ids, _ = encoder.encode([text])
    assert len(ids) == 73_760
    assert (ids == encoder.encode(["\n"])[0][0]).sum() == 3_370
    assert encoder.vocabulary == len({*text.split(), "\n"}) + len(encoder.special)
    assert (ids != encoder.unknown).all()


def test_words_are_joined_as_people_write_them(encoders: dict[Kind, Encoder]) -> None:
    for text in ("the dog, and the fox doesn't mind.\nreturn 2", "人不知而不愠，不亦君子乎？"):
        encoder = Encoder(train_tokenizer([text], 60, "word"))
        assert encoder.decode(encoder.encode([text])[0]) == text


def test_rare_characters_are_spelled_in_bytes() -> None:
    encoder = Encoder(train_tokenizer(["aaab 不不"], 300, "character", min_count=2))
    assert [encoder.surface.names[i] for i in ids_of(encoder, "ab不 ")] == ["a", "<0x62>", "不", "<0x20>"]
    assert encoder.vocabulary == 1 + 256 + 2


def test_where_words_begin(encoders: dict[Kind, Encoder]) -> None:
    """By a table over ids where spaces tell it; by the segmenter for Chinese."""
    for kind in ("bpe", "unigram", "character"):
        encoder = encoders[kind]
        text = "The lazy dog, doing"
        ids, _, begins, _ = encoder.places([text])
        begun = {int(b) for b, i in zip(begins, ids, strict=True) if not encoder.continues[i]}
        assert begun | {0} == {0, 3, 8, 12, 13}  # at each space and at the comma
        assert begun | {0} == {int(b) for b, s in zip(begins, encoder.word_starts([text]), strict=True) if s}
    text = "人不知而不愠，不亦君子乎？"
    words = [*rjieba.cut("人不知而不愠"), "，", *rjieba.cut("不亦君子乎"), "？"]
    ends = set(np.cumsum([0, *map(len, words)])[:-1].tolist())
    for kind in ("character", "wordpiece"):
        begins = encoders[kind].places([text])[2]
        starts = encoders[kind].word_starts([text])
        assert {int(b) // 3 for b in begins[starts]} == ends
        assert not encoders[kind].continues[encoders[kind].encode([text])[0]].any()  # no table can say it


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "sentencepiece"}, "--kind: no kind of tokenizer is called 'sentencepiece' -> bpe, unigram"),
        ({"vocabulary": 200}, "--vocabulary: 200 ids are too few -> give 273 or more"),
        ({"special": ("[MASK]",)}, "--special: '[MASK]' is no name for a special token"),
        ({"special": ("<|a|>", "<|a|>")}, "--special: a special token is named twice"),
        ({"lower": True}, "--lower: does not go with --kind bpe -> leave it out, or take --kind wordpiece or word"),
        ({"kind": "word", "min_count": 0}, "--min-count: is 0 -> give 1 or more"),
    ],
)
def test_options_that_do_not_go_together(options: dict, words: str) -> None:
    with pytest.raises(InputError) as error:
        Learning(**options)
    assert error.value.line().startswith(words)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_it(tmp_path: Path, kind: Kind) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    how = Learning(kind, 420, special=SPECIAL)
    content = train_tokenizer(TRAINING, 420, kind, special=SPECIAL)
    (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(configuration(how)), encoding="utf-8")
    encoder = Encoder.load(tmp_path)
    for loaded in (PreTrainedTokenizerFast.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert len(loaded) == encoder.vocabulary
        text = TEXTS[0]
        assert loaded(text, add_special_tokens=False)["input_ids"] == ids_of(encoder, text)
        assert loaded.convert_tokens_to_ids("<|mask|>") == 1
        assert loaded.pad_token == ("[PAD]" if kind == "wordpiece" else "<|pad|>")
        if kind == "wordpiece":
            ids = loaded(text)["input_ids"]
            assert (ids[0], ids[-1]) == (0, encoder.special_id("[SEP]"))
        if encoder.lossless:
            assert loaded.decode(ids_of(encoder, text)) == text
