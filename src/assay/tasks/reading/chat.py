"""Conversations -> {"messages": [{"role": "system" | "user" | "assistant", "content": str}, ...]}, which end with an
assistant's.

    alpaca     instruction, input, output, and perhaps system and history [[asked, answered], ...] (Taori et al. 2023);
               or instances of an instruction [{"input", "output"}, ...] (Wang et al. 2022)
    sharegpt   {"conversations": [{"from", "value"}, ...]}, and perhaps system
    messages   [{"role", "content"}, ...], as OpenAI has them (content in parts, too), below whatever key
    dialogues  {"turns": [{"role": "usr" | "sys", "text"}, ...]}: who is `sys` here answers (CrossWOZ, Zhu et al. 2020)
    pairs      prompt and completion (or response)
    hh-rlhf    "\\n\\nHuman: ... \\n\\nAssistant: ..." (Bai et al. 2022)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assay.errors import InputError
from assay.tasks.reading.rows import MEND, kind, listed, mapping, text, wanted

Message = dict[str, str]
ROLES = {
    **dict.fromkeys(("system", "developer", "系统"), "system"),
    **dict.fromkeys(("user", "human", "usr", "prompter", "用户"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatgpt", "model", "ai", "助手"), "assistant"),
}
KEYS = ("messages", "conversations", "conversation", "turns", "dialogue", "dialog")
_SPEAKERS, _SAID = ("role", "from", "speaker"), ("content", "value", "text")
_TURN = re.compile(r"\n\n(Human|Assistant):")


def looks_like(value: Mapping[str, Any]) -> bool:
    """Whether a row is a conversation."""
    keys = set(value)
    if ({"instruction", "output"} <= keys or {"instruction", "instances"} <= keys) and "chosen" not in keys:
        return True
    if isinstance(value.get("prompt"), str | list) and keys & {"completion", "response"}:
        return True
    return _spoken(value) is not None or any(is_transcript(value[key]) for key in ("text", "chosen") if key in keys)


def rows(value: Any, where: str) -> Iterator[dict[str, Any]]:
    """The conversations of a row: one, but for an instruction with several instances. Other fields are left out.

    Raises:
        InputError: there is none, a role is unknown, or it does not end with an assistant's message.
    """
    fields = mapping(value, where)
    if isinstance(fields.get("instances"), list) and "instruction" in fields:
        for instance in fields["instances"]:
            yield {"messages": ended(alpaca({**fields, **mapping(instance, where)}, where), where)}
        return
    yield {"messages": ended(messages(fields, where), where)}


def messages(fields: Mapping[str, Any], where: str) -> list[Message]:
    """The messages of a row, whoever has the last word.

    Raises:
        InputError: there are none, or a role is unknown.
    """
    if "instruction" in fields:
        return alpaca(fields, where)
    held = _spoken(fields)
    if held is not None:
        return [*_system(fields, where), *spoken(held, where)]
    answer = next((name for name in ("completion", "response") if name in fields), None)
    if "prompt" in fields and answer is not None:
        return [*prompted(fields["prompt"], where), *answered(fields[answer], where)]
    name = next((name for name in ("text", "chosen") if is_transcript(fields.get(name))), None)
    if name is not None:
        return transcript(fields[name], where)
    what = f"no conversation: there are {listed(fields)}"
    raise InputError(what, where=where, remedy="write messages, conversations, or instruction and output")


def alpaca(fields: Mapping[str, Any], where: str) -> list[Message]:
    """Instruction and input are one message, a line each; without `output` (or where it is null) a prompt alone."""
    asked = text(fields, "instruction", where)
    more = fields.get("input") or ""
    if not isinstance(more, str):
        raise InputError(f"field 'input' is no text: it is {kind(more)}", where=where, remedy=MEND)
    found = _system(fields, where)
    turns = fields.get("history") or []
    if not isinstance(turns, list):
        raise InputError(f"history is no list: it is {kind(turns)}", where=where, remedy=MEND)
    for turn in turns:
        if not (isinstance(turn, list | tuple) and len(turn) == 2 and all(isinstance(one, str) for one in turn)):
            raise InputError("history is no list of [asked, answered]", where=where, remedy=MEND)
        found += [_message("user", turn[0]), _message("assistant", turn[1])]
    found.append(_message("user", "\n".join(filter(None, (asked, more)))))
    if fields.get("output") is not None:
        found.append(_message("assistant", text(fields, "output", where)))
    return found


def spoken(held: Any, where: str) -> list[Message]:
    """A list of who said what."""
    if not isinstance(held, list):
        raise InputError(f"messages are no list: they are {kind(held)}", where=where, remedy=MEND)
    return [message(one, where) for one in held]


def message(value: Any, where: str) -> Message:
    """One message, in whatever words.

    Raises:
        InputError: its role is unknown, or it has no text.
    """
    fields = mapping(value, where)
    who = next((name for name in _SPEAKERS if name in fields), "role")
    role = wanted(fields, who, where)
    known = ROLES.get(role.strip().lower()) if isinstance(role, str) else None
    if who == "role" and role == "sys" and "text" in fields:
        known = "assistant"  # of CrossWOZ: the system that answers, not what tells it how
    if known is None:
        what = f"an unknown role: {role!r}; roles are {', '.join(ROLES)}"
        raise InputError(what, where=where, remedy=MEND)
    said = next((name for name in _SAID if name in fields), "content")
    content = wanted(fields, said, where)
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "".join(text(part, "text", where) for part in content)
    if not isinstance(content, str):
        what = f"a message is no text: it is {kind(content)}"
        raise InputError(what, where=where, remedy="calls of tools, pictures and sound are not read")
    return _message(known, content)


def prompted(value: Any, where: str) -> list[Message]:
    """A prompt: a text, a transcript, or messages."""
    if is_transcript(value):
        found = transcript(value, where)
        return found[:-1] if not found[-1]["content"] else found  # "... \n\nAssistant:" asks for what comes next
    return [_message("user", value)] if isinstance(value, str) else spoken(value, where)


def answered(value: Any, where: str) -> list[Message]:
    """An answer: a text, a message, or a list of them."""
    if isinstance(value, str):
        return [_message("assistant", value)]
    return [message(value, where)] if isinstance(value, Mapping) else spoken(value, where)


def is_transcript(value: Any) -> bool:
    """Whether a text is a conversation as hh-rlhf has it."""
    return (
        isinstance(value, str)
        and value.lstrip().startswith(("Human:", "Assistant:"))
        and bool(_TURN.search("\n\n" + value))
    )


def transcript(value: str, where: str) -> list[Message]:
    """The messages of such a text."""
    body = value if value.startswith("\n\n") else "\n\n" + value.lstrip()
    before, *turns = _TURN.split(body)
    if before.strip():
        raise InputError(f"text stands before the first turn: {before.strip()[:40]!r}", where=where, remedy=MEND)
    return [
        _message("user" if who == "Human" else "assistant", said.strip())
        for who, said in zip(turns[::2], turns[1::2], strict=True)
    ]


def ended(found: list[Message], where: str) -> list[Message]:
    """Messages that end with an assistant's, which says something.

    Raises:
        InputError: they do not.
    """
    last = found[-1]["role"] if found else "nobody"
    if last != "assistant":
        what = f"the conversation does not end with an assistant: the last message is the {last}'s"
        raise InputError(what if found else "the conversation is empty", where=where, remedy=MEND)
    if not found[-1]["content"].strip():
        raise InputError("the last answer is empty", where=where, remedy=MEND)
    return found


def asked(found: list[Message], where: str) -> list[Message]:
    """Messages that an answer can follow.

    Raises:
        InputError: there is none, or the last is an assistant's already.
    """
    if not found or found[-1]["role"] != "user":
        last = f"the {found[-1]['role']}'s" if found else "missing"
        what = f"the prompt does not end with a user: the last message is {last}"
        raise InputError(what, where=where, remedy=MEND)
    return found


def _spoken(fields: Mapping[str, Any]) -> list[Any] | None:
    """The list of messages of a row, below a usual key, or whatever key, or one below that."""
    for name in (*KEYS, *fields):
        value = fields.get(name)
        if name in ("chosen", "rejected", "completion", "prompt"):
            continue
        if _is_list(value):
            return value
    for value in fields.values():
        if isinstance(value, Mapping):
            for inner in value.values():
                if _is_list(inner):
                    return inner
    return None


def _is_list(value: Any) -> bool:
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return False
    return any(name in value[0] for name in _SPEAKERS) and any(name in value[0] for name in _SAID)


def _system(fields: Mapping[str, Any], where: str) -> list[Message]:
    said = fields.get("system")
    if said is not None and not isinstance(said, str):
        raise InputError(f"field 'system' is no text: it is {kind(said)}", where=where, remedy=MEND)
    return [_message("system", said)] if said else []


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
