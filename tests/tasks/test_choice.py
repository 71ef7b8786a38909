"""Choosing by likelihood: rows of every set, prompts and shots, where prompt and choice meet, and the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asked import AGIEVAL, BBH, BLIMP, CMMLU, DEV, GENERIC, LAMBADA, OPEN, PIQA, model, tokenizer
from assay.errors import InputError
from assay.metrics.scores import value_of
from assay.tasks.choice import Choice, chance
from assay.tasks.exact import Exact
from assay.tasks.language import LanguageModel
from assay.tasks.prompting import Prompt, Shots, identity
from assay.tasks.protocol import Example, made
from assay.tasks.questions import Names, question_of

CHOICE = Choice()


def examples(rows: list[dict[str, Any]], task: Any = CHOICE) -> list[Example]:
    return [task.read(row, f"rows.jsonl:{i}") for i, row in enumerate(rows, 1)]


def shown(row: dict[str, Any], **options: Any) -> tuple[str, list[str]]:
    """(prompt, continuations) of a row."""
    task = Choice(**options)
    example = task.read(row, "row")
    return Shots(task, []).prompt(example).text, task.continuations(example)


def plain(text: str) -> Prompt:
    return Prompt("", (), text)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("models") / "gpt2")


# Rows


@pytest.mark.parametrize(
    ("rows", "right"),
    [
        (PIQA, [0, 1, 0]), (BLIMP, [0, 0, 0]), (LAMBADA, [0, 0]), (CMMLU, [1, 2, 0]), (AGIEVAL, [1, 0]),
        (GENERIC, [1, 0, 0, 0, 1, 0]), (BBH, [1, 1]),
    ],
)  # fmt: skip
def test_rows_of_every_set_say_what_is_right(rows: list[dict[str, Any]], right: list[int]) -> None:
    assert [e.wanted for e in examples(rows)] == right


def test_prompts_are_those_of_lm_evaluation_harness_where_it_has_some() -> None:
    assert shown(PIQA[0]) == ("Question: make honey\nAnswer:", [" Keep bees. ", " Keep cats and wait."])
    assert shown(BLIMP[0]) == ("", ["The cats sleep on mats.", "The cats sleeps on mats."])
    assert shown(LAMBADA[0]) == ("The farmer said that the cats sleep on the warm", [" mat"])
    cmmlu = "蜜蜂酿造什么\nA. 蜡\nB. 蜂蜜\nC. 水\nD. 茶\n答案："
    assert shown(CMMLU[0], description="", between=" ") == (cmmlu, [" A", " B", " C", " D"])


def test_the_last_word_of_a_chinese_text_is_found_without_spaces() -> None:
    assert shown(LAMBADA[1]) == ("农民说猫在温暖的垫子上", ["睡觉"])


def test_templates_are_in_the_language_of_the_item() -> None:
    prompt, letters = shown(CMMLU[0])
    assert prompt.startswith("以下是关于agronomy的单项选择题，请直接给出正确答案的选项。\n\n蜜蜂酿造什么\nA. 蜡\n")
    assert letters == list("ABCD")
    assert shown(CMMLU[0], ask="texts") == ("问题：蜜蜂酿造什么\n答案：", ["蜡", "蜂蜜", "水", "茶"])
    prompt, letters = shown(AGIEVAL[0])
    assert prompt.endswith(
        "Passage: Bees make honey.\nWhat do bees make?\nA. tea\nB. honey\nC. mats\nD. rivers\nE. cats\nAnswer:"
    )
    assert letters == [" A", " B", " C", " D", " E"]
    own = "{question} ({subject}) {choices} => "
    assert shown(GENERIC[0], template=own)[0] == "What do bees make? () A. tea\nB. honey => "
    assert shown({**GENERIC[0], "question": "{choices}?"}, template="{question}")[0] == "{choices}?"


def test_fields_of_any_name_are_read_once_they_are_named() -> None:
    row = {"frage": "Was?", "moeglich": ["dies", "das"], "richtig": "das", "fach": "x"}
    names = Names("frage", "moeglich", "richtig", "", "fach")
    found = question_of(row, names, "row")
    assert (found.right, found.subject, found.choices) == (1, "x", ("dies", "das"))
    task = made("choice", {"question": "frage", "choices": "moeglich", "answer": "richtig"})
    assert task.read(row, "row").wanted == 1


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question": "q", "choices": ["a", "b"], "answer": 2}, "there are 2 choices"),
        ({"question": "q", "choices": ["a", "b"], "answer": -1}, "there are 2 choices"),
        ({"question": "q", "choices": ["a", "b"], "answer": "c"}, "none of the choices"),
        ({"question": "q", "choices": ["a", "b"], "answer": True}, "none of the choices"),
        ({"question": "q", "choices": ["a", "b"], "answer": ["a", "b"]}, "none of the choices"),
        ({"question": "q", "choices": ["B", "A"], "answer": "A"}, "another choice"),
        ({"question": "q", "choices": ["a"], "answer": 0}, "no list of two choices"),
        ({"question": "q", "choices": "ab", "answer": 0}, "no list of two choices"),
        ({"question": "q", "choices": ["a", " "], "answer": 0}, "empty or no text"),
        ({"question": "q", "choices": {"text": ["a", "b"], "label": ["1"]}, "answer": 0}, "number of labels"),
        ({"question": " ", "choices": ["a", "b"], "answer": 0}, "is empty"),
        ({"question": 7, "A": "x", "B": None, "C": "y", "Answer": "A"}, "asks nothing|no choices"),
        ({"question": "q", "A": "x", "B": "y", "D": "z", "Answer": "A"}, "one is missing"),
        ({"question": "q", "A": "x", "B": "y", "Answer": "E"}, "none of the choices"),
        ({"question": "q", "answer": "x"}, "no choices"),
        ({"goal": "g", "sol1": "a", "sol2": "", "label": 0}, "is empty"),
        ({"text": "word"}, "one word alone"),
        ({"text": "词"}, "one word alone"),
        ({"words": "x"}, "asks nothing that is known"),
    ],
)
def test_bad_rows_are_told_in_one_line(row: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        CHOICE.read(row, "rows.jsonl:3")
    assert error.value.line().startswith("rows.jsonl:3: ")
    assert error.value.remedy


def test_questions_about_one_passage_are_drawn_together() -> None:
    rows = [{**AGIEVAL[0], "question": f"What is {i}?"} for i in range(3)] + [{**AGIEVAL[0], "passage": "Another."}]
    groups = [e.group for e in examples([*rows, AGIEVAL[1]])]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert groups[4] == ""


# Shots


def test_shots_are_answered_and_the_same_for_all_items_of_a_subject() -> None:
    task = Choice(shots=3, dev="dev.jsonl", seed=4)
    shots = Shots(task, examples(DEV, task))
    items = examples(CMMLU, task)
    agronomy, again, rivers = (shots.of(item) for item in items)
    assert agronomy == again
    assert {e.given["subject"] for e in agronomy} == {"agronomy"}
    assert {e.given["subject"] for e in rivers} == {"rivers"}
    text = shots.prompt(items[0]).text
    assert text.count("答案：") == 4
    for shot in agronomy:
        assert f"{shot.given['text']}\nA. 一\nB. 二\nC. 三\nD. 四\n答案：{'ABCD'[shot.wanted]}\n\n" in text
    other = Shots(Choice(shots=3, seed=5), examples(DEV, task))
    assert other.of(items[0]) != agronomy
    first = Shots(Choice(shots=3, seed=None), examples(DEV, task))
    assert [e.where for e in first.of(items[0])] == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
    mixed = Shots(Choice(shots=8, by_subject=False), examples(DEV, task))
    assert mixed.of(items[0]) == mixed.of(items[2])


@pytest.mark.parametrize("seed", range(8))
def test_no_shot_is_the_item_or_says_the_same(seed: int) -> None:
    rows = [*DEV, {**DEV[0], "Question": DEV[0]["Question"] + " ", "A": "九"}, *DEV]
    task = Choice(shots=4, seed=seed)
    pool = examples(rows, task)
    shots = Shots(task, pool)
    for item in pool:
        assert identity(item) not in {identity(shot) for shot in shots.of(item)}
        assert shots.prompt(item).text.count(item.given["text"].strip()) == 1


def test_too_few_shots_are_refused_and_so_are_shots_of_minimal_pairs() -> None:
    task = Choice(shots=20)
    pool = examples(DEV, task)
    with pytest.raises(InputError, match="20 shots are asked for, and there are 9"):
        Shots(task, pool).of(pool[0])
    with pytest.raises(InputError, match="minimal pairs"):
        Shots(Choice(shots=1), pool).of(examples(BLIMP)[0])
    with pytest.raises(InputError, match="shots is -1"):
        Choice(shots=-1)


# Likelihoods


def by_hand(folder: Path, prompt: str, continuation: str) -> float:
    """The log-probability of a continuation by transformers on the same weights, tokens by tokenizers."""
    import tokenizers
    import transformers

    network = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    encoder = tokenizers.Tokenizer.from_str(tokenizer())
    bare = prompt.rstrip()
    n = len(encoder.encode(bare, add_special_tokens=False).ids)
    ids = [0, *encoder.encode(prompt + continuation, add_special_tokens=False).ids]
    with torch.no_grad():
        scores = network(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return float(sum(scores[i - 1, ids[i]] for i in range(n + 1, len(ids))))


PAIRS = [
    ("Question: make honey\nAnswer:", " Keep bees. "),
    ("", "The cats sleep on mats."),
    ("The cats sleep on the ", "mat"),
    ("农民喜欢温暖的", "河水"),
    ("Bees make\n", "wax"),
]


def test_likelihoods_are_those_of_transformers_on_the_same_weights(gpt2: Path) -> None:
    language = LanguageModel.load(gpt2)
    encoded = language.encoded([plain(p) for p, _ in PAIRS], [[c] for _, c in PAIRS])
    assert not any(one.apart for one in encoded)
    for (prompt, continuation), (found,) in zip(PAIRS, language.scored(encoded), strict=True):
        assert found.total == pytest.approx(by_hand(gpt2, prompt, continuation), abs=1e-4)


def test_white_space_at_the_end_of_a_prompt_belongs_to_what_goes_on(gpt2: Path) -> None:
    language = LanguageModel.load(gpt2)
    moved, plainly = language.encoded([plain("on the "), plain("on the")], [["mat"], [" mat"]])
    assert moved == plainly
    assert language.encoder.decode(np.array(moved.continuations[0])) == " mat"


def test_a_token_that_would_straddle_has_all_choices_encoded_by_themselves(gpt2: Path) -> None:
    """“：A” is one token here, as is “：B”: of the whole nothing would be left behind the prompt."""
    language = LanguageModel.load(gpt2)
    whole = language.encoder.encode(["答案：A", "答案："])[1]
    assert whole[1] - whole[0] == whole[2] - whole[1]
    (one,) = language.encoded([plain("答案：")], [["A", "B", "零度"]])
    assert one.apart
    assert [language.encoder.decode(np.array(ids)) for ids in one.continuations] == ["A", "B", "零度"]


@pytest.mark.parametrize("name", ["gpt2", "lstm", "ngram"])
def test_scores_do_not_depend_on_the_size_of_batches(tmp_path: Path, name: str) -> None:
    language = LanguageModel.load(model(tmp_path / name, name))
    items = examples([*PIQA, *BLIMP, *CMMLU, *AGIEVAL, *GENERIC[:5]])
    shots = Shots(CHOICE, [])
    encoded = language.encoded([shots.prompt(e) for e in items], [CHOICE.continuations(e) for e in items])
    found = [language.scored(encoded, rows) for rows in (1, 7, 64)]
    sums = [[own.total for item in one for own in item] for one in found]
    assert sums[0] == pytest.approx(sums[1], abs=1e-5)
    assert sums[0] == pytest.approx(sums[2], abs=1e-5)
    answers = [[CHOICE.said_of(e, own) for e, own in zip(encoded, one, strict=True)] for one in found]
    assert [a["choice"] for a in answers[0]] == [a["choice"] for a in answers[1]] == [a["choice"] for a in answers[2]]


def test_n_grams_counted_in_one_go_are_those_of_likelihoods(tmp_path: Path) -> None:
    language = LanguageModel.load(model(tmp_path / "ngram", "ngram"))
    encoded = language.encoded([plain(p) for p, _ in PAIRS], [[c, " mat"] for _, c in PAIRS])
    for one, other in zip(language.scored(encoded), language.scored(encoded, greedy=True), strict=True):
        assert [a.by_token for a in one] == [pytest.approx(b.by_token, abs=1e-9) for b in other]


def test_what_is_too_long_loses_shots_then_its_beginning_and_is_counted(gpt2: Path) -> None:
    language = LanguageModel.load(gpt2, window=24)
    prompt = Prompt("", ("the cats sleep on mats. " * 2, "bees make honey"), "What do bees make?")
    short, long = language.encoded([prompt, plain("the cats sleep on the warm mat. " * 9)], [[" honey", " tea"], ["x"]])
    assert (short.shots_cut, short.cut) == (1, 0)
    assert language.encoder.decode(np.array(short.prompt[1:])) == "bees make honey\n\nWhat do bees make?"
    assert long.cut > 0
    assert len(long.prompt) + len(long.continuations[0]) - 1 == 24
    assert long.prompt[0] == 0


def test_a_continuation_longer_than_the_window_is_read_in_windows(gpt2: Path) -> None:
    """Of a window as long as the text nothing changes; of a shorter one, each token has half a window before it."""
    text = "The farmer said that the cats sleep on the warm mat. " * 3
    whole, short = LanguageModel.load(gpt2), LanguageModel.load(gpt2, window=16)
    (one,), (other,) = (language.encoded([plain("")], [[text]]) for language in (whole, short))
    assert (one.long, other.long) == (False, True)
    by_token = short.scored([other])[0][0].by_token
    assert len(by_token) == len(other.continuations[0])
    assert by_token[:16] == pytest.approx(whole.scored([one])[0][0].by_token[:16], abs=1e-5)
    ids = (*other.prompt, *other.continuations[0])
    (again,) = whole.encoded([plain("")], [["x"]])
    from dataclasses import replace

    piece = replace(again, prompt=ids[9:17], continuations=(ids[17:26],))
    assert by_token[16:25] == pytest.approx(whole.scored([piece])[0][0].by_token, abs=1e-5)


def test_equal_choices_have_equal_scores_and_the_first_is_taken(gpt2: Path) -> None:
    language = LanguageModel.load(gpt2)
    (one,) = language.encoded([plain("on the")], [[" mat", " mat", " mat"]])
    found = language.scored([one])[0]
    assert len({own.total for own in found}) == 1
    assert CHOICE.said_of(one, found)["choice"] == 0


def test_an_empty_continuation_is_refused(gpt2: Path) -> None:
    with pytest.raises(InputError, match="empty continuation"):
        LanguageModel.load(gpt2).encoded([plain("on the")], [[""]])


def test_encoder_decoders_read_the_prompt_and_score_the_choice(tmp_path: Path) -> None:
    language = LanguageModel.load(model(tmp_path / "t5", "t5"))
    (one,) = language.encoded([plain("What do bees make?")], [[" honey", " tea"]])
    assert one.apart
    found = language.scored([one])[0]
    assert found[0].total != found[1].total


# Scores


def told(scores: list[list[float]], tokens: list[list[int]]) -> list[dict[str, Any]]:
    return [
        {"choice": int(np.argmax(s)), "log_probabilities": s, "tokens": n} for s, n in zip(scores, tokens, strict=True)
    ]


def test_scores_by_sum_characters_bytes_and_tokens() -> None:
    rows = [
        {"question": "q", "choices": ["ab", "abcdef"], "answer": 1, "subject": "x"},
        {"question": "q", "choices": ["abc", "好好"], "answer": 1, "subject": "y"},
    ]
    answers = told([[-2.0, -3.0], [-3.1, -3.0]], [[1, 1], [1, 3]])
    found = value_of(CHOICE.measure(examples(rows), answers))
    # q1: sums choose 0; characters -1, -0.5: 1; bytes alike; tokens -2, -3: 0.
    # q2: sums choose 1; characters -1.03, -1.5: 0; bytes -1.03, -0.5: 1; tokens -3.1, -1: 1.
    assert [found[n] for n in ("acc", "acc_norm", "acc_bytes", "acc_tokens")] == [0.5, 0.5, 1.0, 0.5]
    assert (found["acc[x]"], found["acc[y]"], found["macro_acc"]) == (0.0, 1.0, 0.5)
    assert chance(examples(rows)) == 0.5


def test_the_macro_mean_is_over_subjects() -> None:
    rows = [{"question": str(i), "choices": ["a", "b"], "answer": 0, "subject": "xxxy"[i]} for i in range(4)]
    answers = told([[-1.0, -2.0]] * 3 + [[-2.0, -1.0]], [[1, 1]] * 4)
    found = value_of(CHOICE.measure(examples(rows), answers))
    assert (found["acc"], found["macro_acc"]) == (0.75, 0.5)


def test_perplexity_is_of_the_whole_word() -> None:
    answers = [{"written": i == 0, "log_probabilities": [-float(i + 1)], "tokens": [2]} for i in range(2)]
    found = value_of(CHOICE.measure(examples(LAMBADA), answers))
    assert found["perplexity"] == pytest.approx(np.exp(1.5))
    assert found["acc"] == 0.5
    assert "acc_norm" not in found


def test_answers_of_other_programs_are_scored_by_index_letter_or_text() -> None:
    items = examples(CMMLU)
    answers = [{"choice": "B"}, {"choice": 2}, {"answer": "十度"}]
    assert value_of(CHOICE.measure(items, answers))["acc"] == pytest.approx(2 / 3)
    for bad in ({"choice": 4}, {"choice": "E"}, {"choice": "蜂王"}, {"choice": None}):
        with pytest.raises(InputError, match=r"the answer to rows\.jsonl:1"):
            CHOICE.measure(items[:1], [bad])
    with pytest.raises(InputError, match="1 scores for 4 choices"):
        CHOICE.measure(items[:1], [{"choice": 0, "log_probabilities": [-1.0], "tokens": [1]}])


# Written answers


def test_answers_are_written_greedily_up_to_a_stop(tmp_path: Path) -> None:
    language = LanguageModel.load(model(tmp_path / "ngram", "ngram"))
    asked = [plain("The following are multiple"), plain("以下是关于农学的单项选择题")]
    found = {i: answer for i, answer, _ in language.written(asked, (" (", "。"), 12)}
    assert (found[0].text, found[0].stopped) == (" choice questions", True)
    assert (found[1].text, found[1].stopped) == ("，请直接给出正确答案的选项", True)
    cut = {i: answer for i, answer, _ in language.written(asked[:1], (), 3)}
    assert (cut[0].text, cut[0].stopped) == (" choice questions (", False)


def test_exact_match_of_written_answers_by_subject() -> None:
    task = Exact()
    items = examples(OPEN, task)
    assert [e.wanted for e in items] == [["False"], ["True"], ["4"]]
    answers = [{"text": "false.", "stopped": True}, {"text": "no", "stopped": True}, {"text": "４", "stopped": False}]
    found = value_of(task.measure(items, answers))
    assert found["exact_match"] == pytest.approx(2 / 3)
    assert (found["macro_exact_match"], found["exact_match[sums]"]) == (0.75, 1.0)
    shot = Shots(Exact(shots=1, by_subject=False, seed=None), items).prompt(items[2]).text
    assert shot == "Question: not ( True ) is\nAnswer: False\n\n问题：二加二等于几\n答案："
    task = Exact(shots=1, seed=None)
    plainly = examples([{"prompt": "one two", "answer": "three"}, {"prompt": "two four", "answer": ["six", "6"]}], task)
    assert Shots(task, plainly).prompt(plainly[1]).text == "one two three\n\ntwo four"
    assert plainly[1].wanted == ["six", "6"]
    for bad in ({"input": "a", "target": ""}, {"input": "a", "target": {}}, {"target": "a"}):
        with pytest.raises(InputError, match="row"):
            task.read(bad, "row")
