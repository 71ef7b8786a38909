"""Answers to questions about a text -> exact match and F1, the best over several right answers.

English as in SQuAD's scripts (Rajpurkar et al. 2016, 2018): case, punctuation and articles do not count, F1 is of bags
of words. Chinese as in that of CMRC 2018 (Cui et al. 2019): each Chinese character is a token, English words are whole,
F1 is of the longest run of tokens that both share. A question without right answers is one that the text does not
answer: right is the empty string.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from assay.errors import InputError
from assay.metrics.pieces import has_han
from assay.metrics.scores import F64, Additive, Values, same_length

Language = Literal["en", "zh"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHINESE_MARKS = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
"""What the script of CMRC 2018 takes out: a full stop of ASCII and the opening quotation mark ‘ are not among it."""
_CHINESE_UNMARKED = str.maketrans("", "", _CHINESE_MARKS)
_RUNS = re.compile("[一-龥]|[^一-龥]+")
_CUT = r"""\.{2,}|[;@#$%&?!"“\[\](){}<>]|[,:](?!\d)|\.(?=[\])}>"'»”’\s]*$)|(?:n't|'(?:s|m|d|ll|re|ve))(?=\s|$)"""
_WORDS = re.compile(rf"{_CUT}|(?:(?!{_CUT})\S)+")
"""What is no Chinese character the script has NLTK cut; these are the rules of its words that matter in answers."""


def reading(
    references: Sequence[Sequence[str]],
    predictions: Sequence[str],
    *,
    language: Language | Sequence[Language] | None = None,
) -> Additive:
    """`exact_match` and `f1`, and of questions with an answer and without one `has_answer_exact_match`,
    `has_answer_f1` and `no_answer_accuracy`. Shares, not per cent.

    Args:
        references: (n,) right answers of each question; none, or empty ones alone: the text does not answer it.
        predictions: (n,) answers; empty: none is given.
        language: of all, or of each. None: a question is Chinese if a Chinese character stands in a right answer; any
            other (a number, a name, no answer) too, where most of those with an answer are.

    Raises:
        InputError: columns of different lengths, empty ones, or a language that is none.
    """
    n = same_length("references and predictions", references, predictions)
    for i, answers in enumerate(references):
        if isinstance(answers, str):
            raise InputError("is a string", where=f"reference {i + 1}", remedy="give a list of right answers")
    languages = _languages(references, language)
    statistics = np.zeros((n, 5))
    for i, (answers, given, its) in enumerate(zip(references, predictions, languages, strict=True)):
        there = [answer for answer in answers if _said(answer, its)]
        if there:
            statistics[i, :3] = max(exact(a, given, its) for a in there), max(f1(a, given, its) for a in there), 1
        else:
            statistics[i, 3:] = not _said(given, its), 1

    def of(sums: F64) -> Values:
        match, overlap, having, silent, lacking = sums.T
        return {
            "exact_match": (match + silent) / (having + lacking),
            "f1": (overlap + silent) / (having + lacking),
            "has_answer_exact_match": match / having,
            "has_answer_f1": overlap / having,
            "no_answer_accuracy": silent / lacking,
        }

    having = int(statistics[:, 2].sum())
    rests_on = {"has_answer_exact_match": having, "has_answer_f1": having, "no_answer_accuracy": n - having}
    rules = {"en": "squad", "zh": "cmrc2018"}
    signature = "rules:" + "+".join(rules[each] for each in sorted(set(languages)))
    return Additive(statistics, of, signature, {}, rests_on)


def exact(answer: str, given: str, language: Language) -> bool:
    """Whether both are the same answer."""
    return _said(answer, language) == _said(given, language)


def f1(answer: str, given: str, language: Language) -> float:
    """Of the tokens that both share: a bag of words in English, the longest common run in Chinese."""
    there, found = _tokens(answer, language), _tokens(given, language)
    if not there or not found:
        return float(there == found)
    shared = sum((Counter(there) & Counter(found)).values()) if language == "en" else longest_run(there, found)
    return 2 * shared / (len(there) + len(found))


def longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest run of tokens that stands in both."""
    longest = 0
    row = [0] * (len(other) + 1)
    for token in one:
        row = [0, *(before + 1 if token == theirs else 0 for before, theirs in zip(row, other, strict=False))]
        longest = max(longest, *row)
    return longest


def _languages(references: Sequence[Sequence[str]], told: Language | Sequence[Language] | None) -> list[Language]:
    if told is not None:
        each = [told] * len(references) if isinstance(told, str) else list(told)
        same_length("references and languages", references, each)
        if wrong := set(each) - {"en", "zh"}:
            raise InputError(f"{min(wrong)!r} is no language with rules for answers", remedy="give en or zh")
        return each
    marked = [has_han("".join(answers)) for answers in references]
    default: Language = "zh" if 2 * sum(marked) > sum(any(answers) for answers in references) else "en"
    return ["zh" if chinese else default for chinese in marked]


def _said(answer: str, language: Language) -> str:
    """What of an answer counts."""
    if language == "zh":
        return answer.lower().strip().translate(_CHINESE_UNMARKED)
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def _tokens(answer: str, language: Language) -> list[str]:
    said = _said(answer, language)
    if language == "en":
        return said.split()
    return [token for run in _RUNS.findall(said) for token in _WORDS.findall(run)]
