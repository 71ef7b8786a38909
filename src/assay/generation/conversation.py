"""A conversation -> the token ids that an answer goes on from.

    plain     "User: ...\\nAssistant: " and the answer, which the model's own end closes
    chatml    <|im_start|>user\\n...<|im_end|>\\n, where the tokenizer has these tokens (or spells them)
    jinja     what a directory's own `chat_template` says, in a sandbox

The text before an answer ends as the model will find it when it is asked, so training and answering see the same. A
template of our own is encoded piece by piece, as it is in training, so an answer has the same tokens whatever stands
before it. Of a directory's template special tokens are tokens where the template writes them; where a message spells
one, its characters are encoded, so that nobody can end a turn but the template.

A conversation that is longer than the model's context loses its oldest turns; a system message stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from assay.errors import InputError
from assay.generation.marks import stated_in, token_text

ROLES = ("system", "user", "assistant")
Message = Mapping[str, str]
Ids = tuple[int, ...]
Encode = Callable[[Sequence[str]], list[Ids]]


@dataclass(frozen=True)
class Template:
    """What stands before and behind a message, by role.

    Attributes:
        after: behind an answer that another message follows.
    """

    system: tuple[str, str] = ("", "\n\n")
    user: tuple[str, str] = ("User: ", "\n")
    assistant: str = "Assistant: "
    after: str = "\n"

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Template:
        """Of the options that a task was saved with."""
        return cls(tuple(stated["system"]), tuple(stated["user"]), str(stated["assistant"]), str(stated["after"]))


PLAIN = Template()
CHATML = Template(
    ("<|im_start|>system\n", "<|im_end|>\n"), ("<|im_start|>user\n", "<|im_end|>\n"), "<|im_start|>assistant\n", "\n"
)


def turns_of(messages: Sequence[Message], template: Template) -> Iterator[tuple[str, bool]]:
    """Stretches of text, and whether the model writes each; the last ends where its answer begins."""
    before = ""
    for message in messages:
        if message["role"] == "assistant":
            yield before + template.assistant, False
            yield message["content"], True
            before = template.after
        else:
            begin, end = template.system if message["role"] == "system" else template.user
            before += begin + message["content"] + end
    yield before + template.assistant, False


def jinja(template: Template) -> str:
    """The same as `chat_template` of a tokenizer_config.json, for whoever opens the model elsewhere."""

    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("\n", "\\n").replace("'", "\\'") + "'"

    (s0, s1), (u0, u1) = template.system, template.user
    return (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ "
        f"{quoted(s0)} + m['content'] + {quoted(s1)}"
        " }}{% elif m['role'] == 'user' %}{{ "
        f"{quoted(u0)} + m['content'] + {quoted(u1)}"
        " }}{% else %}{{ "
        f"{quoted(template.assistant)} + m['content'] + eos_token + {quoted(template.after)}"
        " }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ "
        f"{quoted(template.assistant)}"
        " }}{% endif %}"
    )


class Chat(Protocol):
    """How a conversation is put to a model."""

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer, besides the model's own end: what the next turn would begin with."""

    def ids(self, messages: Sequence[Message], encode: Encode) -> Ids:
        """What the answer goes on from, its beginning included.

        Args:
            encode: texts -> the ids of each, special tokens as their characters.
        """


@dataclass(frozen=True)
class Own:
    """A template of ours.

    Attributes:
        begin, end: ids before a conversation, and behind an answer; None: there is none.
        system: a message that a conversation without one begins with.
    """

    template: Template
    begin: int | None
    end: int | None
    system: str | None = None
    stops: tuple[str, ...] = ()

    def ids(self, messages: Sequence[Message], encode: Encode) -> Ids:
        if self.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        turns = list(turns_of(messages, self.template))
        ids = [] if self.begin is None else [self.begin]
        for own, (_, is_answer) in zip(encode([text for text, _ in turns]), turns, strict=True):
            ids += own
            ids += [self.end] if is_answer and self.end is not None else []
        return tuple(ids)


MARK = "\uffff"  # Unicode keeps it from ever being a character


