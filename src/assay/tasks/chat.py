"""A conversation as one text: what stands around each message.

    plain     "User: ...\\nAssistant: " and the answer, which the model's own end closes
    chatml    <|im_start|>user\\n...<|im_end|>\\n, where the tokenizer has these tokens (or spells them)

The text before an answer ends as the model will find it when it is asked, so training and answering see the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


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


PLAIN = Template()
CHATML = Template(
    ("<|im_start|>system\n", "<|im_end|>\n"), ("<|im_start|>user\n", "<|im_end|>\n"), "<|im_start|>assistant\n", "\n"
)


def turns_of(messages: Sequence[Mapping[str, str]], template: Template) -> Iterator[tuple[str, bool]]:
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
