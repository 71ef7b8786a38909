"""Errors as a client reads them, in the form of OpenAI's interface; nothing of the server's inside is told.

{"error": {"message": .., "type": .., "param": .., "code": ..}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from assay.errors import AssayError, InputError

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        code: a word for programs.
        param: the field that is wrong.
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        """The answer's."""
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return encoded({"error": error})


def encoded(value: Any) -> bytes:
    """JSON in UTF-8; half a surrogate pair, which a client may have sent, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def refusal(error: Exception) -> Refused:
    """What a client is told of an error that a service raised."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, InputError):
        return Refused(400, said(error), "invalid_request")
    return Refused(500, "something went wrong in the server; its log says what", "internal_error")


def said(error: AssayError) -> str:
    """An error without the place it names where that is a path of the server's."""
    place = f"{error.where}: " if error.where and "/" not in error.where and "\\" not in error.where else ""
    remedy = f" -> {error.remedy}" if error.remedy else ""
    return " ".join(f"{place}{error.what}{remedy}".split())


def invalid(errors: Sequence[Mapping[str, Any]]) -> Refused:
    """What is wrong with a body, by pydantic's findings: the first of them."""
    first: Mapping[str, Any] = errors[0] if errors else {"loc": (), "msg": "is not valid", "type": ""}
    place = [part for part in first["loc"] if part != "body"]
    if first["type"] == "json_invalid":
        at = f" at character {place[0]}" if place else ""
        return Refused(400, f"the body is no JSON{at}: {(first.get('ctx') or {}).get('error', '')}", "invalid_json")
    name = ".".join(str(part) for part in place if not _is_branch(part))
    if first["type"] == "extra_forbidden":
        return Refused(400, f"{name} is not known, or not supported, here -> leave it out", "unsupported", name)
    if first["type"] == "unsupported":  # a service's own word for it, which names the field
        return Refused(400, str(first["msg"]), "unsupported", str((first.get("ctx") or {}).get("field")))
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "missing" and not name:
        message = "the body is empty -> send a JSON object"
    return Refused(400, f"{name}: {message}" if name else message, "invalid_value", name or None)


def _is_branch(part: Any) -> bool:
    """Whether a part of a place names one of several types that pydantic tried, and no field."""
    return isinstance(part, str) and ("[" in part or part in ("str", "int", "float", "list", "dict", "function-after"))
