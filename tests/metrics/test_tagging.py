"""Tags, spans and Chinese words: seqeval in both modes, on random and ill-formed sequences; tables by hand."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from seqeval import metrics, scheme
from seqeval.metrics import sequence_labeling

from assay.errors import InputError
from assay.metrics.scores import bootstrap, value_of
from assay.metrics.tagging import segmentation, spans, tagging

SCHEMES = {"IOB1": ("IOB", scheme.IOB1), "BIO": ("IOB", scheme.IOB2), "BIOES": ("IOBES", scheme.IOBES),
           "BILOU": ("BILOU", scheme.BILOU)}  # fmt: skip


def drawn(rng: np.random.Generator, letters: str, n: int = 12, longest: int = 15) -> list[list[str]]:
    """Sentences of random tags, most of them ill-formed, of types of which one has a hyphen."""
    tags = ["O", "O", *(f"{letter}-{kind}" for letter in letters if letter != "O" for kind in ("PER", "地名", "A-B"))]
    return [rng.choice(tags, size=rng.integers(1, longest)).tolist() for _ in range(n)]


def resampled(rng: np.random.Generator, sentences: list[list[str]], letters: str) -> list[list[str]]:
    other = drawn(rng, letters, len(sentences), 16)
    return [
        [tag if rng.random() < 0.6 else other[i][j % len(other[i])] for j, tag in enumerate(sentence)]
        for i, sentence in enumerate(sentences)
    ]


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("strict", [False, True])
def test_random_sequences_are_read_as_seqeval_reads_them(name: str, strict: bool) -> None:
    letters, theirs = SCHEMES[name]
    rng = np.random.default_rng(0)
    for sentence in drawn(rng, letters, 400):
        if strict:
            expected = [(e.tag, e.start, e.end) for e in scheme.Tokens(sentence, theirs).entities]
        else:
            # It knows E and S, and not the letters of BILOU.
            known = [tag.replace("L-", "E-").replace("U-", "S-") for tag in sentence]
            expected = [(kind, start, end + 1) for kind, start, end in sequence_labeling.get_entities(known)]
        assert spans(sentence, name, strict=strict) == expected, sentence


@pytest.mark.parametrize("name", ["IOB1", "BIO", "BIOES"])
def test_every_short_sequence_is_read_as_seqeval_reads_it(name: str) -> None:
    letters, theirs = SCHEMES[name]
    tags = ["O", *(f"{letter}-{kind}" for letter in letters if letter != "O" for kind in "XY")]
    for sentence in itertools.product(tags, repeat=4 if name != "BIOES" else 3):
        expected = [(e.tag, e.start, e.end) for e in scheme.Tokens(list(sentence), theirs).entities]
        assert spans(sentence, name, strict=True) == expected, sentence
        found = [(kind, start, end + 1) for kind, start, end in sequence_labeling.get_entities(list(sentence))]
        assert spans(sentence, name) == found, sentence


@pytest.mark.parametrize("name", ["IOB1", "BIO", "BIOES"])
@pytest.mark.parametrize("strict", [False, True])
def test_scores_are_seqevals(name: str, strict: bool) -> None:
    letters, theirs = SCHEMES[name]
    told = {"mode": "strict", "scheme": theirs} if strict else {}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        gold = drawn(rng, letters)
        found = resampled(rng, gold, letters)
        ours = value_of(tagging(gold, found, scheme=name, strict=strict))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for average in ("micro", "macro", "weighted"):
                for part in ("precision", "recall", "f1"):
                    value = getattr(metrics, f"{part}_score")(gold, found, average=average, **told)
                    assert ours[f"{average}_{part}"] == pytest.approx(value, abs=1e-12), (seed, average, part)
            report = metrics.classification_report(gold, found, output_dict=True, **told)
        for kind in ("PER", "地名", "A-B"):
            for part, theirs_part in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                assert ours[f"{part}[{kind}]"] == pytest.approx(report[kind][theirs_part], abs=1e-12)
        assert ours["token_accuracy"] == pytest.approx(metrics.accuracy_score(gold, found), abs=1e-12)


@pytest.mark.parametrize(
    ("tags", "name", "lenient", "strict"),
    [
        ("I-X I-X O I-X I-Y", "IO", [("X", 0, 2), ("X", 3, 4), ("Y", 4, 5)], [("X", 0, 2), ("X", 3, 4), ("Y", 4, 5)]),
        ("B M E S B E", "BMES", [("_", 0, 3), ("_", 3, 4), ("_", 4, 6)], [("_", 0, 3), ("_", 3, 4), ("_", 4, 6)]),
        ("B-X M-X S-X O E-X", "BMES", [("X", 0, 2), ("X", 2, 3), ("X", 4, 5)], [("X", 2, 3)]),
        ("B-X L-X U-Y O I-Y", "BILOU", [("X", 0, 2), ("Y", 2, 3), ("Y", 4, 5)], [("X", 0, 2), ("Y", 2, 3)]),
        ("O I-X B-Y I-X I-X", "BIO", [("X", 1, 2), ("Y", 2, 3), ("X", 3, 5)], [("Y", 2, 3)]),
    ],
)
def test_what_schemes_make_of_tags(tags: str, name: str, lenient: list, strict: list) -> None:
    assert spans(tags.split(), name) == lenient
    assert spans(tags.split(), name, strict=True) == strict


def test_a_mix_of_schemes_is_read_leniently() -> None:
    assert spans(["B-X", "I-X", "E-X", "S-X", "I-Y", "O", "M-Z", "W-Z"]) == [
        ("X", 0, 3),
        ("X", 3, 4),
        ("Y", 4, 5),
        ("Z", 6, 7),
        ("Z", 7, 8),
    ]


def test_chinese_words_by_hand() -> None:
    """他|来到|北京|大学 found as 他|来|到|北京大学: of four words one is right. The other sentence: two of two."""
    gold = [["他", "来到", "北京", "大学"], ["中国", "人"]]
    found = [["他", "来", "到", "北京大学"], ["中国", "人"]]
    ours = value_of(segmentation(gold, found, known={"他", "来到", "中国"}))
    assert ours == pytest.approx(
        {"precision": 3 / 6, "recall": 3 / 6, "f1": 3 / 6, "oov_recall": 1 / 3, "iv_recall": 2 / 3}
    )
    assert value_of(segmentation(gold, found)) == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5})


def test_words_are_spans_of_characters() -> None:
    """The same as tags of BMES, scored by seqeval (which wants the letters of BIOES)."""

    def tags(words: list[str]) -> list[str]:
        return [tag for word in words for tag in ("S" if len(word) == 1 else "B" + "I" * (len(word) - 2) + "E")]

    rng = np.random.default_rng(1)
    both: list[list[list[str]]] = [[], []]
    for _ in range(30):
        text = "".join(rng.choice(list("天地玄黄宇宙洪荒"), size=12))
        for column in both:
            cuts = [0, *np.flatnonzero(rng.random(11) < 0.6) + 1, 12]
            column.append([text[i:j] for i, j in itertools.pairwise(cuts)])
    ours = value_of(segmentation(*both))
    gold, found = ([[f"{tag}-W" for tag in tags(words)] for words in column] for column in both)
    assert ours["f1"] == pytest.approx(metrics.f1_score(gold, found), abs=1e-12)
    assert ours["precision"] == pytest.approx(metrics.precision_score(gold, found), abs=1e-12)


def test_entities_have_intervals_by_sentence() -> None:
    rng = np.random.default_rng(0)
    gold = drawn(rng, "IOB", 60)
    scores = bootstrap(tagging(gold, resampled(rng, gold, "IOB")), replicates=300)
    one = scores["micro_f1"]
    assert one.value is not None and one.interval is not None
    assert one.interval[0] < one.value < one.interval[1]
    assert one.signature.startswith("name:micro_f1|scheme:BIO|strict:no|types:3|zero_division:0|bootstrap:300")


def test_bad_tags_are_told() -> None:
    with pytest.raises(InputError, match="sentence 2: 1 predicted tags for 2 tokens"):
        tagging([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(InputError, match="sentence 1: 'X-PER' is no tag of the scheme"):
        tagging([["O"]], [["X-PER"]])
    with pytest.raises(InputError, match="'S-PER' is no tag of the scheme -> write O, or one of I, O, B and a type"):
        tagging([["O"]], [["S-PER"]], strict=True)
    with pytest.raises(InputError, match="'BOI' is no scheme"):
        spans(["O"], "BOI")
    with pytest.raises(InputError, match="'LOC' is not among the types of tags -> the types are PER"):
        tagging([["B-PER"]], [["B-LOC"]], types=["PER"])
    with pytest.raises(InputError, match="sentence 1: the words make up '北', not '北京'"):
        segmentation([["北京"]], [["北"]])