@dataclass(frozen=True)
class Jinja:
    """A directory's own template.

    Attributes:
        tokens: `bos_token` and the like, as the template may ask for them.
        special: special tokens, name -> id.
    """

    source: str
    where: Path
    tokens: Mapping[str, str]
    special: Mapping[str, int]
    stops: tuple[str, ...] = ()

    def ids(self, messages: Sequence[Message], encode: Encode) -> Ids:
        names = sorted(self.special, key=len, reverse=True)
        any_name = re.compile("|".join(map(re.escape, names))) if names else re.compile("(?!)")

        def plain(
            text: str,
        ) -> str:  # a name that a message spells is taken apart until the template is through
            return any_name.sub(lambda found: found[0][0] + MARK + found[0][1:], text.replace(MARK, ""))

        text = self.rendered([{**message, "content": plain(message["content"])} for message in messages])
        ids: list[int] = []
        parts, at = [], 0
        for found in any_name.finditer(text):
            parts += [text[at : found.start()], found[0]]
            at = found.end()
        parts.append(text[at:])
        encoded = iter(encode([part.replace(MARK, "") for part in parts[::2]]))
        for i, part in enumerate(parts):
            ids += [self.special[part]] if i % 2 else next(encoded)
        return tuple(ids)

    def rendered(self, messages: Sequence[Message]) -> str:
        """The conversation as text, up to where the answer begins.

        Raises:
            InputError: the template is none, or refuses the conversation.
        """
        from jinja2 import TemplateError

        try:
            made = _environment().from_string(self.source)
            return made.render(messages=list(messages), add_generation_prompt=True, tools=None, **self.tokens)
        except (TemplateError, TypeError, ValueError, LookupError, OverflowError) as error:
            what = f"the chat template refuses the conversation ({' '.join(str(error).split())})"
            raise InputError(what, where=self.where, remedy="change the conversation, or the template") from error


def _environment() -> Any:
    """Jinja's sandbox with what chat templates rely on, as transformers has it."""
    import datetime

    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> str:
        raise TemplateError(message)

    def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **more)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    made.filters["tojson"] = to_json
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return made


def chat_template(folder: Path, special: Mapping[str, int]) -> Jinja | None:
    """The template that a model directory brings along; None where it has none.

    Raises:
        InputError: a file is damaged.
    """
    stated = stated_in(folder / "tokenizer_config.json")
    file = folder / "chat_template.jinja"
    source: Any = stated.get("chat_template")
    where = folder / "tokenizer_config.json"
    if file.is_file():
        source, where = file.read_text(encoding="utf-8", errors="replace"), file
    if isinstance(source, list):  # several, by name
        source = {one.get("name"): one.get("template") for one in source if isinstance(one, Mapping)}.get("default")
    if not isinstance(source, str):
        return None
    tokens = {name: text for name in stated if name.endswith("_token") and (text := token_text(stated[name]))}
    return Jinja(source, where, tokens, special)


def checked(messages: Sequence[Any], where: str) -> list[dict[str, str]]:
    """Messages that an answer can follow.

    Raises:
        InputError: there are none, a role is unknown, a message is no text, or there is nothing to answer.
    """
    remedy = f'write [{{"role": "user", "content": "..."}}]; roles are {", ".join(ROLES)}'
    found = []
    for n, message in enumerate(messages, 1):
        place = f"{where}, message {n}"
        if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
            raise InputError("is no message with a role and content", where=place, remedy=remedy)
        role, content = message["role"], message["content"]
        if role not in ROLES:
            raise InputError(f"an unknown role: {role!r}", where=place, remedy=f"roles are {', '.join(ROLES)}")
        if not isinstance(content, str):
            raise InputError("its content is no text", where=place, remedy=remedy)
        if role == "system" and n > 1:
            raise InputError("a system message behind others", where=place, remedy="put it first")
        found.append({"role": role, "content": content})
    if not found or found[-1]["role"] != "user":
        last = f"its last message is the {found[-1]['role']}'s" if found else "it is empty"
        raise InputError(f"there is nothing to answer: {last}", where=where, remedy="end with a message of the user")
    return found


def fitting(messages: Sequence[Message], ids: Callable[[Sequence[Message]], Ids], room: int | None) -> tuple[Ids, int]:
    """(ids of a conversation that has room, how many of its oldest messages were left out): whole turns, question and
    answer; the system message and the last question stay.

    Args:
        room: tokens at most; None: any number.
    """
    kept, dropped = list(messages), 0
    found = ids(kept)
    while room is not None and len(found) > room:
        first = 1 if kept[0]["role"] == "system" else 0
        last = next((i for i in range(first + 1, len(kept)) if kept[i]["role"] == "user"), None)
        if last is None:
            break
        dropped += last - first
        kept = kept[:first] + kept[last:]
        found = ids(kept)
    return found, dropped
