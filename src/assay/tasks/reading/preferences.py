"""Which of two answers is better, or whether one is good:

preference   {"messages": prompt, "chosen": str, "rejected": str}      from sharegpt and alpaca forms (LLaMA-Factory),
             hh-rlhf's two transcripts, and TRL's prompt, chosen, rejected, texts or messages
kto          {"messages": prompt, "completion": str, "good": bool}     from a conversation, or prompt and completion,
             with `label` or `kto_tag` (Ethayarajh et al. 2024)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assay.errors import InputError
from assay.tasks.reading import chat
from assay.tasks.reading.rows import MEND, kind, mapping, wanted

_MARKS = ("kto_tag", "label", "good")


def looks_like(value: Mapping[str, Any]) -> bool:
    """Whether a row says which answer is better."""
    return {"chosen", "rejected"} <= set(value)


def looks_like_kto(value: Mapping[str, Any]) -> bool:
    """Whether a row says of a conversation's last answer whether it is good."""
    marked = any(isinstance(value.get(name), bool) for name in _MARKS)
    return marked and chat.looks_like(value)


def preference(value: Any, where: str) -> dict[str, Any]:
    """A row of two answers to one prompt.

    Raises:
        InputError: the two do not share their prompt, or an answer is missing or not an assistant's.
    """
    fields = mapping(value, where)
    both = wanted(fields, "chosen", where), wanted(fields, "rejected", where)
    asked = _asked(fields, where)
    good, bad = (_ending(one, asked, where) for one in both)
    if good[:-1] != bad[:-1]:
        what = "the two answers do not share their prompt"
        raise InputError(what, where=where, remedy=MEND)
    prompt = chat.asked(good[:-1], where)
    return {"messages": prompt, "chosen": good[-1]["content"], "rejected": bad[-1]["content"]}


def kto(value: Any, where: str) -> dict[str, Any]:
    """A row of one answer and whether it is good.

    Raises:
        InputError: there is no answer, or nothing says whether it is good.
    """
    fields = mapping(value, where)
    name = next((name for name in _MARKS if name in fields), "label")
    good = wanted(fields, name, where)
    if not isinstance(good, bool):
        raise InputError(f"field {name!r} is not true or false: it is {kind(good)}", where=where, remedy=MEND)
    found = chat.ended(chat.messages(fields, where), where)
    return {"messages": chat.asked(found[:-1], where), "completion": found[-1]["content"], "good": good}


def _asked(fields: Mapping[str, Any], where: str) -> list[chat.Message]:
    """The prompt, where it stands beside the answers; hh-rlhf has it in both."""
    if "prompt" in fields:
        return chat.prompted(fields["prompt"], where)
    others = {name: value for name, value in fields.items() if name not in ("chosen", "rejected", "output")}
    both = fields["chosen"], fields["rejected"]
    within = all(chat.is_transcript(one) or (isinstance(one, list) and len(one) > 1) for one in both)
    return [] if within and "instruction" not in others else chat.messages(others, where)


def _ending(value: Any, asked: list[chat.Message], where: str) -> list[chat.Message]:
    """The whole conversation with one of both answers."""
    if chat.is_transcript(value) and not asked:
        return chat.ended(chat.transcript(value, where), where)
    said = chat.answered(value, where)
    whole = said if said[: len(asked)] == asked else [*asked, *said]
    return chat.ended(whole, where)
