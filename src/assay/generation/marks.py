"""Which ids stand around a text: what begins it, and what ends it.

around     by the roles of tokenizer_config.json (cls, bos; sep, eos), or by usual names
endings    by generation_config.json and config.json (eos_token_id), where a model says it itself
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from assay.errors import InputError

BEGIN, END = ("[CLS]", "<s>"), ("[SEP]", "</s>", "<|end|>")
_BEGIN_ROLES, _END_ROLES = ("cls", "bos"), ("sep", "eos")


class HasSpecial(Protocol):
    """A tokenizer with special tokens, name -> id."""

    @property
    def special(self) -> dict[str, int]: ...


def around(encoder: HasSpecial, folder: Path | None) -> tuple[int | None, int | None]:
    """(what begins a text, what ends it), as tasks are learned; None where the tokenizer has no such token.

    Args:
        folder: of the model that it is of, whose files say what its special tokens are for.
    """
    stated = stated_in(folder / "tokenizer_config.json") if folder is not None else {}
    return _named(encoder, stated, _BEGIN_ROLES, BEGIN), _named(encoder, stated, _END_ROLES, END)


def endings(folder: Path) -> tuple[int, ...]:
    """The ids that a model says end what it writes, in the order in which it says them."""
    found: list[int] = []
    for name in ("generation_config.json", "config.json"):
        stated = stated_in(folder / name).get("eos_token_id")
        found += [i for i in (stated if isinstance(stated, list) else [stated]) if isinstance(i, int)]
    return tuple(dict.fromkeys(found))


def token_text(stated: Any) -> str | None:
    """A special token as a tokenizer_config.json states it: its text, or an object that holds it."""
    found = stated.get("content") if isinstance(stated, dict) else stated
    return found if isinstance(found, str) else None


def stated_in(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds; empty where there is no such file.

    Raises:
        InputError: it is no JSON object.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError("is no JSON", where=file, remedy="give a whole model directory") from error
    if not isinstance(found, dict):
        raise InputError("is no JSON object", where=file, remedy="give a whole model directory")
    return found


def _named(encoder: HasSpecial, stated: dict[str, Any], roles: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    """The id of the special token that plays one of these roles, or has one of these names."""
    for role in roles:
        token = token_text(stated.get(f"{role}_token"))
        if token is not None and token in encoder.special:
            return encoder.special[token]
    return next((encoder.special[name] for name in names if name in encoder.special), None)
